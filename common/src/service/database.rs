//! Readiness follows the database.

use std::time::{Duration, Instant};

use super::health::Health;
use super::metrics::POOL_CONNECTIONS;
use super::shutdown::Shutdown;
use crate::store::Database;

/// A restart of the database must not cut every agent and every webhook off at once: so long it is forgiven.
const FORGIVEN: Duration = Duration::from_secs(30);

/// Asks the database once a second, until shutdown, and reports the check `postgres`.
pub fn watch(database: &Database, health: &Health, shutdown: &Shutdown) {
    let (database, health, ending) = (database.clone(), health.clone(), shutdown.clone());
    shutdown.spawn(async move {
        let mut answered = Instant::now();
        while ending.pause(Duration::from_secs(1)).await {
            match database.ping().await {
                Ok(()) => {
                    answered = Instant::now();
                    health.set("postgres", true, "answers");
                }
                Err(error) => health.set("postgres", answered.elapsed() < FORGIVEN, error.to_string()),
            }
            let (size, idle) = database.pool_state();
            metrics::gauge!(POOL_CONNECTIONS, "state" => "idle").set(idle as f64);
            metrics::gauge!(POOL_CONNECTIONS, "state" => "used").set(size.saturating_sub(idle) as f64);
        }
    });
}
