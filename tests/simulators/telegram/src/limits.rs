//! Flood control: strict sliding windows by a clock that nobody can move.
//!
//! The platform publishes rough numbers and forgives short bursts; this simulator forgives nothing, so that whoever stays
//! under its limits stays under the platform's. A call over a limit is refused with the whole seconds until the window has
//! room again, and until then every call in that scope is refused.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

/// The longest way a call may have inside the platform, in milliseconds: callers give up before a minute.
pub const MAX_JITTER_MS: u64 = 60_000;

/// So many calls in any window of this length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Calls allowed.
    pub count: usize,
    /// Length of the window in milliseconds.
    pub window_ms: u64,
}

impl std::str::FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text}: write COUNT/WINDOW_MS, as in 30/1000");
        let (count, window_ms) = text.split_once('/').ok_or_else(wrong)?;
        let rule =
            Self { count: count.parse().map_err(|_| wrong())?, window_ms: window_ms.parse().map_err(|_| wrong())? };
        (rule.count > 0 && rule.window_ms > 0).then_some(rule).ok_or_else(wrong)
    }
}

/// Which calls spend a chat's allowance; the bot's own is spent by every call but getUpdates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counting {
    /// Everything that happens in the chat: messages, edits, deletions, chat actions.
    #[default]
    Every,
    /// New messages only.
    Messages,
}

/// All limits of a bot. The defaults are the platform's published ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Rules {
    /// The whole bot: 30 messages a second.
    pub bot: Rule,
    /// One private chat: 1 message a second.
    pub private: Rule,
    /// One group: 20 messages a minute.
    pub group: Rule,
    /// What counts in a chat.
    pub counting: Counting,
    /// Whether limits are enforced; what happened is measured in any case.
    pub enforce: bool,
    /// Whether polls that repeat an offset at once are slowed down, as the platform does.
    pub poll_guard: bool,
    /// A call is counted and decided at a random moment of this many milliseconds after its first byte, never before it
    /// was read whole: the way inside the platform. Calls of different connections overtake each other.
    pub arrival_jitter_ms: u64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            bot: Rule { count: 30, window_ms: 1000 },
            private: Rule { count: 1, window_ms: 1000 },
            group: Rule { count: 20, window_ms: 60_000 },
            counting: Counting::Every,
            enforce: true,
            poll_guard: true,
            arrival_jitter_ms: 0,
        }
    }
}

/// What a limit is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// All calls of the bot.
    Bot,
    /// Calls that concern one chat.
    Chat(i64),
}

#[derive(Debug, Default)]
struct Window {
    counted: VecDeque<u64>,
    attempts: VecDeque<u64>,
    paused_until_ns: u64,
    most_counted: usize,
    most_attempts: usize,
    refused: u64,
}

/// The most that any window of a scope held.
#[derive(Debug, Serialize)]
pub struct HighWater {
    /// Allowed calls.
    pub limit: usize,
    /// Length of the window in milliseconds.
    pub window_ms: u64,
    /// Most calls that were let through in one window.
    pub most_counted: usize,
    /// Most calls that came in one window, refused ones too.
    pub most_attempts: usize,
    /// Calls refused in all.
    pub refused: u64,
    /// Milliseconds for which every call is still refused.
    pub paused_ms: u64,
}

/// The windows of one bot.
#[derive(Debug, Default)]
pub struct Limiter {
    /// The limits in force.
    pub rules: Rules,
    windows: BTreeMap<Scope, Window>,
}

impl Limiter {
    /// Empty windows under these rules.
    pub fn new(rules: Rules) -> Self {
        Self { rules, windows: BTreeMap::new() }
    }

