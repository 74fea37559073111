//! What the readers of a feed are told in passing. It is in no log and has no number; it may be lost, by a crash of the database
//! or by coming late, and then the next snapshot has the truth.

use std::time::Duration;

use chrono::{DateTime, Utc};
use deadpool_postgres::ClientWrapper;
use serde::{Deserialize, Serialize};

use super::append::item_json;
use super::{Database, StoreError};
use crate::model::FeedId;

/// Tells one from another.
pub type WhisperKey = (DateTime<Utc>, i64);

/// Something said in passing.
#[derive(Clone, Debug, PartialEq)]
pub struct Whisper {
    /// Tells it from others.
    pub key: WhisperKey,
    /// To whom.
    pub feed: FeedId,
    /// What.
    pub item: WhisperItem,
}

/// What is said in passing. Between versions of our own services it only gains kinds and optional fields.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum WhisperItem {
    /// Whoever has the chat has read on.
    Read {
        /// Which.
        chat: i64,
        /// Up to where.
        seq: i64,
        /// Customer messages after that.
        unread: i32,
    },
    /// Of a later version.
    #[serde(other)]
    Unknown,
}

const SAY: &str = "INSERT INTO whisper (feed_id, item) VALUES ($1, $2::text::jsonb)";

// A span, and no cursor: times and numbers are given before the commit, so a later one may be seen first.
const HEAR: &str = "
SELECT at, id, feed_id, item::text AS item FROM whisper WHERE at > now() - make_interval(secs => $1) ORDER BY at, id LIMIT 5000";

const FORGET: &str = "DELETE FROM whisper WHERE at < now() - make_interval(secs => $1)";

/// For the tests that read them.
#[cfg(test)]
pub(super) const HOT: &[&str] = &[SAY, HEAR, FORGET];

/// Says it, when the transaction commits.
pub(super) async fn whisper(client: &ClientWrapper, feed: FeedId, item: &WhisperItem) -> Result<(), StoreError> {
    let say = client.prepare_cached(SAY).await?;
    client.execute(&say, &[&feed.0, &item_json(item)]).await?;
    Ok(())
}

impl Database {
    /// What was said in the last `span`, in its order.
    pub async fn whispers(&self, span: Duration) -> Result<Vec<Whisper>, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let hear = connection.prepare_cached(HEAR).await?;
            let rows = connection.query(&hear, &[&span.as_secs_f64()]).await?;
            connection.done();
            let heard = |row: &tokio_postgres::Row| Whisper {
                key: (row.get("at"), row.get("id")),
                feed: FeedId(row.get("feed_id")),
                item: serde_json::from_str(row.get("item")).unwrap_or(WhisperItem::Unknown),
            };
            Ok(rows.iter().map(heard).collect())
        })
        .await
    }

    /// Forgets what was said longer ago than `span`.
    pub async fn forget_whispers(&self, span: Duration) -> Result<(), StoreError> {
        self.execute(FORGET, &[&span.as_secs_f64()]).await
    }
}
