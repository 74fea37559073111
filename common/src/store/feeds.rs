//! Feeds: what sessions read, and how long it is kept.

mod standby;

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;
use std::time::Duration;

use super::entries::{ENTRY_COLUMNS, ENTRY_JOINS, Entry, entry};
use super::views::{ChatView, moved};
use super::{Connection, Database, StoreError};
use crate::model::{ChatId, FeedId};

/// How many entries of one feed a single read returns; whoever is further behind reads again.
pub const FEED_PAGE: usize = 100;

/// One line of a feed.
#[derive(Clone, Debug)]
pub struct FeedEntry {
    /// Which feed.
    pub feed: FeedId,
    /// Its number in the feed.
    pub seq: i64,
    /// What it points to.
    pub entry: Entry,
    /// When the entry moves its chat to readers who may never have seen it: the chat as it is now, maybe later than the entry.
    /// None also when they may not see it any more.
    pub chat: Option<Box<ChatView>>,
}

// A feed is entered only when its row says that there is something new: the same query answers "which feeds changed".
static READ: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT e.feed_id, e.seq AS feed_seq, {ENTRY_COLUMNS}
           FROM unnest($1::int[], $2::bigint[]) u(f, s) JOIN feed ON feed.id = u.f AND feed.last_seq > u.s
          CROSS JOIN LATERAL (SELECT * FROM feed_entry x WHERE x.feed_id = u.f AND x.seq > u.s ORDER BY x.seq LIMIT {FEED_PAGE}) e
           JOIN history h ON h.account_id = e.account_id AND h.chat_id = e.chat_id AND h.seq = e.chat_seq AND h.at = e.at
           {ENTRY_JOINS}
          ORDER BY e.feed_id, e.seq"
    )
});

// A chat's own log, by the chat's own numbers: whoever writes in it holds its row, so there is no gap either.
static READ_LOGS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {ENTRY_COLUMNS}
           FROM unnest($1::bigint[], $2::bigint[]) u(k, s) JOIN chat c ON c.id = u.k AND c.last_seq > u.s
          CROSS JOIN LATERAL (SELECT * FROM history x WHERE x.account_id = c.account_id AND x.chat_id = c.id AND x.seq > u.s
                               ORDER BY x.seq LIMIT {FEED_PAGE}) h
           {ENTRY_JOINS}
          ORDER BY h.chat_id, h.seq"
    )
});

const HEADS: &str = "SELECT id, last_seq FROM chat WHERE id = ANY ($1::bigint[])";

// Only a prefix is cut, so that what is kept has no hole. The feed's row is hot: it is locked last and shortly.
const PRUNE: &str = "
WITH old AS MATERIALIZED (
  SELECT x.seq, x.at < now() - make_interval(secs => $2) AS gone
    FROM (SELECT seq, at FROM feed_entry WHERE feed_id = $1 ORDER BY seq LIMIT 500) x),
cut AS MATERIALIZED (SELECT max(seq) AS seq FROM old WHERE seq < coalesce((SELECT min(seq) FROM old WHERE NOT gone), 9223372036854775807)),
d AS (DELETE FROM feed_entry USING cut WHERE feed_entry.feed_id = $1 AND feed_entry.seq <= cut.seq RETURNING 1)
UPDATE feed SET pruned_seq = greatest(pruned_seq, cut.seq) FROM cut CROSS JOIN (SELECT count(*) AS n FROM d) k
 WHERE feed.id = $1 AND cut.seq IS NOT NULL RETURNING k.n AS pruned";

const PRUNABLE: &str = "
SELECT f.id FROM feed f
 CROSS JOIN LATERAL (SELECT x.at FROM feed_entry x WHERE x.feed_id = f.id ORDER BY x.seq LIMIT 1) o
 WHERE o.at < now() - make_interval(secs => $1) ORDER BY f.id";

/// For tests that read them.
#[cfg(any(test, feature = "testkit"))]
pub(super) fn hot() -> Vec<&'static str> {
    vec![&READ, &READ_LOGS, HEADS, PRUNE]
}

