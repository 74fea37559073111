//! The figures of a run, printed beside the verdict.

use std::fmt;

use serde::Serialize;

use super::expectations::RateLimit;

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
    /// Parts that the platform refused.
    pub failed: u64,
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
    /// Calls written under an epoch already over, or past their `write_by`; allowed once after each freeze.
    pub stale_sends: u64,
    /// Files in the database.
    pub files: u64,
    /// How long each answer of a webhook took, in milliseconds.
    pub webhook_ms: Vec<i64>,
    /// The fullest window of each limit.
    pub worst_windows: Vec<WorstWindow>,
    /// Calls that were told to wait (429 with a `retry_after`).
    pub throttled: u64,
    /// The share of its allowance that an account used from its first applied message to its last; of
    /// several accounts the least.
    pub used: Option<f64>,
    /// Epochs begun for want of their holder: milliseconds from the fault to the new one's `opened_at`.
    pub takeover_ms: Vec<i64>,
    /// The same, to the first message applied under it or a later one.
    pub takeover_send_ms: Vec<i64>,
    /// The same, to the first update acknowledged after it began.
    pub takeover_ack_ms: Vec<i64>,
}

/// How full a limit's fullest window was, in whichever chat (or account) that was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct WorstWindow {
    /// The limit.
    pub limit: RateLimit,
    /// Calls that touched it.
    pub most: usize,
}

impl fmt::Display for WorstWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RateLimit { count, window_ms, scope } = self.limit;
        let span = match window_ms % 1000 {
            0 => format!("{} s", window_ms / 1000),
            _ => format!("{window_ms} ms"),
        };
        write!(f, "{}/{count} ({span}, {scope})", self.most)
    }
}

impl Figures {
    /// The lines about limits, takeovers, webhooks and files.
    pub(super) fn write_sending(&self, pauses_broken: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let windows: Vec<String> = self.worst_windows.iter().map(WorstWindow::to_string).collect();
        let used = self.used.map_or("-".to_owned(), |used| format!("{used:.3}"));
        writeln!(
            f,
            "rate     worst_window={} 429={} 429_violations={pauses_broken} used={used}",
            windows.join(" "),
            self.throttled
        )?;
        writeln!(
            f,
            "takeover n={} p50/p99/max opened={} send={} ack={}",
            self.takeover_ms.len(),
            spread(&self.takeover_ms),
            spread(&self.takeover_send_ms),
            spread(&self.takeover_ack_ms)
        )?;
        let answers = self.webhook_ms.len();
        writeln!(f, "webhook  answers={answers} p50/p99/max={} files={}", spread(&self.webhook_ms), self.files)
    }
}

/// Median, 99th percentile (nearest rank) and maximum in seconds.
fn spread(values_ms: &[i64]) -> String {
    let mut sorted = values_ms.to_vec();
    sorted.sort_unstable();
    let rank = |percent: usize| sorted.get((sorted.len() * percent).div_ceil(100).max(1) - 1);
    let told = [50, 99, 100].map(|percent| rank(percent).map_or("-".to_owned(), |ms| seconds(*ms)));
    format!("{} s", told.join("/"))
}

fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}
