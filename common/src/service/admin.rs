//! The operators' listener: `/livez`, `/readyz`, `/metrics`. Bound to loopback unless told otherwise, and
//! never the listener that agents or platforms reach. It has lists of its own: operators come from other networks than agents,
//! and without a proxy between, so an address is always the connection's.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::PrometheusHandle;

use super::health::Health;
use super::metrics::TURNED_AWAY;
use super::networks::Lists;
use super::problem::Problem;
use super::shutdown::Shutdown;

/// Binds the listener and serves until shutdown. Returns the bound address (port 0 picks one).
pub async fn serve(
    listen: SocketAddr,
    lists: Lists,
    health: Health,
    metrics: PrometheusHandle,
    shutdown: &Shutdown,
) -> anyhow::Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind(listen)
        .await
        .map_err(|error| anyhow::anyhow!("cannot listen on {listen} (admin.listen): {error}"))?;
    let address = listener.local_addr()?;
    let router = health_routes(health).route(
        "/metrics",
        get(move || {
            let text = metrics.render();
            async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text) }
        }),
    );
    let router = router.layer(from_fn_with_state(lists, admit));
    let ending = shutdown.clone();
    shutdown.spawn(async move {
        let end = async move { ending.wait().await };
        if let Err(error) = axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>())
            .with_graceful_shutdown(end)
            .await
        {
            tracing::error!(%error, "the admin listener ended");
        }
    });
    Ok(address)
}

async fn admit(
    State(lists): State<Lists>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    if lists.serve(peer.ip()) {
        return next.run(request).await;
    }
    metrics::counter!(TURNED_AWAY, "outcome" => "denied").increment(1);
    Problem::forbidden("this address is not served").into_response()
}

/// `/livez` and `/readyz` alone, for a listener that a reverse proxy checks.
pub fn health_routes(health: Health) -> Router {
    Router::new().route("/livez", get(|| async { "live\n" })).route("/readyz", get(readyz)).with_state(health)
}

async fn readyz(State(health): State<Health>) -> impl IntoResponse {
    let (ready, body) = health.report();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body))
}
