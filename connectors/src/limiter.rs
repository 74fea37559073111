//! Limits: a sliding log of held slots for every limit and scope.
//!
//! A slot is taken before the first byte of an exchange and freed one window after its **answer** (never
//! answered: one window after `answer_by`). So whenever the platform's own clock counts an exchange, between
//! our first byte and our reading of the answer, no window of its clock ever holds more than the limit,
//! however the network bunches calls. (A plain bucket of 30 a second lets 60 through in one second.)
//! governor only spaces the starts, so that a burst does not spend a whole window at once; a tenth of the
//! limit may start together, or every late wake-up would cost allowance.
//!
//! The log proves the limit only if it survives: [`Limiter::restore`] rebuilds it from the attempts table
//! after a takeover, before the first send.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use switchboard_common::faults::{Sabotage, sabotaged};
use switchboard_common::model::FreezeScope;
use switchboard_common::service::clock::Moment;
use switchboard_common::store::{Freeze, SlotHistory};

use crate::platform::{Limit, Scope};

/// The limiter of one account.
pub struct Limiter {
    limits: Vec<Limit>,
    logs: HashMap<Key, Log>,
    freezes: HashMap<FreezeScope, Moment>,
    pace: Option<DefaultDirectRateLimiter>,
}

/// A limit in one scope: its place in the list, and the chat unless it counts for the account.
type Key = (usize, Option<String>);

#[derive(Default)]
struct Log {
    /// Exchanges whose answer is still to come.
    held: usize,
    /// When each answered exchange leaves the window, in order.
    freed_at: VecDeque<Moment>,
}

impl Log {
    fn used(&mut self, now: Moment) -> usize {
        while self.freed_at.front().is_some_and(|at| *at <= now) {
            self.freed_at.pop_front();
        }
        self.held + self.freed_at.len()
    }

    /// From when on `cost` more fit under `limit`; `None` when that depends on answers.
    fn room(&mut self, now: Moment, limit: usize, cost: usize) -> Option<Moment> {
        // An exchange that costs more than the whole limit still has to pass: alone.
        match (self.used(now) + cost.min(limit)).saturating_sub(limit) {
            0 => Some(now),
            excess => self.freed_at.get(excess - 1).copied(),
        }
    }

    fn free_at(&mut self, moment: Moment, cost: usize) {
        // Restored ones may leave later than this one: keep the order in which they leave.
        let place = self.freed_at.partition_point(|at| *at <= moment);
        for _ in 0..cost {
            self.freed_at.insert(place, moment);
        }
    }
}

/// A place in every window an exchange counts in. Give it back with [`Limiter::answered`], or [`Limiter::unused`].
#[derive(Debug)]
#[must_use = "a slot that is not given back is held for ever"]
pub struct Slot {
    keys: Vec<Key>,
    cost: usize,
    starts: Moment,
}

impl Slot {
    /// How long to wait before the first byte.
    pub fn starts_in(&self) -> Duration {
        self.starts.remaining()
    }
}

/// A slot is given out so long before it is free: its claim is made meanwhile. At 30 a second and an answer after 100 ms
/// every ten milliseconds between two uses of a slot are a hundredth of the allowance.
const LEAD: Duration = Duration::from_millis(15);

/// No slot now, and when to ask again; `None`: when an answer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// For nobody.
    Account(Option<Duration>),
    /// For this chat.
    Chat(Option<Duration>),
}

impl Limiter {
    /// A limiter for `limits`; empty, so [`restore`](Self::restore) it before use.
    pub fn new(limits: &[Limit]) -> Self {
        let account = limits.iter().filter(|limit| limit.scope == Scope::Account);
        // The widest spacing of all: on the average it satisfies every limit.
        let pace = account
            .filter_map(|limit| {
                let quota = Quota::with_period(limit.window / u32::try_from(limit.count).unwrap_or(u32::MAX))?;
                let together = if sabotaged(Sabotage::BurstLimiter) { limit.count } else { limit.count / 10 };
                Some(quota.allow_burst(NonZeroU32::new(together as u32).unwrap_or(NonZeroU32::MIN)))
            })
            .max_by_key(Quota::replenish_interval)
            .map(RateLimiter::direct);
        Self { limits: limits.to_vec(), logs: HashMap::new(), freezes: HashMap::new(), pace }
    }

    /// The longest window: how far back attempts matter.
    pub fn longest_window(&self) -> Duration {
        self.limits.iter().map(|limit| limit.window).max().unwrap_or_default()
    }

