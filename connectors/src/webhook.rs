//! What platforms bring: verify → admit → store → answer. A request is answered 200 only after its commit; what the 200 says
//! is the platform's word.
//!
//! The active and the standby alike take requests in at all times: storing is idempotent, and so a takeover keeps no customer
//! waiting. Whatever is wrong on our side is a 503 or a 429, and the platform brings the update again.

mod batcher;
mod secrets;

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures_util::StreamExt;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use switchboard_common::access::Addresses;
use switchboard_common::faults::{point, soon};
use switchboard_common::model::RawUpdate;
use switchboard_common::service::metrics::WEBHOOKS;
use switchboard_common::service::shutdown::Shutdown;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::intake::{Intake, Surroundings};
use crate::platform::{Admitted, Forged, WebhookAnswer, WebhookRequest};
use crate::settings::Settings;
use batcher::{Batcher, Store};
pub use secrets::Secrets;
pub(crate) use secrets::is_one_of;

/// Longest body. Telegram's updates have some kilobytes.
const BODY_BYTES: usize = 1 << 20;
/// Bodies read or stored at once, in KiB.
const BODIES_KIB: usize = 32 << 10;
/// From the end of a request's head to its answer.
const WHOLE: Duration = Duration::from_secs(10);
/// Seconds after which a platform may come again.
const COME_AGAIN: u32 = 1;
/// Genuine requests of the account at once, in seconds of its mean: an outage's backlog comes as fast as it can.
const AT_ONCE: NonZeroU32 = NonZeroU32::new(4).unwrap();

/// The door for an account's webhooks.
pub(crate) struct Door {
    settings: Settings,
    addresses: Addresses,
    batcher: Batcher,
    bodies: Arc<Semaphore>,
    genuine: DefaultDirectRateLimiter,
}

/// How a request ended, which is also the label of its counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Stored,
    Forged,
    Unknown,
    TooLarge,
    TooSlow,
    Throttled,
    Unavailable,
}

impl Ended {
    fn label(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Forged => "forged",
            Self::Unknown => "unknown",
            Self::TooLarge => "too_large",
            Self::TooSlow => "too_slow",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
        }
    }
}

impl IntoResponse for Ended {
    fn into_response(self) -> Response {
        let again = [(RETRY_AFTER, COME_AGAIN.to_string())];
        match self {
            Self::Stored => StatusCode::OK.into_response(),
            Self::Forged => StatusCode::UNAUTHORIZED.into_response(),
            Self::Unknown => StatusCode::NOT_FOUND.into_response(),
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT.into_response(),
            Self::Throttled => (StatusCode::TOO_MANY_REQUESTS, again).into_response(),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, again).into_response(),
        }
    }
}

impl Door {
    /// Opens it; what it starts ends with the last user of the door.
    pub fn open(
        settings: Settings,
        around: Surroundings,
        addresses: &Addresses,
        mean: NonZeroU32,
        shutdown: &Shutdown,
    ) -> Self {
        let store = Storing { settings: settings.clone(), around };
        Self::onto(Arc::new(store), settings, addresses, (mean, mean.saturating_mul(AT_ONCE)), shutdown)
    }

    fn onto(
        store: Arc<dyn Store>,
        settings: Settings,
        addresses: &Addresses,
        (mean, burst): (NonZeroU32, NonZeroU32),
        shutdown: &Shutdown,
    ) -> Self {
        Self {
            settings,
            addresses: addresses.clone(),
            batcher: Batcher::start(store, shutdown),
            bodies: Arc::new(Semaphore::new(BODIES_KIB)),
            genuine: RateLimiter::direct(Quota::per_second(mean).allow_burst(burst)),
        }
    }

    /// The route.
    pub fn routes(self) -> Router {
        Router::new().route("/webhooks/{account}/{platform}", post(receive)).with_state(Arc::new(self))
    }

