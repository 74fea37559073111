//! An upload from its first byte to the commit that makes it readable.

use axum::http::StatusCode;
use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};
use switchboard_common::faults::point;
use switchboard_common::model::{AgentId, FileId, FileKind, SNIFFED_BYTES, sniffed};
use switchboard_common::service::problem::Problem;
use switchboard_common::store::{FileRow, Finished, NewFile};

use crate::server::FileServer;
use crate::source::Source;
use crate::writer::{ChunkWriter, Counted, WriteError};

/// What is said of the bytes before they come.
pub(crate) struct Declared<'a> {
    pub(crate) agent: AgentId,
    pub(crate) client_key: Option<&'a str>,
    pub(crate) name: Option<&'a str>,
    pub(crate) mime: Option<&'a str>,
}

/// All bytes are written, but nobody may read them yet. Dropped, they are removed.
pub(crate) struct Received {
    pending: Pending,
    writer: ChunkWriter,
    sniffed: Option<&'static str>,
}

/// A file's row, which must not stay pending.
struct Pending {
    server: FileServer,
    id: FileId,
    over: bool,
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.over {
            self.server.abandon(self.id.clone());
        }
    }
}

/// Takes the bytes in.
pub(crate) async fn receive(
    server: &FileServer,
    declared: &Declared<'_>,
    source: &mut Source<'_>,
) -> Result<Received, Problem> {
    let limit = limit(server, None)?;
    let (head, mut more) = head(source).await?;
    let sniffed = sniffed(&head);
    if head.is_empty() {
        return Err(Problem::bad_request("the file is empty"));
    }
    let id = FileId::new();
    let new = NewFile {
        account: server.account(),
        id: &id,
        inbound: false,
        kind: kind(sniffed),
        name: declared.name,
        mime: declared.mime,
        agent: Some(declared.agent),
        client_key: declared.client_key,
    };
    // From here on there may be a row, also when nobody waits for the answer any more.
    let pending = Pending { server: server.clone(), id: id.clone(), over: false };
    server.database().begin_upload(&new).await?;
    let mut writer = ChunkWriter::new(server.database().clone(), server.account(), id);
    let mut next = Some(head);
    while let Some(bytes) = next {
        if writer.size_bytes() + bytes.len() as u64 > limit {
            return Err(too_large(limit));
        }
        server.count_bytes("in", bytes.len());
        writer.push(&bytes).await.map_err(unwritten)?;
        if more {
            point("F1");
        }
        next = if more { source.next().await? } else { None };
        more = next.is_some();
    }
    Ok(Received { pending, writer, sniffed })
}

impl Received {
    /// Makes them readable. Tells the file's row, and whether it is new: the same bytes under the same key are one file.
    pub(crate) async fn finish(self) -> Result<(FileRow, bool), Problem> {
        let Self { mut pending, writer, sniffed } = self;
        let server = pending.server.clone();
        let Counted { size_bytes, sha256, .. } = writer.finish().await.map_err(unwritten)?;
        let (database, account) = (server.database(), server.account());
        let (id, new) = match database.finish_upload(account, &pending.id, size_bytes, &sha256, sniffed).await? {
            Finished::Ready => {
                point("F2");
                pending.over = true;
                (pending.id.clone(), true)
            }
            Finished::Repeated(id) => (id, false),
            Finished::KeyConflict => return Err(key_conflict()),
            Finished::Gone => return Err(unwritten(WriteError::Gone)),
        };
        let row = database.file(account, &id).await?;
        row.map(|row| (row, new)).ok_or_else(|| unwritten(WriteError::Gone))
    }
}

/// Whether the bytes are those of a file that is there.
pub(crate) async fn compare(server: &FileServer, row: &FileRow, source: &mut Source<'_>) -> Result<(), Problem> {
    let limit = limit(server, None)?;
    let (mut hash, mut size) = (Sha256::new(), 0);
    while let Some(bytes) = source.next().await? {
        size += bytes.len() as u64;
        if size > limit {
            return Err(too_large(limit));
        }
        hash.update(&bytes);
    }
    match row.sha256.as_deref() == Some(hash.finalize().as_slice()) {
        true => Ok(()),
        false => Err(key_conflict()),
    }
}

/// Most bytes of a file; an error when there can be none, or `declared` is more. What is declared is only a hint: the bytes
/// are counted, too.
pub(crate) fn limit(server: &FileServer, declared: Option<u64>) -> Result<u64, Problem> {
    let Some(limits) = server.limits() else {
        let why = "this account's platform takes no files";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unsupported", why));
    };
    match declared {
        Some(size) if size > limits.file_max_bytes => Err(too_large(limits.file_max_bytes)),
        _ => Ok(limits.file_max_bytes),
    }
}

/// The first bytes, as many as are looked at, and whether there may be more.
async fn head(source: &mut Source<'_>) -> Result<(Bytes, bool), Problem> {
    let mut head = BytesMut::new();
    while head.len() < SNIFFED_BYTES {
        match source.next().await? {
            Some(bytes) if head.is_empty() && bytes.len() >= SNIFFED_BYTES => return Ok((bytes, true)),
            Some(bytes) => head.extend_from_slice(&bytes),
            None => return Ok((head.freeze(), false)),
        }
    }
    Ok((head.freeze(), true))
}

/// What platforms send as a picture, and everything else.
fn kind(sniffed: Option<&str>) -> FileKind {
    match sniffed {
        Some("image/jpeg" | "image/png" | "image/webp") => FileKind::Photo,
        _ => FileKind::Document,
    }
}

fn too_large(limit: u64) -> Problem {
    let why = format!("the file is larger than the {limit} bytes that the platform takes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", why)
}

fn key_conflict() -> Problem {
    Problem::new(StatusCode::CONFLICT, "key_conflict", "other bytes were uploaded under this key")
}

fn unwritten(error: WriteError) -> Problem {
    match error {
        WriteError::Store(error) => error.into(),
        WriteError::Gone => Problem::unavailable("the upload was given up: send it again"),
    }
}
