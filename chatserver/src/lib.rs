//! Relays stored messages to agents over websockets, and the agents' words into the outbox.
//!
//! Any number of chatservers work side by side, and nothing is owned in memory: what a message becomes is decided in
//! transactions, so an agent may be at any of them, and a killed one loses nothing.
//!
//! * `drain`: a doorbell rings or a sweep is due → pending rows become entries of chats' logs and feeds.
//! * `relay`: the same doorbell → new entries of the feeds that live sessions read → frames.
//! * `agents`: the websocket: who may come in, requests, frames, pace.
//! * `housekeeping`: what must be done now and then.
//! * `leaving`: how sessions are sent elsewhere when this process stops.
//! * `page`: the small agent page.

mod agents;
mod backoff;
mod config;
mod drain;
mod housekeeping;
mod leaving;
mod page;
mod relay;
mod wakes;

use std::pin::pin;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use futures_util::future::{join, select_all};
use switchboard_common::doorbell::Doorbells;
use switchboard_common::service::admin::health_routes;
use switchboard_common::service::health::Health;
use switchboard_common::service::http::serve;
use switchboard_common::service::shutdown::Shutdown;
use switchboard_common::store::Database;
use tokio::net::TcpListener;

pub use agents::asyncapi;
pub use config::{ChatserverConfig, Limits};

use agents::{Door, hub};
use wakes::Wakes;

/// Serves agents until the shutdown begins, then tells every session to come back elsewhere, one after another, and serves
/// the others meanwhile. Sessions and loops are tasks of `shutdown`; wait for them by [`Shutdown::drained`].
pub async fn run(
    config: ChatserverConfig,
    listener: TcpListener,
    database: Database,
    doorbells: Doorbells,
    shutdown: Shutdown,
    health: Health,
) -> anyhow::Result<()> {
    let wakes = Arc::new(Wakes::default());
    let leaving = shutdown;
    // Ends when nobody is served any more.
    let shutdown = leaving.apart();
    let (hub, commands) = hub::channel();
    let door = Arc::new(Door::new(
        config.clone(),
        database.clone(),
        doorbells.clone(),
        hub.clone(),
        wakes.clone(),
        (leaving.clone(), shutdown.clone()),
    ));

    let verifier = config.verifier.clone();
    let ear = doorbells.listen_chatserver(&config.name);
    let parts = [
        shutdown.spawn(wakes::listen(ear, wakes.clone(), shutdown.clone())),
        shutdown.spawn(drain::run(database.clone(), doorbells.clone(), wakes.clone(), shutdown.clone())),
        shutdown.spawn(relay::run(database.clone(), config.limits, commands, wakes.clone(), shutdown.clone())),
        shutdown.spawn(agents::whispers::run(database.clone(), hub.clone(), wakes.clone(), shutdown.clone())),
        shutdown.spawn(housekeeping::watch_sessions(
            database.clone(),
            hub.clone(),
            verifier,
            config.name.clone(),
            shutdown.clone(),
        )),
        shutdown.spawn(housekeeping::keep_log(database, config.feed_retention, shutdown.clone())),
    ];
    let served = page::routes(&config.origins).merge(page::descriptions(&config.openapi));
    let router = config.http.addresses.limited(agents::routes(door).merge(served)).merge(health_routes(health.clone()));
    health.set("serving", true, "agents are let in");
    let per_second = config.limits.leaving_per_second;
    let told = async {
        leaving.wait().await;
        leaving::send_away(&hub, per_second).await;
    };
    let mut serving = pin!(join(serve(listener, router, config.http, &leaving), told));
    let result = tokio::select! {
        _ = &mut serving => Ok(()),
        (ended, _, _) = select_all(parts) => {
            let result = match ended {
                Ok(()) if shutdown.has_begun() => Ok(()),
                Ok(()) => Err(anyhow!("a part of the chatserver ended by itself")),
                Err(error) => Err(error).context("a part of the chatserver failed"),
            };
            // Half a chatserver is worse than none: agents go where there is a whole one, at once.
            shutdown.begin();
            leaving.begin();
            serving.await;
            result
        }
    };
    shutdown.begin();
    leaving.begin();
    result
}

#[cfg(test)]
mod tests;
