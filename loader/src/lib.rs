//! REST over the history of chats, for desktops, reports and archives.
//!
//! Any number of loaders work side by side, without ZooKeeper and without any other service: all they need is a database
//! to read from, the primary or a copy of it.
//!
//! * `routes`: one file per noun; each request passes the gate by its rule, and every statement asks `chat_visible`.
//! * `export`: the same lists and logs as a stream.
//! * `wire`: what answers look like; `docs/rest.md` and the OpenAPI document are made of it.
//! * `cursor`: where the next page begins, signed.
//! * `surface`: what all answers have in common: origins, deadlines, figures.

mod config;
mod cursor;
mod export;
mod params;
mod routes;
mod surface;
mod wire;

use std::sync::Arc;

use switchboard_common::access::Gate;
use switchboard_common::service::admin::health_routes;
use switchboard_common::service::health::Health;
use switchboard_common::service::http;
use switchboard_common::service::shutdown::Shutdown;
use switchboard_common::store::Database;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

pub use config::{Descriptions, LoaderConfig};
pub use routes::openapi;

use cursor::Cursors;

/// What every request may use.
struct Loader {
    gate: Gate,
    database: Database,
    cursors: Cursors,
    /// A permit for each export that may be under way.
    exports: Arc<Semaphore>,
    shutdown: Shutdown,
}

/// Serves REST until the shutdown begins. `database` is only read.
pub async fn run(
    config: LoaderConfig,
    listener: TcpListener,
    database: Database,
    shutdown: Shutdown,
    health: Health,
) -> anyhow::Result<()> {
    let loader = Arc::new(Loader {
        gate: Gate::new(config.verifier.clone(), database.clone()),
        cursors: Cursors::new(database.clone()),
        database,
        exports: Arc::new(Semaphore::new(config.exports_at_once)),
        shutdown: shutdown.clone(),
    });
    let router = surface::around(routes::router(loader), &config).merge(health_routes(health.clone()));
    health.set("serving", true, "requests are answered");
    http::serve(listener, router, config.limits, &shutdown).await;
    Ok(())
}

#[cfg(test)]
mod tests;
