//! Updates on their way to the webhook.
//!
//! As the official server does: at most `max_connections` at once; messages and edits of a chat one after the other, so
//! that one that is refused holds up its chat alone; button presses by person and changes of membership in lines of their
//! own. Orders of a test make it repeat, reorder, hold back.

pub mod orders;
mod post;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use serde::Serialize;
use tokio::sync::Notify;

pub use post::{client, run};

use crate::{bot::State, clock::boottime_ns, log::Event, queue::Update};

/// Repeats wait no longer than a random number of seconds in here; the official server's figures.
const LONGEST_WAIT_S: std::ops::RangeInclusive<u64> = 60..=120;
/// The longest Retry-After that is obeyed, in seconds; the official server's figure.
const LONGEST_RETRY_AFTER_S: u64 = 3600;
/// A webhook that answers 410 for longer than this is removed; the official server's figure.
const GONE_S: i64 = 23 * 60 * 60;
/// Delivered updates that a test may have replayed.
const CAPTURED: usize = 10_000;
/// Seconds in nanoseconds.
const SECOND_NS: u64 = 1_000_000_000;

/// Updates of one line go one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Messages and edits of a chat.
    Chat(String),
    /// Button presses of a person.
    Presses(i64),
    /// Where the bot stands in a chat.
    Member(i64),
    /// Reactions in a chat.
    Reactions(i64),
    /// By itself.
    Loose(i64),
}

/// How deliveries go wrong on command.
#[derive(Clone, Debug, Serialize)]
pub struct Behaviour {
    /// How often each update is sent, all at once.
    pub copies: usize,
    /// Where the copies go, each as often; nowhere named: to the webhook's address.
    pub to: Vec<String>,
    /// The newest first, and no line is kept.
    pub reorder: bool,
    /// Nothing is sent.
    pub hold: bool,
    /// How long an answer may take.
    pub timeout_ms: u64,
    /// By how much pauses before repeats are stretched.
    pub backoff_scale: f64,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self { copies: 1, to: Vec::new(), reorder: false, hold: false, timeout_ms: 60_000, backoff_scale: 1.0 }
    }
}

/// What is known of deliveries.
#[derive(Debug, Default)]
pub struct Delivery {
    /// How they go wrong.
    pub behaviour: Behaviour,
    /// There may be something to send.
    pub wake: Arc<Notify>,
    /// When the last attempt failed, by the calendar, and why.
    pub last_error: Option<(i64, String)>,
    /// Attempts so far.
    pub attempts: u64,
    gone_since: Option<i64>,
    busy: HashMap<i64, Lane>,
    failed: HashMap<i64, Failed>,
    captured: VecDeque<Update>,
}

#[derive(Clone, Copy, Debug)]
struct Failed {
    times: u32,
    next_ns: u64,
}

/// One attempt to deliver.
#[derive(Debug)]
pub struct Job {
    update: Update,
    targets: Vec<String>,
    secret: String,
    timeout_ms: u64,
}

/// What to do now.
#[derive(Debug)]
pub enum Due {
    /// Send this.
    Now(Job),
    /// Look again at that time, or when woken.
    Later(u64),
    /// Wait to be woken.
    Nothing,
}

/// What a webhook answered.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// HTTP status; none when there was no answer.
    pub status: Option<u16>,
    retry_after_s: Option<u64>,
    /// Why there was none.
    error: String,
    body: Vec<u8>,
}

