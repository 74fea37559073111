//! The connector's side that is reached from outside, through the reverse proxy: webhooks and files.
//!
//! The active and the standby serve it alike, at all times: neither needs the tenure.

use std::net::SocketAddr;

use axum::Router;
use switchboard_common::service::admin::health_routes;
use switchboard_common::service::health::Health;
use switchboard_common::service::http::{self, HttpLimits};
use switchboard_common::service::shutdown::Shutdown;

use crate::webhook::Door;

/// Where and what a connector serves.
#[derive(Clone)]
pub struct PublicOptions {
    /// Where to listen.
    pub listen: SocketAddr,
    /// What a stranger's connections may cost.
    pub limits: HttpLimits,
    /// What is served besides webhooks; limited by whoever made it.
    pub routes: Router,
}

/// Binds, and serves by tasks of `shutdown`.
pub(crate) async fn serve(
    options: PublicOptions,
    door: Door,
    health: Health,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let PublicOptions { listen, limits, routes } = options;
    let listener = tokio::net::TcpListener::bind(listen)
        .await
        .map_err(|error| anyhow::anyhow!("cannot listen on {listen} (connector.listen): {error}"))?;
    tracing::info!(listen = %listener.local_addr()?, "serving platforms and agents");
    let router = health_routes(health).merge(door.routes()).merge(routes);
    let ending = shutdown.clone();
    shutdown.spawn(async move { http::serve(listener, router, limits, &ending).await });
    Ok(())
}
