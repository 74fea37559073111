//! What agents decide about parts: cancel what still waits, and close or resend what may have arrived.

use super::append::{By, NewEntry, append, expect, item_json};
use super::chats::{LOCK_CHAT, LockedChat, Refusal};
use super::items::OutcomeItem;
use super::work::Work;
use super::{Agent, Database, StoreError};
use crate::model::{AccountName, ChatId, EntryKind, FeedId, Lane, PartState};

/// A decision about a message's parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Take back every part that no sender has claimed yet.
    Cancel,
    /// Send an unconfirmed part again, though it may have arrived.
    Resend(i16),
    /// The same by a bot: not a part of an agent's own answer, whose lane is not for bots.
    ResendByBot(i16),
    /// An unconfirmed part arrived, the agent says.
    MarkSent(i16),
    /// Give an unconfirmed part up.
    Drop(i16),
}

/// What a decision changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The parts, at least one.
    pub parts: Vec<i16>,
    /// Whose sender may have work.
    pub account: AccountName,
}

// After the chat's lock, in id order. A claim under way holds its row for one short transaction: this waits for it, and
// then sees the part as claimed. What this holds, a claim skips.
pub(super) const LOCK_PARTS: &str = "
SELECT id, part, parts, agent_id, state, lane, (SELECT g.feed_id FROM agent g WHERE g.id = o.agent_id) AS feed_id
  FROM outbox o WHERE chat_id = $1 AND chat_seq = $2 ORDER BY id FOR NO KEY UPDATE";

const DECIDE: &str = "
UPDATE outbox SET state = $3, open = $4, reason = $5, retry_at = NULL WHERE account_id = $1 AND id = ANY ($2::bigint[])";

const MOVE_HEAD: &str = "UPDATE chat SET last_seq = $2 WHERE id = $1";

/// For the test that reads the plans.
#[cfg(test)]
pub(super) const HOT: &[&str] = &[LOCK_PARTS, DECIDE, MOVE_HEAD];

/// A part under its row's lock.
pub(super) struct Part {
    pub(super) id: i64,
    pub(super) part: i16,
    parts: i16,
    pub(super) state: i16,
    lane: i16,
    agent: i32,
    feed: Option<FeedId>,
}

impl Decision {
    /// From which state to which, and the reason that is kept.
    fn change(self) -> (PartState, PartState, Option<&'static str>) {
        match self {
            Self::Cancel => (PartState::Queued, PartState::Cancelled, None),
            Self::Resend(_) | Self::ResendByBot(_) => (PartState::Unconfirmed, PartState::Queued, None),
            Self::MarkSent(_) => (PartState::Unconfirmed, PartState::Closed, Some("marked_sent")),
            Self::Drop(_) => (PartState::Unconfirmed, PartState::Closed, Some("dropped")),
        }
    }

    fn is_about(self, part: i16) -> bool {
        match self {
            Self::Cancel => true,
            Self::Resend(one) | Self::ResendByBot(one) | Self::MarkSent(one) | Self::Drop(one) => one == part,
        }
    }
}

impl Database {
    /// Carries out a decision about the message `seq` of `chat`. Its author may decide wherever the chat is by now, and
    /// whoever has the chat may, too.
    pub async fn decide(
        &self,
        agent: &Agent,
        chat: ChatId,
        seq: i64,
        decision: Decision,
    ) -> Result<Result<Decided, Refusal>, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let lock = connection.prepare_cached(LOCK_CHAT).await?;
            let parts = connection.prepare_cached(LOCK_PARTS).await?;
            let (work, rows, parts) =
                Work::begin_pair(connection, (&lock, &[&chat.0, &agent.id.0]), (&parts, &[&chat.0, &seq])).await?;
            let parts: Vec<Part> = parts.iter().map(part).collect();
            let chat = match LockedChat::of(&rows)? {
                Some(chat) => chat,
                None => {
                    work.rollback().await?;
                    return Ok(Err(Refusal::NotFound));
                }
            };
            let (from, _, _) = decision.change();
            let chosen: Vec<&Part> =
                parts.iter().filter(|part| decision.is_about(part.part) && part.state == from as i16).collect();
            if let Some(refusal) = refusal(agent, &chat, &parts, decision, chosen.is_empty()) {
                work.rollback().await?;
                return Ok(Err(refusal));
            }
            let (_, to, reason) = decision.change();
            let made = Made { by: By::Agent(agent.id), to, kept: reason, told: reason };
            write(&work, &chat, seq, &made, &chosen).await?;
            work.commit().await?;
            Ok(Ok(Decided { parts: chosen.iter().map(|part| part.part).collect(), account: chat.account_name }))
        })
        .await
    }
}

