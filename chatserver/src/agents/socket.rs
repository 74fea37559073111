//! Writing to one websocket, reading from it, and closing it in order. Every wait has an end.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::{SinkExt, StreamExt};
use switchboard_common::service::metrics;
use switchboard_common::service::shutdown::Shutdown;
use tokio_tungstenite::tungstenite;

use super::protocol::CloseCode;

/// How long a client that reads slowly may take to find the close frame.
const CLOSING: Duration = Duration::from_secs(5);

/// How long a client may take to answer the close frame, or to find it while it still writes a frame we do not read.
const LINGER: Duration = Duration::from_secs(1);

/// Why a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// We close it.
    Close(CloseCode),
    /// The client closed, or is gone.
    Gone,
}

/// A socket with its patience.
pub(super) struct Socket {
    inner: WebSocket,
    patience: Duration,
    shutdown: Shutdown,
    /// A frame was refused before it was read: what follows on the connection cannot be read any more.
    unreadable: bool,
}

/// What a client sent.
pub(super) enum Received {
    Text(axum::extract::ws::Utf8Bytes),
    /// A ping or pong: a sign of life.
    Control,
}

impl Socket {
    pub(super) fn new(inner: WebSocket, patience: Duration, shutdown: Shutdown) -> Self {
        Self { inner, patience, shutdown, unreadable: false }
    }

    /// Writes a frame. Ends the session when the client does not read it in time.
    pub(super) async fn write(&mut self, message: Message) -> Result<(), End> {
        self.write_all([message]).await
    }

    /// Writes frames, as few packets as they fit in. Ends the session when the client does not read them in time.
    pub(super) async fn write_all(&mut self, messages: impl IntoIterator<Item = Message>) -> Result<(), End> {
        let sending = async {
            for message in messages {
                self.inner.feed(message).await?;
            }
            self.inner.flush().await
        };
        tokio::select! {
            result = sending => result.map_err(|_| End::Gone),
            () = tokio::time::sleep(self.patience) => Err(End::Close(CloseCode::TooSlow)),
            () = self.shutdown.wait() => Err(End::Close(CloseCode::Draining)),
        }
    }

    /// Writes the last frame before the close frame, though the shutdown has begun. Who does not read it, does not.
    pub(super) async fn write_last(&mut self, message: Message) {
        let _ = tokio::time::timeout(LINGER, self.inner.send(message)).await;
    }

    /// Waits for a frame. Cancel safe.
    pub(super) async fn read(&mut self) -> Result<Received, End> {
        match self.inner.next().await {
            Some(Ok(Message::Text(text))) => Ok(Received::Text(text)),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(Received::Control),
            Some(Ok(Message::Binary(_))) => Err(End::Close(CloseCode::BadRequest)),
            Some(Ok(Message::Close(_))) | None => Err(End::Gone),
            Some(Err(error)) => {
                let end = broken(error.into_inner().as_ref());
                self.unreadable = end != End::Gone;
                Err(end)
            }
        }
    }

    /// Ends the session: tells the client why, and waits a bounded time until it knows.
    pub(super) async fn finish(mut self, end: End) {
        let End::Close(code) = end else {
            // Answers the client's close frame, when there is a client.
            let _ = tokio::time::timeout(CLOSING, self.inner.close()).await;
            ::metrics::counter!(metrics::WS_CLOSED, "code" => "client").increment(1);
            return;
        };
        ::metrics::counter!(metrics::WS_CLOSED, "code" => code.to_string()).increment(1);
        let frame = CloseFrame { code: code as u16, reason: code.reason().into() };
        let told = tokio::time::timeout(CLOSING, self.inner.send(Message::Close(Some(frame)))).await;
        if !matches!(told, Ok(Ok(()))) {
            return;
        }
        // Closing a connection with unread bytes resets it, and the close frame may be lost with it.
        if self.unreadable {
            self.shutdown.pause(LINGER).await;
        } else {
            let answered = async { while let Some(Ok(_)) = self.inner.next().await {} };
            let _ = tokio::time::timeout(LINGER, answered).await;
        }
    }
}

/// A frame that is too large or no websocket frame is the client's mistake; a broken connection is nobody's.
fn broken(error: &(dyn std::error::Error + 'static)) -> End {
    use tungstenite::error::ProtocolError::ResetWithoutClosingHandshake;
    match error.downcast_ref::<tungstenite::Error>() {
        Some(tungstenite::Error::Protocol(ResetWithoutClosingHandshake)) => End::Gone,
        Some(tungstenite::Error::Capacity(_) | tungstenite::Error::Utf8(_) | tungstenite::Error::Protocol(_)) => {
            End::Close(CloseCode::BadRequest)
        }
        _ => End::Gone,
    }
}
