//! The verdict: what was checked, what broke, and the figures of the run.

use std::fmt;

use serde::Serialize;

use super::expectations::Expectations;
use super::figures::Figures;

/// How many broken cases are described in full; the rest is only counted.
const EXAMPLES: usize = 5;

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
            "outbound checked={} lost={} silent_dup={} out_of_order={} unconfirmed={} (applied {}, not {}, unexplained {}) failed={} undecided={} stale_sends={}",
            n.out,
            of("OUT-1") + of("OUT-4"),
            of("OUT-3"),
            of("OUT-7"),
            n.unconfirmed,
            n.unconfirmed_applied,
            n.unconfirmed_absent,
            n.unexplained,
            n.failed,
            n.undecided,
            n.stale_sends
        )?;
        writeln!(
            f,
            "ws       sessions={} frames={} gaps={} repeats={} resyncs={}",
            n.sessions, n.frames, n.gaps, n.repeats, n.resyncs
        )?;
        n.write_sending(of("OUT-11"), f)?;
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
