//! Chats that go from one to another: released to their queue. Each is one transaction that locks the chat first.

use super::append::{append, expect};
use super::chats::{LockedChat, Refusal};
use super::entries::EntryItem;
use super::work::Work;
use super::{Agent, Database, StoreError};
use crate::model::{AgentId, ChatId, ChatState, EntryKind, FeedId, QueueId};

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

/// For tests that read them.
#[cfg(any(test, feature = "testkit"))]
pub(super) const HOT: &[&str] = &[MOVE_CHAT, MOVE_INTERACTION, QUEUE_NAME];

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
