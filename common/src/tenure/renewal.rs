//! One tenure's lease is renewed until it ends.

use std::time::Duration;

use tokio::sync::watch;

use super::candidate::{Candidate, Standing};
use super::memory::{Found, Memory, Reader};
use super::{GLANCE, Pulse, bounded, noted};
use crate::faults::{Sabotage, sabotaged};
use crate::model::{AccountId, Epoch};
use crate::service::shutdown::Shutdown;
use crate::store::{Database, Renewed, StoreError};

/// Renews the lease of one tenure until it ends.
pub(super) struct Renewal {
    pub(super) account: AccountId,
    pub(super) epoch: Epoch,
    pub(super) database: Database,
    pub(super) candidate: Candidate,
    pub(super) memory: Memory,
    pub(super) timeout: Duration,
    pub(super) shutdown: Shutdown,
    pub(super) ending: Shutdown,
    pub(super) over: Shutdown,
    pub(super) renewed: watch::Sender<bool>,
    pub(super) versions: watch::Sender<i64>,
}

impl Renewal {
    pub(super) async fn run(self) {
        let mut pulse = Pulse::new();
        while !self.over.has_begun() {
            tokio::select! {
                _ = self.over.pause(self.timeout / 4) => {}
                () = self.shutdown.wait(), if !self.ending.has_begun() => {
                    let told = self.database.ask_for_handover(self.account, self.epoch);
                    if let Err(error) = bounded(self.timeout / 2, told).await {
                        tracing::debug!(%error, "a standby could not be told");
                    }
                    self.step_back().await;
                    continue;
                }
            }
            if self.over.has_begun() {
                return;
            }
            match self.renewed().await {
                Ok(renewed) => {
                    pulse.beats();
                    let lost = renewed == Renewed::Lost;
                    self.heard(renewed).await;
                    if lost && self.ending.has_begun() {
                        return;
                    }
                }
                // No permission follows from this: claims are judged one by one.
                Err(error) => {
                    tracing::warn!(%error, "the lease could not be renewed");
                    let silent = pulse.misses() > self.timeout / 2;
                    self.candidate.stand_if(!silent);
                    self.renewed.send_replace(!silent);
                }
            }
        }
    }

    /// Renews the lease, and looks at a server where that is done for the first time.
    async fn renewed(&self) -> Result<Renewed, StoreError> {
        let renewed = bounded(self.timeout / 2, self.database.renew_lease(self.account, self.epoch)).await?;
        if let Renewed::Ours { whereabouts, .. } = &renewed {
            if self.memory.doubts(whereabouts, Reader::Incumbent)
                && self.memory.look(whereabouts, Reader::Incumbent).await? == Found::SetBack
            {
                return Ok(Renewed::Lost);
            }
            self.memory.tell(&whereabouts.mark);
        }
        Ok(renewed)
    }

    /// Goes on until a standby has seen that its turn comes; then the tenure ends.
    async fn step_back(&self) {
        self.over.pause(self.timeout / 8 + GLANCE).await;
        self.ending.begin();
    }

    async fn heard(&self, renewed: Renewed) {
        self.candidate.stand_if(true);
        if sabotaged(Sabotage::PermissionByZooKeeper) {
            if self.candidate.standing() == Standing::Behind {
                self.ending.begin();
            }
            return; // goes on for as long as it believes in its node
        }
        match renewed {
            Renewed::Ours { version, .. } => {
                self.renewed.send_replace(true);
                noted(&self.versions, version);
            }
            Renewed::HandOver if !self.ending.has_begun() => {
                tracing::info!(epoch = self.epoch.0, "asked to hand over");
                self.step_back().await;
            }
            Renewed::Lost if !self.over.has_begun() => {
                tracing::warn!(epoch = self.epoch.0, "the tenure is over: another connector has raised the epoch");
                self.ending.begin();
            }
            Renewed::Disabled if !self.ending.has_begun() => {
                tracing::warn!(epoch = self.epoch.0, "the account is disabled: its tenure ends");
                self.ending.begin();
            }
            Renewed::HandOver | Renewed::Lost | Renewed::Disabled => {}
        }
    }
}
