//! A download into a file's chunks, never whole in memory.

use bytes::Bytes;
use switchboard_common::faults::{armed, point};
use switchboard_common::model::{AccountId, FileId, SNIFFED_BYTES, sniffed};
use switchboard_common::store::Database;
use switchboard_fileserver::{ChunkWriter, Counted};

use super::Failure;
use crate::platform::{Download, FetchError};

/// All bytes of a file are in its chunks.
pub(super) struct Fetched {
    pub counted: Counted,
    pub sniffed: Option<&'static str>,
}

/// Writes what comes; `declared` is how much the platform says there is.
pub(super) async fn transfer(
    files: &Database,
    account: AccountId,
    id: &FileId,
    mut download: Download,
    declared: Option<u64>,
) -> Result<Fetched, Failure> {
    let mut writer = ChunkWriter::new(files.clone(), account, id.clone());
    let mut beginning = Vec::new();
    while let Some(piece) = download.next().await? {
        beginning.extend_from_slice(&piece[..piece.len().min(SNIFFED_BYTES - beginning.len())]);
        // The fault tests die in the middle of a file, however small it is: with a chunk that is too short.
        if armed("M2") && writer.size_bytes() == 0 {
            let half = Bytes::copy_from_slice(&piece[..piece.len() / 2]);
            files.write_chunks(account, id, 0, &[half]).await?;
            point("M2");
        }
        writer.push(&piece).await?;
    }
    let size = writer.size_bytes();
    if let Some(declared) = declared.filter(|declared| *declared != size) {
        return Err(FetchError::Trouble(format!("{size} of {declared} bytes came")).into());
    }
    Ok(Fetched { counted: writer.finish().await?, sniffed: sniffed(&beginning) })
}
