//! Pending rows become entries. Runs in every chatserver at once; the store sees to it that each row is taken once.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use switchboard_common::doorbell::Doorbells;
use switchboard_common::service::metrics;
use switchboard_common::service::shutdown::Shutdown;
use switchboard_common::store::{Database, Drained, StoreError};

use crate::backoff::Backoff;
use crate::wakes::Wakes;

/// When every row left belongs to a chat that somebody holds just now: their transaction is over by then, and usually sooner.
const HELD: Duration = Duration::from_millis(25);

/// Drains whenever woken, until the shutdown.
pub(crate) async fn run(database: Database, doorbells: Doorbells, wakes: Arc<Wakes>, shutdown: Shutdown) {
    let mut backoff = Backoff::default();
    loop {
        tokio::select! {
            () = wakes.drain.notified() => {}
            () = shutdown.wait() => return,
        }
        let mut swept = wakes.swept.swap(false, Ordering::Relaxed);
        // A ring may be about entries that another chatserver wrote.
        let mut to_read = true;
        while !shutdown.has_begun() {
            match round(&database, &doorbells, &mut swept).await {
                Ok(drained) => {
                    wakes.draining.store(true, Ordering::Relaxed);
                    if std::mem::take(&mut to_read) || drained.entries > 0 {
                        wakes.relay.notify_one();
                    }
                    if backoff.succeeded() {
                        tracing::info!("draining again");
                    }
                    match drained.taken + drained.unknown {
                        _ if drained.is_all() => break,
                        0 => to_read |= held(&wakes, &shutdown).await,
                        _ => {}
                    }
                }
                Err(error) => {
                    // Whatever keeps it from draining: what others have drained is still to be read.
                    wakes.draining.store(false, Ordering::Relaxed);
                    wakes.relay.notify_one();
                    if backoff.is_first() {
                        tracing::warn!(%error, "cannot drain; trying again until it works");
                    }
                    shutdown.pause(backoff.next()).await;
                }
            }
        }
    }
}

/// Waits until a chat that somebody holds may be free. Whoever held it rings when it has committed: then there is something to
/// read, too, and true is returned.
async fn held(wakes: &Wakes, shutdown: &Shutdown) -> bool {
    tokio::select! {
        () = wakes.drain.notified() => true,
        _ = shutdown.pause(HELD) => false,
    }
}

/// One batch, and then the strangers that were passed over in it.
async fn round(database: &Database, doorbells: &Doorbells, swept: &mut bool) -> Result<Drained, StoreError> {
    let begun = Instant::now();
    let drained = database.drain_batch().await?;
    if drained.entries > 0 {
        doorbells.ring_chatservers();
    }
    if drained.taken > 0 {
        ::metrics::histogram!(metrics::DRAIN).record(begun.elapsed().as_secs_f64());
        ::metrics::counter!(metrics::ENTRIES).increment(drained.entries as u64);
        if std::mem::take(swept) {
            ::metrics::counter!(metrics::SWEEP_FOUND, "reader" => "drain").increment(drained.taken as u64);
        }
    }
    note_quarantined(drained.quarantined);
    if drained.unknown > 0 {
        note_quarantined(database.meet_newcomers().await?);
    }
    Ok(drained)
}

fn note_quarantined(rows: usize) {
    if rows > 0 {
        ::metrics::counter!(metrics::QUARANTINED).increment(rows as u64);
        tracing::error!(rows, "put aside pending rows that this version cannot read");
    }
}
