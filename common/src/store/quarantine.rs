//! Updates put aside because they could not be read: listed and replayed by operators.

use chrono::{DateTime, Utc};

use super::{Database, StoreError};
use crate::model::{AccountId, RawUpdate};

/// One update put aside.
#[derive(Debug)]
pub struct QuarantineRow {
    /// Its number.
    pub id: i64,
    /// When it came.
    pub received_at: DateTime<Utc>,
    /// Why it could not be read.
    pub reason: String,
    /// The bytes as received.
    pub raw: RawUpdate,
    /// When it was read after all.
    pub replayed_at: Option<DateTime<Utc>>,
}

impl Database {
    /// Updates put aside, oldest first, from after `after` on; replayed ones only when asked for.
    pub async fn quarantined(
        &self,
        account: AccountId,
        with_replayed: bool,
        after: i64,
        limit: i64,
    ) -> Result<Vec<QuarantineRow>, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let rows = connection
                .query(
                    "SELECT id, received_at, reason, raw, replayed_at FROM quarantine
                      WHERE account_id = $1 AND id > $2 AND ($3 OR replayed_at IS NULL) ORDER BY id LIMIT $4",
                    &[&account.0, &after, &with_replayed, &limit],
                )
                .await?;
            connection.done();
            Ok(rows
                .iter()
                .map(|row| QuarantineRow {
                    id: row.get("id"),
                    received_at: row.get("received_at"),
                    reason: row.get("reason"),
                    raw: RawUpdate(row.get("raw")),
                    replayed_at: row.get("replayed_at"),
                })
                .collect())
        })
        .await
    }

    /// Gives a row that a chatserver could not read back to the chatservers; false when it is none. One that still
    /// cannot read it puts it aside again.
    pub async fn requeue_pending(&self, account: AccountId, id: i64) -> Result<bool, StoreError> {
        const SQL: &str = "
            WITH q AS (
              UPDATE quarantine SET replayed_at = now()
               WHERE account_id = $1 AND id = $2 AND replayed_at IS NULL AND starts_with(dedupe_key, 'p:') RETURNING raw),
            r AS (SELECT convert_from(raw, 'UTF8')::jsonb AS r FROM q)
            INSERT INTO pending (account_id, chat_key, kind, dedupe_key, body, item)
            SELECT $1, r->>'chat_key', (r->>'kind')::int2, r->>'dedupe_key', r->>'body', r->'item' FROM r";
        self.within(async {
            let connection = self.connection().await?;
            let requeued = connection.execute(SQL, &[&account.0, &id]).await?;
            connection.done();
            Ok(requeued == 1)
        })
        .await
    }

    /// Marks one as read after all. Call it after its facts were stored: a crash between the two replays
    /// it again, and the facts' keys make that harmless.
    pub async fn mark_replayed(&self, account: AccountId, id: i64) -> Result<(), StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            connection
                .execute(
                    "UPDATE quarantine SET replayed_at = now() WHERE account_id = $1 AND id = $2",
                    &[&account.0, &id],
                )
                .await?;
            connection.done();
            Ok(())
        })
        .await
    }
}
