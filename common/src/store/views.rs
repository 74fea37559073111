//! What agents read: a page of a chat's log, and the snapshot that a session starts from.

use std::collections::HashMap;
use std::sync::LazyLock;

use futures_util::future::try_join3;

use super::agents::{AGENT, agent as read_agent};
use super::entries::{ENTRY_COLUMNS, ENTRY_JOINS, Entry, entry};
use super::{Agent, Connection, Database, StoreError};
use crate::model::{AgentId, ChatId, ChatState, FeedId, PartState};

/// Chats in a snapshot at most, own ones first: what a person can look through is far below.
pub const SNAPSHOT_CHATS: usize = 2000;

/// A page of a chat's log.
#[derive(Debug)]
pub struct HistoryPage {
    /// Oldest first.
    pub entries: Vec<Entry>,
    /// How the parts of agents' messages on this page stand now, by message and part.
    pub delivery: Vec<Delivery>,
}

/// How a part stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The message's seq.
    pub seq: i64,
    /// Which part of it.
    pub part: i16,
    /// Where it stands.
    pub state: PartState,
    /// Why, when there is something to say.
    pub reason: Option<String>,
}

/// What a session starts from, read in one repeatable-read transaction.
#[derive(Debug)]
pub struct Snapshot {
    /// The agent, with feeds and heads as of the snapshot.
    pub agent: Agent,
    /// Own chats first, then those waiting in the agent's queues.
    pub chats: Vec<ChatView>,
    /// Chats that found no place in it.
    pub more: usize,
}

/// A chat in a snapshot.
#[derive(Clone, Debug)]
pub struct ChatView {
    /// Key.
    pub id: ChatId,
    /// The account's name.
    pub account: String,
    /// The account's platform.
    pub platform: String,
    /// What to call it.
    pub title: Option<String>,
    /// The customer, with name and phone; none in a group.
    pub customer: Option<(i64, Option<String>, Option<String>)>,
    /// Waiting or taken; closed only where one chat is asked for.
    pub state: ChatState,
    /// The name of the agent who has it.
    pub agent: Option<String>,
    /// The name of the queue where it waits or waited.
    pub queue: Option<String>,
    /// Newest entry's seq.
    pub last_seq: i64,
    /// Customer messages since an agent last wrote or read.
    pub unread: i32,
    /// Up to where whoever has it has read.
    pub read_seq: i64,
    /// Newest entry.
    pub last: Option<Entry>,
}

const VISIBLE: &str = "SELECT c.account_id FROM chat c WHERE c.id = $1 AND chat_visible(c, $2)";

static HISTORY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {ENTRY_COLUMNS} FROM (
           SELECT * FROM history x WHERE x.account_id = $1 AND x.chat_id = $2 AND x.seq < $3 ORDER BY x.seq DESC LIMIT $4) h
         {ENTRY_JOINS} ORDER BY h.seq"
    )
});

pub(super) const DELIVERY: &str = "SELECT chat_seq, part, state, reason FROM outbox WHERE chat_id = $1 AND chat_seq = ANY ($2::bigint[]) ORDER BY chat_seq, part";

/// The columns [`view`] reads beside those of an entry, of a `chat` row called `c` and what [`CHAT_JOINS`] joins to it.
const CHAT_COLUMNS: &str = "
c.id AS chat_id, a.name AS account, a.platform, c.title, c.customer_id, cc.name AS chat_customer, cc.phone,
c.state, g.name AS agent, q.name AS queue, c.last_seq, c.unread, c.read_seq";

const CHAT_JOINS: &str = "
JOIN account a ON a.id = c.account_id
LEFT JOIN customer cc ON cc.account_id = c.account_id AND cc.id = c.customer_id
LEFT JOIN agent g ON g.id = c.agent_id
LEFT JOIN queue q ON q.id = c.queue_id
LEFT JOIN LATERAL (SELECT * FROM history x WHERE x.account_id = c.account_id AND x.chat_id = c.id
                      AND x.seq = c.last_seq LIMIT 1) h ON true";

static CHATS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {CHAT_COLUMNS}, {ENTRY_COLUMNS}
           FROM (SELECT c.* FROM chat c WHERE c.agent_id = $1 AND c.state = 1 AND chat_visible(c, $1)
                  UNION ALL
                 SELECT c.* FROM agent_queue aq JOIN chat c ON c.queue_id = aq.queue_id AND c.state = 0
                  WHERE aq.agent_id = $1 AND chat_visible(c, $1)) c
           {CHAT_JOINS} {ENTRY_JOINS}
          ORDER BY c.state DESC, c.last_in_at, c.id"
    )
});

static CHAT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {CHAT_COLUMNS}, {ENTRY_COLUMNS} FROM chat c {CHAT_JOINS} {ENTRY_JOINS} WHERE c.id = $1 AND chat_visible(c, $2)"
    )
});

