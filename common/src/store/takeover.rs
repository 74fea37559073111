//! What a new tenure must know of the ones before it: calls that may still be written, and what the
//! platform's limits remember.

use std::time::Duration;

use super::sender::{Freeze, SlotHistory};
use super::{Database, StoreError};
use crate::model::{AccountId, Epoch, FreezeScope};

impl Database {
    /// How long a claim of an earlier epoch may still write a byte; `None` when there is none.
    pub async fn foreign_write_by(&self, account: AccountId, epoch: Epoch) -> Result<Option<Duration>, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let row = connection
                .query_one(
                    "SELECT extract(epoch FROM max(write_by) - clock_timestamp())::float8 FROM outbox
                      WHERE account_id = $1 AND open AND state = 1 AND epoch < $2",
                    &[&account.0, &epoch.0],
                )
                .await?;
            connection.done();
            Ok(row.get::<_, Option<f64>>(0).filter(|s| *s > 0.0).map(Duration::from_secs_f64))
        })
        .await
    }

    /// Exchanges of the last `span` (a call's `answer_by` is at most ten minutes after its claim): what a platform's windows may still count. One that was never
    /// answered counts from its `answer_by`.
    pub async fn slot_history(&self, account: AccountId, span: Duration) -> Result<Vec<SlotHistory>, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let rows = connection
                .query(
                    "SELECT chat_key, cost, extract(epoch FROM clock_timestamp() - coalesce(ended_at, answer_by))::float8 AS ended_ago
                       FROM attempt
                      WHERE account_id = $1 AND claimed_at > now() - make_interval(secs => $2) - interval '10 min'
                        AND coalesce(ended_at, answer_by) > clock_timestamp() - make_interval(secs => $2)",
                    &[&account.0, &span.as_secs_f64()],
                )
                .await?;
            connection.done();
            Ok(rows
                .iter()
                .map(|row| SlotHistory {
                    chat_key: row.get("chat_key"),
                    cost: row.get::<_, i32>("cost").max(1) as usize,
                    ended_ago: row.get("ended_ago"),
                })
                .collect())
        })
        .await
    }

    /// What the platform told us to hold back and has not ended yet.
    pub async fn freezes(&self, account: AccountId) -> Result<Vec<Freeze>, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let rows = connection
                .query(
                    "SELECT freeze_scope, extract(epoch FROM max(freeze_until) - clock_timestamp())::float8 AS remaining
                       FROM attempt WHERE account_id = $1 AND freeze_until > clock_timestamp() GROUP BY freeze_scope",
                    &[&account.0],
                )
                .await?;
            connection.done();
            Ok(rows
                .iter()
                .filter_map(|row| {
                    let scope = FreezeScope::from_column(row.get("freeze_scope"))?;
                    Some(Freeze { scope, remaining: Duration::from_secs_f64(row.get::<_, f64>("remaining").max(0.0)) })
                })
                .collect())
        })
        .await
    }

    /// Parts waiting or under way, and the age of the oldest.
    pub async fn outbox_depth(&self, account: AccountId) -> Result<(i64, Duration), StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let row = connection
                .query_one(
                    "SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8
                       FROM outbox WHERE account_id = $1 AND open",
                    &[&account.0],
                )
                .await?;
            connection.done();
            Ok((row.get(0), Duration::from_secs_f64(row.get::<_, f64>(1).max(0.0))))
        })
        .await
    }
}
