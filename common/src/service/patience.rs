//! A connection whose other side must take what it is sent.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A connection that breaks when a write has waited for `span` and nothing at all was taken. An HTTP server does not see
/// this itself: while it cannot write it asks nobody for more.
pub struct Patient<S> {
    stream: S,
    span: Duration,
    until: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    /// Wraps a connection.
    pub fn new(stream: S, span: Duration) -> Self {
        Self { stream, span, until: None }
    }

    fn limited<T>(&mut self, cx: &mut Context<'_>, write: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if write.is_ready() {
            self.until = None;
            return write;
        }
        let span = self.span;
        let until = self.until.get_or_insert_with(|| Box::pin(sleep(span)));
        until.as_mut().poll(cx).map(|()| Err(io::Error::new(io::ErrorKind::TimedOut, "nothing was taken for too long")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.limited(cx, write)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.limited(cx, write)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flush = Pin::new(&mut self.stream).poll_flush(cx);
        self.limited(cx, flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whoever_takes_nothing_is_cut() {
        let (near, mut far) = duplex(8);
        let mut near = Patient::new(near, Duration::from_secs(60));
        let reading = tokio::spawn(async move {
            // Slow, but not silent.
            for _ in 0..4 {
                tokio::time::advance(Duration::from_secs(59)).await;
                assert!(far.read_u8().await.is_ok());
            }
            far
        });
        assert!(near.write_all(b"0123456789ab").await.is_ok());
        let _far = reading.await;
        let begun = Instant::now();
        let error = near.write_all(b"more than goes into it").await.err();
        assert_eq!(error.map(|error| error.kind()), Some(io::ErrorKind::TimedOut));
        assert_eq!(begun.elapsed(), Duration::from_secs(60));
    }
}
