//! OUT-10 and OUT-13: never over a limit, and not far under it without need.
//!
//! The platform counts a call at some moment between its first byte and its answer, and only the platform knows
//! when. So a call counts in every window that [t_first, t_reply] touches; without an answer, up to its last byte
//! or to the moment at which the simulator says that it counted it. Every call counts, refused ones too, whatever
//! its epoch.

use std::collections::BTreeMap;

use super::claims::key;
use super::expectations::{Expectations, RateLimit, RateScope};
use super::figures::{Figures, WorstWindow};
use super::lines::Call;
use super::logs::Run;
use super::one_sender::Calls;
use super::report::Finding;

const MS: i64 = 1_000_000;

/// Decides both.
pub fn check(run: &Run, excused: &Calls<'_>, expectations: &Expectations, figures: &mut Figures) -> Vec<Finding> {
    vec![under_the_limit(run, excused, expectations, figures), not_slow_on_purpose(run, expectations, figures)]
}

/// OUT-10.
fn under_the_limit(run: &Run, excused: &Calls<'_>, expectations: &Expectations, figures: &mut Figures) -> Finding {
    let mut finding = Finding::new("OUT-10");
    for limit in &expectations.limits {
        let mut counted: BTreeMap<(&str, &str), Vec<&Call>> = BTreeMap::new();
        for call in &run.calls {
            if let Some(scope) = counts_in(limit.scope, call) {
                counted.entry((&call.acct, scope)).or_default().push(call);
            }
        }
        let mut worst = WorstWindow { limit: *limit, most: 0 };
        for ((account, chat), mut calls) in counted {
            let window = limit.window_ms * MS;
            worst.most = worst.most.max(fullest(&calls, window).0);
            calls.retain(|call| !excused.contains(&key(call)));
            finding.checked += calls.len() as u64;
            let (most, at) = fullest(&calls, window);
            if most > limit.count {
                finding.violate(|| {
                    let RateLimit { count, window_ms, .. } = limit;
                    let inside = |call: &&&Call| call.t_first < at + window && end(call) >= at;
                    let numbers: Vec<i64> = calls.iter().filter(inside).map(|call| call.call).collect();
                    format!(
                        "{account} {chat}: {most} calls in the {window_ms} ms from {at}, {count} allowed: {numbers:?}"
                    )
                });
            }
        }
        figures.worst_windows.push(worst);
    }
    finding
}

/// The chat that a limit of this scope counts the call for; empty for the account.
fn counts_in(scope: RateScope, call: &Call) -> Option<&str> {
    let chat = call.chat.as_deref();
    match scope {
        RateScope::Account => Some(""),
        RateScope::Chat => chat.filter(|chat| !chat.starts_with('-')),
        RateScope::Group => chat.filter(|chat| chat.starts_with('-')),
    }
}

fn end(call: &Call) -> i64 {
    call.t_reply.unwrap_or(call.t_last).max(call.t_last).max(call.t_counted.unwrap_or(i64::MIN))
}

/// The most calls that any half-open window of this length touches, and where the first such window begins.
///
/// [x, x + w) touches [first, end] when first - w < x <= end: a sweep over x, in which a call comes right after
/// first - w and goes right after its end.
fn fullest(calls: &[&Call], window: i64) -> (usize, i64) {
    let comes = calls.iter().map(|call| (call.t_first - window, 1_i32));
    let goes = calls.iter().map(|call| (end(call), -1_i32));
    let mut steps: Vec<(i64, i32)> = comes.chain(goes).collect();
    steps.sort_unstable(); // at one place calls go before others come: neither is in a window of the other
    let (mut now, mut most, mut at) = (0_i32, 0, 0);
    for (place, step) in steps {
        now += step;
        if now > most {
            (most, at) = (now, place + 1);
        }
    }
    (most.unsigned_abs() as usize, at)
}

/// Whether it is a new message, with a file or without.
fn sends(call: &Call) -> bool {
    matches!(call.method.as_str(), "sendMessage" | "sendPhoto" | "sendDocument")
}

/// OUT-13. The share is (messages - 1) / (span x count / window), over the span from an account's first applied
/// message to its last; of several limits of the account the one it came closest to. It says something
/// only about a run that queued everything before, over so many chats that no chat's own limit held it up.
fn not_slow_on_purpose(run: &Run, expectations: &Expectations, figures: &mut Figures) -> Finding {
    let mut finding = Finding::new("OUT-13");
    let mut sent: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for call in run.calls.iter().filter(|call| call.applied && sends(call)) {
        sent.entry(&call.acct).or_default().push(call.t_first);
    }
    for (account, times) in sent {
        let (Some(first), Some(last)) = (times.first(), times.last()) else { continue };
        let span = last - first; // calls are in the order of their first bytes
        let limits = expectations.limits.iter().filter(|limit| limit.scope == RateScope::Account);
        let shares = limits.map(|limit| {
            let allowed = span as f64 * limit.count as f64 / (limit.window_ms * MS) as f64;
            (times.len() - 1) as f64 / allowed
        });
        let Some(used) = shares.filter(|share| share.is_finite()).reduce(f64::max) else { continue };
        figures.used = Some(figures.used.map_or(used, |known| known.min(used)));
        if let Some(least) = expectations.least_used {
            finding.check(used >= least, || {
                let seconds = span as f64 / 1e9;
                format!("{account}: {} messages in {seconds:.3} s used {used:.4} of the allowance", times.len())
            });
        }
    }
    finding
}
