//! What an account's platform told the active connector: of itself, and of where it delivers. One row an account, written under the
//! epoch. It is data here: what is in it, the connector knows.

use std::time::Duration;

use serde_json::Value;

use super::{Database, StoreError};
use crate::model::{AccountId, Epoch};

/// What was written down last.
#[derive(Clone, Debug)]
pub struct Registered {
    /// The tenure that asked.
    pub epoch: Epoch,
    /// How long ago that was, by the database's clock.
    pub age: Duration,
    /// What the platform said.
    pub said: Value,
}

// Under the epoch, as a claim is: what an earlier active learns late replaces nothing.
const NOTE: &str = "
WITH me AS MATERIALIZED (SELECT account_id, epoch FROM account_lease WHERE account_id = $1 AND epoch = $2 FOR SHARE)
INSERT INTO registration (account_id, epoch, checked_at, said)
SELECT account_id, epoch, clock_timestamp(), $3 FROM me
    ON CONFLICT (account_id) DO UPDATE SET epoch = excluded.epoch, checked_at = excluded.checked_at, said = excluded.said";

const READ: &str = "
SELECT epoch, said, extract(epoch FROM clock_timestamp() - checked_at)::float8 AS age FROM registration WHERE account_id = $1";

/// For the tests that read plans and rights.
#[cfg(test)]
pub(super) const HOT: &[&str] = &[NOTE, READ];

impl Database {
    /// Writes down what the platform said to the tenure `epoch`; false when that is over, and nothing is written.
    pub async fn note_registration(&self, account: AccountId, epoch: Epoch, said: &Value) -> Result<bool, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let noted = connection.execute(NOTE, &[&account.0, &epoch.0, said]).await?;
            connection.done();
            Ok(noted == 1)
        })
        .await
    }

    /// What the platform said last; `None`: no active connector has written anything down yet.
    pub async fn registration(&self, account: AccountId) -> Result<Option<Registered>, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let row = connection.query_opt(READ, &[&account.0]).await?;
            connection.done();
            Ok(row.map(|row| Registered {
                epoch: Epoch(row.get("epoch")),
                age: Duration::from_secs_f64(row.get::<_, f64>("age").max(0.0)),
                said: row.get("said"),
            }))
        })
        .await
    }
}
