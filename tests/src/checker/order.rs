//! OUT-7 and OUT-9: the order and the overlap of calls, by the platform's own clock.

use std::collections::BTreeMap;

use super::claims::key;
use super::expectations::Expectations;
use super::figures::Figures;
use super::index::Index;
use super::lines::Call;
use super::logs::Run;
use super::one_sender::Calls;
use super::parts::Parts;
use super::report::Finding;

/// Decides the family.
pub fn check(
    run: &Run,
    index: &Index,
    parts: &Parts<'_>,
    excused: &Calls<'_>,
    expectations: &Expectations,
    figures: &mut Figures,
) -> Vec<Finding> {
    vec![applied_in_order(parts, figures), one_in_flight(run, index, parts, excused, expectations)]
}

/// OUT-7. A part that was ever unconfirmed, failed or cancelled is skipped: its first application may
/// be a resend. Lanes of one chat are judged apart, a bulk part never holds a reply back.
fn applied_in_order(parts: &Parts<'_>, figures: &mut Figures) -> Finding {
    let mut finding = Finding::new("OUT-7");
    let mut applied: BTreeMap<(i64, i64), Vec<(i64, usize)>> = BTreeMap::new();
    for group in &parts.groups {
        let times = group.calls.iter().filter(|call| call.applied).map(|call| call.t_last);
        let settled = parts.of(group).all(|part| part.unconfirmed() == 0 && part.row.state_word() == "sent");
        if !settled || times.clone().count() != group.parts.len() {
            continue; // which application belongs to which part cannot be told
        }
        for (time, place) in times.zip(&group.parts) {
            let row = parts.parts[*place].row;
            applied.entry((row.chat_id, row.lane)).or_default().push((time, *place));
        }
    }
    for row in applied.values_mut() {
        row.sort_unstable_by_key(|(_, place)| *place); // parts lie in the order of their chats
        let mut latest: Option<(i64, usize)> = None;
        for &(time, place) in row.iter() {
            let before = latest.filter(|(latest, _)| *latest > time);
            finding.check(before.is_none(), || {
                let later = before.map_or_else(String::new, |(_, place)| parts.parts[place].name());
                format!("{} was applied before {later}", parts.parts[place].name())
            });
            latest = latest.max(Some((time, place)));
        }
        figures.reordered += (row.len() - longest_rising(row)) as u64;
    }
    finding
}

/// The length of the longest rising subsequence: what is missing to the whole is out of order.
fn longest_rising(row: &[(i64, usize)]) -> usize {
    let mut tails: Vec<i64> = Vec::new();
    for (time, _) in row {
        let place = tails.partition_point(|tail| tail < time);
        match tails.get_mut(place) {
            Some(tail) => *tail = *time,
            None => tails.push(*time),
        }
    }
    tails.len()
}

/// OUT-9. A call is in flight from its first byte to its reply; without a reply, or past `answer_by`,
/// the caller had left, and nobody knows when: then only the writing counts.
fn one_in_flight(
    run: &Run,
    index: &Index,
    parts: &Parts<'_>,
    excused: &Calls<'_>,
    expectations: &Expectations,
) -> Finding {
    let mut finding = Finding::new("OUT-9");
    let mut given_up: BTreeMap<(&str, i64), i64> = BTreeMap::new();
    for part in &parts.parts {
        for attempt in &part.attempts {
            let Some((claimed, answer_by)) = index.boottime(attempt.claimed_at).zip(index.boottime(attempt.answer_by))
            else {
                continue;
            };
            for call in &parts.groups[part.group].calls {
                if (claimed..=answer_by).contains(&call.t_first) {
                    given_up.insert((&call.acct, call.call), answer_by);
                }
            }
        }
    }
    let end_of = |call: &Call| {
        let replied = call.t_reply.unwrap_or(call.t_last);
        let left = given_up.get(&(call.acct.as_str(), call.call)).copied().unwrap_or(i64::MAX);
        replied.min(left).max(call.t_last)
    };
    let mut chats: BTreeMap<(&str, &str), (i64, &Call)> = BTreeMap::new();
    let mut accounts: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for call in run.calls.iter().filter(|call| !excused.contains(&key(call))) {
        let end = end_of(call);
        if let Some(chat) = call.chat.as_deref() {
            let before = chats.get(&(call.acct.as_str(), chat)).filter(|(end, _)| *end > call.t_first);
            finding.check(before.is_none(), || {
                let other = before.map_or(0, |(_, other)| other.call);
                format!("{} chat {chat}: call {} began while call {other} was in flight", call.acct, call.call)
            });
            let longest = chats.get(&(call.acct.as_str(), chat)).is_none_or(|(known, _)| *known < end);
            if longest {
                chats.insert((&call.acct, chat), (end, call));
            }
        }
        if let Some(most) = expectations.in_flight.filter(|_| call.chat.is_some()) {
            let open = accounts.entry(&call.acct).or_default();
            open.retain(|end| *end > call.t_first);
            open.push(end);
            if open.len() > most {
                finding.violate(|| {
                    format!("{} call {}: {} calls in flight, {most} allowed", call.acct, call.call, open.len())
                });
            }
        }
    }
    finding
}
