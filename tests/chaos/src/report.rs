//! `chaos.json`, and the lines that a person reads.

use std::fmt;
use std::path::Path;

use serde::Serialize;
use switchboard_tests::checker::Report;

use crate::run::SABOTAGED;

/// A scenario's line.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Line {
    /// Its id in the battery.
    pub id: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What customers did.
    #[serde(rename = "in")]
    pub inbound: u64,
    /// Messages accepted from agents.
    pub out: u64,
    /// Acknowledged or accepted, and gone.
    pub lost: u64,
    /// Stored or applied more often than anybody decided.
    pub duplicated: u64,
    /// Out of order, either way.
    pub reordered: u64,
    /// Times a part became unconfirmed; each was shown as that, and has its excuse.
    pub unconfirmed: u64,
    /// Windows of a limit with too many calls.
    pub over_limit: u64,
    /// Calls beside another sender.
    pub two_senders: u64,
    /// Messages that a database which was set back knows nothing of any more; they had been delivered.
    pub forgotten: u64,
    /// From a fault to the next tenure that may send, milliseconds.
    pub takeover_ms: Vec<i64>,
    /// The longest way of a customer's message to an agent, milliseconds.
    pub gap_ms: u64,
    /// Faults injected.
    pub faults: u64,
    /// Effects that somebody outside saw.
    pub seen: u64,
    /// Whether every fault was seen.
    pub witnessed: bool,
    /// What broke, in words; empty when all held.
    pub broken: Vec<String>,
    /// Figures of the scenario's own.
    pub notes: Vec<String>,
    /// How long it took.
    pub seconds: u64,
    /// Whether all held.
    pub pass: bool,
    /// Of a sabotaged build: its bugs, and what caught them.
    #[serde(skip)]
    pub caught: Vec<Caught>,
}

impl Line {
    /// Takes over what the checker counted.
    pub fn count(&mut self, report: &Report) {
        let figures = &report.figures;
        (self.inbound, self.out) = (figures.inbound, figures.out);
        (self.lost, self.duplicated, self.reordered) = (figures.lost, figures.duplicated, figures.reordered);
        self.unconfirmed = figures.unconfirmed;
        self.over_limit = report.finding("OUT-10").violated;
        self.two_senders = report.finding("OUT-8").violated;
        self.takeover_ms = figures.takeover_ms.clone();
    }

    /// Leaves out what a database that was set back cannot know: so many delivered messages, so many calls.
    pub fn forget(&mut self, (messages, calls): (u64, u64)) {
        self.forgotten = messages.min(self.lost);
        self.lost -= self.forgotten;
        self.two_senders = self.two_senders.saturating_sub(calls);
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.pass { "ok" } else { "RED" };
        write!(
            f,
            "{:<4} {:<26} in={:<5} out={:<5} lost={} dup={} reordered={} unconfirmed={:<3} over_limit={} two_senders={} \
             witnessed={}/{} takeover={} gap={}.{:01}s {:>3}s {verdict}",
            self.id,
            self.name,
            self.inbound,
            self.out,
            self.lost,
            self.duplicated,
            self.reordered,
            self.unconfirmed,
            self.over_limit,
            self.two_senders,
            self.seen,
            self.faults,
            spread(&self.takeover_ms),
            self.gap_ms / 1000,
            self.gap_ms % 1000 / 100,
            self.seconds,
        )?;
        for note in &self.notes {
            write!(f, "\n     {note}")?;
        }
        for Caught { name, caught_by, .. } in &self.caught {
            write!(f, "\n     {name}: caught by {caught_by:?}")?;
        }
        for broken in &self.broken {
            write!(f, "\n     RED: {broken}")?;
        }
        Ok(())
    }
}

/// Median and most, in seconds.
fn spread(values: &[i64]) -> String {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    match sorted.last() {
        Some(most) => {
            let middle = sorted[sorted.len() / 2];
            format!("{}.{}/{}.{}s", middle / 1000, middle % 1000 / 100, most / 1000, most % 1000 / 100)
        }
        None => "-".to_owned(),
    }
}

/// A sabotaged build and what caught it.
#[derive(Clone, Debug, Serialize)]
pub struct Caught {
    /// What it is called.
    pub name: &'static str,
    /// The broken invariants.
    pub caught_by: Vec<&'static str>,
    /// Whether it was one that had to catch it.
    pub pass: bool,
}

