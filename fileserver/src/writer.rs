//! Bytes of any length in, chunks in the database out: hashed and counted on the way, a few chunks a commit. Agents' uploads
//! and customers' files go this one way.

use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};
use switchboard_common::model::{AccountId, FileId};
use switchboard_common::store::{CHUNK_BYTES, Database, StoreError};
use tokio_util::task::AbortOnDropHandle;

/// Chunks of a commit. While one is under way the next is filled: a file takes twice this memory.
const AT_ONCE: usize = 4;

/// Writes the bytes of one pending file. Dropped, it writes no more: the chunks that are there stay until they are written
/// again or the file is given up.
pub struct ChunkWriter {
    database: Database,
    account: AccountId,
    id: FileId,
    next_seq: i32,
    filling: BytesMut,
    full: Vec<Bytes>,
    writing: Option<AbortOnDropHandle<Result<bool, StoreError>>>,
    hash: Sha256,
    size_bytes: u64,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// How much.
    pub size_bytes: i64,
    /// In how many chunks.
    pub chunks: i32,
    /// Its hash.
    pub sha256: [u8; 32],
}

/// Why nothing more can be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Somebody gave the file up meanwhile.
    #[error("the file was given up meanwhile")]
    Gone,
    /// The database did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ChunkWriter {
    /// For the pending file `id`.
    pub fn new(database: Database, account: AccountId, id: FileId) -> Self {
        let (filling, hash) = (BytesMut::new(), Sha256::new());
        Self { database, account, id, next_seq: 0, filling, full: Vec::new(), writing: None, hash, size_bytes: 0 }
    }

    /// So many bytes so far.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The next bytes. Waits for the commit before the last.
    pub async fn push(&mut self, mut bytes: &[u8]) -> Result<(), WriteError> {
        self.hash.update(bytes);
        self.size_bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            if self.filling.is_empty() {
                self.filling.reserve(CHUNK_BYTES);
            }
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK_BYTES - self.filling.len()));
            self.filling.extend_from_slice(now);
            bytes = later;
            if self.filling.len() == CHUNK_BYTES {
                self.full.push(self.filling.split().freeze());
                if self.full.len() == AT_ONCE {
                    self.write().await?;
                }
            }
        }
        Ok(())
    }

    /// The last commit: all bytes are in the table. Whose file it is makes them readable.
    pub async fn finish(mut self) -> Result<Counted, WriteError> {
        if !self.filling.is_empty() {
            self.full.push(self.filling.split().freeze());
        }
        if !self.full.is_empty() {
            self.write().await?;
        }
        self.written().await?;
        let size_bytes = i64::try_from(self.size_bytes).unwrap_or(i64::MAX);
        Ok(Counted { size_bytes, chunks: self.next_seq, sha256: self.hash.finalize().into() })
    }

    async fn write(&mut self) -> Result<(), WriteError> {
        self.written().await?;
        let (database, account, id) = (self.database.clone(), self.account, self.id.clone());
        let (seq, chunks) = (self.next_seq, std::mem::take(&mut self.full));
        self.next_seq += chunks.len() as i32;
        let writing = tokio::spawn(async move { database.write_chunks(account, &id, seq, &chunks).await });
        self.writing = Some(AbortOnDropHandle::new(writing));
        Ok(())
    }

    async fn written(&mut self) -> Result<(), WriteError> {
        let Some(writing) = self.writing.take() else { return Ok(()) };
        // Only the end of the runtime ends the task before its time.
        match writing.await.map_err(|_| WriteError::Gone)?? {
            true => Ok(()),
            false => Err(WriteError::Gone),
        }
    }
}
