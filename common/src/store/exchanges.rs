//! Exchanges with the platform that are no attempts of parts: written down before the call, so that a successor's limiter
//! counts them.

use std::time::Duration;

use super::takeover::{self, LeftBehind};
use super::{Database, Raise, StoreError, lease};
use crate::model::{AccountId, Epoch};

/// Names an exchange inside its account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExchangeId(i64);

/// What became of an exchange that no connector makes.
#[derive(Debug)]
pub enum Unheld<R, F> {
    /// It is noted, and may begin; what was taken for it.
    Noted(ExchangeId, R),
    /// There is no room for it. Nothing was changed.
    Full(F),
    /// A connector holds the lease, and alone may begin one. Nothing was changed.
    Held,
}

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

// Waits for claims in progress, and whoever raises the epoch waits for us.
const HOLD: &str = "
SELECT epoch, released OR renewed_at IS NULL AS free FROM account_lease WHERE account_id = $1 FOR UPDATE";

pub(super) const HOT: &[&str] = &[BEGIN, END, PRUNE];

/// What a program beside the connectors runs; for the test that reads the rights.
#[cfg(test)]
pub(super) const UNHELD: &[&str] = &[HOLD, BEGIN, END];

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

    /// Notes an exchange, as [`begin_exchange`](Self::begin_exchange) does, of a program that is no connector: only while nobody
    /// holds the lease. One transaction holds the lease row, reads what a new tenure would count in windows up to `window`, and
    /// has `room` decide by that. So whoever begins a tenure meanwhile waits, and then counts this exchange, and of two programs
    /// the second counts the first.
    ///
    /// Without `raise` the lease must have been released. With it, one that its rule allows to raise is taken and given back at
    /// once: whoever held it may only be frozen, and goes on with a limiter that knows nothing of this exchange. Not after this.
    pub async fn begin_unheld_exchange<R, F>(
        &self,
        account: AccountId,
        raise: Option<&Raise<'_>>,
        (cost, span): (usize, Duration),
        window: Duration,
        room: impl FnOnce(&LeftBehind) -> Result<R, F>,
    ) -> Result<Unheld<R, F>, StoreError> {
        self.within(async {
            let mut connection = self.connection().await?;
            let transaction = connection.transaction().await?;
            let row = transaction.query_one(HOLD, &[&account.0]).await?;
            let free: bool = row.get("free");
            let epoch = match raise.filter(|_| !free) {
                None => free.then(|| Epoch(row.get("epoch"))),
                Some(raise) => lease::raised(&transaction, account, raise).await?,
            };
            let Some(epoch) = epoch else {
                transaction.rollback().await?;
                connection.done();
                return Ok(Unheld::Held);
            };
            if !free {
                transaction.execute(lease::RELEASE, &[&account.0, &epoch.0]).await?;
            }
            let left = takeover::read(&transaction, account, Epoch(epoch.0 + 1), window).await?;
            let taken = match room(&left) {
                Ok(taken) => taken,
                Err(full) => {
                    transaction.rollback().await?;
                    connection.done();
                    return Ok(Unheld::Full(full));
                }
            };
            let (cost, seconds) = (i32::try_from(cost).unwrap_or(i32::MAX), span.as_secs_f64());
            let row = transaction.query_one(BEGIN, &[&account.0, &epoch.0, &seconds, &cost]).await?;
            let id = ExchangeId(row.get(0));
            transaction.commit().await?;
            connection.done();
            Ok(Unheld::Noted(id, taken))
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
