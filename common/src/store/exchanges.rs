//! Exchanges with the platform that are no attempts of parts: written down before the call, so that a successor's limiter
//! counts them.

use std::time::Duration;

use super::{Database, StoreError};
use crate::model::{AccountId, Epoch};

/// Names an exchange inside its account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExchangeId(i64);

// Under the epoch, as a claim is: one that is older than the limiter of a successor would be a call that nobody counts.
const BEGIN: &str = "
WITH me AS MATERIALIZED (SELECT account_id FROM account_lease WHERE account_id = $1 AND epoch = $2 FOR SHARE)
INSERT INTO exchange (account_id, answer_by, cost)
SELECT account_id, clock_timestamp() + make_interval(secs => $3), $4 FROM me RETURNING id";

const END: &str = "
UPDATE exchange SET ended_at = clock_timestamp(), freeze_until = clock_timestamp() + make_interval(secs => $3)
 WHERE account_id = $1 AND id = $2";

// An answer is waited for ten minutes at most.
const PRUNE: &str = "
DELETE FROM exchange WHERE account_id = $1 AND begun_at < now() - make_interval(secs => $2) - interval '10 min'
   AND coalesce(freeze_until < now(), true)";

pub(super) const HOT: &[&str] = &[BEGIN, END, PRUNE];

impl Database {
    /// Notes an exchange that is about to begin and whose answer nobody awaits for longer than `span`; `None` when the tenure
    /// is over: it must not begin.
    pub async fn begin_exchange(
        &self,
        account: AccountId,
        epoch: Epoch,
        cost: usize,
        span: Duration,
    ) -> Result<Option<ExchangeId>, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let begin = connection.prepare_cached(BEGIN).await?;
            let (cost, seconds) = (i32::try_from(cost).unwrap_or(i32::MAX), span.as_secs_f64());
            let row = connection.query_opt(&begin, &[&account.0, &epoch.0, &seconds, &cost]).await?;
            connection.done();
            Ok(row.map(|row| ExchangeId(row.get(0))))
        })
        .await
    }

    /// Notes that an exchange was answered, and for how long the account is to pause when the answer said so.
    pub async fn end_exchange(
        &self,
        account: AccountId,
        id: ExchangeId,
        pause: Option<Duration>,
    ) -> Result<(), StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let end = connection.prepare_cached(END).await?;
            let seconds = pause.map(|pause| pause.as_secs_f64());
            connection.execute(&end, &[&account.0, &id.0, &seconds]).await?;
            connection.done();
            Ok(())
        })
        .await
    }

    /// Removes exchanges that no limit with a window up to `span` remembers.
    pub async fn prune_exchanges(&self, account: AccountId, span: Duration) -> Result<u64, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let prune = connection.prepare_cached(PRUNE).await?;
            let pruned = connection.execute(&prune, &[&account.0, &span.as_secs_f64()]).await?;
            connection.done();
            Ok(pruned)
        })
        .await
    }
}
