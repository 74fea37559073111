//! The rest of a refused body is read for a moment: else the connection is reset, and the answer may be lost with it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header;
use futures_util::{Stream, StreamExt};

const AT_MOST_BYTES: usize = 64 * 1024 * 1024;
const AT_MOST: Duration = Duration::from_secs(10);

/// The request, with a body that is read on when it is dropped before its end.
pub(crate) fn behind(request: Request) -> Request {
    if request.body().is_end_stream() {
        return request;
    }
    // Such a client sends nothing before it is asked to, by the first read.
    let waits = request.headers().contains_key(header::EXPECT);
    request.map(|body| Body::from_stream(Rest { body: Some(body.into_data_stream()), read: !waits }))
}

struct Rest {
    /// None: it ended.
    body: Option<BodyDataStream>,
    /// Whether something may be on its way.
    read: bool,
}

impl Stream for Rest {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.read = true;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let next = body.poll_next_unpin(cx);
        if matches!(next, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        next
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        let Some(mut body) = self.body.take().filter(|_| self.read) else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(tokio::time::timeout(AT_MOST, async move {
            let mut left = AT_MOST_BYTES;
            while let Some(Ok(bytes)) = body.next().await {
                left = left.saturating_sub(bytes.len());
                if left == 0 {
                    return;
                }
            }
        }));
    }
}
