//! getUpdates: one poll at a time may wait, and whoever comes later wins.
//!
//! A poll that finds updates answers at once. One that has to wait ends an earlier waiting one with 409. Repeated conflicts
//! are told three seconds late, and polls that ask for the same offset over and over are slowed down: both as the official
//! server does, to protect itself from two instances that fight.

use std::{sync::Arc, time::Duration};

use tokio::sync::oneshot;

use crate::{
    bot::{Bot, State},
    clock::boottime_ns,
    log::Event,
    params::Params,
    reply::ApiError,
    webhook::remember_allowed,
};

/// Most updates of one answer, and the default; the method reference.
const MAX_LIMIT: i64 = 100;
/// Longest wait in seconds; the official server's figure.
const MAX_TIMEOUT_S: i64 = 50;
/// A conflict sooner than this after the last one is told this much later.
const CONFLICT_NS: u64 = 3_000_000_000;
/// The same offset again within this: one update at a time.
const SAME_OFFSET_NS: u64 = 500_000_000;
/// The same offset again within this: a short wait becomes this long.
const STORM_NS: u64 = 3_000_000_000;
const STORM_S: i64 = 3;
/// How long a woken poll still gathers what comes right after; the official server's figure.
const GATHER: Duration = Duration::from_millis(1);
const WEBHOOK_ACTIVE: &str =
    "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first";
const OTHER_POLL: &str = "terminated by other getUpdates request; make sure that only one bot instance is running";

/// Who waits, and what the protections remember.
#[derive(Debug, Default)]
pub struct Polling {
    waiting: Option<Waiting>,
    next_conflict_ns: u64,
    previous: Option<(i64, u64)>,
    /// getUpdates calls so far.
    pub polls: u64,
    /// 409 answers so far.
    pub conflicts: u64,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    wake: oneshot::Sender<Wake>,
}

#[derive(Debug)]
enum Wake {
    Updates,
    Ended { why: ApiError, late: bool },
}

impl Polling {
    /// There is something for the waiting poll.
    pub fn wake(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            // An error means that its caller has just gone.
            let _ = waiting.wake.send(Wake::Updates);
        }
    }

    /// Ends the waiting poll.
    pub fn end(&mut self, why: ApiError, now_ns: u64) {
        if let Some(waiting) = self.waiting.take() {
            let late = self.conflict(now_ns);
            let _ = waiting.wake.send(Wake::Ended { why, late });
        }
    }

    /// Ends the waiting poll, and it is told so at once.
    pub fn end_at_once(&mut self, why: ApiError) {
        if let Some(waiting) = self.waiting.take() {
            let _ = waiting.wake.send(Wake::Ended { why, late: false });
        }
    }

    /// Whether a poll waits.
    pub fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Counts a conflict; whether it is told late.
    fn conflict(&mut self, now_ns: u64) -> bool {
        self.conflicts += 1;
        let late = now_ns < self.next_conflict_ns;
        if !late {
            self.next_conflict_ns = now_ns + CONFLICT_NS;
        }
        late
    }
}

/// What a poll asks for, after the protections had their say.
struct Wish {
    offset: i64,
    limit: usize,
    timeout_s: i64,
}

impl State {
    fn read_wish(&mut self, params: &Params, now_ns: u64) -> Wish {
        let offset = params.number("offset", 0, i64::from(i32::MIN), i64::from(i32::MAX));
        let mut limit = params.number("limit", MAX_LIMIT, 1, MAX_LIMIT);
        let mut timeout_s = params.number("timeout", 0, 0, MAX_TIMEOUT_S);
        remember_allowed(self, params);
        if self.limiter.rules.poll_guard
            && let Some((_, began)) = self.polling.previous.filter(|(same, _)| *same == offset)
        {
            if timeout_s < STORM_S && now_ns < began + STORM_NS {
                timeout_s = STORM_S;
            }
            if now_ns < began + SAME_OFFSET_NS {
                limit = 1;
            }
        }
        self.polling.previous = Some((offset, now_ns));
        Wish { offset, limit: usize::try_from(limit).unwrap_or(1), timeout_s }
    }

    /// Confirms what is below the offset and writes the answer out of what remains; `None` when nothing does.
    fn collect(&mut self, offset: i64, limit: usize) -> Option<Vec<u8>> {
        let now = self.now();
        self.queue.expire(now);
        let confirmed = self.queue.confirm(offset);
        self.acknowledged(&confirmed);
        if self.queue.is_empty() {
            return None;
        }
        let mut body = br#"{"ok":true,"result":["#.to_vec();
        for (n, update) in self.queue.give(limit).enumerate() {
            if n > 0 {
                body.extend_from_slice(b",\n");
            }
            body.extend_from_slice(&update.bytes);
            self.log.write(Event::Push {
                acct: &self.acct,
                key: &update.key,
                chat: update.chat.as_deref(),
                pseq: update.pseq,
                r#try: update.tries,
                update_id: update.id,
            });
        }
        body.extend_from_slice(b"]}");
        Some(body)
    }
}

/// Leaves the waiting place when the caller hangs up or the time is over.
struct Place<'a> {
    bot: &'a Bot,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.bot.lock();
        if state.polling.waiting.as_ref().is_some_and(|waiting| waiting.number == self.number) {
            state.polling.waiting = None;
        }
    }
}

/// Answers one getUpdates: the body of a 200, or a refusal.
pub async fn get_updates(bot: &Arc<Bot>, params: &Params) -> Result<Vec<u8>, ApiError> {
    let nothing = || br#"{"ok":true,"result":[]}"#.to_vec();
    let now_ns = boottime_ns();
    let shut_out = {
        let mut state = bot.lock();
        state.polling.polls += 1;
        state.webhook.is_some().then(|| state.polling.conflict(now_ns))
    };
    if let Some(late) = shut_out {
        return Err(told_late(ApiError::conflict(WEBHOOK_ACTIVE), late).await);
    }
    let (wish, woken, place) = {
        let mut state = bot.lock();
        let wish = state.read_wish(params, now_ns);
        match state.collect(wish.offset, wish.limit) {
            Some(body) => return Ok(body),
            None if wish.timeout_s == 0 => return Ok(nothing()),
            None => {}
        }
        state.polling.end(ApiError::conflict(OTHER_POLL), now_ns);
        let number = bot.poll_numbers.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let (wake, woken) = oneshot::channel();
        state.polling.waiting = Some(Waiting { number, wake });
        (wish, woken, Place { bot, number })
    };
    let timeout = Duration::from_secs(wish.timeout_s.unsigned_abs());
    match tokio::time::timeout(timeout, woken).await {
        Ok(Ok(Wake::Ended { why, late })) => return Err(told_late(why, late).await),
        Ok(Ok(Wake::Updates)) => tokio::time::sleep(GATHER).await,
        Ok(Err(_)) | Err(_) => {}
    }
    drop(place);
    Ok(bot.lock().collect(wish.offset, wish.limit).unwrap_or_else(nothing))
}

async fn told_late(why: ApiError, late: bool) -> ApiError {
    if late {
        tokio::time::sleep(Duration::from_nanos(CONFLICT_NS)).await;
    }
    why
}