    /// Lets a call through, or tells the seconds to wait. `chat` is given when the call spends a chat's allowance.
    pub fn admit(&mut self, now_ns: u64, chat: Option<i64>) -> Result<(), u64> {
        let scopes: Vec<_> = std::iter::once(Scope::Bot).chain(chat.map(Scope::Chat)).collect();
        let wait_s = scopes.iter().filter_map(|scope| self.check(*scope, now_ns)).max();
        if let Some(seconds) = wait_s {
            return Err(seconds);
        }
        for scope in scopes {
            let window_ns = self.rules.of(scope).window_ms * 1_000_000;
            let window = self.windows.entry(scope).or_default();
            window.counted.push_back(now_ns);
            drop_old(&mut window.counted, now_ns, window_ns);
            window.most_counted = window.most_counted.max(window.counted.len());
        }
        Ok(())
    }

    /// Notes the attempt; the seconds to wait when this scope has no room.
    fn check(&mut self, scope: Scope, now_ns: u64) -> Option<u64> {
        let rule = self.rules.of(scope);
        let window_ns = rule.window_ms * 1_000_000;
        let window = self.windows.entry(scope).or_default();
        window.attempts.push_back(now_ns);
        drop_old(&mut window.attempts, now_ns, window_ns);
        window.most_attempts = window.most_attempts.max(window.attempts.len());
        drop_old(&mut window.counted, now_ns, window_ns);
        let left_ns = window.paused_until_ns.saturating_sub(now_ns);
        if left_ns > 0 {
            window.refused += 1;
            return Some(left_ns.div_ceil(1_000_000_000));
        }
        if !self.rules.enforce || window.counted.len() < rule.count {
            return None;
        }
        // Room comes when so many have left that `count - 1` remain.
        let frees = window.counted[window.counted.len() - rule.count] + window_ns;
        let seconds = (frees - now_ns).div_ceil(1_000_000_000).max(1);
        window.paused_until_ns = now_ns + seconds * 1_000_000_000;
        window.refused += 1;
        Some(seconds)
    }

    /// Refuses every call in a scope for so many seconds.
    pub fn pause(&mut self, scope: Scope, now_ns: u64, seconds: u64) {
        let window = self.windows.entry(scope).or_default();
        window.paused_until_ns = window.paused_until_ns.max(now_ns + seconds * 1_000_000_000);
        window.refused += 1;
    }

    /// Empties all windows and ends all pauses, as new rules want it; the high-water figures stay.
    pub fn restart(&mut self) {
        for window in self.windows.values_mut() {
            window.paused_until_ns = 0;
            window.counted.clear();
            window.attempts.clear();
        }
    }

    /// High-water figures, by scope: `bot`, `chat:<id>`.
    pub fn high_water(&self, now_ns: u64) -> BTreeMap<String, HighWater> {
        self.windows
            .iter()
            .map(|(scope, window)| {
                let rule = self.rules.of(*scope);
                let name = match scope {
                    Scope::Bot => "bot".to_owned(),
                    Scope::Chat(chat) => format!("chat:{chat}"),
                };
                let figures = HighWater {
                    limit: rule.count,
                    window_ms: rule.window_ms,
                    most_counted: window.most_counted,
                    most_attempts: window.most_attempts,
                    refused: window.refused,
                    paused_ms: window.paused_until_ns.saturating_sub(now_ns).div_ceil(1_000_000),
                };
                (name, figures)
            })
            .collect()
    }
}

