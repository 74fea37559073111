//! Chats that go from one to another: released to their queue, transferred to an agent or a queue. Each is one transaction that locks the chat first.

use super::append::{append, expect};
use super::chats::{LockedChat, Refusal};
use super::entries::EntryItem;
use super::items::ChatPlace;
use super::work::Work;
use super::{Agent, Database, StoreError};
use crate::model::{AgentId, ChatId, ChatState, EntryKind, FeedId, QueueId};

/// A chat to be given to somebody else.
#[derive(Clone, Copy, Debug)]
pub struct Transfer<'a> {
    /// Who gives it.
    pub by: &'a Agent,
    /// They may give any chat, not only those that they have.
    pub supervises: bool,
    /// Which.
    pub chat: ChatId,
    /// To whom.
    pub to: &'a ChatPlace,
    /// What the colleagues should know.
    pub note: Option<&'a str>,
}

/// Where a chat goes.
struct Target {
    /// None: it waits.
    agent: Option<AgentId>,
    queue: Option<QueueId>,
    feed: FeedId,
}

const MOVE_CHAT: &str = "UPDATE chat SET last_seq = $2, state = $3, agent_id = $4, queue_id = $5 WHERE id = $1";

// What an interaction says is how it stands; who had it before is in the log.
const MOVE_INTERACTION: &str = "
UPDATE interaction SET agent_id = $3, queue_id = $4, taken_at = CASE WHEN $3::int IS NOT NULL THEN coalesce(taken_at, now()) END
 WHERE account_id = $1 AND id = $2";

const QUEUE_NAME: &str = "SELECT name FROM queue WHERE id = $1";

const TO_AGENT: &str = "SELECT id, feed_id FROM agent WHERE name = $1 AND enabled AND 'agent' = ANY (scopes)";

const TO_QUEUE: &str = "SELECT id, feed_id FROM queue WHERE name = $1";

/// For the tests that read them.
#[cfg(test)]
pub(super) const HOT: &[&str] = &[MOVE_CHAT, MOVE_INTERACTION, QUEUE_NAME, TO_AGENT, TO_QUEUE];

impl Database {
    /// Gives a chat that `agent` has back to its queue. Returns the seq of the `released` entry.
    pub async fn release_chat(&self, agent: &Agent, chat: ChatId) -> Result<Result<i64, Refusal>, StoreError> {
        self.within(async {
            let Some((work, chat)) = self.lock_chat(Some(agent.id), chat).await? else {
                return Ok(Err(Refusal::NotFound));
            };
            if let Some(refusal) = chat.refusal(agent.id) {
                work.rollback().await?;
                return Ok(Err(refusal));
            }
            let (Some(queue), Some(feed)) = (chat.queue, chat.queue_feed) else {
                return Err(StoreError::Unexpected(format!("chat {} is taken and has no queue", chat.id)));
            };
            let item = EntryItem {
                interaction: Some(chat.interaction()?),
                queue: Some(queue_name(&work, queue).await?),
                ..EntryItem::default()
            };
            let target = Target { agent: None, queue: Some(queue), feed };
            Ok(Ok(hand_over(work, &chat, agent.id, EntryKind::Released, &item, &target).await?))
        })
        .await
    }

    /// Gives a chat to another agent, or lets it wait in another queue. Returns the seq of the `transferred` entry.
    pub async fn transfer_chat(&self, transfer: &Transfer<'_>) -> Result<Result<i64, Refusal>, StoreError> {
        self.within(async {
            let Transfer { by, supervises, chat, to, note } = *transfer;
            let viewer = (!supervises).then_some(by.id);
            let Some((work, chat)) = self.lock_chat(viewer, chat).await? else { return Ok(Err(Refusal::NotFound)) };
            let refusal = match supervises {
                true => (chat.state == ChatState::Closed).then_some(Refusal::Closed),
                false => chat.refusal(by.id),
            };
            let target = match refusal {
                Some(refusal) => Err(refusal),
                None => target(&work, &chat, to).await?,
            };
            let target = match target {
                Ok(target) => target,
                Err(refusal) => {
                    work.rollback().await?;
                    return Ok(Err(refusal));
                }
            };
            let item = EntryItem {
                interaction: Some(chat.interaction()?),
                from: Some(place(&work, &chat).await?),
                to: Some(to.clone()),
                note: note.map(str::to_owned),
                ..EntryItem::default()
            };
            Ok(Ok(hand_over(work, &chat, by.id, EntryKind::Transferred, &item, &target).await?))
        })
        .await
    }
}

/// Finds who is to have the chat; an agent only when they may answer.
async fn target(work: &Work, chat: &LockedChat, to: &ChatPlace) -> Result<Result<Target, Refusal>, StoreError> {
    let (sql, name) = match to {
        ChatPlace::Agent(name) => (TO_AGENT, name),
        ChatPlace::Queue(name) => (TO_QUEUE, name),
    };
    let statement = work.client().prepare_cached(sql).await?;
    let Some(row) = work.client().query_opt(&statement, &[name]).await? else { return Ok(Err(Refusal::BadTarget)) };
    let (id, feed) = (row.get("id"), FeedId(row.get("feed_id")));
    let (there_already, target) = match to {
        ChatPlace::Agent(_) => {
            (chat.is_with(AgentId(id)), Target { agent: Some(AgentId(id)), queue: chat.queue, feed })
        }
        ChatPlace::Queue(_) => {
            let waits = chat.state == ChatState::Waiting && chat.queue == Some(QueueId(id));
            (waits, Target { agent: None, queue: Some(QueueId(id)), feed })
        }
    };
    Ok(if there_already { Err(Refusal::BadTarget) } else { Ok(target) })
}

/// Who has the chat, or where it waits.
async fn place(work: &Work, chat: &LockedChat) -> Result<ChatPlace, StoreError> {
    match (chat.state, &chat.agent, chat.queue) {
        (ChatState::Taken, Some((_, name, _)), _) => Ok(ChatPlace::Agent(name.clone())),
        (_, _, Some(queue)) => Ok(ChatPlace::Queue(queue_name(work, queue).await?)),
        _ => Err(StoreError::Unexpected(format!("chat {} is open and with nobody", chat.id))),
    }
}

async fn queue_name(work: &Work, queue: QueueId) -> Result<String, StoreError> {
    let statement = work.client().prepare_cached(QUEUE_NAME).await?;
    Ok(work.client().query_one(&statement, &[&queue.0]).await?.get(0))
}

/// Moves the chat, and tells those who saw it and those who see it now.
async fn hand_over(
    work: Work,
    chat: &LockedChat,
    by: AgentId,
    kind: EntryKind,
    item: &EntryItem,
    to: &Target,
) -> Result<i64, StoreError> {
    let client = work.client();
    let state = if to.agent.is_some() { ChatState::Taken } else { ChatState::Waiting };
    let (agent, queue) = (to.agent.map(|agent| agent.0), to.queue.map(|queue| queue.0));
    let entry = chat.entry(kind, by, item, chat.feed().into_iter().chain([to.feed]).collect());
    let moved = client.prepare_cached(MOVE_CHAT).await?;
    let moved = client.execute(&moved, &[&chat.id.0, &entry.seq, &(state as i16), &agent, &queue]).await?;
    expect("chats", moved, 1)?;
    let interaction = client.prepare_cached(MOVE_INTERACTION).await?;
    let changed = client.execute(&interaction, &[&chat.account.0, &chat.interaction()?, &agent, &queue]).await?;
    expect("interactions", changed, 1)?;
    append(client, std::slice::from_ref(&entry)).await?;
    work.commit().await?;
    Ok(entry.seq)
}
