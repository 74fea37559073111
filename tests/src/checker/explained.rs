//! OUT-5: no end is lazy. Each `unconfirmed` has an attempt whose answer really was unclear, each `failed` a call that the
//! platform refused, each `cancelled` somebody who asked for it.

use std::collections::{HashMap, HashSet};

use super::dump::Attempt;
use super::expectations::Expectations;
use super::faults::{CLOCKS_APART_NS, Fault, Kind};
use super::figures::Figures;
use super::index::Index;
use super::ledger::Ledger;
use super::lines::Call;
use super::parts::{Part, Parts};
use super::report::Finding;

/// An answer that came this close to `answer_by`, or later, may have been missed by the caller.
const LATE_ANSWER_NS: i64 = 100_000_000;

/// Decides OUT-5.
pub fn check(
    index: &Index,
    parts: &Parts<'_>,
    ledger: &Ledger<'_>,
    faults: &[Fault<'_>],
    expectations: &Expectations,
    figures: &mut Figures,
) -> Finding {
    let mut finding = Finding::new("OUT-5");
    let mut excuses = Excuses { faults, ledger, spent: HashSet::new(), silent: HashMap::new() };
    let silent_limit = expectations.in_flight.unwrap_or(1).max(1);
    for part in parts.parts.iter().filter(|part| part.unconfirmed() > 0) {
        let times = part.unconfirmed();
        let calls = &parts.groups[part.group].calls;
        let reasons: Vec<Reason> =
            part.attempts.iter().map(|attempt| excuses.of(part, attempt, calls, index, silent_limit)).collect();
        let explained = reasons.iter().filter(|reason| **reason == Reason::Explained).count() as u64;
        figures.unconfirmed += times;
        figures.unexplained += times.saturating_sub(explained);
        finding.check(explained >= times, || {
            format!("{}: unconfirmed {times} times, explained {explained}; its attempts: {reasons:?}", part.name())
        });
    }
    for part in &parts.parts {
        let calls = &parts.groups[part.group].calls;
        let missing = match part.row.state_word() {
            "failed" if !calls.iter().any(|call| is_refusal(call)) => Some("no call of it was refused"),
            "failed" if part.row.reason.as_deref().is_none_or(str::is_empty) => Some("no reason is told"),
            "cancelled" if !part.cancelled => Some("nobody asked for it"),
            "failed" | "cancelled" => None,
            _ => continue,
        };
        figures.failed += u64::from(part.row.state_word() == "failed");
        finding.check(missing.is_none(), || format!("{}: {}", part.name(), missing.unwrap_or_default()));
    }
    if let Some(most) = expectations.max_unconfirmed.filter(|most| figures.unconfirmed > *most) {
        finding.violate(|| format!("{} unconfirmed, this run allows {most}", figures.unconfirmed));
    }
    finding
}

/// What speaks for an attempt that was given up.
#[derive(Debug, PartialEq, Eq)]
enum Reason {
    Explained,
    ClearAnswer,
    NoCallAndNoFault,
    KillAlreadyExplainsAnother,
    NoClock,
}

/// Faults, and what they have already excused: one unconfirmed per kill and call in flight.
struct Excuses<'a> {
    faults: &'a [Fault<'a>],
    ledger: &'a Ledger<'a>,
    /// Kill and call.
    spent: HashSet<(usize, String, i64)>,
    /// By kill: parts that were claimed and not called yet.
    silent: HashMap<usize, usize>,
}

impl Excuses<'_> {
    fn of(
        &mut self,
        part: &Part<'_>,
        attempt: &Attempt,
        calls: &[&Call],
        index: &Index,
        silent_limit: usize,
    ) -> Reason {
        let times = (index.boottime(attempt.claimed_at), index.boottime(attempt.answer_by));
        let (Some(claimed), Some(answer_by)) = times else { return Reason::NoClock };
        let ended = attempt.ended_at.and_then(|at| index.boottime(at)).unwrap_or(answer_by);
        // A call that began later, from a process that had stood still, is no reason but a consequence.
        let last = answer_by + CLOCKS_APART_NS;
        let own: Vec<&Call> =
            calls.iter().copied().filter(|call| (claimed - CLOCKS_APART_NS..=last).contains(&call.t_first)).collect();
        if own.iter().any(|call| is_unclear(call, answer_by)) {
            return Reason::Explained;
        }
        let account = index.account_name(part.row.account_id);
        let holder = self.ledger.holder(part.row.account_id, attempt.epoch);
        let hit: Vec<usize> = (0..self.faults.len())
            .filter(|place| {
                let fault = &self.faults[*place];
                fault.is_on_path(account, holder)
                    && fault.t0 <= ended + CLOCKS_APART_NS
                    && fault.end() >= claimed - CLOCKS_APART_NS
            })
            .collect();
        if hit.iter().any(|place| self.faults[*place].kind != Kind::Kill) {
            return Reason::Explained;
        }
        for place in &hit {
            let free = match own.first() {
                Some(call) => self.spent.insert((*place, call.acct.clone(), call.call)),
                None => {
                    let silent = self.silent.entry(*place).or_default();
                    *silent += 1;
                    *silent <= silent_limit
                }
            };
            if free {
                return Reason::Explained;
            }
        }
        match own.is_empty() {
            _ if !hit.is_empty() => Reason::KillAlreadyExplainsAnother,
            true => Reason::NoCallAndNoFault,
            false => Reason::ClearAnswer,
        }
    }
}

/// The platform took it not, and said so: a pause that it asks for is no end.
fn is_refusal(call: &Call) -> bool {
    let said = call.reply.parse::<u16>().is_ok_and(|status| status == 200 || (400..500).contains(&status));
    said && !call.applied && call.reply != "429"
}

/// The platform gave no answer, a useless one, or one too late: 5xx, `hang`, `drop`, anything that is
/// no HTTP status.
fn is_unclear(call: &Call, answer_by: i64) -> bool {
    let status = call.reply.parse::<u16>().ok();
    status.is_none_or(|status| status >= 500)
        || call.t_reply.is_none_or(|replied| replied >= answer_by - LATE_ANSWER_NS)
}
