//! Until when the bytes of a call may be written.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use switchboard_common::service::clock::Moment;

/// The fence of a claim: no byte is written after it. Whoever holds the claim may move it ahead, once the database has
/// (docs/decisions/0007-write-by-of-uploads.md); all clones are one.
#[derive(Clone, Debug)]
pub struct Fence(Arc<Mutex<Moment>>);

impl Fence {
    /// A fence at `end`.
    pub fn at(end: Moment) -> Self {
        Self(Arc::new(Mutex::new(end)))
    }

    /// Where it is now.
    pub fn end(&self) -> Moment {
        *self.lock()
    }

    /// Whether bytes may be written now.
    pub fn is_ahead(&self) -> bool {
        self.end().is_ahead()
    }

    /// Moves it; never back.
    pub fn extend(&self, end: Moment) {
        let mut now = self.lock();
        *now = end.max(*now);
    }

    /// Waits until it has passed, wherever it is moved meanwhile.
    pub async fn passed(&self) {
        while self.is_ahead() {
            tokio::time::sleep(self.end().remaining()).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Moment> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
