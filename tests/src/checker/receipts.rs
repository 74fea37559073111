//! RC-1 and OUT-14: the states an agent is shown move along the lattice and end at the truth.

use std::collections::{BTreeSet, HashMap};

use super::index::Index;
use super::lines::{SocketLine, Status};
use super::logs::Run;
use super::parts::{Part, Parts};
use super::report::Finding;

/// Decides both.
pub fn check(run: &Run, index: &Index, parts: &Parts<'_>) -> Vec<Finding> {
    vec![only_forwards(run, parts), last_shown_is_final(run, index, parts)]
}

/// Whether `next` may follow `now`, by docs/protocol.md. `sending` is never shown.
fn may_follow(part: &Part<'_>, now: &str, next: &str) -> bool {
    match now {
        "failed" => next == "queued" && part.requeued,
        "queued" => matches!(next, "sent" | "failed" | "unconfirmed" | "cancelled"),
        "unconfirmed" => matches!(next, "sent" | "queued" | "closed"),
        _ => false, // sent, cancelled and closed are final
    }
}

/// RC-1: in the chat's log as the agents saw it together, and in every single session.
fn only_forwards(run: &Run, parts: &Parts<'_>) -> Finding {
    let mut finding = Finding::new("RC-1");
    for part in &parts.parts {
        let states = part.outcomes.iter().map(|outcome| outcome.state);
        let steps = std::iter::once("queued").chain(states.clone()).zip(states);
        for (now, next) in steps {
            finding.check(may_follow(part, now, next), || format!("{}: {next} was shown after {now}", part.name()));
        }
    }
    let mut sessions: HashMap<(&str, i64, i64, i64), &Status> = HashMap::new();
    for status in &run.statuses {
        let Some(part) = parts.by_place.get(&(status.chat, status.of, status.part)).map(|part| &parts.parts[*part])
        else {
            finding.violate(|| {
                format!(
                    "outcome of chat {} seq {} part {}, which is in no outbox row",
                    status.chat, status.of, status.part
                )
            });
            continue;
        };
        if let Some(before) = sessions.insert((&status.sess, status.chat, status.of, status.part), status) {
            finding.check(may_follow(part, &before.state, &status.state), || {
                format!(
                    "session {}: chat {} seq {} part {} went from {} to {}",
                    status.sess, status.chat, status.of, status.part, before.state, status.state
                )
            });
        }
    }
    finding
}

/// When an agent was last given a snapshot, and whether it was connected at the end.
#[derive(Default)]
struct Presence<'a> {
    live: BTreeSet<&'a str>,
    snapshot: Option<i64>,
}

/// OUT-14. An agent that is away at the end, or was given a snapshot since the message was accepted (a
/// snapshot carries no outcomes), or lost the chat to another, is not asked.
fn last_shown_is_final(run: &Run, index: &Index, parts: &Parts<'_>) -> Finding {
    let mut finding = Finding::new("OUT-14");
    let agents = presences(run);
    let names: HashMap<i64, &str> = index.agents.iter().map(|(name, id)| (*id, name.as_str())).collect();
    let accepted: HashMap<(&str, &str), i64> =
        run.accepted.iter().rev().map(|line| ((line.agent.as_str(), line.client_key.as_str()), line.t)).collect();
    let holders: HashMap<i64, Option<i64>> = run.dump.chats.iter().map(|chat| (chat.id, chat.agent_id)).collect();
    let mut last: HashMap<(&str, (i64, i64, i64)), &Status> = HashMap::new();
    for status in &run.statuses {
        let shown = last.entry((&status.agent, (status.chat, status.of, status.part))).or_insert(status);
        if status.seq.unwrap_or(status.t) >= shown.seq.unwrap_or(shown.t) {
            *shown = status;
        }
    }
    for part in &parts.parts {
        let Some(agent) = names.get(&part.row.agent_id).copied() else { continue };
        let Some(accepted) = accepted.get(&(agent, part.row.client_key.as_str())) else { continue };
        let present = agents
            .get(agent)
            .is_some_and(|agent| !agent.live.is_empty() && agent.snapshot.is_none_or(|at| at < *accepted));
        let moved = holders.get(&part.row.chat_id).copied().flatten().is_some_and(|holder| holder != part.row.agent_id);
        if !present || moved {
            continue;
        }
        let shown = last.get(&(agent, part.place())).map(|status| status.state.as_str());
        finding.check(agrees(part, shown), || format!("{}: {agent} was last shown {shown:?}", part.name()));
    }
    finding
}

fn agrees(part: &Part<'_>, shown: Option<&str>) -> bool {
    match part.row.state_word() {
        "queued" | "sending" => matches!(shown, None | Some("queued")),
        state => shown == Some(state),
    }
}

fn presences(run: &Run) -> HashMap<&str, Presence<'_>> {
    let mut agents: HashMap<&str, Presence<'_>> = HashMap::new();
    let mut owners: HashMap<&str, &str> = HashMap::new();
    for line in &run.socket {
        match line {
            SocketLine::Open(open) => {
                owners.insert(&open.sess, &open.agent);
                agents.entry(&open.agent).or_default().live.insert(&open.sess);
            }
            SocketLine::Resync(resync) => {
                let agent = owners.get(&*resync.sess).and_then(|agent| agents.get_mut(agent));
                agent.into_iter().for_each(|agent| agent.snapshot = Some(resync.t));
            }
            SocketLine::Close(close) => {
                let agent = owners.get(&*close.sess).and_then(|agent| agents.get_mut(agent));
                agent.into_iter().for_each(|agent| {
                    agent.live.remove(&*close.sess);
                });
            }
            SocketLine::Frame(_) => {}
        }
    }
    agents
}