/// Puts the chats beside the entries that move them. Few do, so this is a question of its own.
async fn with_chats(connection: &Connection, lines: &mut [FeedEntry]) -> Result<(), StoreError> {
    let moves = |line: &&FeedEntry| line.entry.body.moves_chat();
    let wanted: BTreeSet<(i32, i64)> =
        lines.iter().filter(moves).map(|line| (line.feed.0, line.entry.chat.0)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let (feeds, chats): (Vec<i32>, Vec<i64>) = wanted.into_iter().unzip();
    let seen = moved(connection, &feeds, &chats).await?;
    for line in lines.iter_mut().filter(|line| line.entry.body.moves_chat()) {
        line.chat = seen.get(&(line.feed, line.entry.chat)).cloned().map(Box::new);
    }
    Ok(())
}

impl Database {
    /// Entries after the cursors, at most [`FEED_PAGE`] of each feed, by feed and number.
    pub async fn read_feeds(&self, cursors: &[(FeedId, i64)]) -> Result<Vec<FeedEntry>, StoreError> {
        self.within(async {
            let feeds: Vec<i32> = cursors.iter().map(|(feed, _)| feed.0).collect();
            let seqs: Vec<i64> = cursors.iter().map(|(_, seq)| *seq).collect();
            let connection = standby::or(self).connection().await?;
            let statement = connection.prepare_cached(&READ).await?;
            let rows = connection.query(&statement, &[&feeds, &seqs]).await?;
            let line = |row: &tokio_postgres::Row| FeedEntry {
                feed: FeedId(row.get("feed_id")),
                seq: row.get("feed_seq"),
                entry: entry(row),
                chat: None,
            };
            let mut lines: Vec<FeedEntry> = rows.iter().map(line).collect();
            with_chats(&connection, &mut lines).await?;
            connection.done();
            Ok(lines)
        })
        .await
    }

    /// Entries of chats' own logs after these numbers, at most [`FEED_PAGE`] of each chat, by chat and number.
    pub async fn read_logs(&self, cursors: &[(ChatId, i64)]) -> Result<Vec<Entry>, StoreError> {
        self.within(async {
            let chats: Vec<i64> = cursors.iter().map(|(chat, _)| chat.0).collect();
            let seqs: Vec<i64> = cursors.iter().map(|(_, seq)| *seq).collect();
            let connection = self.connection().await?;
            let statement = connection.prepare_cached(&READ_LOGS).await?;
            let rows = connection.query(&statement, &[&chats, &seqs]).await?;
            connection.done();
            Ok(rows.iter().map(entry).collect())
        })
        .await
    }

    /// How far the logs of these chats go; of a chat that is not there, nothing.
    pub async fn log_heads(&self, chats: &[ChatId]) -> Result<HashMap<ChatId, i64>, StoreError> {
        self.within(async {
            let chats: Vec<i64> = chats.iter().map(|chat| chat.0).collect();
            let connection = self.connection().await?;
            let statement = connection.prepare_cached(HEADS).await?;
            let rows = connection.query(&statement, &[&chats]).await?;
            connection.done();
            Ok(rows.iter().map(|row| (ChatId(row.get("id")), row.get("last_seq"))).collect())
        })
        .await
    }

    /// Feeds with entries older than `retention`.
    pub async fn prunable_feeds(&self, retention: Duration) -> Result<Vec<FeedId>, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let rows = connection.query(PRUNABLE, &[&retention.as_secs_f64()]).await?;
            connection.done();
            Ok(rows.iter().map(|row| FeedId(row.get(0))).collect())
        })
        .await
    }

    /// Deletes at most 500 of the feed's oldest entries, older than `retention`; returns how many. A reader whose cursor
    /// is now before `pruned_seq` gets a resync.
    pub async fn prune_feed(&self, feed: FeedId, retention: Duration) -> Result<usize, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let row = connection.query_opt(PRUNE, &[&feed.0, &retention.as_secs_f64()]).await?;
            connection.done();
            Ok(row.map_or(0, |row| row.get::<_, i64>("pruned") as usize))
        })
        .await
    }

    /// Makes this month's partition of the log and the next two.
    pub async fn ensure_history_partitions(&self) -> Result<(), StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            connection
                .batch_execute("SELECT ensure_history_partition((now() + n * interval '1 month')::date) FROM generate_series(0, 2) n")
                .await?;
            connection.done();
            Ok(())
        })
        .await
    }
}
