//! What a new tenure must know of the ones before it: calls that may still be written, and what the
//! platform's limits remember.

use std::time::Duration;

use futures_util::future::{try_join_all, try_join3};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::sender::{Freeze, SlotHistory};
use super::{Database, StoreError, claim, exchanges, heads, lease, sender};
use crate::model::{AccountId, Epoch, FreezeScope};

/// What earlier tenures left behind.
#[derive(Clone, Debug)]
pub struct LeftBehind {
    /// How long a claim of an earlier epoch may still write a byte; `None` when there is none.
    pub write_by: Option<Duration>,
    /// Exchanges that a platform's windows may still count.
    pub slots: Vec<SlotHistory>,
    /// What the platform told us to hold back and has not ended yet.
    pub freezes: Vec<Freeze>,
}

const WRITE_BY: &str = "
SELECT extract(epoch FROM max(write_by) - clock_timestamp())::float8 FROM outbox
 WHERE account_id = $1 AND lane IN (0, 1, 2) AND open AND state = 1 AND epoch < $2";

// A call's `answer_by` is at most ten minutes after its claim. One that was never answered counts from there.
const SLOTS: &str = "
SELECT chat_key, cost, extract(epoch FROM clock_timestamp() - coalesce(ended_at, answer_by))::float8 AS ended_ago
  FROM attempt
 WHERE account_id = $1 AND claimed_at > now() - make_interval(secs => $2) - interval '10 min'
   AND coalesce(ended_at, answer_by) > clock_timestamp() - make_interval(secs => $2)
 UNION ALL
SELECT NULL, cost, extract(epoch FROM clock_timestamp() - coalesce(ended_at, answer_by))::float8
  FROM exchange
 WHERE account_id = $1 AND begun_at > now() - make_interval(secs => $2) - interval '10 min'
   AND coalesce(ended_at, answer_by) > clock_timestamp() - make_interval(secs => $2)";

const FREEZES: &str = "
SELECT freeze_scope, extract(epoch FROM max(freeze_until) - clock_timestamp())::float8 AS remaining
  FROM (SELECT freeze_scope, freeze_until FROM attempt WHERE account_id = $1 AND freeze_until > clock_timestamp()
         UNION ALL
        SELECT 'account', freeze_until FROM exchange WHERE account_id = $1 AND freeze_until > clock_timestamp()) f
 GROUP BY freeze_scope";

/// For the test that reads the plans.
#[cfg(test)]
pub(super) const HOT: &[&str] = &[WRITE_BY, SLOTS, FREEZES];

/// Connections that a takeover uses at once.
const WARM: usize = 3;

impl Database {
    /// Opens what a takeover needs, prepares its statements and reads once: with cold connections and plans it takes ten times
    /// as long.
    pub async fn warm_up(&self, account: AccountId) -> Result<(), StoreError> {
        self.within(async {
            let connections = try_join_all((0..WARM).map(|_| self.connection())).await?;
            for connection in connections {
                for sql in [lease::TAKEOVER, exchanges::HOT, heads::HOT, claim::HOT, sender::HOT].concat() {
                    connection.prepare_cached(sql).await?;
                }
                read(&*connection, account, Epoch(0), Duration::ZERO).await?;
                connection.done();
            }
            Ok(())
        })
        .await
    }

    /// Reads what tenures before `epoch` left behind; `span` is the longest window of the platform's limits. One round trip:
    /// nobody sends meanwhile.
    pub async fn left_behind(
        &self,
        account: AccountId,
        epoch: Epoch,
        span: Duration,
    ) -> Result<LeftBehind, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let left = read(&*connection, account, epoch, span).await?;
            connection.done();
            Ok(left)
        })
        .await
    }

    /// What the platform told any tenure to hold back and has not ended yet.
    pub async fn freezes(&self, account: AccountId) -> Result<Vec<Freeze>, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let statement = connection.prepare_cached(FREEZES).await?;
            let rows = connection.query(&statement, &[&account.0]).await?;
            connection.done();
            Ok(rows.iter().filter_map(freeze).collect())
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

/// What `left_behind` reads; `connection` may be a transaction that decides by it.
pub(super) async fn read(
    connection: &impl deadpool_postgres::GenericClient,
    account: AccountId,
    epoch: Epoch,
    span: Duration,
) -> Result<LeftBehind, StoreError> {
    let (write_by, slots, freezes) = try_join3(
        connection.prepare_cached(WRITE_BY),
        connection.prepare_cached(SLOTS),
        connection.prepare_cached(FREEZES),
    )
    .await?;
    let seconds = span.as_secs_f64();
    let of_epoch: [&(dyn ToSql + Sync); 2] = [&account.0, &epoch.0];
    let of_span: [&(dyn ToSql + Sync); 2] = [&account.0, &seconds];
    let of_account: [&(dyn ToSql + Sync); 1] = [&account.0];
    let (write_by, slots, freezes) = try_join3(
        connection.query_one(&write_by, &of_epoch),
        connection.query(&slots, &of_span),
        connection.query(&freezes, &of_account),
    )
    .await?;
    Ok(LeftBehind {
        write_by: write_by.get::<_, Option<f64>>(0).filter(|s| *s > 0.0).map(Duration::from_secs_f64),
        slots: slots.iter().map(slot).collect(),
        freezes: freezes.iter().filter_map(freeze).collect(),
    })
}

fn slot(row: &Row) -> SlotHistory {
    SlotHistory {
        chat_key: row.get("chat_key"),
        cost: row.get::<_, i32>("cost").max(1) as usize,
        ended_ago: row.get("ended_ago"),
    }
}

fn freeze(row: &Row) -> Option<Freeze> {
    let scope = FreezeScope::from_column(row.get("freeze_scope"))?;
    Some(Freeze { scope, remaining: Duration::from_secs_f64(row.get::<_, f64>("remaining").max(0.0)) })
}