    /// From the head of a request to its end, and what to say then.
    async fn take(
        &self,
        path: (String, String),
        peer: IpAddr,
        head: &HeaderMap,
        body: Body,
    ) -> Result<WebhookAnswer, Ended> {
        let by = Instant::now() + WHOLE;
        point("W1");
        // Not held on to: a request must not keep old settings in force.
        let now = self.settings.borrow().clone();
        let named = path.0 == now.account.name.as_str() && path.1 == now.account.platform;
        let secrets = now.secrets.as_ref().filter(|_| named).map(|secrets| secrets.current());
        // A stranger costs a head: nothing of the body is read. Only strangers are counted by address: a platform comes from
        // few, and after an outage it has much to tell.
        let Some(secrets) = secrets else { return Err(self.stranger(peer, head, Ended::Unknown)) };
        now.platform.knock(head, &secrets).map_err(|Forged| self.stranger(peer, head, Ended::Forged))?;
        self.genuine.check().map_err(|_| Ended::Throttled)?;
        if !now.account.enabled {
            return Err(Ended::Unavailable);
        }
        let length = head.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        if length.is_some_and(|length| length > BODY_BYTES) {
            return Err(Ended::TooLarge);
        }
        let space = length.unwrap_or(BODY_BYTES).div_ceil(1 << 10) as u32;
        let space = self.bodies.clone().try_acquire_many_owned(space).map_err(|_| Ended::Unavailable)?;
        let body = timeout_at(by, read(body, length.unwrap_or_default())).await.map_err(|_| Ended::TooSlow)??;
        let request = WebhookRequest { headers: head, body: &body, secrets: &secrets };
        let admitted = now.platform.admit(&request).map_err(|Forged| self.stranger(peer, head, Ended::Forged))?;
        let Admitted { updates, answer } = admitted;
        drop(body);
        point("W2");
        // A question that asks for an answer alone is answered while the database is away, too.
        if updates.is_empty() {
            return Ok(answer);
        }
        let stored = timeout_at(by, self.batcher.store(updates, space)).await;
        // Not known to be committed: not acknowledged, whatever is in the table.
        stored.map_err(|_| Ended::Unavailable)?.map_err(|_| Ended::Unavailable)?;
        point("W6");
        Ok(answer)
    }

    /// How a stranger's request ends: as it would, or with a 429 when there are too many.
    fn stranger(&self, peer: IpAddr, head: &HeaderMap, ended: Ended) -> Ended {
        match self.addresses.admit(peer, head) {
            Ok(_) => ended,
            Err(_) => Ended::Throttled,
        }
    }
}

async fn receive(
    State(door): State<Arc<Door>>,
    Path(path): Path<(String, String)>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let taken = door.take(path, peer.ip(), &head.headers, body).await;
    let ended = taken.as_ref().err().copied().unwrap_or(Ended::Stored);
    metrics::counter!(WEBHOOKS, "outcome" => ended.label()).increment(1);
    if ended == Ended::Stored {
        soon("W7");
    } else {
        tracing::debug!(outcome = ended.label(), %peer, "a webhook request was not taken in");
    }
    match taken {
        Ok(answer) if !answer.body.is_empty() => ([(CONTENT_TYPE, answer.mime)], answer.body).into_response(),
        _ => ended.into_response(),
    }
}

/// Stores by the settings in force.
struct Storing {
    settings: Settings,
    around: Surroundings,
}

#[async_trait]
impl Store for Storing {
    async fn store(&self, updates: &[RawUpdate]) -> bool {
        let now = self.settings.borrow().clone();
        let intake = Intake::new(&now, &self.around);
        match intake.take_in(updates, None).await {
            Ok(_) => true,
            Err(error) => {
                tracing::warn!(%error, updates = updates.len(), "updates could not be stored; the platform brings them again");
                false
            }
        }
    }
}

/// The whole body, if it is not too long.
async fn read(body: Body, length: usize) -> Result<Vec<u8>, Ended> {
    let mut chunks = body.into_data_stream();
    let mut read = Vec::with_capacity(length.min(BODY_BYTES));
    while let Some(chunk) = chunks.next().await {
        // It ended before its end: whoever sent it has gone.
        let chunk = chunk.map_err(|_| Ended::TooSlow)?;
        if read.len() + chunk.len() > BODY_BYTES {
            return Err(Ended::TooLarge);
        }
        read.extend_from_slice(&chunk);
    }
    Ok(read)
}

#[cfg(test)]
#[path = "webhook/tests.rs"]
mod tests;
