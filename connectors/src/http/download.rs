//! Bodies that are passed on piece by piece, and never held whole.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::ACCEPT_ENCODING;
use switchboard_common::service::clock::Moment;

use super::guard::{Checked, Origin};
use super::{Http, words};

/// A body that stands still for so long will not go on.
const STALLED: Duration = Duration::from_secs(30);

/// A body on its way: read it piece by piece.
#[derive(Debug)]
pub struct Download {
    response: reqwest::Response,
    left: u64,
    deadline: Moment,
}

/// Why a download broke off.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DownloadError {
    /// Nothing, or not all, came in time.
    #[error("{0}")]
    Broken(String),
    /// Another status than 200.
    #[error("HTTP {0}")]
    Status(u16),
    /// It is larger than allowed.
    #[error("it is too large")]
    TooLarge,
    /// Nobody was asked for it.
    #[error("its address is not one that files are fetched from: {0}")]
    Forbidden(&'static str),
}

impl Http {
    /// Asks for what is at `url`, which must be of `origin`; of it at most `max_bytes` are read, and none after `deadline`.
    /// Redirects are not followed and nothing is decoded. The URL may hold a token: it is in no error.
    pub async fn get_stream(
        &self,
        url: &str,
        origin: &Origin,
        max_bytes: u64,
        deadline: Moment,
    ) -> Result<Download, DownloadError> {
        let request = match origin.check(url).map_err(DownloadError::Forbidden)? {
            Checked::Configured(url) => self.downloads.get(url),
            Checked::Public(url) => self.guarded.get(url),
        };
        let response = in_time(deadline, request.header(ACCEPT_ENCODING, "identity").send()).await?;
        match response.status().as_u16() {
            200 if response.content_length().is_some_and(|length| length > max_bytes) => Err(DownloadError::TooLarge),
            200 => Ok(Download { response, left: max_bytes, deadline }),
            status => Err(DownloadError::Status(status)),
        }
    }
}

impl Download {
    /// The next piece; none after the last. What a length was declared for is never cut short silently.
    pub async fn next(&mut self) -> Result<Option<Bytes>, DownloadError> {
        let Some(piece) = in_time(self.deadline, self.response.chunk()).await? else { return Ok(None) };
        self.left = self.left.checked_sub(piece.len() as u64).ok_or(DownloadError::TooLarge)?;
        Ok(Some(piece))
    }
}

async fn in_time<T>(
    deadline: Moment,
    step: impl Future<Output = Result<T, reqwest::Error>>,
) -> Result<T, DownloadError> {
    match tokio::time::timeout(deadline.remaining().min(STALLED), step).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(DownloadError::Broken(words(error))),
        Err(_) => Err(DownloadError::Broken("it stood still, or took too long".to_owned())),
    }
}

#[cfg(test)]
#[path = "download_tests.rs"]
mod tests;
