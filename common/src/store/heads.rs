//! What the sender may take next: the head, that is the first open part, of each chat in each lane.
//!
//! The sender keeps heads in memory, so a look at the table costs as much as what is new: the chats written to since the last
//! look, and those whose call has just ended. Now and then it reads them all: a signal is a hint, and so is a memory.

use std::time::Duration;

use super::{Database, StoreError};
use crate::model::{AccountId, ChatId, Lane, OutboxId, PartState};

/// The first open part of a chat in a lane.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// The part.
    pub id: OutboxId,
    /// Its lane.
    pub lane: Lane,
    /// Its chat.
    pub chat: ChatId,
    /// The chat, as the platform names it.
    pub chat_key: String,
    /// It waits; otherwise a call is under way for it.
    pub queued: bool,
    /// How long until it may be tried again; zero: at once.
    pub due_in: Duration,
}

/// Heads read at once, of each lane; the longest waiting. When there are more, the others are read once these are gone.
pub const HEADS: usize = 20_000;

// $1 account $2 newest id known ($2 = 0: everything) $3 heads at most
const NEWS: &str = "
SELECT n.newest, l.lane, n.chat_id, f.id, f.chat_key, f.state, f.due_in FROM unnest('{0,1,2}'::int2[]) l(lane)
 CROSS JOIN LATERAL (
   SELECT chat_id, min(id) AS oldest, max(id) AS newest FROM outbox WHERE account_id = $1 AND lane = l.lane AND open AND id > $2
    GROUP BY chat_id ORDER BY oldest LIMIT $3) n
 CROSS JOIN LATERAL (
   SELECT o.id, o.chat_key, o.state, extract(epoch FROM o.retry_at - clock_timestamp())::float8 AS due_in FROM outbox o
    WHERE o.account_id = $1 AND o.lane = l.lane AND o.chat_id = n.chat_id AND o.open ORDER BY o.chat_seq, o.part LIMIT 1) f";

// $1 account $2 chats
const HEADS_OF: &str = "
SELECT l.lane, c.chat_id, f.id, f.chat_key, f.state, f.due_in
  FROM unnest('{0,1,2}'::int2[]) l(lane) CROSS JOIN unnest($2::bigint[]) c(chat_id)
 CROSS JOIN LATERAL (
   SELECT o.id, o.chat_key, o.state, extract(epoch FROM o.retry_at - clock_timestamp())::float8 AS due_in FROM outbox o
    WHERE o.account_id = $1 AND o.lane = l.lane AND o.chat_id = c.chat_id AND o.open ORDER BY o.chat_seq, o.part LIMIT 1) f";

/// What a sender runs before its first claim.
pub(super) const HOT: &[&str] = &[NEWS, HEADS_OF];

impl Database {
    /// Heads of the chats that have open parts newer than `known`, and the newest part seen; `None` when there are none, or
    /// more than could be read. With `OutboxId(0)`: of all chats, the longest waiting [`HEADS`] of each lane.
    pub async fn heads_since(
        &self,
        account: AccountId,
        known: OutboxId,
    ) -> Result<(Vec<Head>, Option<OutboxId>), StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let statement = connection.prepare_cached(NEWS).await?;
            let rows = connection.query(&statement, &[&account.0, &known.0, &(HEADS as i64)]).await?;
            connection.done();
            let heads: Vec<Head> = rows.iter().filter_map(head).collect();
            let cut = Lane::ALL.iter().any(|lane| heads.iter().filter(|head| head.lane == *lane).count() >= HEADS);
            let newest = rows.iter().map(|row| OutboxId(row.get("newest"))).max().filter(|_| !cut);
            Ok((heads, newest))
        })
        .await
    }

    /// Heads of these chats, in every lane in which something is open.
    pub async fn heads_of(&self, account: AccountId, chats: &[ChatId]) -> Result<Vec<Head>, StoreError> {
        self.within(async {
            let chats: Vec<i64> = chats.iter().map(|chat| chat.0).collect();
            let connection = self.connection().await?;
            let statement = connection.prepare_cached(HEADS_OF).await?;
            let rows = connection.query(&statement, &[&account.0, &chats]).await?;
            connection.done();
            Ok(rows.iter().filter_map(head).collect())
        })
        .await
    }
}

fn head(row: &tokio_postgres::Row) -> Option<Head> {
    Some(Head {
        id: OutboxId(row.get("id")),
        lane: Lane::from_column(row.get("lane"))?,
        chat: ChatId(row.get("chat_id")),
        chat_key: row.get("chat_key"),
        queued: row.get::<_, i16>("state") == PartState::Queued as i16,
        due_in: Duration::from_secs_f64(row.get::<_, Option<f64>>("due_in").unwrap_or_default().max(0.0)),
    })
}
