//! What a new tenure does before its first send.

use std::time::Duration;

use switchboard_common::faults::{Sabotage, point, sabotaged};
use switchboard_common::model::Epoch;
use switchboard_common::service::shutdown::Shutdown;
use switchboard_common::store::StoreError;

use super::Sender;
use crate::limiter::Limiter;

impl Sender {
    /// Waits until no call of an earlier tenure can write a byte, and rebuilds the limiter; `None` when the
    /// tenure ends first. What earlier tenures left unanswered is shown as unconfirmed at its `answer_by`.
    pub(super) async fn recover(&self, epoch: Epoch, ending: &Shutdown) -> Option<Limiter> {
        while !ending.has_begun() {
            match self.recovered(epoch, ending).await {
                Ok(limiter) => return limiter,
                Err(error) => {
                    tracing::warn!(%error, "the state of earlier tenures could not be read");
                    ending.pause(Duration::from_millis(300)).await;
                }
            }
        }
        None
    }

    async fn recovered(&self, epoch: Epoch, ending: &Shutdown) -> Result<Option<Limiter>, StoreError> {
        let account = self.account.id;
        let mut limiter = Limiter::new(&self.limits);
        let left = loop {
            let left = self.database.left_behind(account, epoch, limiter.longest_window()).await?;
            let Some(span) = left.write_by else { break left };
            tracing::info!(ms = span.as_millis() as u64, "waiting for calls of an earlier tenure");
            if !ending.pause(span).await {
                return Ok(None);
            }
        };
        point("L3");
        if !sabotaged(Sabotage::LimiterNotRestored) {
            limiter.restore(&left.slots, &left.freezes, |chat| self.platform.scope(chat));
        }
        self.database.open_tenure(account, epoch).await?;
        point("L4");
        Ok(Some(limiter))
    }
}
