//! Pages of a chat's log, in both directions, and what many chats said in a period.

use std::sync::LazyLock;

use super::super::entries::{ENTRY_COLUMNS, ENTRY_JOINS, Entry, entry};
use super::super::views::{DELIVERY, Delivery, part};
use super::super::{Database, StoreError};
use super::Span;
use crate::model::{AgentId, ChatId};

/// From where a page of a log is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The newest entries below this seq.
    Before(i64),
    /// The oldest entries above this seq.
    After(i64),
}

/// A page of a chat's log.
#[derive(Debug)]
pub struct LogPage {
    /// Oldest first.
    pub entries: Vec<Entry>,
    /// How the parts of agents' messages on this page stand now, by message and part.
    pub delivery: Vec<Delivery>,
    /// The log's newest seq.
    pub last_seq: i64,
}

/// How far a chat's log was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which chat.
    pub chat: ChatId,
    /// Everything up to here.
    pub seq: i64,
}

const VISIBLE: &str =
    "SELECT c.account_id, c.last_seq FROM chat c WHERE c.id = $1 AND ($2::int IS NULL OR chat_visible(c, $2))";

static BEFORE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {ENTRY_COLUMNS} FROM (
           SELECT * FROM history x WHERE x.account_id = $1 AND x.chat_id = $2 AND x.seq < $3 ORDER BY x.seq DESC LIMIT $4) h
         {ENTRY_JOINS} ORDER BY h.seq"
    )
});

static AFTER: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {ENTRY_COLUMNS} FROM (
           SELECT * FROM history x WHERE x.account_id = $1 AND x.chat_id = $2 AND x.seq > $3 ORDER BY x.seq LIMIT $4) h
         {ENTRY_JOINS} ORDER BY h.seq"
    )
});

static SAID: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {ENTRY_COLUMNS} FROM unnest($1::bigint[], $2::bigint[]) u(chat, after)
           JOIN chat c ON c.id = u.chat AND ($5::int IS NULL OR chat_visible(c, $5))
          CROSS JOIN LATERAL (SELECT * FROM history x WHERE x.account_id = c.account_id AND x.chat_id = c.id AND x.seq > u.after
                                 AND x.at >= $3 AND x.at < $4 ORDER BY x.seq LIMIT $6) h
         {ENTRY_JOINS}"
    )
});

/// For the test that reads the plans.
#[cfg(test)]
pub(super) fn hot() -> Vec<&'static str> {
    vec![VISIBLE, &BEFORE, &AFTER, &SAID]
}

impl Database {
    /// A page of a chat's log. `None`: no such chat, or not the viewer's to see.
    pub async fn log_page(
        &self,
        viewer: Option<AgentId>,
        chat: ChatId,
        turn: Turn,
        limit: i64,
    ) -> Result<Option<LogPage>, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let visible = connection.prepare_cached(VISIBLE).await?;
            let viewer = viewer.map(|agent| agent.0);
            let Some(row) = connection.query_opt(&visible, &[&chat.0, &viewer]).await? else {
                connection.done();
                return Ok(None);
            };
            let (account, last_seq): (i32, i64) = (row.get(0), row.get(1));
            let (sql, seq) = match turn {
                Turn::Before(seq) => (&*BEFORE, seq),
                Turn::After(seq) => (&*AFTER, seq),
            };
            let page = connection.prepare_cached(sql).await?;
            let rows = connection.query(&page, &[&account, &chat.0, &seq, &limit]).await?;
            let entries: Vec<Entry> = rows.iter().map(entry).collect();
            let seqs: Vec<i64> = entries.iter().map(|entry| entry.seq).collect();
            let delivery = connection.prepare_cached(DELIVERY).await?;
            let rows = connection.query(&delivery, &[&chat.0, &seqs]).await?;
            connection.done();
            Ok(Some(LogPage { entries, delivery: rows.iter().map(part).collect::<Result<_, _>>()?, last_seq }))
        })
        .await
    }

    /// What the chats of `places` said in a period after their places: at most `limit` entries of each, by chat and seq.
    pub async fn said(
        &self,
        viewer: Option<AgentId>,
        places: &[Place],
        span: Span,
        limit: i64,
    ) -> Result<Vec<Entry>, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let statement = connection.prepare_cached(&SAID).await?;
            let chats: Vec<i64> = places.iter().map(|place| place.chat.0).collect();
            let seqs: Vec<i64> = places.iter().map(|place| place.seq).collect();
            let viewer = viewer.map(|agent| agent.0);
            let rows = connection.query(&statement, &[&chats, &seqs, &span.from, &span.to, &viewer, &limit]).await?;
            connection.done();
            let mut entries: Vec<Entry> = rows.iter().map(entry).collect();
            entries.sort_unstable_by_key(|entry| (entry.chat, entry.seq));
            Ok(entries)
        })
        .await
    }
}
