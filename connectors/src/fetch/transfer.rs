//! A download into a file's chunks, never whole in memory.

use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};
use switchboard_common::faults::{armed, point};
use switchboard_common::model::{AccountId, FileId, SNIFFED_BYTES, sniffed};
use switchboard_common::store::{CHUNK_BYTES, Database};

use super::Failure;
use crate::platform::{Download, FetchError};

/// All bytes of a file are in its chunks.
pub(super) struct Fetched {
    pub size_bytes: i64,
    pub sha256: Vec<u8>,
    pub sniffed: Option<&'static str>,
    pub chunks: i32,
}

/// Chunks that are written in one commit.
const AT_ONCE: usize = 4;

/// Writes what comes; `declared` is how much the platform says there is.
pub(super) async fn transfer(
    files: &Database,
    account: AccountId,
    id: &FileId,
    mut download: Download,
    declared: Option<u64>,
) -> Result<Fetched, Failure> {
    let mut into = Into { files, account, id, waiting: BytesMut::new(), written: 0 };
    let (mut hash, mut beginning, mut size) = (Sha256::new(), Vec::new(), 0u64);
    while let Some(piece) = download.next().await? {
        hash.update(&piece);
        size += piece.len() as u64;
        beginning.extend_from_slice(&piece[..piece.len().min(SNIFFED_BYTES - beginning.len())]);
        into.waiting.extend_from_slice(&piece);
        // The fault tests die in the middle of a file, however small it is: with a chunk that is too short.
        if armed("M2") && into.written == 0 {
            let half = into.waiting.clone().freeze().slice(..into.waiting.len() / 2);
            into.write(&[half], 0).await?;
            point("M2");
        }
        while into.waiting.len() >= AT_ONCE * CHUNK_BYTES {
            let whole: Vec<Bytes> = (0..AT_ONCE).map(|_| into.waiting.split_to(CHUNK_BYTES).freeze()).collect();
            into.write(&whole, AT_ONCE).await?;
        }
    }
    if let Some(declared) = declared.filter(|declared| *declared != size) {
        return Err(FetchError::Trouble(format!("{size} of {declared} bytes came")).into());
    }
    let mut last = Vec::new();
    while !into.waiting.is_empty() {
        last.push(into.waiting.split_to(into.waiting.len().min(CHUNK_BYTES)).freeze());
    }
    into.write(&last, last.len()).await?;
    Ok(Fetched {
        size_bytes: i64::try_from(size).unwrap_or(i64::MAX),
        sha256: hash.finalize().to_vec(),
        sniffed: sniffed(&beginning),
        chunks: into.written,
    })
}

struct Into<'a> {
    files: &'a Database,
    account: AccountId,
    id: &'a FileId,
    waiting: BytesMut,
    /// Chunks in the table.
    written: i32,
}

impl Into<'_> {
    /// Commits chunks, of which `count` are there to stay.
    async fn write(&mut self, chunks: &[Bytes], count: usize) -> Result<(), Failure> {
        if !chunks.is_empty() && !self.files.write_chunks(self.account, self.id, self.written, chunks).await? {
            return Err(Failure::Own("another try has ended it".to_owned()));
        }
        self.written += i32::try_from(count).unwrap_or(i32::MAX);
        Ok(())
    }
}