pub(super) fn part(row: &tokio_postgres::Row) -> Part {
    Part {
        id: row.get("id"),
        part: row.get("part"),
        parts: row.get("parts"),
        state: row.get("state"),
        lane: row.get("lane"),
        agent: row.get("agent_id"),
        feed: row.get::<_, Option<i32>>("feed_id").map(FeedId),
    }
}

fn refusal(agent: &Agent, chat: &LockedChat, parts: &[Part], decision: Decision, nothing: bool) -> Option<Refusal> {
    let written = parts.iter().any(|part| part.agent == agent.id.0);
    if !chat.visible && !written {
        return Some(Refusal::NotFound);
    }
    if !parts.iter().any(|part| decision.is_about(part.part)) {
        return Some(Refusal::NotFound);
    }
    if !written && !chat.is_with(agent.id) {
        return Some(Refusal::NotYours);
    }
    let urgent = |part: &Part| decision.is_about(part.part) && part.lane == Lane::Interactive as i16;
    if matches!(decision, Decision::ResendByBot(_)) && parts.iter().any(urgent) {
        return Some(Refusal::NotItsLane);
    }
    nothing.then_some(Refusal::TooLate)
}

/// A decision as it is written.
pub(super) struct Made {
    pub(super) by: By,
    pub(super) to: PartState,
    /// The reason that stays with the part.
    pub(super) kept: Option<&'static str>,
    /// The one that agents are told.
    pub(super) told: Option<&'static str>,
}

/// Writes a decision about parts of the message `of`, whose chat is locked: their states, and what agents see of it.
pub(super) async fn write(
    work: &Work,
    chat: &LockedChat,
    of: i64,
    made: &Made,
    chosen: &[&Part],
) -> Result<(), StoreError> {
    let client = work.client();
    let ids: Vec<i64> = chosen.iter().map(|part| part.id).collect();
    let open = made.to == PartState::Queued;
    let decide = client.prepare_cached(DECIDE).await?;
    let changed = client.execute(&decide, &[&chat.account.0, &ids, &(made.to as i16), &open, &made.kept]).await?;
    expect("parts", changed, ids.len())?;
    let entries: Vec<NewEntry> = chosen
        .iter()
        .zip(chat.last_seq + 1..)
        .map(|(part, seq)| {
            let item = OutcomeItem {
                of,
                part: part.part,
                parts: part.parts,
                state: made.to.as_str().to_owned(),
                reason: made.told.map(str::to_owned),
                agent_id: part.agent,
                by: match made.by {
                    By::Agent(agent) => Some(agent.0),
                    By::System | By::Customer(_) => None,
                },
            };
            NewEntry {
                account: chat.account,
                chat: chat.id,
                seq,
                kind: EntryKind::Outcome,
                author: made.by,
                reference: None,
                body: None,
                item: item_json(&item),
                feeds: chat.feed().into_iter().chain(part.feed).collect(),
            }
        })
        .collect();
    let head = client.prepare_cached(MOVE_HEAD).await?;
    let moved = client.execute(&head, &[&chat.id.0, &(chat.last_seq + entries.len() as i64)]).await?;
    expect("chats", moved, 1)?;
    append(client, &entries).await
}
