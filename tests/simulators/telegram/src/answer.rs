//! How an exchange ends on the wire.

use std::io;

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use futures_util::{Stream, stream};

use crate::{
    connection::Connection,
    faults::Mode,
    reply::{ApiError, Outcome, envelope},
};

/// The end of an exchange.
#[derive(Debug)]
pub enum Answer {
    /// An HTTP answer.
    Whole {
        /// Its status.
        status: u16,
        /// Its body.
        body: Vec<u8>,
        /// The header Retry-After, in seconds.
        retry_after: Option<u64>,
        /// Its content type.
        kind: &'static str,
    },
    /// Headers that promise the body, then half of it, then the end of the connection.
    Half(Vec<u8>),
    /// Nothing, for as long as the caller stays.
    Hang,
    /// Nothing, and the connection is closed.
    Cut,
}

const JSON: &str = "application/json";
/// A gateway's page, as nginx words it.
const GATEWAY_PAGE: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n\
    <center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx/1.18.0</center>\r\n</body>\r\n</html>\r\n";

impl Answer {
    /// The platform's own answer to a method.
    pub fn of(outcome: &Outcome) -> Self {
        let (status, retry_after) = match outcome {
            Ok(_) => (200, None),
            Err(error) => (error.code, error.retry_after),
        };
        Self::Whole { status, body: envelope(outcome), retry_after, kind: JSON }
    }

    /// A 200 whose body is written already.
    pub fn ok(body: Vec<u8>) -> Self {
        Self::Whole { status: 200, body, retry_after: None, kind: JSON }
    }

    /// What a fault makes of the answer.
    pub fn spoiled(self, mode: Mode) -> Self {
        match mode {
            Mode::HangBefore | Mode::HangAfter => Self::Hang,
            Mode::DropBefore | Mode::DropAfter => Self::Cut,
            Mode::FailBefore | Mode::FailAfter => Self::of(&Err(ApiError::internal())),
            Mode::GatewayAfter => {
                Self::Whole { status: 502, body: GATEWAY_PAGE.into(), retry_after: None, kind: "text/html" }
            }
            Mode::GarbageAfter => {
                let body = b"{\"ok\":tru\x00\xff<garbage".to_vec();
                Self::Whole { status: 200, body, retry_after: None, kind: "application/octet-stream" }
            }
            Mode::HalfAfter => match self {
                Self::Whole { body, .. } => Self::Half(body),
                other => other,
            },
            Mode::OkFalseBefore => match self {
                // The refusal in the body, success in the status line.
                Self::Whole { body, .. } => Self::ok(body),
                other => other,
            },
            Mode::ErrorBefore | Mode::Flood | Mode::Slow | Mode::Mute | Mode::Trickle | Mode::Endless => self,
        }
    }

    /// The word of the log: the HTTP status as text, `hang`, `drop`, or `garbage` for a 200 that is no answer of the API.
    pub fn word(&self) -> String {
        match self {
            Self::Whole { status: 200, kind, .. } if *kind != JSON => "garbage".to_owned(),
            Self::Whole { status, .. } => status.to_string(),
            Self::Half(_) | Self::Cut => "drop".to_owned(),
            Self::Hang => "hang".to_owned(),
        }
    }

    /// Whether anything leaves.
    pub fn leaves(&self) -> bool {
        matches!(self, Self::Whole { .. })
    }

    /// Sends it, or does what stands for it.
    pub async fn send(self, connection: &Connection) -> Response {
        match self {
            Self::Whole { status, body, retry_after, kind } => {
                let mut response = Response::new(Body::from(body));
                *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
                if let Some(seconds) = retry_after {
                    response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
                }
                response
            }
            Self::Half(body) => half(body),
            Self::Hang => std::future::pending().await,
            Self::Cut => {
                connection.cut();
                Response::new(Body::empty())
            }
        }
    }
}

/// Some bytes, and then the end of the connection.
pub fn torn(bytes: Bytes) -> impl Stream<Item = io::Result<Bytes>> {
    stream::unfold(Some(bytes), |piece| async move {
        match piece {
            Some(piece) => Some((Ok(piece), None)),
            None => {
                // The server writes out what it has whenever the body makes it wait.
                tokio::task::yield_now().await;
                Some((Err(io::ErrorKind::ConnectionAborted.into()), None))
            }
        }
    })
}

/// Half of a body under a Content-Length that promises all of it.
fn half(body: Vec<u8>) -> Response {
    let length = body.len();
    let first = Bytes::from(body).slice(..length / 2);
    let mut response = Response::new(Body::from_stream(torn(first)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    response
}
