//! OUT-1 to OUT-4 and OUT-6: from an agent's words to the platform.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::dump::Outbox;
use super::expectations::Expectations;
use super::figures::Figures;
use super::index::Index;
use super::lines::Accepted;
use super::logs::Run;
use super::parts::{Group, Part, Parts};
use super::report::Finding;
use crate::observer::sha256_hex;

/// Decides the family.
pub fn check(
    run: &Run,
    index: &Index,
    parts: &Parts<'_>,
    expectations: &Expectations,
    figures: &mut Figures,
) -> Vec<Finding> {
    vec![
        accepted_is_durable(run, index, figures),
        one_key_one_message(run, index),
        no_silent_double(parts, index, figures),
        no_silent_loss(parts, figures),
        all_settle(parts, index, expectations, figures),
    ]
}

/// Rows of the outbox by agent and client key.
fn by_client_key(run: &Run) -> HashMap<(i64, &str), Vec<&Outbox>> {
    let mut rows: HashMap<(i64, &str), Vec<&Outbox>> = HashMap::new();
    for row in &run.dump.outbox {
        rows.entry((row.agent_id, &row.client_key)).or_default().push(row);
    }
    rows
}

/// OUT-1, and its reverse: nothing goes out that no agent asked for.
fn accepted_is_durable(run: &Run, index: &Index, figures: &mut Figures) -> Finding {
    let mut finding = Finding::new("OUT-1");
    let rows = by_client_key(run);
    let submits: HashMap<(&str, &str), &str> =
        run.submits.iter().map(|line| ((line.agent.as_str(), line.client_key.as_str()), line.hash.as_str())).collect();
    let mut messages: HashSet<(&str, &str)> = HashSet::new();
    for line in &run.accepted {
        let (agent, key) = (line.agent.as_str(), line.client_key.as_str());
        if !messages.insert((agent, key)) {
            continue;
        }
        let Some(id) = index.agents.get(agent).copied() else { continue };
        let stored = rows.get(&(id, key)).map_or(0, |rows| rows.iter().filter(|row| is_of(row, line)).count());
        let said = index.history.get(&(line.chat, line.seq)).map(|place| &run.dump.history[*place]);
        let said = said.filter(|row| row.is_agents_message() && row.author_id == Some(id));
        let hash = said.map(|row| sha256_hex(row.body.as_deref().unwrap_or_default().as_bytes()));
        let missing = match (hash, submits.get(&(agent, key))) {
            _ if stored as i64 != line.parts => Some(format!("{stored} of {} parts are in the outbox", line.parts)),
            (None, _) => Some("the chat's log has no such message of this agent".to_owned()),
            (Some(_), None) => Some("it was never submitted".to_owned()),
            (Some(hash), Some(submitted)) => {
                (hash != **submitted).then(|| "the chat's log has another text".to_owned())
            }
        };
        let holds = finding.check(missing.is_none(), || {
            let what = missing.unwrap_or_default();
            format!("{agent} {key} was accepted as chat {} seq {} at {}: {what}", line.chat, line.seq, line.t)
        });
        figures.lost += u64::from(!holds);
    }
    figures.out = messages.len() as u64;
    let names: HashMap<i64, &str> = index.agents.iter().map(|(name, id)| (*id, name.as_str())).collect();
    for row in run.dump.outbox.iter().filter(|row| index.observed.contains(&row.agent_id)) {
        let agent = names.get(&row.agent_id).copied().unwrap_or("?");
        if !submits.contains_key(&(agent, row.client_key.as_str())) {
            finding.violate(|| format!("the outbox has {agent} {}, which was never submitted", row.client_key));
        }
    }
    finding
}

fn is_of(row: &Outbox, line: &Accepted) -> bool {
    row.chat_id == line.chat
        && row.chat_seq == line.seq
        && row.parts == line.parts
        && (0..line.parts).contains(&row.part)
}

/// OUT-2. Every answer to one key names the same message, and later ones say that it was a repeat.
fn one_key_one_message(run: &Run, index: &Index) -> Finding {
    let mut finding = Finding::new("OUT-2");
    let mut first: HashMap<(&str, &str), &Accepted> = HashMap::new();
    for line in &run.accepted {
        let known = *first.entry((&line.agent, &line.client_key)).or_insert(line);
        let same = (known.chat, known.seq, known.parts) == (line.chat, line.seq, line.parts);
        finding.check(same && (std::ptr::eq(known, line) || line.repeated), || {
            format!(
                "{} {}: answered chat {} seq {} parts {}, then chat {} seq {} parts {} repeated={}",
                line.agent,
                line.client_key,
                known.chat,
                known.seq,
                known.parts,
                line.chat,
                line.seq,
                line.parts,
                line.repeated
            )
        });
    }
    let names: HashMap<i64, &str> = index.agents.iter().map(|(name, id)| (*id, name.as_str())).collect();
    let keys: BTreeMap<(i64, &str), Vec<&Outbox>> = by_client_key(run).into_iter().collect();
    for ((agent, key), mut rows) in keys {
        rows.sort_by_key(|row| row.part);
        let one =
            rows.windows(2).all(|pair| (pair[0].chat_id, pair[0].chat_seq) == (pair[1].chat_id, pair[1].chat_seq));
        let whole = rows.iter().map(|row| row.part).eq(0..rows[0].parts);
        finding.check(one && whole, || {
            let places: Vec<_> = rows.iter().map(|row| (row.chat_id, row.chat_seq, row.part)).collect();
            format!("{} {key}: its parts in the outbox are {places:?}", names.get(&agent).copied().unwrap_or("?"))
        });
    }
    finding
}

