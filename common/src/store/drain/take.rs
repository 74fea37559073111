//! The first trip: lock chats, claim rows.

use std::collections::BTreeMap;

use super::super::work::Work;
use super::super::{Connection, StoreError};
use crate::model::{AccountId, AgentId, ChatId, ChatState, FeedId, QueueId};

/// What was claimed, with the locked chats.
pub(super) struct Batch {
    /// In the order of `pending.id`.
    pub(super) rows: Vec<Row>,
    pub(super) chats: BTreeMap<ChatId, Chat>,
    pub(super) unknown: usize,
    pub(super) skipped: usize,
}

/// One claimed row of `pending`.
pub(super) struct Row {
    pub(super) account: AccountId,
    pub(super) chat: ChatId,
    /// The chat as the platform names it.
    pub(super) chat_key: String,
    pub(super) kind: i16,
    pub(super) key: String,
    pub(super) body: Option<String>,
    pub(super) item: Option<String>,
    /// The customer its author is, as known before this batch.
    pub(super) customer: Option<(i64, Option<String>)>,
}

/// A locked chat.
#[derive(Clone)]
pub(super) struct Chat {
    pub(super) account: AccountId,
    pub(super) last_seq: i64,
    pub(super) state: ChatState,
    /// Who has it, and their feed.
    pub(super) agent: Option<(AgentId, FeedId)>,
    /// Where it waits or waited last, and that feed.
    pub(super) queue: Option<(QueueId, FeedId)>,
    /// Where the account's new chats wait.
    pub(super) home: Home,
    pub(super) interaction: Option<i64>,
    pub(super) unread: i32,
    pub(super) last_in_seq: i64,
    pub(super) title: Option<String>,
    /// A customer message of today (UTC) is in the log, so `chat_day` has the row. Never in a day's last minute: then
    /// what is written now may get tomorrow's time.
    pub(super) counted_today: bool,
}

/// A queue with what an `opened` entry says of it.
#[derive(Clone)]
pub(super) struct Home {
    pub(super) queue: QueueId,
    pub(super) feed: FeedId,
    pub(super) name: String,
}

/// Pending rows that a batch looks at: the literal in [`TAKE`].
pub(super) const LOOKED_AT: usize = 400;

// The limits are literals: under a generic plan a parameter would be taken for a tenth of the table. The window is four
// batches wide, so that a second drainer finds free chats behind the locked ones. Locks by one array, joins on one
// column: two columns are estimated at one row. The look-ups that could become whole-table joins are LATERAL ... LIMIT 1.
const TAKE: &str = "
WITH w AS MATERIALIZED (
  SELECT p.id, k.id AS chat_id
    FROM (SELECT id, account_id, chat_key FROM pending ORDER BY id LIMIT 400) p
    LEFT JOIN LATERAL (SELECT x.id FROM chat x WHERE x.account_id = p.account_id AND x.platform_key = p.chat_key LIMIT 1) k ON true),
c AS MATERIALIZED (
  SELECT c.id, c.account_id, c.last_seq, c.state, c.agent_id, c.queue_id, c.interaction_id, c.unread, c.last_in_seq, c.title,
         coalesce(c.last_in_at::date = (now() + interval '1 min')::date, false) AS counted_today
    FROM chat c WHERE c.id = ANY (ARRAY(SELECT chat_id FROM w)) ORDER BY c.id LIMIT 100 FOR NO KEY UPDATE SKIP LOCKED),
d AS MATERIALIZED (
  DELETE FROM pending p USING w, c WHERE p.id = w.id AND w.chat_id = c.id
  RETURNING p.id, p.chat_key, p.kind, p.dedupe_key, p.body, p.item, c.id AS chat_id, c.account_id, c.last_seq, c.state, c.agent_id,
            c.queue_id, c.interaction_id, c.unread, c.last_in_seq, c.title, c.counted_today)
