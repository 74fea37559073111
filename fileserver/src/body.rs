//! The bytes of a download: a few chunks are read ahead, and the connection is given back before anybody is sent a byte. A
//! reader that stops reading holds memory for eight chunks, and nothing else.

use std::collections::VecDeque;
use std::ops::Range;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use switchboard_common::faults::point;
use switchboard_common::model::FileId;
use switchboard_common::store::{CHUNK_BYTES, StoreError};
use tokio::task::JoinHandle;

use crate::server::{FileServer, Turn};

/// Chunks of a read.
const AT_ONCE: u64 = 4;

const CHUNK: u64 = CHUNK_BYTES as u64;

/// Why a body ended early.
#[derive(Debug, thiserror::Error)]
enum BodyError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the file was removed")]
    Gone,
    #[error("the process ends")]
    Ending,
}

struct Reading {
    server: FileServer,
    id: FileId,
    /// Bytes of the file that are still to be sent.
    left: Range<u64>,
    /// Chunks that are not asked for yet.
    next: Range<u64>,
    read: VecDeque<Bytes>,
    ahead: Option<JoinHandle<Result<Vec<Bytes>, StoreError>>>,
    /// Bytes have been given out.
    begun: bool,
    _turn: Turn,
}

/// The bytes in `range` of a file, as a body.
pub(crate) fn body(server: FileServer, id: FileId, range: Range<u64>, turn: Turn) -> Body {
    let next = range.start / CHUNK..range.end.div_ceil(CHUNK);
    let mut reading =
        Reading { server, id, left: range, next, read: VecDeque::new(), ahead: None, begun: false, _turn: turn };
    reading.ask();
    Body::from_stream(stream::try_unfold(reading, async |mut reading| {
        Ok::<_, BodyError>(reading.bytes().await?.map(|bytes| (bytes, reading)))
    }))
}

impl Reading {
    async fn bytes(&mut self) -> Result<Option<Bytes>, BodyError> {
        if self.left.is_empty() {
            return Ok(None);
        }
        if self.begun {
            point("F3");
        }
        self.begun = true;
        if self.read.is_empty() {
            let ahead = self.ahead.take().ok_or(BodyError::Gone)?;
            let chunks = ahead.await.map_err(|_| BodyError::Ending)?;
            let chunks =
                chunks.inspect_err(|error| tracing::warn!(%error, file.id = %self.id, "a download broke off"))?;
            self.read = chunks.into();
            self.ask();
        }
        let mut chunk = self.read.pop_front().ok_or(BodyError::Gone)?;
        let within = (self.left.start % CHUNK) as usize;
        let wanted = (self.left.end - self.left.start).min(CHUNK - within as u64) as usize;
        // A chunk that is too short is not the file that was announced.
        if chunk.len() < within + wanted {
            return Err(BodyError::Gone);
        }
        chunk.truncate(within + wanted);
        self.left.start += wanted as u64;
        self.server.count_bytes("out", wanted);
        Ok(Some(chunk.split_off(within)))
    }

    /// Begins the next read.
    fn ask(&mut self) {
        let count = (self.next.end - self.next.start).min(AT_ONCE);
        if count == 0 {
            return;
        }
        let (database, account, id) = (self.server.database().clone(), self.server.account(), self.id.clone());
        let first = self.next.start as i32;
        self.next.start += count;
        self.ahead = Some(tokio::spawn(async move { database.read_chunks(account, &id, first, count as i32).await }));
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if !self.left.is_empty() {
            self.server.count_request("broken_off");
        }
    }
}
