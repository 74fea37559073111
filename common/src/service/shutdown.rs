//! One way to stop: every loop selects on [`Shutdown::wait`], every task is tracked.

use std::future::Future;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tokio_util::task::TaskTracker;

/// Tells tasks to end and knows when they have.
#[derive(Clone, Default)]
pub struct Shutdown {
    token: CancellationToken,
    tracker: TaskTracker,
}

impl Shutdown {
    /// A shutdown that begins when the process gets SIGTERM or SIGINT.
    pub fn on_signals() -> std::io::Result<Self> {
        let shutdown = Self::default();
        let mut term = signal(SignalKind::terminate())?;
        let mut int = signal(SignalKind::interrupt())?;
        let token = shutdown.token.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
                _ = token.cancelled() => {}
            }
            token.cancel();
        });
        Ok(shutdown)
    }

    /// Begins the shutdown.
    pub fn begin(&self) {
        self.token.cancel();
    }

    /// Whether the shutdown has begun.
    pub fn has_begun(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Resolves when the shutdown begins. Cancel safe.
    pub fn wait(&self) -> WaitForCancellationFuture<'_> {
        self.token.cancelled()
    }

    /// Sleeps, unless the shutdown begins first; true when the whole time passed.
    pub async fn pause(&self, span: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(span) => true,
            () = self.wait() => false,
        }
    }

    /// A part of this shutdown that can also be ended by itself. Its tasks are this one's tasks.
    pub fn child(&self) -> Self {
        Self { token: self.token.child_token(), tracker: self.tracker.clone() }
    }

    /// A part that ends only by itself. Its tasks are this one's tasks.
    pub fn apart(&self) -> Self {
        Self { token: CancellationToken::new(), tracker: self.tracker.clone() }
    }

    /// Starts a tracked task.
    pub fn spawn<F>(&self, task: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tracker.spawn(task)
    }

    /// Waits until every tracked task has ended, at most `limit`; false when some had to be left.
    pub async fn drained(&self, limit: Duration) -> bool {
        self.tracker.close();
        tokio::time::timeout(limit, self.tracker.wait()).await.is_ok()
    }
}