    /// Rebuilds the log from what earlier tenures did.
    pub fn restore(&mut self, past: &[SlotHistory], freezes: &[Freeze], scope_of: impl Fn(&str) -> Scope) {
        let now = Moment::now();
        for exchange in past {
            let keys = match &exchange.chat_key {
                Some(chat) => self.keys(chat, scope_of(chat)),
                None => self.keys("", Scope::Account),
            };
            for key in keys {
                let window = self.limits[key.0].window;
                let ended = match exchange.ended_ago {
                    ago if ago >= 0.0 => now - Duration::from_secs_f64(ago),
                    ahead => now + Duration::from_secs_f64(-ahead),
                };
                self.logs.entry(key).or_default().free_at(ended + window, exchange.cost);
            }
        }
        self.heed(freezes);
    }

    /// The platform said to stop (429) to an exchange that names no chat: that can only mean the account.
    pub fn throttle_account(&mut self, span: Duration) {
        self.freeze(FreezeScope::Account, span);
    }

    /// Pauses that the platform asked for, whoever it told.
    pub fn heed(&mut self, freezes: &[Freeze]) {
        for freeze in freezes {
            self.freeze(freeze.scope.clone(), freeze.remaining);
        }
    }

    /// Takes a slot for an exchange that concerns a chat.
    pub fn take(&mut self, chat_key: &str, scope: Scope, cost: usize) -> Result<Slot, Full> {
        let now = Moment::now();
        self.freezes.retain(|_, until| *until > now);
        if let Some(until) = self.freezes.get(&FreezeScope::Account) {
            return Err(Full::Account(Some(until.remaining())));
        }
        if let Some(until) = self.freezes.get(&FreezeScope::Chat(chat_key.to_owned())) {
            return Err(Full::Chat(Some(until.remaining())));
        }
        let keys = self.keys(chat_key, scope);
        let mut starts = now;
        for key in keys.iter().filter(|_| !sabotaged(Sabotage::BurstLimiter)) {
            let limit = self.limits[key.0].count;
            let Some(log) = self.logs.get_mut(key) else { continue };
            match log.room(now, limit, cost) {
                Some(at) if at <= now + LEAD => starts = starts.max(at),
                at => {
                    let later = at.map(|at| (at - LEAD).remaining());
                    return Err(if key.1.is_none() { Full::Account(later) } else { Full::Chat(later) });
                }
            }
        }
        if let Some(Err(early)) = self.pace.as_ref().map(RateLimiter::check) {
            return Err(Full::Account(Some(early.wait_time_from(DefaultClock::default().now()))));
        }
        for key in &keys {
            self.logs.entry(key.clone()).or_default().held += cost;
        }
        Ok(Slot { keys, cost, starts })
    }

    /// Takes a slot for an exchange that concerns no chat: only what counts for the account counts it.
    pub fn take_for_account(&mut self, cost: usize) -> Result<Slot, Full> {
        self.take("", Scope::Account, cost)
    }

    /// The exchange was answered, or will not be: its slots free one window from now.
    pub fn answered(&mut self, slot: Slot) {
        self.answered_by(slot, Moment::now());
    }

    /// The exchange was given up, and its answer may still come until `end`: its slots free one window after that.
    pub fn answered_by(&mut self, slot: Slot, end: Moment) {
        for key in slot.keys {
            let window = self.limits[key.0].window;
            if let Some(log) = self.logs.get_mut(&key) {
                log.held -= slot.cost;
                log.free_at(end + window, slot.cost);
            }
        }
    }

    /// The exchange never began: its slots are free at once.
    pub fn unused(&mut self, slot: Slot) {
        for key in slot.keys {
            if let Some(log) = self.logs.get_mut(&key) {
                log.held -= slot.cost;
            }
        }
    }

    /// The platform said to stop (429). The answer does not say for whom: the chat is held first, and the
    /// account when another chat is told to stop while one is held, until the last of their pauses ends. Returns what is
    /// held, to be stored.
    pub fn throttled(&mut self, chat_key: &str, retry_after: Duration) -> Freeze {
        let chat = FreezeScope::Chat(chat_key.to_owned());
        self.freezes.retain(|_, until| until.is_ahead());
        let others = self.freezes.iter().filter(|(scope, _)| **scope != chat).map(|(_, until)| until.remaining()).max();
        let freeze = match others {
            Some(longest) => Freeze { scope: FreezeScope::Account, remaining: retry_after.max(longest) },
            None => Freeze { scope: chat, remaining: retry_after },
        };
        self.freeze(freeze.scope.clone(), freeze.remaining);
        freeze
    }

