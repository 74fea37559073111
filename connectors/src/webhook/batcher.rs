//! Many requests, few commits: whatever has queued while the last batch was stored goes into the next one. Nobody waits for
//! a batch to fill.

use std::sync::Arc;

use async_trait::async_trait;
use switchboard_common::faults::{Sabotage, sabotaged};
use switchboard_common::model::RawUpdate;
use switchboard_common::service::shutdown::Shutdown;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

/// Requests that may wait for the next batch.
const WAITING: usize = 512;
/// Updates of one transaction.
const BATCH: usize = 100;

/// Puts updates where they are safe.
#[async_trait]
pub(super) trait Store: Send + Sync + 'static {
    /// Whether all of `updates` were committed. False: perhaps they were not.
    async fn store(&self, updates: &[RawUpdate]) -> bool;
}

/// Where requests bring their updates.
#[derive(Clone)]
pub(super) struct Batcher {
    queue: mpsc::Sender<Delivery>,
}

struct Delivery {
    updates: Vec<RawUpdate>,
    answer: Answer,
}

/// Whom to tell, and the room that the updates take until they are stored or not: also when nobody waits any more.
struct Answer {
    stored: oneshot::Sender<bool>,
    _space: OwnedSemaphorePermit,
}

/// The updates are not known to be stored: the platform must bring them again.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotStored {
    /// Too much is waiting.
    Full,
    /// The database did not say that they are.
    Unknown,
}

impl Batcher {
    /// Starts it; it ends when nobody can bring updates any more.
    pub fn start(store: Arc<dyn Store>, shutdown: &Shutdown) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING);
        shutdown.spawn(run(store, waiting));
        Self { queue }
    }

    /// Returns once the updates are committed. They take `space` as long as they are held here.
    pub async fn store(&self, updates: Vec<RawUpdate>, space: OwnedSemaphorePermit) -> Result<(), NotStored> {
        let (stored, done) = oneshot::channel();
        let answer = Answer { stored, _space: space };
        self.queue.try_send(Delivery { updates, answer }).map_err(|_| NotStored::Full)?;
        match done.await {
            Ok(true) => Ok(()),
            _ => Err(NotStored::Unknown),
        }
    }
}

async fn run(store: Arc<dyn Store>, mut waiting: mpsc::Receiver<Delivery>) {
    while let Some(first) = waiting.recv().await {
        let mut updates = first.updates;
        let mut answers = vec![first.answer];
        while updates.len() < BATCH {
            let Ok(next) = waiting.try_recv() else { break };
            updates.extend(next.updates);
            answers.push(next.answer);
        }
        if sabotaged(Sabotage::AckBeforeCommit) {
            tell(answers.drain(..), true);
        }
        let stored = store.store(&updates).await;
        drop(updates);
        tell(answers.into_iter(), stored);
    }
}

fn tell(answers: impl Iterator<Item = Answer>, stored: bool) {
    for answer in answers {
        // Whoever has gone meanwhile will bring its updates again.
        let _ = answer.stored.send(stored);
    }
}

#[cfg(test)]
#[path = "batcher_tests.rs"]
mod tests;
