//! The tenure row: who is active, in which epoch, and since when it was last renewed.
//!
//! Raised by compare-and-set. The update waits for claims in progress (they hold the row `FOR SHARE`), so
//! after it no claim of an earlier epoch can commit.

use std::time::Duration;

use super::{Database, StoreError};
use crate::model::{AccountId, Epoch};

/// The lease as seen by a candidate.
#[derive(Clone, Debug)]
pub struct Lease {
    /// Number of the present or last tenure.
    pub epoch: Epoch,
    /// Who holds or held it.
    pub holder: Option<String>,
    /// The holder gave it up in order.
    pub released: bool,
    /// Time since the last renewal by the database's clock; `None` when never renewed.
    pub stale: Option<Duration>,
}

/// A tenure begun.
#[derive(Clone, Copy, Debug)]
pub struct Raised {
    /// Its number.
    pub epoch: Epoch,
}

impl Database {
    /// Reads the lease.
    pub async fn lease(&self, account: AccountId) -> Result<Lease, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let statement = connection
                .prepare_cached(
                    "SELECT epoch, holder, released,
                            extract(epoch FROM clock_timestamp() - renewed_at)::float8 AS stale
                       FROM account_lease WHERE account_id = $1",
                )
                .await?;
            let row = connection.query_one(&statement, &[&account.0]).await?;
            connection.done();
            Ok(Lease {
                epoch: Epoch(row.get("epoch")),
                holder: row.get("holder"),
                released: row.get("released"),
                stale: row.get::<_, Option<f64>>("stale").map(|seconds| Duration::from_secs_f64(seconds.max(0.0))),
            })
        })
        .await
    }

    /// Begins a tenure: allowed when nobody raised it since `seen`, and the incumbent released it or has
    /// not renewed it for `stale`. `None`: the incumbent lives, or another was first.
    pub async fn raise_lease(
        &self,
        account: AccountId,
        holder: &str,
        seen: Epoch,
        stale: Duration,
    ) -> Result<Option<Raised>, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let row = connection
                .query_opt(
                    "UPDATE account_lease
                        SET epoch = epoch + 1, holder = $2, released = false,
                            renewed_at = clock_timestamp(), since = clock_timestamp()
                      WHERE account_id = $1 AND epoch = $3
                        AND (released OR renewed_at IS NULL
                             OR renewed_at < clock_timestamp() - make_interval(secs => $4))
                  RETURNING epoch",
                    &[&account.0, &holder, &seen.0, &stale.as_secs_f64()],
                )
                .await?;
            connection.done();
            Ok(row.map(|row| Raised { epoch: Epoch(row.get(0)) }))
        })
        .await
    }

    /// Renews the tenure; false when it is over.
    pub async fn renew_lease(&self, account: AccountId, epoch: Epoch) -> Result<bool, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let statement = connection
                .prepare_cached(
                    "UPDATE account_lease SET renewed_at = clock_timestamp()
                      WHERE account_id = $1 AND epoch = $2 AND NOT released",
                )
                .await?;
            let changed = connection.execute(&statement, &[&account.0, &epoch.0]).await?;
            connection.done();
            Ok(changed == 1)
        })
        .await
    }

    /// Gives the tenure up in order, so that a successor need not wait.
    pub async fn release_lease(&self, account: AccountId, epoch: Epoch) -> Result<(), StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            connection
                .execute(
                    "UPDATE account_lease SET released = true WHERE account_id = $1 AND epoch = $2",
                    &[&account.0, &epoch.0],
                )
                .await?;
            connection.done();
            Ok(())
        })
        .await
    }
}
