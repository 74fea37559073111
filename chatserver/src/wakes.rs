//! One doorbell, two readers: the drain looks at pending rows, the relay at feeds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use switchboard_common::doorbell::{Listener, Woken};
use switchboard_common::service::shutdown::Shutdown;
use tokio::sync::Notify;

/// Wakes inside this process. They merge, and one that comes before the wait is not missed.
#[derive(Default)]
pub(crate) struct Wakes {
    /// There may be pending rows.
    pub(crate) drain: Notify,
    /// There may be feed entries, or a session has room again.
    pub(crate) relay: Notify,
    /// Something may have been said in passing.
    pub(crate) whispers: Notify,
    /// The last wake of the drain was a sweep: what it finds, no doorbell announced.
    pub(crate) swept: AtomicBool,
    /// The drain is at its usual work: the relay is woken after it has looked, and so reads once for a ring, not twice.
    pub(crate) draining: AtomicBool,
}

/// Passes rings and sweeps on.
pub(crate) async fn listen(mut ear: Listener, wakes: Arc<Wakes>, shutdown: Shutdown) {
    loop {
        let woken = tokio::select! {
            woken = ear.wait() => woken,
            () = shutdown.wait() => return,
        };
        wakes.swept.store(woken == Woken::Swept, Ordering::Relaxed);
        wakes.drain.notify_one();
        wakes.whispers.notify_one();
        if woken == Woken::Swept || !wakes.draining.load(Ordering::Relaxed) {
            wakes.relay.notify_one();
        }
    }
}
