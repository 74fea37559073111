//! Chats from the agents' side: take and close. Each is one transaction that locks the chat first. Who gives a chat to others
//! is in `moves`.

use super::append::{By, NewEntry, append, expect, item_json};
use super::entries::EntryItem;
use super::work::Work;
use super::{Agent, Database, StoreError};
use crate::model::{AccountId, AccountName, AgentId, ChatId, ChatState, EntryKind, FeedId, FileLimits, QueueId};

/// Why an agent's request changed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such chat or message, or the agent may not see it. Nobody is told which.
    NotFound,
    /// Another agent has the chat: this one.
    AlreadyTaken(String),
    /// The agent sees the chat, but does not have it.
    NotYours,
    /// The chat is closed.
    Closed,
    /// The customer wrote after what the agent has seen.
    Stale,
    /// The client key names another message.
    KeyConflict,
    /// A part of the text would be blank.
    BadText,
    /// The account's platform does not take such a file, for this reason.
    Unsupported(&'static str),
    /// The account's platform takes files of so many bytes at most.
    TooLarge(u64),
    /// A bot asked for something in the lane of agents' own answers.
    NotItsLane,
    /// Nobody of this name may be given the chat, or has it already.
    BadTarget,
    /// The account's platform has no such address, for this reason.
    BadAddress(&'static str),
    /// The parts are not in the state any more that the request is about.
    TooLate,
}

/// A chat under its row's lock.
pub(super) struct LockedChat {
    pub(super) account: AccountId,
    pub(super) account_name: AccountName,
    pub(super) id: ChatId,
    pub(super) key: String,
    pub(super) last_seq: i64,
    pub(super) last_in_seq: i64,
    pub(super) state: ChatState,
    pub(super) interaction: Option<i64>,
    /// Who has it: id, name, feed.
    pub(super) agent: Option<(AgentId, String, FeedId)>,
    /// Where it waits, or waited last.
    pub(super) queue: Option<QueueId>,
    pub(super) queue_feed: Option<FeedId>,
    /// The platform's longest part, when the account publishes it.
    pub(super) text_max_utf16: Option<i64>,
    /// What the account lets be attached; none: nothing.
    pub(super) files: Option<FileLimits>,
    /// Whether the asking agent may see it.
    pub(super) visible: bool,
}

// The lock is in a CTE of its own: joined tables of the locking statement would be read again for a row that changed
// while it waited, but with the join partners of the old one.
pub(super) const LOCK_CHAT: &str = "
WITH c AS MATERIALIZED (
  SELECT c.account_id, c.id, c.platform_key, c.last_seq, c.last_in_seq, c.state, c.interaction_id, c.agent_id, c.queue_id,
         chat_visible(c, $2) AS visible
    FROM chat c WHERE c.id = $1 FOR NO KEY UPDATE)
SELECT c.*, a.name AS account_name, a.capabilities->'text_max_utf16' AS text_max,
       a.capabilities->'files' AS files, g.name AS agent_name, g.feed_id AS agent_feed,
       q.feed_id AS queue_feed
  FROM c JOIN account a ON a.id = c.account_id LEFT JOIN agent g ON g.id = c.agent_id LEFT JOIN queue q ON q.id = c.queue_id";

const SET_STATE: &str = "UPDATE chat SET last_seq = $2, state = $3, agent_id = $4, interaction_id = $5 WHERE id = $1";

const TAKEN: &str = "UPDATE interaction SET agent_id = $3, taken_at = now() WHERE account_id = $1 AND id = $2";

const CLOSED: &str = "UPDATE interaction SET closed_at = now(), outcome = $3 WHERE account_id = $1 AND id = $2";

// By being taken, or by being handed over.
pub(super) const TAKEN_WHEN: &str =
    "SELECT seq FROM history WHERE account_id = $1 AND chat_id = $2 AND kind IN (4, 21) ORDER BY seq DESC LIMIT 1";

/// For tests that read them.
#[cfg(any(test, feature = "testkit"))]
pub(super) const HOT: &[&str] = &[LOCK_CHAT, SET_STATE, TAKEN, CLOSED, TAKEN_WHEN];

impl LockedChat {
    /// Reads the row of [`LOCK_CHAT`]; none: there is no such chat.
    pub(super) fn of(rows: &[tokio_postgres::Row]) -> Result<Option<Self>, StoreError> {
        let Some(row) = rows.first() else { return Ok(None) };
        let account_name: String = row.get("account_name");
        let state: i16 = row.get("state");
        let agent = match (
            row.get::<_, Option<i32>>("agent_id"),
            row.get("agent_name"),
            row.get::<_, Option<i32>>("agent_feed"),
        ) {
            (Some(id), Some(name), Some(feed)) => Some((AgentId(id), name, FeedId(feed))),
            _ => None,
        };
        Ok(Some(Self {
            account: AccountId(row.get("account_id")),
            account_name: AccountName::new(&account_name).map_err(StoreError::Unexpected)?,
            id: ChatId(row.get("id")),
            key: row.get("platform_key"),
            last_seq: row.get("last_seq"),
            last_in_seq: row.get("last_in_seq"),
            state: ChatState::from_column(state)
                .ok_or_else(|| StoreError::Unexpected(format!("chat state {state} of a later version")))?,
            interaction: row.get("interaction_id"),
            agent,
            queue: row.get::<_, Option<i32>>("queue_id").map(QueueId),
            queue_feed: row.get::<_, Option<i32>>("queue_feed").map(FeedId),
            text_max_utf16: row.get::<_, Option<serde_json::Value>>("text_max").and_then(|value| value.as_i64()),
            files: row.get::<_, Option<serde_json::Value>>("files").as_ref().and_then(FileLimits::from_json),
            visible: row.get("visible"),
        }))
    }

    /// Whether `agent` has it.
    pub(super) fn is_with(&self, agent: AgentId) -> bool {
        self.state == ChatState::Taken && self.agent.as_ref().is_some_and(|(id, _, _)| *id == agent)
    }

    /// The feed that sees what happens in it now.
    pub(super) fn feed(&self) -> Option<FeedId> {
        match self.state {
            ChatState::Taken => self.agent.as_ref().map(|(_, _, feed)| *feed),
            ChatState::Waiting => self.queue_feed,
            ChatState::Closed => None,
        }
    }

    /// What keeps `agent` from writing in it.
    pub(super) fn refusal(&self, agent: AgentId) -> Option<Refusal> {
        match self.state {
            _ if !self.visible => Some(Refusal::NotFound),
            ChatState::Closed => Some(Refusal::Closed),
            _ if !self.is_with(agent) => Some(Refusal::NotYours),
            _ => None,
        }
    }

    pub(super) fn interaction(&self) -> Result<i64, StoreError> {
        self.interaction
            .ok_or_else(|| StoreError::Unexpected(format!("chat {} is open without an interaction", self.id)))
    }

    pub(super) fn entry(&self, kind: EntryKind, by: AgentId, item: &EntryItem, feeds: Vec<FeedId>) -> NewEntry {
        NewEntry {
            account: self.account,
            chat: self.id,
            seq: self.last_seq + 1,
            kind,
            author: By::Agent(by),
            reference: None,
            body: None,
            item: item_json(item),
            feeds,
        }
    }
}

impl Database {
    /// Takes a waiting chat: of all who try, one wins. Returns the seq of the `taken` entry; asking again is harmless.
    pub async fn take_chat(&self, agent: &Agent, chat: ChatId) -> Result<Result<i64, Refusal>, StoreError> {
        self.within(async {
            let Some((work, chat)) = self.lock_chat(Some(agent.id), chat).await? else {
                return Ok(Err(Refusal::NotFound));
            };
            let refusal = match (chat.state, &chat.agent) {
                _ if !chat.visible => Some(Refusal::NotFound),
                (ChatState::Closed, _) => Some(Refusal::Closed),
                (ChatState::Taken, Some((id, _, _))) if *id == agent.id => {
                    let row = work.client().query_one(TAKEN_WHEN, &[&chat.account.0, &chat.id.0]).await?;
                    work.commit_repeat().await?;
                    return Ok(Ok(row.get(0)));
                }
                (ChatState::Taken, Some((_, name, _))) => Some(Refusal::AlreadyTaken(name.clone())),
                (ChatState::Taken, None) => Some(Refusal::NotFound),
                (ChatState::Waiting, _) => None,
            };
            if let Some(refusal) = refusal {
                work.rollback().await?;
                return Ok(Err(refusal));
            }
            Ok(Ok(self.take_locked(work, &chat, agent).await?))
        })
        .await
    }

    /// Takes a chat that waits.
    pub(super) async fn take_locked(&self, work: Work, chat: &LockedChat, agent: &Agent) -> Result<i64, StoreError> {
        let interaction = chat.interaction()?;
        let item =
            EntryItem { interaction: Some(interaction), agent: Some(agent.name.clone()), ..EntryItem::default() };
        let feeds = chat.queue_feed.into_iter().chain([agent.own_feed()]).collect();
        let entry = chat.entry(EntryKind::Taken, agent.id, &item, feeds);
        let taken = work.client().execute(TAKEN, &[&chat.account.0, &interaction, &agent.id.0]).await?;
        expect("interactions", taken, 1)?;
        self.set_state(&work, chat, ChatState::Taken, Some(agent.id)).await?;
        append(work.client(), std::slice::from_ref(&entry)).await?;
        work.commit().await?;
        Ok(entry.seq)
    }

    /// Ends the interaction of a chat that `agent` has. Returns the seq of the `closed` entry.
    pub async fn close_chat(
        &self,
        agent: &Agent,
        chat: ChatId,
        outcome: Option<&str>,
    ) -> Result<Result<i64, Refusal>, StoreError> {
        self.within(async {
            let Some((work, chat)) = self.lock_chat(Some(agent.id), chat).await? else {
                return Ok(Err(Refusal::NotFound));
            };
            if let Some(refusal) = chat.refusal(agent.id) {
                work.rollback().await?;
                return Ok(Err(refusal));
            }
            let interaction = chat.interaction()?;
            let item = EntryItem {
                interaction: Some(interaction),
                outcome: outcome.map(str::to_owned),
                ..EntryItem::default()
            };
            let entry = chat.entry(EntryKind::Closed, agent.id, &item, chat.feed().into_iter().collect());
            let closed = work.client().execute(CLOSED, &[&chat.account.0, &interaction, &outcome]).await?;
            expect("interactions", closed, 1)?;
            self.set_state(&work, &chat, ChatState::Closed, None).await?;
            append(work.client(), std::slice::from_ref(&entry)).await?;
            work.commit().await?;
            Ok(Ok(entry.seq))
        })
        .await
    }

    /// Locks a chat for a viewer; without one every chat is seen.
    pub(super) async fn lock_chat(
        &self,
        viewer: Option<AgentId>,
        chat: ChatId,
    ) -> Result<Option<(Work, LockedChat)>, StoreError> {
        let connection = self.connection().await?;
        let lock = connection.prepare_cached(LOCK_CHAT).await?;
        let viewer = viewer.map(|agent| agent.0);
        let (work, rows) = Work::begin(connection, &lock, &[&chat.0, &viewer]).await?;
        match LockedChat::of(&rows)? {
            Some(chat) => Ok(Some((work, chat))),
            None => {
                work.rollback().await?;
                Ok(None)
            }
        }
    }

    async fn set_state(
        &self,
        work: &Work,
        chat: &LockedChat,
        state: ChatState,
        agent: Option<AgentId>,
    ) -> Result<(), StoreError> {
        let interaction = chat.interaction.filter(|_| state != ChatState::Closed);
        let agent = agent.map(|agent| agent.0);
        let set = work.client().prepare_cached(SET_STATE).await?;
        let changed = work
            .client()
            .execute(&set, &[&chat.id.0, &(chat.last_seq + 1), &(state as i16), &agent, &interaction])
            .await?;
        expect("chats", changed, 1)
    }
}
