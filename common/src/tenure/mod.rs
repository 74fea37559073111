//! Tenure: which of an account's connectors is active, and in which epoch.
//!
//! # Who is authoritative
//!
//! The **lease row** in Postgres is the tenure. ZooKeeper only says who should try, and when. Being
//! elected is never permission to send: permission is a claim under the epoch, checked under the lease
//! row's lock (`store::sender`). So a wrong takeover costs a flap, never a double.
//!
//! ```text
//!             lease released or stale, compare-and-set on the epoch
//!   standby ──────────────────────────────────────────────────────> active
//!      ^                                                              │ renews every T/4
//!      └──── renewal changes no row: another raised the epoch ────────┤
//!                                                                     └─ shutdown: drain, release
//! ```
//!
//! # When may a candidate raise the epoch
//!
//! | its place among the candidates | lease released | lease not renewed for |
//! |---|---|---|
//! | lowest, or ZooKeeper is away | yes | T/2 when lowest, 2T when ZooKeeper is away |
//! | not the lowest | not before 2T | 2T |
//!
//! * After a kill the lease is stale (T/2) before the znode goes (T): a takeover takes about T.
//! * 2T for anyone means that a dead ensemble, or a hung process with a living session, delays a takeover
//!   but cannot prevent it.
//! * Staleness is judged only T/2 after one's own connection to Postgres came (back): after a restart of
//!   the database every lease looks stale, and the incumbent must have had its chance to renew.
//!
//! # What the new active does
//!
//! It waits until no foreign call can write a byte any more (`store::takeover::foreign_write_by`), rebuilds
//! the limiter, and only then opens. `connectors::sender` does this.

mod candidate;

pub use candidate::candidates;

use std::time::Duration;

use crate::ensemble::Ensemble;
use crate::model::{AccountId, AccountName, Epoch};
use crate::service::clock::Moment;
use crate::service::metrics::TENURE_CHANGES;
use crate::service::shutdown::Shutdown;
use crate::store::{Database, Lease, StoreError};
use candidate::{Candidate, Standing};

/// A connector's claim to be active, tenure after tenure.
pub struct Tenures {
    account: AccountId,
    holder: String,
    database: Database,
    candidate: Candidate,
    timeout: Duration,
    shutdown: Shutdown,
    /// Since when Postgres has answered without interruption.
    answering: Option<Moment>,
}

/// One term as active.
pub struct Tenure {
    /// Its number: every write carries it.
    pub epoch: Epoch,
    /// Ends when the tenure is lost, or with the process.
    pub ending: Shutdown,
    account: AccountId,
    database: Database,
}

impl Tenures {
    /// Makes a candidate for `account`. `holder` names this process; `timeout` is T, the session timeout.
    pub fn new(
        (account, name): (AccountId, &AccountName),
        holder: String,
        database: Database,
        ensemble: &Ensemble,
        timeout: Duration,
        shutdown: &Shutdown,
    ) -> Self {
        let candidate = Candidate::stand(ensemble, name, &holder, shutdown);
        Self { account, holder, database, candidate, timeout, shutdown: shutdown.clone(), answering: None }
    }

    /// Waits, as standby, for the next tenure; `None` when the process stops first.
    pub async fn next(&mut self) -> Option<Tenure> {
        while !self.shutdown.has_begun() {
            match self.attempt().await {
                Ok(Some(epoch)) => return Some(self.begin(epoch)),
                Ok(None) => {}
                Err(error) => {
                    self.answering = None;
                    tracing::debug!(%error, "the lease could not be read; still standby");
                }
            }
            // A change among the candidates is looked at once, a lease that goes stale within T/8.
            tokio::select! {
                () = self.candidate.changed() => {}
                _ = self.shutdown.pause(self.timeout / 8) => {}
            }
        }
        None
    }

    async fn attempt(&mut self) -> Result<Option<Epoch>, StoreError> {
        let lease = self.database.lease(self.account).await?;
        let answering = *self.answering.get_or_insert_with(Moment::now);
        let Some(stale) = self.allowed_staleness(&lease, answering) else { return Ok(None) };
        let raised = self.database.raise_lease(self.account, &self.holder, lease.epoch, stale).await?;
        Ok(raised.map(|raised| raised.epoch))
    }

    /// How stale an unreleased lease must be for this candidate to raise it now; `None`: not now.
    fn allowed_staleness(&self, lease: &Lease, answering: Moment) -> Option<Duration> {
        let standing = self.candidate.standing();
        let stale = lease.stale.unwrap_or(Duration::MAX);
        if lease.released && standing != Standing::Behind {
            return Some(self.timeout * 2);
        }
        if answering.elapsed() < self.timeout / 2 {
            return None;
        }
        let needed = if standing == Standing::Lowest { self.timeout / 2 } else { self.timeout * 2 };
        (stale > needed).then_some(needed)
    }

    fn begin(&self, epoch: Epoch) -> Tenure {
        tracing::info!(epoch = epoch.0, holder = self.holder, "active");
        metrics::counter!(TENURE_CHANGES).increment(1);
        let ending = self.shutdown.child();
        let tenure = Tenure { epoch, ending: ending.clone(), account: self.account, database: self.database.clone() };
        let (database, account, interval) = (self.database.clone(), self.account, self.timeout / 4);
        self.shutdown.spawn(async move {
            while ending.pause(interval).await {
                match database.renew_lease(account, epoch).await {
                    Ok(true) => {}
                    Ok(false) => {
                        tracing::warn!(epoch = epoch.0, "the tenure is over: another connector has raised the epoch");
                        ending.begin();
                    }
                    // No permission follows from this: claims are judged one by one.
                    Err(error) => tracing::warn!(%error, "the lease could not be renewed"),
                }
            }
        });
        tenure
    }
}

impl Tenure {
    /// Gives the tenure up in order, after everything in flight has ended.
    pub async fn release(self) {
        self.ending.begin();
        match self.database.release_lease(self.account, self.epoch).await {
            Ok(()) => tracing::info!(epoch = self.epoch.0, "released"),
            Err(error) => {
                tracing::warn!(%error, "the lease could not be released; a successor waits until it is stale")
            }
        }
    }
}
