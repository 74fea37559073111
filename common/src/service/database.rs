//! Readiness follows the database, and tells how safe its commits are.

use std::time::{Duration, Instant};

use super::health::Health;
use super::metrics::{POOL_CONNECTIONS, REPLICATION_DEGRADED};
use super::shutdown::Shutdown;
use crate::store::Database;

/// A restart of the database must not cut every agent and every webhook off at once: so long it is forgiven.
const FORGIVEN: Duration = Duration::from_secs(30);

/// What is expected of replication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replication {
    /// Commits wait for a standby, or the fleet is degraded.
    Expected,
    /// They may.
    Welcome,
    /// It is not this process's business: it only reads.
    Ignored,
}

/// Asks the database once a second, until shutdown, and reports the check `postgres` and the fact `replication`.
pub fn watch(database: &Database, replication: Replication, health: &Health, shutdown: &Shutdown) {
    let (database, health, ending) = (database.clone(), health.clone(), shutdown.clone());
    shutdown.spawn(async move {
        let mut answered = Instant::now();
        let mut degraded = false;
        while ending.pause(Duration::from_secs(1)).await {
            match database.ping().await {
                Ok(waits) => {
                    answered = Instant::now();
                    health.set("postgres", true, "answers");
                    if replication != Replication::Ignored {
                        let now = replication == Replication::Expected && !waits;
                        if now && !degraded {
                            tracing::error!(
                                "no commit waits for a standby: what is acknowledged now is on one server alone"
                            );
                        } else if degraded && !now {
                            tracing::info!("commits wait for a standby again");
                        }
                        degraded = now;
                        health.fact("replication", words(replication, waits));
                        metrics::gauge!(REPLICATION_DEGRADED).set(if degraded { 1.0 } else { 0.0 });
                    }
                }
                Err(error) => health.set("postgres", answered.elapsed() < FORGIVEN, error.to_string()),
            }
            let (size, idle) = database.pool_state();
            metrics::gauge!(POOL_CONNECTIONS, "state" => "idle").set(idle as f64);
            metrics::gauge!(POOL_CONNECTIONS, "state" => "used").set(size.saturating_sub(idle) as f64);
        }
    });
}

fn words(replication: Replication, waits: bool) -> &'static str {
    match (waits, replication) {
        (true, _) => "synchronous",
        (false, Replication::Expected) => "degraded: no commit waits for a standby",
        (false, _) => "commits wait for nobody",
    }
}
