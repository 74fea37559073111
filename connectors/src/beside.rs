//! Questions to the platform by a program beside the connector that serves the account.
//!
//! The active's limiter is in its memory and learns of nobody else. So whoever asks beside it waits for a quiet moment, by what
//! the tables tell of every exchange: at most half of each limit is used. The question is noted under the epoch as any exchange
//! is, so that a successor counts it, and so is a pause that the platform asks for.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use switchboard_common::model::Epoch;
use switchboard_common::service::clock::Moment;
use switchboard_common::store::{Account, Database, StoreError};
use tokio::sync::watch;

use crate::exchanges::{Exchanges, NoPermit, Permit};
use crate::limiter::Limiter;
use crate::platform::{Limit, Platform};

/// So long what was read is believed.
const BELIEVED: Duration = Duration::from_millis(200);

/// Why nothing can be asked now.
#[derive(Debug, thiserror::Error)]
pub enum NotNow {
    /// More than half of a limit is in use, or the platform asked for a pause.
    #[error("the account uses more than half of its limits, or pauses")]
    Busy,
    /// It could not be looked at or noted.
    #[error("the exchange could not be noted: {0}")]
    Unnoted(#[from] StoreError),
}

/// Waits, at most for `patience`, until exchanges that cost `cost` slots hinder nobody, and notes them.
pub async fn permit(
    database: &Database,
    account: &Account,
    (platform, limits): (&dyn Platform, &[Limit]),
    cost: usize,
    patience: Duration,
) -> Result<Permit, NotNow> {
    let half = |limit: &Limit| Limit { count: (limit.count / 2).max(1), ..*limit };
    let limits: Vec<Limit> = limits.iter().map(half).collect();
    let end = Moment::now() + patience;
    loop {
        let epoch = database.lease(account.id).await?.epoch;
        let mut limiter = Limiter::new(&limits);
        let left = database.left_behind(account.id, Epoch(epoch.0 + 1), limiter.longest_window()).await?;
        limiter.restore(&left.slots, &left.freezes, |chat| platform.scope(chat));
        let (_, limiter) = watch::channel(Some(Arc::new(Mutex::new(limiter))));
        let exchanges = Exchanges { account: account.id, epoch, database: database.clone(), limiter };
        match tokio::time::timeout(BELIEVED, exchanges.permit(cost)).await {
            Ok(Ok(permit)) => return Ok(permit),
            Ok(Err(NoPermit::Unnoted(error))) => return Err(error.into()),
            // Another is active by now, or there is no room by what was read: read it again.
            Ok(Err(NoPermit::Over)) | Err(_) if end.is_ahead() => {}
            Ok(Err(NoPermit::Over)) | Err(_) => return Err(NotNow::Busy),
        }
    }
}

#[cfg(test)]
#[path = "beside_tests.rs"]
mod tests;
