//! What is known of a file, and its bytes.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::super::work::Work;
use super::super::{Database, StoreError};
use crate::model::{AccountId, AgentId, FileId, FileKind, FileState};

/// A row of `file`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRow {
    /// Its id.
    pub id: FileId,
    /// From a customer; otherwise an agent's.
    pub inbound: bool,
    /// Whether its bytes are there.
    pub state: FileState,
    /// What it is.
    pub kind: FileKind,
    /// As declared.
    pub name: Option<String>,
    /// As declared; never trusted.
    pub mime: Option<String>,
    /// The type its bytes show, when they are there and show one.
    pub sniffed: Option<String>,
    /// As declared while pending, as counted when ready.
    pub size_bytes: Option<i64>,
    /// Of its bytes, when they are there.
    pub sha256: Option<Vec<u8>>,
    /// Who uploaded it.
    pub agent: Option<AgentId>,
    /// Why it failed.
    pub reason: Option<String>,
    /// When it became known.
    pub created_at: DateTime<Utc>,
}

macro_rules! columns {
    () => {
        "f.id, f.inbound, f.state, f.kind, f.name, f.mime, f.sniffed, f.size_bytes, f.sha256, f.agent_id, f.reason, f.created_at"
    };
}

const FILE: &str = concat!("SELECT ", columns!(), " FROM file f WHERE f.account_id = $1 AND f.id = $2");

const FILE_FOR: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM file f WHERE f.account_id = $1 AND f.id = $2 AND (f.inbound OR f.state = 1)
        AND ($3::int IS NULL OR EXISTS (SELECT 1 FROM agent a WHERE a.id = $3 AND a.enabled) AND file_visible(f, $3))"
);

const FILE_OF_KEY: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM file f WHERE f.account_id = $1 AND f.agent_id = $2 AND f.client_key = $3 AND f.state = 1 AND f.client_key IS NOT NULL"
);

// Of a ready file only, whoever asks.
const CHUNKS: &str = "
SELECT c.data FROM file f JOIN file_chunk c ON c.account_id = f.account_id AND c.file_id = f.id
 WHERE f.account_id = $1 AND f.id = $2 AND f.state = 1 AND c.seq >= $3 AND c.seq < $3 + $4 ORDER BY c.seq";

#[cfg(test)]
pub(super) const HOT: &[&str] = &[FILE, FILE_FOR, FILE_OF_KEY, CHUNKS];

impl Database {
    /// A file of the account, in whichever state.
    pub async fn file(&self, account: AccountId, id: &FileId) -> Result<Option<FileRow>, StoreError> {
        self.one_file(FILE, &[&account.0, &id.as_str()]).await
    }

    /// A file, if it is for the eyes of `viewer`: whoever uploaded it, and who sees a chat in which it was shown. Without a
    /// viewer every one is; a disabled agent's eyes see none. An upload that is not whole is nobody's.
    pub async fn file_for(
        &self,
        account: AccountId,
        id: &FileId,
        viewer: Option<AgentId>,
    ) -> Result<Option<FileRow>, StoreError> {
        self.one_file(FILE_FOR, &[&account.0, &id.as_str(), &viewer.map(|viewer| viewer.0)]).await
    }

    /// The file that `agent` uploaded under `client_key`; as safe as when it was uploaded.
    pub async fn file_of_key(
        &self,
        account: AccountId,
        agent: AgentId,
        client_key: &str,
    ) -> Result<Option<FileRow>, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let statement = connection.prepare_cached(FILE_OF_KEY).await?;
            let (work, rows) = Work::begin(connection, &statement, &[&account.0, &agent.0, &client_key]).await?;
            work.commit_repeat().await?;
            rows.first().map(file).transpose()
        })
        .await
    }

    /// At most `count` chunks from `first_seq` on; none of a file that is not ready. Four to eight at a time: the connection is
    /// back in the pool before anybody is sent a byte.
    pub async fn read_chunks(
        &self,
        account: AccountId,
        id: &FileId,
        first_seq: i32,
        count: i32,
    ) -> Result<Vec<Bytes>, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let chunks = connection.prepare_cached(CHUNKS).await?;
            let rows = connection.query(&chunks, &[&account.0, &id.as_str(), &first_seq, &count]).await?;
            connection.done();
            Ok(rows.iter().map(|row| Bytes::from(row.get::<_, Vec<u8>>(0))).collect())
        })
        .await
    }

    async fn one_file(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Option<FileRow>, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let statement = connection.prepare_cached(sql).await?;
            let row = connection.query_opt(&statement, values).await?;
            connection.done();
            row.as_ref().map(file).transpose()
        })
        .await
    }
}

/// Reads a file's id.
pub(super) fn id(text: &str) -> Result<FileId, StoreError> {
    FileId::parse(text).ok_or_else(|| StoreError::Unexpected(format!("\"{text}\" is no file's id")))
}

fn file(row: &Row) -> Result<FileRow, StoreError> {
    let (state, kind): (i16, &str) = (row.get("state"), row.get("kind"));
    Ok(FileRow {
        id: id(row.get("id"))?,
        inbound: row.get("inbound"),
        state: FileState::from_column(state)
            .ok_or_else(|| StoreError::Unexpected(format!("file state {state} of a later version")))?,
        kind: FileKind::from_word(kind)
            .ok_or_else(|| StoreError::Unexpected(format!("file kind {kind} of a later version")))?,
        name: row.get("name"),
        mime: row.get("mime"),
        sniffed: row.get("sniffed"),
        size_bytes: row.get("size_bytes"),
        sha256: row.get("sha256"),
        agent: row.get::<_, Option<i32>>("agent_id").map(AgentId),
        reason: row.get("reason"),
        created_at: row.get("created_at"),
    })
}
