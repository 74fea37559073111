//! OUT-5: `unconfirmed` is never lazy. Each has an attempt whose answer really was unclear.

use std::collections::{HashMap, HashSet};

use super::dump::Attempt;
use super::index::Index;
use super::lines::Call;
use super::logs::Run;
use super::parts::{Part, Parts};
use super::report::{Expectations, Figures, Finding};

/// How far the database's and the observers' readings of one moment may lie apart.
const CLOCKS_APART_NS: i64 = 50_000_000;

/// An answer that came this close to `answer_by`, or later, may have been missed by the caller.
const LATE_ANSWER_NS: i64 = 100_000_000;

/// A crash point is noted when the harness sees the process gone, so the death lies up to 1 s before.
const CRASH_SEEN_NS: i64 = 1_000_000_000;

/// Kinds of fault that end a process.
const KILLS: [&str; 3] = ["kill", "crash_point", "restart"];

/// Decides OUT-5.
pub fn check(
    run: &Run,
    index: &Index,
    parts: &Parts<'_>,
    expectations: &Expectations,
    figures: &mut Figures,
) -> Finding {
    let mut finding = Finding::new("OUT-5");
    let mut excuses = Excuses { faults: faults_of(run, &mut finding), spent: HashSet::new(), silent: HashMap::new() };
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

/// A fault that can hide an answer from a connector.
struct Window<'a> {
    name: String,
    target: &'a str,
    kill: bool,
    t0: i64,
    t1: i64,
}

/// Faults, and what they have already excused: one unconfirmed per kill and call in flight.
struct Excuses<'a> {
    faults: Vec<Window<'a>>,
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
        let last = ended.max(answer_by) + CLOCKS_APART_NS;
        let own: Vec<&Call> =
            calls.iter().copied().filter(|call| (claimed - CLOCKS_APART_NS..=last).contains(&call.t_first)).collect();
        if own.iter().any(|call| is_unclear(call, answer_by)) {
            return Reason::Explained;
        }
        let account = index.account_name(part.row.account_id);
        let hit: Vec<usize> = (0..self.faults.len())
            .filter(|place| {
                let fault = &self.faults[*place];
                on_path(fault.target, account) == Some(true)
                    && fault.t0 <= ended + CLOCKS_APART_NS
                    && fault.t1 >= claimed - CLOCKS_APART_NS
            })
            .collect();
        if hit.iter().any(|place| !self.faults[*place].kill) {
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

/// The platform gave no answer, a useless one, or one too late: 5xx, `hang`, `drop`, anything that is
/// no HTTP status.
fn is_unclear(call: &Call, answer_by: i64) -> bool {
    let status = call.reply.parse::<u16>().ok();
    status.is_none_or(|status| status >= 500)
        || call.t_reply.is_none_or(|replied| replied >= answer_by - LATE_ANSWER_NS)
}

fn faults_of<'a>(run: &'a Run, finding: &mut Finding) -> Vec<Window<'a>> {
    let faults = run.faults.iter().map(|fault| Window {
        name: format!("{} {}", fault.kind, fault.id.as_deref().unwrap_or_default()),
        target: &fault.target,
        kill: KILLS.contains(&fault.kind.as_str()),
        t0: fault.t0,
        t1: fault.t1.unwrap_or(i64::MAX),
    });
    let crashes = run.crash_points.iter().map(|crash| Window {
        name: format!("crash point {}", crash.name),
        target: &crash.process,
        kill: true,
        t0: crash.t - CRASH_SEEN_NS,
        t1: crash.t,
    });
    let windows: Vec<_> = faults.chain(crashes).collect();
    for window in windows.iter().filter(|window| on_path(window.target, "").is_none()) {
        finding.violate(|| format!("{}: target `{}` is no word of tests/README.md", window.name, window.target));
    }
    windows
}

/// Whether a fault of this target can stand between the account's connector and an answer. A target is
/// a word, then `:` and what it concerns: `connector:support:1`.
fn on_path(target: &str, account: &str) -> Option<bool> {
    let mut words = target.split([':', '/', ' ']);
    match words.next().unwrap_or_default() {
        "platform" | "simulator" | "postgres" => Some(true),
        "connector" => {
            let concerned: Vec<&str> = words.collect();
            Some(concerned.is_empty() || concerned.contains(&account))
        }
        "zookeeper" | "chatserver" | "loader" | "agent" => Some(false),
        _ => None,
    }
}
