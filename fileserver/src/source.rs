//! Where the bytes of an upload come from, and how long they are waited for.

use std::pin::Pin;
use std::time::Duration;

use axum::http::StatusCode;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use switchboard_common::service::problem::Problem;

/// Why a client was cut.
pub(crate) const SILENT: &str = "nothing was sent for too long";

/// The bytes of one file, as they come.
pub(crate) struct Source<'a> {
    stream: Pin<Box<dyn Stream<Item = Result<Bytes, Problem>> + Send + 'a>>,
    silence: Duration,
}

impl<'a> Source<'a> {
    pub(crate) fn new<E>(
        stream: impl Stream<Item = Result<Bytes, E>> + Send + 'a,
        silence: Duration,
        broken: impl Fn(E) -> Problem + Send + 'a,
    ) -> Self {
        Self { stream: Box::pin(stream.map(move |item| item.map_err(&broken))), silence }
    }

    /// The next bytes; none at the end of a body that is whole.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        match tokio::time::timeout(self.silence, self.stream.next()).await {
            Ok(item) => item.transpose(),
            Err(_) => Err(too_slow(SILENT)),
        }
    }
}

/// 408.
pub(crate) fn too_slow(why: &str) -> Problem {
    Problem::new(StatusCode::REQUEST_TIMEOUT, "too_slow", why)
}
