//! A form with the one field that matters: `file`.
//!
//! The parser collects until it sees the end of what it looks for, as much as it is given. So it is given little at a time,
//! and no more than [`HEADROOM`] without having told us something.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest, Multipart, Request};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use switchboard_common::service::problem::Problem;

use crate::source::{SILENT, too_slow};

/// Longest head of a part, or part that is not the file, in bytes.
const HEADROOM: usize = 64 * 1024;

/// What the parser gets at once.
const PIECE: usize = 16 * 1024;

/// Parts of a form.
const MOST_PARTS: usize = 16;

/// A form being read.
pub(crate) struct Form {
    parts: Multipart,
    headroom: Headroom,
    seen: usize,
    silence: Duration,
}

/// How much the parser may still collect.
#[derive(Clone)]
pub(crate) struct Headroom(Arc<AtomicUsize>);

impl Headroom {
    fn renew(&self) {
        self.0.store(HEADROOM, Ordering::Relaxed);
    }
}

impl Form {
    pub(crate) async fn new(request: Request, silence: Duration) -> Result<Self, Problem> {
        let headroom = Headroom(Arc::new(AtomicUsize::new(HEADROOM)));
        let allowed = headroom.clone();
        let request = request.map(|body| {
            Body::from_stream(Pieces {
                body: body.into_data_stream(),
                rest: Bytes::new(),
                headroom: allowed,
                rests: false,
            })
        });
        let parts = Multipart::from_request(request, &()).await;
        let parts = parts.map_err(|error| Problem::bad_request(error.body_text()))?;
        Ok(Self { parts, headroom, seen: 0, silence })
    }

    /// The next part; what is left of the one before is passed over, when it is short.
    pub(crate) async fn next(&mut self) -> Result<Option<Field<'_>>, Problem> {
        if self.seen > MOST_PARTS {
            return Err(Problem::bad_request("the form has too many parts"));
        }
        self.seen += 1;
        self.headroom.renew();
        // What is looked through is short: all of it comes in the time in which something has to come.
        let next = tokio::time::timeout(self.silence, self.parts.next_field());
        next.await.map_err(|_| too_slow(SILENT))?.map_err(broken)
    }

    /// For [`bytes`] of a part.
    pub(crate) fn headroom(&self) -> Headroom {
        self.headroom.clone()
    }
}

/// The bytes of a part.
pub(crate) fn bytes<'a>(
    field: Field<'a>,
    headroom: Headroom,
) -> impl Stream<Item = Result<Bytes, MultipartError>> + Send + 'a {
    field.inspect(move |_| headroom.renew())
}

/// What is wrong with a form.
pub(crate) fn broken(error: MultipartError) -> Problem {
    tracing::debug!(%error, "a form could not be read");
    Problem::bad_request(
        "the form is no multipart/form-data, ended early, or has a part other than \"file\" that is too long",
    )
}

/// A body in small pieces, one at a time.
struct Pieces {
    body: BodyDataStream,
    rest: Bytes,
    headroom: Headroom,
    /// Between two pieces: whoever takes all it can get is made to look at what it has.
    rests: bool,
}

impl Stream for Pieces {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.rests) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        while self.rest.is_empty() {
            match std::task::ready!(self.body.poll_next_unpin(cx)) {
                Some(Ok(bytes)) => self.rest = bytes,
                other => return Poll::Ready(other),
            }
        }
        let length = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(length);
        let left = self.headroom.0.load(Ordering::Relaxed);
        if left < length {
            return Poll::Ready(Some(Err(axum::Error::new("a part's head is too long"))));
        }
        self.headroom.0.store(left - length, Ordering::Relaxed);
        self.rests = true;
        Poll::Ready(Some(Ok(piece)))
    }
}
