//! Attachments: rows of `file`, and their bytes in chunks.
//!
//! Bytes are written a few chunks a commit, and the row becomes *ready* in the last one; until then nothing can be read.
//! Whoever names a file in a message locks its row `FOR SHARE`, checks that it is ready and writes `file_use` in the same
//! transaction: a file that nobody named yet may be removed ([`Database::remove_orphans`]).

mod orphans;
mod read;

use bytes::Bytes;

use super::work::Work;
use super::{Database, StoreError};
use crate::model::{AccountId, AgentId, FileId, FileKind};

pub use orphans::Swept;
pub use read::FileRow;

/// Length of every chunk but a file's last.
pub const CHUNK_BYTES: usize = 256 * 1024;

/// A file whose bytes are about to be written.
#[derive(Debug)]
pub struct NewFile<'a> {
    /// Of which account.
    pub account: AccountId,
    /// Its id.
    pub id: &'a FileId,
    /// From a customer; otherwise an agent's.
    pub inbound: bool,
    /// What it is.
    pub kind: FileKind,
    /// As declared, already cleaned.
    pub name: Option<&'a str>,
    /// As declared.
    pub mime: Option<&'a str>,
    /// Who uploads it.
    pub agent: Option<AgentId>,
    /// The agent's own name for the upload.
    pub client_key: Option<&'a str>,
}

/// How an upload ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finished {
    /// It is ready.
    Ready,
    /// The agent has uploaded the same bytes under the same key: this is the file. The new one is to be abandoned.
    Repeated(FileId),
    /// The agent has uploaded other bytes under the key. The new file is to be abandoned.
    KeyConflict,
    /// It was abandoned meanwhile.
    Gone,
}

const BEGIN: &str = "
INSERT INTO file (account_id, id, inbound, kind, name, mime, agent_id, client_key) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";

// The row's lock: an upload given up by somebody else gets no further chunk. The same chunk again is the same chunk: a commit
// whose answer was lost is repeated.
const WRITE: &str = "
WITH f AS (SELECT FROM file WHERE account_id = $1 AND id = $2 AND state = 0 FOR SHARE)
INSERT INTO file_chunk (account_id, file_id, seq, data)
SELECT $1, $2, c.seq, c.data FROM f, unnest($3::int[], $4::bytea[]) c (seq, data)
    ON CONFLICT (account_id, file_id, seq) DO UPDATE SET data = excluded.data";

// What is stored must be as long as what was counted.
const FINISH: &str = "
UPDATE file SET state = 1, size_bytes = $3, sha256 = $4, sniffed = $5, ready_at = now(), retry_at = NULL, reason = NULL
 WHERE account_id = $1 AND id = $2 AND state = 0
   AND $3 = (SELECT coalesce(sum(octet_length(data)), 0) FROM file_chunk WHERE account_id = $1 AND file_id = $2)";

const STATE: &str = "SELECT state, sha256 FROM file WHERE account_id = $1 AND id = $2";

const SAME_KEY: &str = "
SELECT o.id, o.sha256 FROM file f
  JOIN file o ON o.account_id = f.account_id AND o.agent_id = f.agent_id AND o.client_key = f.client_key
 WHERE f.account_id = $1 AND f.id = $2 AND o.state = 1 AND o.client_key IS NOT NULL";

/// For the test that reads the plans.
#[cfg(test)]
pub(super) fn hot() -> Vec<&'static str> {
    [&[BEGIN, WRITE, FINISH, STATE, SAME_KEY], read::HOT, orphans::HOT].concat()
}

impl Database {
    /// Makes the row of a file whose chunks follow.
    pub async fn begin_upload(&self, new: &NewFile<'_>) -> Result<(), StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let begin = connection.prepare_cached(BEGIN).await?;
            let (id, kind, agent) = (new.id.as_str(), new.kind.as_str(), new.agent.map(|agent| agent.0));
            connection
                .execute(
                    &begin,
                    &[&new.account.0, &id, &new.inbound, &kind, &new.name, &new.mime, &agent, &new.client_key],
                )
                .await?;
            connection.done();
            Ok(())
        })
        .await
    }

    /// Writes consecutive chunks and commits; false when the file is no longer pending. Every chunk but the file's last has
    /// [`CHUNK_BYTES`].
    pub async fn write_chunks(
        &self,
        account: AccountId,
        id: &FileId,
        first_seq: i32,
        chunks: &[Bytes],
    ) -> Result<bool, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let write = connection.prepare_cached(WRITE).await?;
            let seqs: Vec<i32> = (first_seq..).take(chunks.len()).collect();
            let data: Vec<&[u8]> = chunks.iter().map(AsRef::as_ref).collect();
            let written = connection.execute(&write, &[&account.0, &id.as_str(), &seqs, &data]).await?;
            connection.done();
            Ok(written == chunks.len() as u64)
        })
        .await
    }

    /// Says what was written, and makes it readable. The same call again, after an answer that was lost, is harmless.
    pub async fn finish_upload(
        &self,
        account: AccountId,
        id: &FileId,
        size_bytes: i64,
        sha256: &[u8],
        sniffed: Option<&str>,
    ) -> Result<Finished, StoreError> {
        let finishing = self.within(async {
            let connection = self.connection().await?;
            let finish = connection.prepare_cached(FINISH).await?;
            let finished =
                connection.execute(&finish, &[&account.0, &id.as_str(), &size_bytes, &sha256, &sniffed]).await?;
            connection.done();
            Ok(finished == 1)
        });
        match finishing.await {
            Ok(true) => Ok(Finished::Ready),
            Ok(false) => self.not_pending(account, id, sha256).await,
            Err(error) if error.is_unique_violation() => self.same_key(account, id, sha256).await,
            Err(error) => Err(error),
        }
    }

    async fn not_pending(&self, account: AccountId, id: &FileId, sha256: &[u8]) -> Result<Finished, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let state = connection.prepare_cached(STATE).await?;
            let (work, rows) = Work::begin(connection, &state, &[&account.0, &id.as_str()]).await?;
            let was: Option<(i16, Option<Vec<u8>>)> = rows.first().map(|row| (row.get(0), row.get(1)));
            work.commit_repeat().await?;
            match was {
                Some((1, Some(other))) if other == sha256 => Ok(Finished::Ready),
                Some((0, _)) => Err(StoreError::Unexpected(format!("file {id} has not the chunks that were counted"))),
                _ => Ok(Finished::Gone),
            }
        })
        .await
    }

    async fn same_key(&self, account: AccountId, id: &FileId, sha256: &[u8]) -> Result<Finished, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let same = connection.prepare_cached(SAME_KEY).await?;
            let (work, rows) = Work::begin(connection, &same, &[&account.0, &id.as_str()]).await?;
            work.commit_repeat().await?;
            let Some(row) = rows.first() else { return Ok(Finished::Gone) };
            match row.get::<_, Vec<u8>>(1) == sha256 {
                true => Ok(Finished::Repeated(read::id(row.get(0))?)),
                false => Ok(Finished::KeyConflict),
            }
        })
        .await
    }
}
