//! OUT-11: whoever is told to wait waits.
//!
//! A 429 does not say whether it means the chat or the bot. The rule, as the platform's users found it: pause the
//! chat first, and the whole bot when another chat is told to wait while a pause stands. So after a 429 with
//! `retry_after` r to a call in chat C, answered at t:
//!
//! * no call in C has its first byte inside (t, t + r);
//! * if a pause of another chat stood at t, no call of the account has, from t until the later of both ends; a 429
//!   to a call that names no chat can only mean the account;
//! * over all epochs: a pause outlives the one who was told.
//!
//! Calls to other chats that were on their way when the account was told are exempt: those whose claim was made before it, and
//! those that begin before the answer can have been read. A chat has one call at a time (OUT-9), so there nothing is exempt.

use std::collections::BTreeMap;

use super::claims::{Permission, Permissions, key};
use super::figures::Figures;
use super::lines::Call;
use super::logs::Run;
use super::one_sender::Calls;
use super::report::Finding;

/// The way of an answer to the connector and of a first byte to the platform, on a busy machine.
const ON_THE_WAY_NS: i64 = 50_000_000;

/// A time in which calls must not begin.
struct Pause<'a> {
    /// `None`: the whole account.
    chat: Option<&'a str>,
    told: i64,
    until: i64,
    by: i64,
}

/// Decides OUT-11.
pub fn check(run: &Run, permissions: &Permissions<'_>, excused: &Calls<'_>, figures: &mut Figures) -> Finding {
    let mut finding = Finding::new("OUT-11");
    let mut accounts: BTreeMap<&str, Vec<&Call>> = BTreeMap::new();
    for call in run.calls.iter().filter(|call| !excused.contains(&key(call))) {
        accounts.entry(&call.acct).or_default().push(call);
    }
    for (account, calls) in accounts {
        figures.throttled += calls.iter().filter(|call| wait_of(call).is_some()).count() as u64;
        for pause in pauses(&calls) {
            let from = pause.told + if pause.chat.is_some() { 0 } else { ON_THE_WAY_NS };
            let concerns = |call: &&&Call| pause.chat.is_none() || call.chat.as_deref() == pause.chat;
            let inside = |call: &&&Call| from < call.t_first && call.t_first < pause.until;
            // Nobody takes a claim back: on a busy machine its call begins when it can.
            let asked_for = |call: &&&Call| {
                let claim = permissions.get(&key(call));
                pause.chat.is_some() || !matches!(claim, Some(Permission::Claim(claim)) if claim.claimed < pause.told)
            };
            let early = calls.iter().filter(concerns).filter(inside).filter(asked_for);
            let early: Vec<i64> = early.map(|call| call.call).collect();
            finding.check(early.is_empty(), || {
                let what = pause.chat.map_or_else(|| account.to_owned(), |chat| format!("{account} chat {chat}"));
                let (by, told, until) = (pause.by, pause.told, pause.until);
                format!("{what}: call {by} was told at {told} to wait until {until}; calls {early:?} began before that")
            });
        }
    }
    finding
}

/// How long a call was told to wait, in nanoseconds.
fn wait_of(call: &Call) -> Option<i64> {
    call.retry_after.filter(|wait| *wait > 0 && call.reply == "429").map(|wait| wait * 1_000_000_000)
}

/// The pauses that an account's calls were told of.
fn pauses<'a>(calls: &[&'a Call]) -> Vec<Pause<'a>> {
    let told = |call: &&'a Call| Some((call.t_reply?, wait_of(call)?, *call));
    let mut answers: Vec<(i64, i64, &Call)> = calls.iter().filter_map(told).collect();
    answers.sort_by_key(|(told, _, call)| (*told, call.call));
    let mut pauses: Vec<Pause<'a>> = Vec::new();
    for (told, wait, call) in answers {
        let (chat, until, by) = (call.chat.as_deref(), told + wait, call.call);
        // A pause about to end may be over for whoever reads the answer.
        let of_others = |pause: &&Pause<'_>| pause.chat != chat && pause.until > told + ON_THE_WAY_NS;
        let held = pauses.iter().filter(of_others).map(|pause| pause.until).max();
        pauses.push(Pause { chat, told, until, by });
        if let Some(held) = held.filter(|_| chat.is_some()) {
            pauses.push(Pause { chat: None, told, until: until.max(held), by });
        }
    }
    pauses
}
