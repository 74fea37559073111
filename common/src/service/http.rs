//! Serving HTTP to strangers: heads must come in time, connections are bounded, one address has not all of them.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::map_response;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use super::config::{ConfigError, Public};
use super::patience::Patient;
use super::shutdown::Shutdown;
use crate::faults::{due, point, torn};
use crate::service::addresses::{Addresses, Held};

/// Longest head of a request, in bytes.
const HEAD_BYTES: usize = 16 * 1024;

/// The kernel takes this much beyond what is on its way to the reader. Left alone it takes megabytes, and then nothing for as
/// long as a slow reader needs for them, who would pass for one that takes nothing.
const UNSENT_BYTES: u32 = 128 * 1024;

/// Bounds of one listener.
#[derive(Clone)]
pub struct HttpLimits {
    /// Limits per address. Connections are counted here; put a router behind [`Addresses::limited`] for its requests.
    pub addresses: Addresses,
    /// Connections at once, websockets included; more wait unaccepted.
    pub connections: usize,
    /// A request's head must be there in this time, and a connection without a request lives no longer.
    pub head_within: Duration,
    /// Whoever takes nothing of an answer for so long is cut.
    pub taken_within: Duration,
    /// What is under way when the shutdown begins may take so long.
    pub last_requests: Duration,
}

impl HttpLimits {
    /// The section `[public]`.
    pub fn new(public: &Public) -> Result<Self, ConfigError> {
        Ok(Self {
            addresses: Addresses::new(public)?,
            connections: public.connections,
            head_within: Duration::from_secs(10),
            taken_within: Duration::from_secs(60),
            last_requests: Duration::from_secs(5),
        })
    }
}

/// What every answer says, unless its handler says otherwise: it is no page, is kept nowhere, and is nobody else's to show
/// or to read. Nothing ever allows another origin to read an answer.
const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
];

async fn guarded(mut response: Response) -> Response {
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}

/// Serves until the shutdown begins, and then what is under way. Handlers find the peer as `ConnectInfo<SocketAddr>`.
pub async fn serve(listener: TcpListener, router: Router, limits: HttpLimits, shutdown: &Shutdown) {
    let room = Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS)));
    let service = TowerToHyperService::new(router.layer(map_response(guarded)));
    let under_way = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &room) => accepted,
            () = shutdown.wait() => break,
        };
        let (stream, peer, permit) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Of one connection, or no descriptor is free: then others have to end first.
                tracing::warn!(%error, "a connection was not accepted");
                shutdown.pause(Duration::from_millis(100)).await;
                continue;
            }
        };
        // Dropped without an answer: an answer would cost what the limit is to save.
        let Ok(held) = limits.addresses.hold(peer.ip()) else { continue };
        // An answer is one small frame: without this it may wait for the acknowledgement of the one before.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        if let Err(error) = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_BYTES) {
            tracing::debug!(%error, "TCP_NOTSENT_LOWAT");
        }
        let stream = Patient::new(stream, limits.taken_within);
        let stream = Counted { stream, half_written: false, _permit: permit, _held: held };
        under_way.spawn(connection(stream, peer, service.clone(), limits.head_within, shutdown.clone()));
    }
    drop(listener);
    under_way.close();
    if tokio::time::timeout(limits.last_requests, under_way.wait()).await.is_err() {
        tracing::warn!("the last requests did not end in time");
    }
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = room.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, permit))
}

async fn connection(
    stream: Counted,
    peer: SocketAddr,
    service: TowerToHyperService<Router>,
    head_within: Duration,
    shutdown: Shutdown,
) {
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        service.call(request)
    });
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(head_within)
            .max_header_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
    );
    let mut ending = false;
    loop {
        tokio::select! {
            ended = &mut connection => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended");
                }
                return;
            }
            () = shutdown.wait(), if !ending => {
                ending = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// How a websocket's text begins when it goes to the client in one frame.
const TEXT_FRAME: u8 = 0x81;

/// The network has taken bytes of an answer.
fn answered(written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
    if matches!(written, Poll::Ready(Ok(_))) && due("W7") {
        point("W7");
    }
    written
}

/// A connection that is counted as long as it is open, also when it has become a websocket.
struct Counted {
    stream: Patient<TcpStream>,
    /// The fault tests die between two halves of a frame.
    half_written: bool,
    _permit: OwnedSemaphorePermit,
    _held: Option<Held>,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if std::mem::take(&mut self.half_written) {
            point("C6");
        }
        let piece = &bytes[..torn("C6", bytes, TEXT_FRAME)];
        let written = Pin::new(&mut self.stream).poll_write(cx, piece);
        self.half_written = piece.len() < bytes.len() && written.is_ready();
        answered(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        answered(Pin::new(&mut self.stream).poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