    fn freeze(&mut self, scope: FreezeScope, remaining: Duration) {
        let until = Moment::now() + remaining;
        let known = self.freezes.entry(scope).or_insert(until);
        *known = until.max(*known);
    }

    /// Forgets chats that no window remembers.
    pub fn tidy(&mut self) {
        let now = Moment::now();
        self.logs.retain(|_, log| log.used(now) > 0);
    }

    fn keys(&self, chat_key: &str, scope: Scope) -> Vec<Key> {
        let counts = |limit: &Limit| limit.scope == Scope::Account || limit.scope == scope;
        let key =
            |(place, limit): (usize, &Limit)| (place, (limit.scope != Scope::Account).then(|| chat_key.to_owned()));
        self.limits.iter().enumerate().filter(|(_, limit)| counts(limit)).map(key).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(window_ms: u64) -> [Limit; 2] {
        let window = Duration::from_millis(window_ms);
        [Limit { count: 3, window, scope: Scope::Account }, Limit { count: 1, window, scope: Scope::Chat }]
    }

    fn unpaced(limits: &[Limit]) -> Limiter {
        Limiter { pace: None, ..Limiter::new(limits) }
    }

    fn wait(full: Full) -> Duration {
        match full {
            Full::Account(Some(span)) | Full::Chat(Some(span)) => span,
            other => panic!("a known time, not {other:?}"),
        }
    }

    #[test]
    fn an_exchange_takes_as_many_slots_as_it_costs() {
        let mut limiter = unpaced(&limits(3_600_000));
        let two = limiter.take("a", Scope::Group, 2).expect("two of three");
        assert!(matches!(limiter.take("b", Scope::Group, 2), Err(Full::Account(None))));
        let one = limiter.take("b", Scope::Group, 1).expect("the third");
        limiter.answered(two);
        limiter.answered(one);
        assert!(limiter.take("c", Scope::Group, 1).is_err(), "three of three");
        let mut limiter = unpaced(&limits(3_600_000));
        let _more = limiter.take("a", Scope::Group, 7).expect("more than the limit passes alone");
        assert!(limiter.take("b", Scope::Group, 1).is_err());
    }

    #[test]
    fn a_slot_is_held_until_a_window_after_the_answer() {
        let mut limiter = unpaced(&limits(3_600_000));
        let slot = limiter.take("a", Scope::Chat, 1).expect("the first is free");
        assert!(
            matches!(limiter.take("a", Scope::Chat, 1), Err(Full::Chat(None))),
            "not answered: nobody knows until when"
        );
        limiter.answered(slot);
        let until = limiter.take("a", Scope::Chat, 1).map_err(wait).expect_err("the window still holds it");
        assert!(until > Duration::from_secs(3590), "{until:?}");
    }

    #[test]
    fn a_slot_is_given_out_a_moment_before_it_is_free() {
        let mut limiter = unpaced(&limits(60_000));
        let past = |chat: &str, ended_ago| SlotHistory { chat_key: Some(chat.to_owned()), cost: 1, ended_ago };
        limiter.restore(&[past("a", 59.995), past("b", 59.99), past("c", 59.0)], &[], |_| Scope::Chat);
        let first = limiter.take("d", Scope::Chat, 1).expect("free in 5 ms");
        let second = limiter.take("e", Scope::Chat, 1).expect("free in 10 ms");
        assert!(first.starts_in() <= Duration::from_millis(5), "{first:?}");
        assert!(second.starts_in() <= Duration::from_millis(10) && second.starts > first.starts, "{second:?}");
        assert!(limiter.take("f", Scope::Chat, 1).is_err(), "the third is free in a second");
    }

    #[test]
    fn the_account_counts_all_chats_and_a_refused_chat_takes_nothing() {
        let mut limiter = unpaced(&limits(3_600_000));
        let _a = limiter.take("a", Scope::Chat, 1).expect("free");
        let _refused = limiter.take("a", Scope::Chat, 1).expect_err("the chat is full");
        let _b = limiter.take("b", Scope::Chat, 1).expect("free");
        let _c = limiter.take("c", Scope::Chat, 1).expect("the refused one took no slot");
        assert!(limiter.take("d", Scope::Chat, 1).is_err(), "three of three");
    }

    #[test]
    fn an_unused_slot_is_free_at_once() {
        let mut limiter = unpaced(&limits(3_600_000));
        let slot = limiter.take("a", Scope::Chat, 1).expect("free");
        limiter.unused(slot);
        assert!(limiter.take("a", Scope::Chat, 1).is_ok());
    }

    #[test]
    fn a_restored_log_counts_what_others_did() {
        let mut limiter = unpaced(&limits(60_000));
        let past = |chat: &str, ended_ago| SlotHistory { chat_key: Some(chat.to_owned()), cost: 1, ended_ago };
        limiter.restore(&[past("a", 1.0), past("b", 59.0), past("c", -5.0)], &[], |_| Scope::Chat);
        let until = limiter.take("d", Scope::Chat, 1).map_err(wait).expect_err("three of three");
        assert!(until <= Duration::from_secs(1), "b leaves first: {until:?}");
        let mut fresh = unpaced(&limits(60_000));
        fresh.restore(&[past("a", 61.0)], &[], |_| Scope::Chat);
        assert!(fresh.take("a", Scope::Chat, 1).is_ok(), "long gone");
    }

    #[test]
    fn an_exchange_without_a_chat_counts_for_the_account_alone() {
        let mut limiter = unpaced(&limits(60_000));
        let lookup = |ended_ago| SlotHistory { chat_key: None, cost: 1, ended_ago };
        limiter.restore(&[lookup(1.0), lookup(-5.0)], &[], |_| Scope::Chat);
        let slot = limiter.take_for_account(1).expect("the third of three, and no chat's limit of one");
        assert!(matches!(limiter.take("a", Scope::Chat, 1), Err(Full::Account(_))), "the account is full");
        limiter.unused(slot);
        assert!(limiter.take("a", Scope::Chat, 1).is_ok(), "no chat was used");
        limiter.throttle_account(Duration::from_secs(60));
        assert!(limiter.take_for_account(1).is_err() && limiter.take("b", Scope::Chat, 1).is_err(), "told to pause");
    }

    #[test]
    fn an_exchange_that_was_given_up_is_held_until_its_answer_can_no_longer_come() {
        let mut limiter = unpaced(&[Limit { count: 1, window: Duration::from_secs(1), scope: Scope::Account }]);
        let slot = limiter.take_for_account(1).expect("free");
        limiter.answered_by(slot, Moment::now() + Duration::from_secs(3600));
        let until = limiter.take_for_account(1).map_err(wait).expect_err("its answer may still come");
        assert!(until > Duration::from_secs(3590), "{until:?}");
    }

    #[test]
    fn a_restored_slot_that_leaves_late_holds_up_no_other() {
        let mut limiter = unpaced(&limits(50));
        let late = SlotHistory { chat_key: Some("a".to_owned()), cost: 1, ended_ago: -3600.0 };
        limiter.restore(&[late], &[], |_| Scope::Chat);
        for chat in ["b", "c"] {
            let slot = limiter.take(chat, Scope::Chat, 1).expect("two of three are free");
            limiter.answered(slot);
        }
        let until = limiter.take("d", Scope::Chat, 1).map_err(wait).expect_err("all three are used");
        assert!(until <= Duration::from_millis(50), "b and c leave first: {until:?}");
    }

    #[test]
    fn a_429_holds_the_chat_and_a_second_chats_429_the_account() {
        let mut limiter = unpaced(&limits(1));
        let hour = Duration::from_secs(3600);
        assert_eq!(limiter.throttled("a", hour).scope, FreezeScope::Chat("a".to_owned()));
        assert!(limiter.take("a", Scope::Chat, 1).is_err());
        let slot = limiter.take("b", Scope::Chat, 1).expect("only a is held");
        limiter.unused(slot);
        let account = limiter.throttled("b", Duration::from_secs(1));
        assert_eq!(account.scope, FreezeScope::Account);
        assert!(account.remaining > hour / 2, "until the longer pause ends: {account:?}");
        assert!(limiter.take("c", Scope::Chat, 1).is_err(), "now all are");
    }

    #[test]
    fn starts_are_spaced() {
        let limit = [Limit { count: 2, window: Duration::from_secs(3600), scope: Scope::Account }];
        let mut limiter = Limiter::new(&limit);
        let _first = limiter.take("a", Scope::Chat, 1).expect("free");
        let until = limiter.take("b", Scope::Chat, 1).map_err(wait).expect_err("too soon after the first");
        assert!(until > Duration::from_secs(1700), "{until:?}");
    }
}