SELECT s.seen, s.unknown, d.id, d.chat_key, d.kind, d.dedupe_key, d.body, d.item::text AS item, d.chat_id, d.account_id, d.last_seq, d.state,
       d.agent_id, d.queue_id, d.interaction_id, d.unread, d.last_in_seq, d.title, d.counted_today,
       a.queue_id AS home_id, hq.feed_id AS home_feed, hq.name AS home_name,
       q.feed_id AS queue_feed, g.feed_id AS agent_feed, cu.id AS customer_id, cu.name AS customer_name
  FROM (SELECT count(*) AS seen, count(*) FILTER (WHERE chat_id IS NULL) AS unknown FROM w) s
  LEFT JOIN d ON true
  LEFT JOIN account a ON a.id = d.account_id
  LEFT JOIN queue hq ON hq.id = a.queue_id
  LEFT JOIN queue q ON q.id = d.queue_id
  LEFT JOIN agent g ON g.id = d.agent_id
  LEFT JOIN LATERAL (SELECT x.id, x.name FROM customer x
                      WHERE x.account_id = d.account_id AND x.platform_id = d.item->>'author_id' LIMIT 1) cu ON true
 ORDER BY d.id";

/// For tests that read them.
#[cfg(any(test, feature = "testkit"))]
pub(super) const HOT: &[&str] = &[TAKE];

/// Begins the batch's transaction and claims.
pub(super) async fn take(connection: Connection) -> Result<(Work, Batch), StoreError> {
    let statement = connection.prepare_cached(TAKE).await?;
    let (work, rows) = Work::begin(connection, &statement, &[]).await?;
    let seen = rows.first().map_or(0, |row| row.get::<_, i64>("seen") as usize);
    let unknown = rows.first().map_or(0, |row| row.get::<_, i64>("unknown") as usize);
    let mut batch = Batch { rows: Vec::with_capacity(rows.len()), chats: BTreeMap::new(), unknown, skipped: 0 };
    for row in rows.iter().filter(|row| row.get::<_, Option<i64>>("id").is_some()) {
        let chat = ChatId(row.get("chat_id"));
        if let std::collections::btree_map::Entry::Vacant(free) = batch.chats.entry(chat) {
            free.insert(locked(row)?);
        }
        batch.rows.push(Row {
            account: AccountId(row.get("account_id")),
            chat,
            chat_key: row.get("chat_key"),
            kind: row.get("kind"),
            key: row.get("dedupe_key"),
            body: row.get("body"),
            item: row.get("item"),
            customer: row.get::<_, Option<i64>>("customer_id").map(|id| (id, row.get("customer_name"))),
        });
    }
    batch.skipped = seen.saturating_sub(unknown + batch.rows.len());
    Ok((work, batch))
}

fn locked(row: &tokio_postgres::Row) -> Result<Chat, StoreError> {
    let missing = |what: &str| StoreError::Unexpected(format!("chat {} has no {what}", row.get::<_, i64>("chat_id")));
    let state: i16 = row.get("state");
    let with_feed = |id: &str, feed: &str| match (row.get::<_, Option<i32>>(id), row.get::<_, Option<i32>>(feed)) {
        (None, _) => Ok(None),
        (Some(id), Some(feed)) => Ok(Some((id, FeedId(feed)))),
        (Some(_), None) => Err(missing(feed)),
    };
    Ok(Chat {
        account: AccountId(row.get("account_id")),
        last_seq: row.get("last_seq"),
        state: ChatState::from_column(state).ok_or_else(|| missing("state that this version knows"))?,
        agent: with_feed("agent_id", "agent_feed")?.map(|(id, feed)| (AgentId(id), feed)),
        queue: with_feed("queue_id", "queue_feed")?.map(|(id, feed)| (QueueId(id), feed)),
        home: Home {
            queue: QueueId(row.get::<_, Option<i32>>("home_id").ok_or_else(|| missing("account"))?),
            feed: FeedId(row.get::<_, Option<i32>>("home_feed").ok_or_else(|| missing("queue of its account"))?),
            name: row.get("home_name"),
        },
        interaction: row.get("interaction_id"),
        unread: row.get("unread"),
        last_in_seq: row.get("last_in_seq"),
        title: row.get("title"),
        counted_today: row.get("counted_today"),
    })
}