/// Sums over all scenarios.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Totals {
    scenarios: u64,
    passed: u64,
    #[serde(rename = "in")]
    inbound: u64,
    out: u64,
    lost: u64,
    duplicated: u64,
    reordered: u64,
    unconfirmed: u64,
    over_limit: u64,
    two_senders: u64,
    faults: u64,
    witnessed: u64,
    takeover_p50_ms: Option<i64>,
    takeover_max_ms: Option<i64>,
    seconds: u64,
}

/// The whole battery's result.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Battery {
    /// Which schedule.
    pub seed: u64,
    /// `quick` or `full`.
    pub tier: String,
    /// One for each that ran, but for sabotaged builds.
    pub scenarios: Vec<Line>,
    /// Their sums.
    pub totals: Totals,
    /// Sabotaged builds.
    pub sabotage: Vec<Caught>,
}

impl Battery {
    /// Adds a scenario's result.
    pub fn add(&mut self, line: Line) {
        if line.name.ends_with(SABOTAGED) {
            let none = Caught { name: line.name, caught_by: Vec::new(), pass: line.pass };
            let caught = if line.caught.is_empty() { vec![none] } else { line.caught };
            self.sabotage.extend(caught);
            return;
        }
        let totals = &mut self.totals;
        totals.scenarios += 1;
        totals.passed += u64::from(line.pass);
        totals.inbound += line.inbound;
        totals.out += line.out;
        totals.lost += line.lost;
        totals.duplicated += line.duplicated;
        totals.reordered += line.reordered;
        totals.unconfirmed += line.unconfirmed;
        totals.over_limit += line.over_limit;
        totals.two_senders += line.two_senders;
        totals.faults += line.faults;
        totals.witnessed += line.seen.min(line.faults);
        totals.seconds += line.seconds;
        self.scenarios.push(line);
        let mut takeovers = self.takeovers();
        takeovers.sort_unstable();
        self.totals.takeover_p50_ms = takeovers.get(takeovers.len() / 2).copied();
        self.totals.takeover_max_ms = takeovers.last().copied();
    }

    fn takeovers(&self) -> Vec<i64> {
        self.scenarios.iter().flat_map(|line| line.takeover_ms.iter().copied()).collect()
    }

    /// Whether nothing ran.
    pub fn is_empty(&self) -> bool {
        self.scenarios.is_empty() && self.sabotage.is_empty()
    }

    /// How many scenarios passed, and how many failed.
    pub fn counts(&self) -> (usize, usize) {
        let each = self.scenarios.iter().map(|line| line.pass).chain(self.sabotage.iter().map(|caught| caught.pass));
        let (passed, failed): (Vec<bool>, Vec<bool>) = each.partition(|pass| *pass);
        (passed.len(), failed.len())
    }

    /// Writes the report; whoever watches may read it after each scenario.
    pub fn write(&self, path: &Path) -> Result<(), String> {
        let text = serde_json::to_string_pretty(self).map_err(|error| error.to_string())?;
        std::fs::write(path, text + "\n").map_err(|error| format!("{}: {error}", path.display()))
    }
}

impl fmt::Display for Battery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let totals = &self.totals;
        writeln!(
            f,
            "battery  seed={} scenarios={}/{} faults={} witnessed={} minutes={}",
            self.seed,
            totals.passed,
            totals.scenarios,
            totals.faults,
            totals.witnessed,
            totals.seconds.div_ceil(60)
        )?;
        writeln!(
            f,
            "messages in={} out={} lost={} duplicated={} reordered={} unconfirmed={} over_limit={} two_senders={}",
            totals.inbound,
            totals.out,
            totals.lost,
            totals.duplicated,
            totals.reordered,
            totals.unconfirmed,
            totals.over_limit,
            totals.two_senders
        )?;
        let takeovers = self.takeovers();
        writeln!(f, "takeover n={} p50/max={}", takeovers.len(), spread(&takeovers))?;
        let caught = self.sabotage.iter().filter(|caught| caught.pass).count();
        write!(f, "checkers sabotage: {caught}/{} caught", self.sabotage.len())
    }
}
