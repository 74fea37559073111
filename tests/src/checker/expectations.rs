//! What a run allows, and what it must have checked.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// So many calls in any window of this length, as `account.capabilities` writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    /// Calls allowed.
    pub count: usize,
    /// Length of the window in milliseconds.
    pub window_ms: i64,
    /// Which calls it counts.
    pub scope: RateScope,
}

/// Which calls a limit counts together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RateScope {
    /// All calls of the account.
    Account,
    /// The calls of each chat that is no group.
    Chat,
    /// The calls of each group: its id begins with a minus.
    Group,
}

impl fmt::Display for RateScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Account => "account",
            Self::Chat => "chat",
            Self::Group => "group",
        })
    }
}

impl RateLimit {
    /// The numbers that Telegram publishes.
    pub const TELEGRAM: [Self; 3] = [
        Self { count: 30, window_ms: 1_000, scope: RateScope::Account },
        Self { count: 1, window_ms: 1_000, scope: RateScope::Chat },
        Self { count: 20, window_ms: 60_000, scope: RateScope::Group },
    ];
}

/// What a run allows, and what it must have checked.
#[derive(Clone, Debug)]
pub struct Expectations {
    /// Accounts that must be in the dump. Empty: no such demand.
    pub accounts: BTreeSet<String>,
    /// Accounts whose platform delivers in disorder, so that IN-7 says nothing about them.
    pub disordered: BTreeSet<String>,
    /// The longest pause of a reader that heard no doorbell, in seconds (OUT-6). DESIGN: 10 s.
    pub sweep_s: i64,
    /// How long a due part may wait in the queue at the end, in seconds (OUT-6). Contract: 60 s.
    pub queued_grace_s: i64,
    /// By how much `history.at` may run backwards inside a chat, in milliseconds (IN-6). Runs that
    /// jump the wall clock need it.
    pub at_slack_ms: i64,
    /// Calls about chats one account may have in flight at once (OUT-9); also how many claims without a call one
    /// kill may leave behind (OUT-5).
    pub in_flight: Option<usize>,
    /// The most parts that may have become unconfirmed. `None`: any number that is explained.
    pub max_unconfirmed: Option<u64>,
    /// What the platform allows (OUT-10); what OUT-13 measures against. Telegram's published limits.
    pub limits: Vec<RateLimit>,
    /// The least share of the account's allowance that must have been used (OUT-13), by an account that had
    /// a backlog over distinct chats from its first call to its last. `None`: no such demand.
    pub least_used: Option<f64>,
    /// Whether every call that delivers says under which epoch (OUT-8): else half of that invariant would say nothing, silently.
    pub epochs_told: bool,
    /// T, the session timeout of the run, in milliseconds. `None`: LD-2 judges only releases, LD-3 nothing.
    pub session_timeout_ms: Option<i64>,
    /// How soon 99.9 % of a webhook's answers must come, in milliseconds (IN-9). `None`: no such demand.
    pub webhook_answer_ms: Option<i64>,
    /// How long the platform waits for an answer of a webhook, in milliseconds (IN-9). Telegram: 60 s.
    pub webhook_limit_ms: i64,
    /// How long a message with a file, or the one after it, may take to be acknowledged, in milliseconds (FI-3).
    pub media_delay_ms: i64,
    /// How old a file of a customer that is still pending at the end may be, in seconds (FI-5).
    pub pending_file_s: i64,
    /// How old an upload that no message names may be, in seconds (FI-5): `files.orphan_hours`, and the sweep.
    pub orphan_s: i64,
    /// Invariants that must have had something to check; [`Expectations::require`] adds to it.
    pub required: BTreeSet<&'static str>,
}

impl Default for Expectations {
    fn default() -> Self {
        Self {
            accounts: BTreeSet::new(),
            disordered: BTreeSet::new(),
            sweep_s: 10,
            queued_grace_s: 60,
            at_slack_ms: 0,
            in_flight: None,
            max_unconfirmed: None,
            limits: RateLimit::TELEGRAM.into(),
            least_used: None,
            epochs_told: false,
            session_timeout_ms: None,
            webhook_answer_ms: None,
            webhook_limit_ms: 60_000,
            media_delay_ms: 10_000,
            pending_file_s: 60,
            orphan_s: 25 * 60 * 60,
            required: BTreeSet::new(),
        }
    }
}

impl Expectations {
    /// Makes it a failure that one of these had nothing to check: a check that never ran is no pass.
    ///
    /// # Panics
    ///
    /// When an id is unknown, because a misspelt demand would never be heard.
    #[must_use]
    pub fn require(mut self, ids: &[&'static str]) -> Self {
        for id in ids {
            assert!(super::INVARIANTS.iter().any(|(known, _)| known == id), "no invariant is called {id}");
            self.required.insert(id);
        }
        self
    }
}