// Chats as the readers of a feed see them: those of an agent who has the chat, or of its queue. Who read of a chat and may
// not see it any more gets no row.
static MOVED: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT u.f AS feed_id, {CHAT_COLUMNS}, {ENTRY_COLUMNS}
           FROM unnest($1::int[], $2::bigint[]) u(f, k) JOIN chat c ON c.id = u.k
           {CHAT_JOINS} {ENTRY_JOINS}
          WHERE g.feed_id = u.f OR q.feed_id = u.f"
    )
});

/// For the test that reads the plans.
#[cfg(test)]
pub(super) fn hot() -> Vec<&'static str> {
    vec![VISIBLE, &HISTORY, DELIVERY, &CHATS, &CHAT, &MOVED]
}

impl Database {
    /// A page of a chat's log: the `limit` newest entries before `before`. `None`: no such chat, or not the viewer's to
    /// see; without a viewer every chat is seen.
    pub async fn history(
        &self,
        viewer: Option<AgentId>,
        chat: ChatId,
        before: Option<i64>,
        limit: i64,
    ) -> Result<Option<HistoryPage>, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let visible = connection.prepare_cached(VISIBLE).await?;
            let history = connection.prepare_cached(&HISTORY).await?;
            let Some(row) = connection.query_opt(&visible, &[&chat.0, &viewer.map(|agent| agent.0)]).await? else {
                connection.done();
                return Ok(None);
            };
            let account: i32 = row.get(0);
            let before = before.unwrap_or(i64::MAX);
            let rows = connection.query(&history, &[&account, &chat.0, &before, &limit]).await?;
            let entries: Vec<Entry> = rows.iter().map(entry).collect();
            let seqs: Vec<i64> = entries.iter().map(|entry| entry.seq).collect();
            let delivery = connection.prepare_cached(DELIVERY).await?;
            let rows = connection.query(&delivery, &[&chat.0, &seqs]).await?;
            connection.done();
            Ok(Some(HistoryPage { entries, delivery: rows.iter().map(part).collect::<Result<_, _>>()? }))
        })
        .await
    }

    /// A chat as in a snapshot, in whatever state. `None`: no such chat, or not the viewer's to see; without a viewer every
    /// chat is seen.
    pub async fn chat_view(&self, viewer: Option<AgentId>, chat: ChatId) -> Result<Option<ChatView>, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let statement = connection.prepare_cached(&CHAT).await?;
            let row = connection.query_opt(&statement, &[&chat.0, &viewer.map(|agent| agent.0)]).await?;
            connection.done();
            row.as_ref().map(view).transpose()
        })
        .await
    }

    /// The snapshot for an agent, by the name in their token.
    pub async fn snapshot(&self, agent: &Agent) -> Result<Snapshot, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let who = connection.prepare_cached(AGENT).await?;
            let what = connection.prepare_cached(&CHATS).await?;
            let begin = connection.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
            let ((), rows, chats) =
                try_join3(begin, connection.query(&who, &[&agent.name]), connection.query(&what, &[&agent.id.0]))
                    .await?;
            connection.batch_execute("COMMIT").await?;
            connection.done();
            let agent = read_agent(&rows).ok_or_else(|| StoreError::Unexpected("the agent is gone".to_owned()))?;
            let more = chats.len().saturating_sub(SNAPSHOT_CHATS);
            let chats = chats.iter().take(SNAPSHOT_CHATS).map(view).collect::<Result<_, _>>()?;
            Ok(Snapshot { agent, chats, more })
        })
        .await
    }
}

/// These chats as they are now, for the readers of these feeds.
pub(super) async fn moved(
    connection: &Connection,
    feeds: &[i32],
    chats: &[i64],
) -> Result<HashMap<(FeedId, ChatId), ChatView>, StoreError> {
    let statement = connection.prepare_cached(&MOVED).await?;
    let rows = connection.query(&statement, &[&feeds, &chats]).await?;
    rows.iter().map(|row| Ok(((FeedId(row.get("feed_id")), ChatId(row.get("chat_id"))), view(row)?))).collect()
}

pub(super) fn part(row: &tokio_postgres::Row) -> Result<Delivery, StoreError> {
    let state: i16 = row.get("state");
    Ok(Delivery {
        seq: row.get("chat_seq"),
        part: row.get("part"),
        state: PartState::from_column(state)
            .ok_or_else(|| StoreError::Unexpected(format!("part state {state} of a later version")))?,
        reason: row.get("reason"),
    })
}

fn view(row: &tokio_postgres::Row) -> Result<ChatView, StoreError> {
    let state: i16 = row.get("state");
    Ok(ChatView {
        id: ChatId(row.get("chat_id")),
        account: row.get("account"),
        platform: row.get("platform"),
        title: row.get("title"),
        customer: row.get::<_, Option<i64>>("customer_id").map(|id| (id, row.get("chat_customer"), row.get("phone"))),
        state: ChatState::from_column(state)
            .ok_or_else(|| StoreError::Unexpected(format!("chat state {state} of a later version")))?,
        agent: row.get("agent"),
        queue: row.get("queue"),
        last_seq: row.get("last_seq"),
        unread: row.get("unread"),
        read_seq: row.get("read_seq"),
        last: row.get::<_, Option<i64>>("entry_seq").is_some().then(|| entry(row)),
    })
}