impl Rules {
    /// How many nanoseconds after its first byte a call is counted: the same for every run with this seed.
    pub fn arrival_ns(&self, seed: u64, call: u64) -> u64 {
        // SplitMix64: any two numbers give unrelated ones.
        let mut mixed = seed.wrapping_add(call.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        mixed % (self.arrival_jitter_ms * 1_000_000 + 1)
    }

    fn of(&self, scope: Scope) -> Rule {
        match scope {
            Scope::Bot => self.bot,
            // Ids of groups are negative.
            Scope::Chat(chat) if chat < 0 => self.group,
            Scope::Chat(_) => self.private,
        }
    }
}

/// Drops what happened a whole window ago or earlier.
fn drop_old(times: &mut VecDeque<u64>, now_ns: u64, window_ns: u64) {
    while times.front().is_some_and(|time| time + window_ns <= now_ns) {
        times.pop_front();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const MS: u64 = 1_000_000;
    const START: u64 = 1_000_000 * MS;

    #[test]
    fn a_private_chat_takes_one_a_second_and_pauses_whole() {
        let mut limiter = Limiter::default();
        assert_eq!(limiter.admit(START, Some(7)), Ok(()));
        assert_eq!(limiter.admit(START + 400 * MS, Some(7)), Err(1));
        // The window has room from 1000 on, but the pause told lasts until 1400.
        assert_eq!(limiter.admit(START + 1399 * MS, Some(7)), Err(1));
        assert_eq!(limiter.admit(START + 1399 * MS, Some(8)), Ok(()));
        assert_eq!(limiter.admit(START + 1400 * MS, Some(7)), Ok(()));
        assert_eq!(limiter.high_water(START)["chat:7"].most_counted, 1);
        assert_eq!(limiter.high_water(START)["chat:7"].most_attempts, 2);
        assert_eq!(limiter.high_water(START)["chat:7"].refused, 2);
    }

    #[test]
    fn the_bot_takes_thirty_in_any_second() {
        let mut limiter = Limiter::default();
        for n in 0..30 {
            assert_eq!(limiter.admit(START + n * 20 * MS, Some(n as i64 + 1)), Ok(()));
        }
        assert_eq!(limiter.admit(START + 999 * MS, Some(99)), Err(1));
        assert_eq!(limiter.admit(START + 1500 * MS, None), Err(1), "the pause is the whole bot's");
        assert_eq!(limiter.admit(START + 1999 * MS, Some(99)), Ok(()));
        assert_eq!(limiter.high_water(START)["bot"].most_counted, 30);
    }

    #[test]
    fn a_window_slides() {
        let mut limiter = Limiter::new(Rules { bot: Rule { count: 2, window_ms: 1000 }, ..Rules::default() });
        assert!(limiter.admit(START, None).is_ok());
        assert!(limiter.admit(START + 900 * MS, None).is_ok());
        assert!(limiter.admit(START + 1000 * MS, None).is_ok(), "exactly one window later there is room");
        assert_eq!(limiter.admit(START + 1001 * MS, None), Err(1));
    }

    #[test]
    fn a_group_takes_twenty_a_minute_and_says_how_long() {
        let mut limiter = Limiter::default();
        for n in 0..20 {
            assert_eq!(limiter.admit(START + n * MS, Some(-5)), Ok(()));
        }
        assert_eq!(limiter.admit(START + 10_000 * MS, Some(-5)), Err(50));
    }

    #[test]
    fn arrivals_are_spread_and_repeatable() {
        let rules = Rules { arrival_jitter_ms: 100, ..Rules::default() };
        let arrivals: Vec<u64> = (1..=1000).map(|call| rules.arrival_ns(7, call)).collect();
        assert!(arrivals.iter().all(|ns| *ns <= 100 * MS));
        for tenth in 0..10 {
            let inside = arrivals.iter().filter(|ns| **ns / (10 * MS) == tenth).count();
            assert!((60..=140).contains(&inside), "{inside} of 1000 in the tenth {tenth}");
        }
        assert_eq!(arrivals, (1..=1000).map(|call| rules.arrival_ns(7, call)).collect::<Vec<_>>());
        assert_ne!(arrivals, (1..=1000).map(|call| rules.arrival_ns(8, call)).collect::<Vec<_>>());
        assert_eq!(Rules::default().arrival_ns(7, 1), 0);
    }

    #[test]
    fn rules_are_read_from_flags() {
        assert_eq!("30/1000".parse(), Ok(Rule { count: 30, window_ms: 1000 }));
        assert!("0/1000".parse::<Rule>().is_err());
        assert!("30".parse::<Rule>().is_err());
    }
}
