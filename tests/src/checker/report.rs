//! The verdict: what was checked, what broke, and the figures of the run.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// How many broken cases are described in full; the rest is only counted.
const EXAMPLES: usize = 5;

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
    /// Calls one account may have in flight at once (OUT-9); also how many claims without a call one
    /// kill may leave behind (OUT-5).
    pub in_flight: Option<usize>,
    /// The most parts that may have become unconfirmed. `None`: any number that is explained.
    pub max_unconfirmed: Option<u64>,
    /// What the platform allows (OUT-10); what OUT-13 measures against. Telegram's published limits.
    pub limits: Vec<RateLimit>,
    /// The least share of the account's allowance that must have been used (OUT-13), by an account that had
    /// a backlog over distinct chats from its first call to its last. `None`: no such demand.
    pub least_used: Option<f64>,
    /// T, the session timeout of the run, in milliseconds. `None`: LD-2 judges only releases, LD-3 nothing.
    pub session_timeout_ms: Option<i64>,
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
            session_timeout_ms: None,
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

/// One invariant's result.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// Its name in the list of invariants.
    pub id: &'static str,
    /// How many cases were looked at.
    pub checked: u64,
    /// How many of them broke it.
    pub violated: u64,
    /// The first few, in words.
    pub violations: Vec<String>,
}

impl Finding {
    /// A finding about nothing yet.
    pub fn new(id: &'static str) -> Self {
        Self { id, checked: 0, violated: 0, violations: Vec::new() }
    }

    /// Looks at one case; `say` is called for a broken one only.
    pub fn check(&mut self, holds: bool, say: impl FnOnce() -> String) -> bool {
        self.checked += 1;
        if !holds {
            self.violate(say);
        }
        holds
    }

    /// Adds a violation to a case that was already counted.
    pub fn violate(&mut self, say: impl FnOnce() -> String) {
        self.violated += 1;
        if self.violations.len() < EXAMPLES {
            self.violations.push(say());
        }
    }
}

/// Counts of a run, printed beside the verdict.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures {
    /// What customers did.
    #[serde(rename = "in")]
    pub inbound: u64,
    /// Messages accepted from agents.
    pub out: u64,
    /// Acknowledged and not stored, accepted and not in the outbox, or called sent and never applied.
    pub lost: u64,
    /// Stored twice, or applied more often than anybody decided.
    pub duplicated: u64,
    /// Out of order, either way.
    pub reordered: u64,
    /// Updates kept raw because they could not be read.
    pub quarantined: u64,
    /// Texts that differ only where U+FFFD stands for what Postgres cannot hold.
    pub sanitised: u64,
    /// Times a part became unconfirmed.
    pub unconfirmed: u64,
    /// Unconfirmed (or given up) parts that the platform did apply.
    pub unconfirmed_applied: u64,
    /// Unconfirmed (or given up) parts that the platform did not apply.
    pub unconfirmed_absent: u64,
    /// Unconfirmed without an excuse.
    pub unexplained: u64,
    /// Parts that are still queued or sending.
    pub undecided: u64,
    /// Agents' sessions.
    pub sessions: u64,
    /// Entries received by agents.
    pub frames: u64,
    /// Times a session skipped a number.
    pub gaps: u64,
    /// Times a session went back or stood still.
    pub repeats: u64,
    /// Snapshots sent in place of a replay.
    pub resyncs: u64,
    /// Calls that began under an epoch already over.
    pub stale_sends: u64,
}

/// Everything the checker found in one run directory.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// One finding per invariant, in the order of the list.
    pub findings: Vec<Finding>,
    /// Counts.
    pub figures: Figures,
    /// Required invariants that had nothing to check.
    pub unchecked: Vec<&'static str>,
}

impl Report {
    pub(super) fn new(mut findings: Vec<Finding>, figures: Figures, expectations: &Expectations) -> Self {
        let place = |id| super::INVARIANTS.iter().position(|(known, _)| *known == id);
        findings.sort_by_key(|finding| place(finding.id));
        let unchecked = findings
            .iter()
            .filter(|finding| finding.checked == 0 && expectations.required.contains(finding.id))
            .map(|finding| finding.id)
            .collect();
        Self { findings, figures, unchecked }
    }

    /// Ids of the invariants that were broken.
    pub fn red(&self) -> Vec<&'static str> {
        self.findings.iter().filter(|finding| finding.violated > 0).map(|finding| finding.id).collect()
    }

    /// The finding of one invariant.
    ///
    /// # Panics
    ///
    /// When no invariant has this id.
    pub fn finding(&self, id: &str) -> &Finding {
        let found = self.findings.iter().find(|finding| finding.id == id);
        found.unwrap_or_else(|| panic!("no invariant is called {id}"))
    }

    /// Nothing broke and nothing required went unchecked.
    pub fn is_clean(&self) -> bool {
        self.red().is_empty() && self.unchecked.is_empty()
    }

    /// Ends the test with the whole report unless the run was clean.
    ///
    /// # Panics
    ///
    /// That is its purpose.
    pub fn assert_clean(&self) {
        assert!(self.is_clean(), "the run broke its promises\n{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = &self.figures;
        let checked = |id: &str| self.finding(id).checked;
        let of = |id: &str| self.finding(id).violated;
        writeln!(
            f,
            "inbound  checked={} lost={} dup={} out_of_order={} quarantined={} sanitised={}",
            n.inbound,
            of("IN-1"),
            of("IN-2"),
            of("IN-7"),
            n.quarantined,
            n.sanitised
        )?;
        writeln!(
            f,
            "outbound checked={} lost={} silent_dup={} out_of_order={} unconfirmed={} (applied {}, not {}, unexplained {}) undecided={} stale_sends={}",
            n.out,
            of("OUT-1") + of("OUT-4"),
            of("OUT-3"),
            of("OUT-7"),
            n.unconfirmed,
            n.unconfirmed_applied,
            n.unconfirmed_absent,
            n.unexplained,
            n.undecided,
            n.stale_sends
        )?;
        writeln!(
            f,
            "ws       sessions={} frames={} gaps={} repeats={} resyncs={}",
            n.sessions, n.frames, n.gaps, n.repeats, n.resyncs
        )?;
        writeln!(f, "receipts checked={} regressions={}", checked("RC-1"), of("RC-1"))?;
        for finding in &self.findings {
            let mark = match finding {
                Finding { violated: 1.., .. } => "RED",
                Finding { id, checked: 0, .. } if self.unchecked.contains(id) => "RED, nothing to check",
                Finding { checked: 0, .. } => "nothing to check",
                _ => "ok",
            };
            let title = super::INVARIANTS.iter().find(|(id, _)| *id == finding.id).map_or("", |(_, title)| title);
            writeln!(
                f,
                "{:<6} {:>9} checked {:>6} broken  {mark:<4} {title}",
                finding.id, finding.checked, finding.violated
            )?;
            for violation in &finding.violations {
                writeln!(f, "         - {violation}")?;
            }
            let hidden = finding.violated.saturating_sub(finding.violations.len() as u64);
            if hidden > 0 {
                writeln!(f, "         - and {hidden} more")?;
            }
        }
        Ok(())
    }
}