impl Reply {
    fn is_success(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

impl Delivery {
    /// Attempts under way.
    pub fn in_flight(&self) -> usize {
        self.busy.len()
    }

    /// Another webhook, or none: what was learnt of the old one is forgotten.
    pub fn restart(&mut self) {
        (self.last_error, self.gone_since) = (None, None);
        self.failed.clear();
        self.wake.notify_one();
    }

    /// How long to wait after a number of failures in a row: not at all, then 2, 4, 8 s and so on.
    fn pause_ns(&self, times: u32, retry_after_s: Option<u64>, dice: u64) -> u64 {
        if let Some(told) = retry_after_s {
            return told.min(LONGEST_RETRY_AFTER_S) * SECOND_NS;
        }
        let longest = LONGEST_WAIT_S.start() + dice % (LONGEST_WAIT_S.end() - LONGEST_WAIT_S.start() + 1);
        let seconds = if times <= 1 { 0 } else { 1_u64.checked_shl(times - 1).unwrap_or(longest).min(longest) };
        (seconds as f64 * SECOND_NS as f64 * self.behaviour.backoff_scale) as u64
    }
}

impl State {
    /// The next attempt, which is begun with that; or how long there is none.
    pub fn due(&mut self, now_ns: u64) -> Due {
        let now = self.now();
        self.queue.expire(now);
        let Some(hook) = &self.webhook else { return Due::Nothing };
        let delivery = &mut self.delivery;
        if delivery.behaviour.hold || delivery.busy.len() as i64 >= hook.max_connections {
            return Due::Nothing;
        }
        let reorder = delivery.behaviour.reorder;
        let busy: HashSet<&Lane> = delivery.busy.values().collect();
        let (mut passed, mut wait) = (HashSet::new(), None::<u64>);
        let updates: Box<dyn Iterator<Item = &Update>> = match reorder {
            true => Box::new(self.queue.iter().rev()),
            false => Box::new(self.queue.iter()),
        };
        let mut chosen = None;
        for update in updates {
            if delivery.busy.contains_key(&update.id) || (!reorder && busy.contains(&update.lane)) {
                continue;
            }
            // The oldest of its line that waits for its repeat holds up what is behind it.
            if !reorder && !passed.insert(&update.lane) {
                continue;
            }
            match delivery.failed.get(&update.id).filter(|failed| failed.next_ns > now_ns) {
                Some(failed) => wait = Some(wait.map_or(failed.next_ns, |wait| wait.min(failed.next_ns))),
                None => {
                    chosen = Some(update.id);
                    break;
                }
            }
        }
        let Some(update) = chosen.and_then(|id| self.queue.try_one(id)) else {
            return wait.map_or(Due::Nothing, Due::Later);
        };
        delivery.busy.insert(update.id, update.lane.clone());
        let behaviour = &delivery.behaviour;
        let to = if behaviour.to.is_empty() { vec![hook.url.clone()] } else { behaviour.to.clone() };
        let targets = to.iter().flat_map(|url| std::iter::repeat_n(url.clone(), behaviour.copies)).collect();
        let job = Job { targets, secret: hook.secret_token.clone(), timeout_ms: behaviour.timeout_ms, update };
        self.given(&job.update);
        Due::Now(job)
    }

    /// Writes that the connector was given an update.
    fn given(&self, update: &Update) {
        self.log.write(Event::Push {
            acct: &self.acct,
            key: &update.key,
            chat: update.chat.as_deref(),
            pseq: update.pseq,
            r#try: update.tries,
            update_id: update.id,
        });
    }

    /// Writes that the connector has an update.
    fn taken(&self, update: &Update, status: Option<u16>) {
        let (acct, key) = (&self.acct, &update.key);
        self.log.write(Event::Ack { acct, key, how: "webhook", update_id: update.id, status });
    }

    /// An attempt has ended: what was taken leaves the queue, what was not waits for its repeat.
    pub fn attempted(&mut self, job: Job, replies: &[Reply]) {
        let (update, now) = (job.update, self.now());
        self.delivery.attempts += replies.len() as u64;
        self.delivery.busy.remove(&update.id);
        self.delivery.wake.notify_one();
        if let Some(taken) = replies.iter().find(|reply| reply.is_success()) {
            self.taken(&update, taken.status);
            self.queue.remove(update.id);
            self.delivery.failed.remove(&update.id);
            self.delivery.gone_since = None;
            if self.delivery.captured.len() == CAPTURED {
                self.delivery.captured.pop_front();
            }
            self.delivery.captured.push_back(update);
            return;
        }
        let Some(reply) = replies.first() else { return };
        let why = reply.status.map(|status| format!("Wrong response from the webhook: {}", with_words(status)));
        self.delivery.last_error = Some((now, why.unwrap_or_else(|| reply.error.clone())));
        self.delivery.gone_since = match reply.status {
            Some(410) => self.delivery.gone_since.or(Some(now)),
            _ => None,
        };
        if self.delivery.gone_since.is_some_and(|since| now - since > GONE_S) {
            self.webhook = None;
            return self.delivery.restart();
        }
        let times = self.delivery.failed.get(&update.id).map_or(0, |failed| failed.times) + 1;
        let dice = (update.id.unsigned_abs() ^ u64::from(times) << 32).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33;
        let pause_ns = self.delivery.pause_ns(times, reply.retry_after_s, dice);
        if now + (pause_ns / SECOND_NS) as i64 > update.expires_at {
            self.queue.remove(update.id);
            self.delivery.failed.remove(&update.id);
        } else {
            self.delivery.failed.insert(update.id, Failed { times, next_ns: boottime_ns() + pause_ns });
        }
    }
}

fn with_words(status: u16) -> String {
    let known = axum::http::StatusCode::from_u16(status).ok();
    let words = known.and_then(|status| status.canonical_reason()).unwrap_or_default();
    format!("{status} {words}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute_or_two() {
        let delivery = Delivery::default();
        let seconds = |times| delivery.pause_ns(times, None, 7) / SECOND_NS;
        assert_eq!([1, 2, 3, 4, 5, 6, 7, 8, 40, 90].map(seconds), [0, 2, 4, 8, 16, 32, 64, 67, 67, 67]);
        for dice in 0..1000 {
            assert!(LONGEST_WAIT_S.contains(&(delivery.pause_ns(20, None, dice) / SECOND_NS)));
        }
        assert_eq!(delivery.pause_ns(1, Some(5), 0), 5 * SECOND_NS);
        assert_eq!(delivery.pause_ns(9, Some(90_000), 0), 3600 * SECOND_NS);
        let behaviour = Behaviour { backoff_scale: 0.01, ..Behaviour::default() };
        assert_eq!(Delivery { behaviour, ..Delivery::default() }.pause_ns(3, None, 0), SECOND_NS / 25);
    }
}
