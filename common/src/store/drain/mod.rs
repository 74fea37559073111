//! From `pending` into the chats' logs: one transaction per batch.
//!
//! The batch is the oldest 400 pending rows, less those of chats that somebody else holds. The chats are locked in
//! id order, skipping locked ones; then **the delete is the claim**: its snapshot may be older than a chat's lock,
//! and then a row that another drainer took is gone and not returned, while the locked chat row shows its newest
//! `last_seq`. So numbers come from the locked row only, and any number of chatservers may drain at once.
//! Feeds are locked last, in id order. Running a batch again after an unknown commit is safe for the same reason.
//!
//! A row that cannot be read is moved to quarantine in the same transaction: it never stops the others.

mod gather;
mod newcomers;
mod parse;
mod route;
mod take;
mod write;

use super::{Database, StoreError};

/// For tests that read them.
#[cfg(any(test, feature = "testkit"))]
pub(super) fn hot() -> Vec<&'static str> {
    [take::HOT, gather::HOT, newcomers::HOT, write::HOT].concat()
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Pending rows taken.
    pub taken: usize,
    /// Entries appended.
    pub entries: usize,
    /// Rows put aside because this version cannot read them.
    pub quarantined: usize,
    /// Rows of chats that do not exist yet: let [`Database::meet_newcomers`] make them.
    pub unknown: usize,
    /// Rows left because somebody else holds their chat just now: look again soon.
    pub skipped: usize,
}

impl Drained {
    /// Whether all that was pending when it was looked at has been taken. What came later has a doorbell of its own, and whoever
    /// was refused a chat that this batch held looks again by itself.
    pub fn is_all(&self) -> bool {
        self.skipped == 0 && self.unknown == 0 && self.taken < take::LOOKED_AT
    }
}

impl Database {
    /// Takes one batch of pending rows into the logs and feeds.
    pub async fn drain_batch(&self) -> Result<Drained, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let (work, batch) = take::take(connection).await?;
            let mut drained = Drained {
                taken: batch.rows.len(),
                unknown: batch.unknown,
                skipped: batch.skipped,
                ..Drained::default()
            };
            if batch.rows.is_empty() {
                work.rollback().await?;
                return Ok(drained);
            }
            let (items, unreadable) = parse::items(&batch);
            let known = gather::gather(work.client(), &batch, &items).await?;
            let plan = route::route(batch, items, known);
            drained.entries = plan.entries.len();
            drained.quarantined = unreadable.len();
            write::write(work.client(), &plan).await?;
            write::quarantine(work.client(), &unreadable).await?;
            work.commit().await?;
            Ok(drained)
        })
        .await
    }
}
