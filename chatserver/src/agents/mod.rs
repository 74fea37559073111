//! The agents' websocket, `/v1/agent`: see docs/protocol.md.

mod asyncapi;
mod close_code;
mod frames;
mod hello;
pub(crate) mod hub;
mod outlet;
mod pace;
mod protocol;
mod replies;
mod requests;
mod session;
mod snapshot;
mod socket;
mod waiting;
pub(crate) mod whispers;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, State, WebSocketUpgrade};
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use switchboard_common::access::{ClientAddress, bearer};
use switchboard_common::doorbell::Doorbells;
use switchboard_common::service::shutdown::Shutdown;
use switchboard_common::store::Database;

use crate::config::ChatserverConfig;
use crate::wakes::Wakes;
pub use asyncapi::asyncapi;
use hub::Hub;
pub(crate) use protocol::CloseCode;
use protocol::LARGEST_FRAME;

/// What every session needs.
pub(crate) struct Door {
    config: ChatserverConfig,
    database: Database,
    doorbells: Doorbells,
    hub: Hub,
    wakes: Arc<Wakes>,
    /// Has begun: nobody is let in any more.
    leaving: Shutdown,
    /// Has begun: nobody is served any more.
    shutdown: Shutdown,
}

impl Door {
    pub(crate) fn new(
        config: ChatserverConfig,
        database: Database,
        doorbells: Doorbells,
        hub: Hub,
        wakes: Arc<Wakes>,
        (leaving, shutdown): (Shutdown, Shutdown),
    ) -> Self {
        Self { config, database, doorbells, hub, wakes, leaving, shutdown }
    }
}

/// The subprotocol, and its version.
const PROTOCOL: &str = "switchboard.v1";

/// An idle socket costs some 6 kB with these, 134 kB with the library's defaults.
const READ_BUFFER_BYTES: usize = 4 * 1024;

/// The largest frame is a resync, whose chats are bounded in number and bytes; nothing is queued behind it in here.
const WRITE_BUFFER_BYTES: usize = 8 * 1024 * 1024;

/// The websocket's route.
pub(crate) fn routes(door: Arc<Door>) -> Router {
    Router::new().route("/v1/agent", get(upgrade)).with_state(door)
}

async fn upgrade(
    State(door): State<Arc<Door>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Extension(ClientAddress(client)): Extension<ClientAddress>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    if !origin_allowed(&headers, &door.config.origins) {
        return (StatusCode::FORBIDDEN, "pages of this origin may not open the websocket\n").into_response();
    }
    let upgrade = upgrade.protocols([PROTOCOL]);
    if upgrade.selected_protocol().is_none() {
        return (StatusCode::BAD_REQUEST, "offer the subprotocol switchboard.v1\n").into_response();
    }
    // Connections are counted by their peers. Behind a proxy that is nobody, and the socket counts for whom it is.
    let held = match client == peer.ip().to_canonical() {
        true => None,
        false => match door.config.http.addresses.hold(client) {
            Ok(held) => held,
            Err(problem) => return problem.into_response(),
        },
    };
    let bearer = bearer(&headers);
    upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(session::WRITTEN_AT_ONCE)
        .max_write_buffer_size(WRITE_BUFFER_BYTES)
        .max_message_size(LARGEST_FRAME)
        .max_frame_size(LARGEST_FRAME)
        .on_upgrade(move |socket| async move {
            let shutdown = door.shutdown.clone();
            // A tracked task of its own: the shutdown waits for it.
            shutdown.spawn(async move {
                session::run(door, socket, bearer).await;
                drop(held);
            });
        })
}

/// A browser names the page's origin: it must be our own host or a configured one. Other programs name none.
fn origin_allowed(headers: &HeaderMap, allowed: &[String]) -> bool {
    let mut origins = headers.get_all(ORIGIN).iter().map(HeaderValue::to_str);
    match (origins.next(), origins.next()) {
        (None, _) => true,
        (Some(Ok(origin)), None) => {
            let host = headers.get(HOST).and_then(|host| host.to_str().ok());
            let name = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            let own = host.zip(name).is_some_and(|(host, name)| host.eq_ignore_ascii_case(name));
            own || allowed.iter().any(|one| one.eq_ignore_ascii_case(origin))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(origins: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("desk.example:7001"));
        for origin in origins {
            headers.append(ORIGIN, HeaderValue::from_static(origin));
        }
        headers
    }

    #[test]
    fn only_known_origins_come_in() {
        let allowed = ["https://office.example".to_owned()];
        let good: [&[&str]; 5] = [
            &[],
            &["http://desk.example:7001"],
            &["https://DESK.example:7001"],
            &["https://office.example"],
            &["HTTPS://office.example"],
        ];
        for origins in good {
            assert!(origin_allowed(&headers(origins), &allowed), "{origins:?}");
        }
        let bad: [&[&str]; 7] = [
            &["null"],
            &[""],
            &["http://desk.example"],
            &["http://desk.example:7001.evil.example"],
            &["http://office.example"],
            &["https://office.example.evil.example"],
            &["https://office.example", "https://evil.example"],
        ];
        for origins in bad {
            assert!(!origin_allowed(&headers(origins), &allowed), "{origins:?}");
        }
    }
}