/// OUT-3.
fn no_silent_double(parts: &Parts<'_>, index: &Index, figures: &mut Figures) -> Finding {
    let mut finding = Finding::new("OUT-3");
    for group in &parts.groups {
        let allowed: u64 = parts.of(group).map(|part| 1 + part.resends).sum();
        let applied = group.applied();
        finding.check(applied <= allowed, || {
            let calls: Vec<i64> = group.calls.iter().filter(|call| call.applied).map(|call| call.call).collect();
            format!("{}: applied {applied} times (calls {calls:?}), {allowed} allowed", name(parts, group))
        });
        figures.duplicated += applied.saturating_sub(allowed);
    }
    for call in parts.strangers.iter().filter(|call| call.applied) {
        finding.check(false, || {
            let account = index.account(&call.acct).map_or("?", |account| index.account_name(account));
            format!("{account} call {}: applied a text to chat {:?} that is in no outbox row", call.call, call.chat)
        });
    }
    finding
}

/// How often a part may have been applied, by where it stands; each resend excuses one more.
fn bounds(part: &Part<'_>) -> (u64, u64) {
    match part.row.state_word() {
        "sent" => (1, u64::MAX), // OUT-3 has the upper bound
        "failed" | "cancelled" | "queued" => (0, part.resends),
        _ => (0, u64::MAX),
    }
}

/// OUT-4: the state tells the truth about the platform, and the platform got the words that were stored.
fn no_silent_loss(parts: &Parts<'_>, figures: &mut Figures) -> Finding {
    let mut finding = Finding::new("OUT-4");
    for group in &parts.groups {
        let applied = group.applied();
        let at_least: u64 = parts.of(group).map(|part| bounds(part).0).sum();
        let at_most = parts.of(group).fold(0_u64, |sum, part| sum.saturating_add(bounds(part).1));
        finding.check(at_least <= applied && applied <= at_most, || {
            format!(
                "{}: applied {applied} times, by its state at least {at_least} and at most {at_most}",
                name(parts, group)
            )
        });
        figures.lost += at_least.saturating_sub(applied);
        for call in group.calls.iter().filter(|call| call.applied && call.hash.is_some()) {
            if parts.of(group).all(|part| Some(&part.hash) != call.hash.as_ref()) {
                finding.violate(|| format!("{}: call {} applied another text", name(parts, group), call.call));
            }
        }
        for part in parts.of(group).filter(|part| part.row.state_word() == "sent" && applied > 0) {
            let named = |id: &String| group.calls.iter().any(|call| call.applied && call.pmid.as_ref() == Some(id));
            if !part.row.platform_id.as_ref().is_some_and(named) {
                finding
                    .violate(|| format!("{}: the platform never gave the id {:?}", part.name(), part.row.platform_id));
            }
        }
        count_unconfirmed(parts, group, figures);
    }
    finding
}

/// Both counts of what nobody can know are printed: how many of them had arrived after all.
fn count_unconfirmed(parts: &Parts<'_>, group: &Group<'_>, figures: &mut Figures) {
    let open = parts.of(group).filter(|part| matches!(part.row.state_word(), "unconfirmed" | "closed")).count() as u64;
    let sent = parts.of(group).filter(|part| part.row.state_word() == "sent").count() as u64;
    let arrived = group.applied().saturating_sub(sent).min(open);
    figures.unconfirmed_applied += arrived;
    figures.unconfirmed_absent += open - arrived;
}

/// OUT-6. A queued part behind an undecided one of its chat is not due yet.
fn all_settle(parts: &Parts<'_>, index: &Index, expectations: &Expectations, figures: &mut Figures) -> Finding {
    let mut finding = Finding::new("OUT-6");
    let mut waiting: HashSet<(i64, i64)> = HashSet::new(); // chat and lane with an undecided part before
    for part in &parts.parts {
        let row = part.row;
        let lane = (row.chat_id, row.lane);
        let late = match row.state_word() {
            "sending" => row.answer_by.is_none_or(|answer_by| index.overdue(answer_by, expectations.sweep_s)),
            "queued" if waiting.contains(&lane) => false,
            "queued" => index.overdue(row.retry_at.unwrap_or(row.created_at), expectations.queued_grace_s),
            "unknown" => true,
            _ => {
                finding.check(true, String::new);
                continue;
            }
        };
        waiting.insert(lane);
        figures.undecided += 1;
        finding.check(!late, || {
            format!("{}: never settled (answer by {:?}, retry at {:?})", part.name(), row.answer_by, row.retry_at)
        });
    }
    finding
}

fn name(parts: &Parts<'_>, group: &Group<'_>) -> String {
    let others = match group.parts.len() {
        0 | 1 => String::new(),
        more => format!(" and {} like it", more - 1),
    };
    parts.of(group).next().map_or(others.clone(), |part| part.name() + &others)
}
