//! Removing what nobody will ask for: uploads that broke off, and uploads that no message ever named.
//!
//! A file's row is the handle of its removal: it is marked first, so that nobody reads it or writes to it, and goes last,
//! after its chunks; a removal that broke off is found again. A customer's file is never an orphan.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::super::work::Work;
use super::super::{Database, StoreError};
use super::read;
use crate::model::{AccountId, FileId};

/// What one look for orphans did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swept {
    /// Files removed.
    pub removed: u64,
    /// Where the next look begins: what was named once is not looked at again.
    pub seen: Option<(DateTime<Utc>, FileId)>,
    /// Whether there is more to look at.
    pub more: bool,
}

/// Files looked at at once; also in the statements.
const PAGE: usize = 100;

const MARK: &str = "
UPDATE file SET state = 2, reason = 'abandoned' WHERE account_id = $1 AND id = $2 AND NOT inbound AND state = 0";

const REMOVE_CHUNKS: &str = "
DELETE FROM file_chunk WHERE account_id = $1 AND file_id = $2 AND seq = ANY (ARRAY(
  SELECT c.seq FROM file f JOIN file_chunk c ON c.account_id = f.account_id AND c.file_id = f.id
   WHERE f.account_id = $1 AND f.id = $2 AND f.state <> 1 ORDER BY c.seq LIMIT 64))";

const REMOVE_ROW: &str = "DELETE FROM file WHERE account_id = $1 AND id = $2 AND NOT inbound AND state = 2";

// $1 account $2 seconds
const UNFINISHED: &str = "
SELECT id FROM file WHERE account_id = $1 AND NOT inbound AND state <> 1
   AND created_at < now() - $2 * interval '1 s' ORDER BY created_at LIMIT 100";

// $1 account $2 seconds $3, $4 seen
const UPLOADED: &str = "
SELECT f.id, f.ready_at,
       EXISTS (SELECT 1 FROM file_use u WHERE u.account_id = f.account_id AND u.file_id = f.id) AS used
  FROM file f WHERE f.account_id = $1 AND NOT f.inbound AND f.state = 1
   AND (f.ready_at, f.id) > ($3, $4) AND f.ready_at < now() - $2 * interval '1 s'
 ORDER BY f.ready_at, f.id LIMIT 100";

// Whoever names the file at this moment holds its row; once it is ours, a statement of its own sees what they wrote.
const LOCK: &str = "
SELECT id FROM file WHERE account_id = $1 AND id = ANY ($2::text[]) AND state = 1 ORDER BY id FOR UPDATE SKIP LOCKED";

const MARK_UNUSED: &str = "
UPDATE file f SET state = 2, reason = 'unused' WHERE f.account_id = $1 AND f.id = ANY ($2::text[]) AND f.state = 1
   AND NOT EXISTS (SELECT 1 FROM file_use u WHERE u.account_id = f.account_id AND u.file_id = f.id) RETURNING f.id";

#[cfg(test)]
pub(super) const HOT: &[&str] = &[MARK, REMOVE_CHUNKS, REMOVE_ROW, UNFINISHED, UPLOADED, LOCK, MARK_UNUSED];

impl Database {
    /// Gives up an upload: what was written is removed. Of a customer's file only the chunks are, and it stays pending.
    /// A ready file is left alone.
    pub async fn abandon_upload(&self, account: AccountId, id: &FileId) -> Result<(), StoreError> {
        let values = (account.0, id.as_str());
        self.change(MARK, values).await?;
        while self.change(REMOVE_CHUNKS, values).await? > 0 {}
        self.change(REMOVE_ROW, values).await?;
        Ok(())
    }

    /// Removes uploads that did not become whole within `unfinished`, and a page of those that no message named within
    /// `unused`, from after `seen` on.
    pub async fn remove_orphans(
        &self,
        account: AccountId,
        unfinished: Duration,
        unused: Duration,
        seen: Option<(DateTime<Utc>, FileId)>,
    ) -> Result<Swept, StoreError> {
        let broken = self.unfinished(account, unfinished).await?;
        let (uploaded, idle) = self.uploaded(account, unused, seen.as_ref()).await?;
        let more = broken.len() == PAGE || uploaded.len() == PAGE;
        let idle = self.mark_unused(account, &idle).await?;
        for id in broken.iter().chain(&idle) {
            self.abandon_upload(account, id).await?;
        }
        let removed = (broken.len() + idle.len()) as u64;
        Ok(Swept { removed, seen: uploaded.into_iter().next_back().or(seen), more })
    }

    async fn unfinished(&self, account: AccountId, age: Duration) -> Result<Vec<FileId>, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let unfinished = connection.prepare_cached(UNFINISHED).await?;
            let rows = connection.query(&unfinished, &[&account.0, &age.as_secs_f64()]).await?;
            connection.done();
            rows.iter().map(|row| read::id(row.get(0))).collect()
        })
        .await
    }

    /// A page of uploads, and those of them that no message names.
    #[allow(clippy::type_complexity)] // a page and its part
    async fn uploaded(
        &self,
        account: AccountId,
        age: Duration,
        seen: Option<&(DateTime<Utc>, FileId)>,
    ) -> Result<(Vec<(DateTime<Utc>, FileId)>, Vec<FileId>), StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let uploaded = connection.prepare_cached(UPLOADED).await?;
            let (at, after) = seen.map_or((DateTime::UNIX_EPOCH, ""), |(at, id)| (*at, id.as_str()));
            let rows = connection.query(&uploaded, &[&account.0, &age.as_secs_f64(), &at, &after]).await?;
            connection.done();
            let (mut page, mut idle) = (Vec::with_capacity(rows.len()), Vec::new());
            for row in &rows {
                let id = read::id(row.get("id"))?;
                if !row.get::<_, bool>("used") {
                    idle.push(id.clone());
                }
                page.push((row.get("ready_at"), id));
            }
            Ok((page, idle))
        })
        .await
    }

    async fn mark_unused(&self, account: AccountId, idle: &[FileId]) -> Result<Vec<FileId>, StoreError> {
        if idle.is_empty() {
            return Ok(Vec::new());
        }
        self.within(async {
            let connection = self.connection().await?;
            let (lock, mark) = (connection.prepare_cached(LOCK).await?, connection.prepare_cached(MARK_UNUSED).await?);
            let ids: Vec<&str> = idle.iter().map(FileId::as_str).collect();
            let (work, rows) = Work::begin(connection, &lock, &[&account.0, &ids]).await?;
            let ids: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
            let rows = work.client().query(&mark, &[&account.0, &ids]).await?;
            work.commit().await?;
            rows.iter().map(|row| read::id(row.get(0))).collect()
        })
        .await
    }

    async fn change(&self, sql: &str, (account, id): (i32, &str)) -> Result<u64, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let statement = connection.prepare_cached(sql).await?;
            let changed = connection.execute(&statement, &[&account, &id]).await?;
            connection.done();
            Ok(changed)
        })
        .await
    }
}
