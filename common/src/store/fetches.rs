//! Files of customers whose bytes are still with the platform: claim, put off, end.
//!
//! A claim is a lease: `retry_at` lies in the future and `reason` is empty. What was put off has a reason. So a new tenure can
//! tell what the one before was just fetching, and fetches it at once. A claim is made under the epoch, or one that a connector
//! makes before it learns that its tenure is over would be nobody's until its lease ends. The rest is not fenced: the number of
//! the try guards the end, and two that fetch the same file write the same bytes.

use std::time::Duration;

use tokio_postgres::Row;

use super::items::FileEndItem;
use super::work::Work;
use super::{Database, StoreError};
use crate::model::{AccountId, Epoch, FileId, FileState, text};

/// A file to be fetched, ours until the lease ends.
#[derive(Clone, Debug)]
pub struct DueFile {
    /// The file.
    pub id: FileId,
    /// Number of this try.
    pub attempt: i32,
    /// The platform's id of the bytes.
    pub platform_ref: String,
    /// Since when it is known.
    pub age: Duration,
}

/// How a file's fetch ended for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchEnd<'a> {
    /// All bytes are in the chunks.
    Ready {
        /// Their number.
        size_bytes: i64,
        /// Their SHA-256.
        sha256: &'a [u8],
        /// The type they show.
        sniffed: Option<&'a str>,
        /// The chunks they are in.
        chunks: i32,
    },
    /// They will not come.
    Failed {
        /// Why, readable to an agent.
        reason: &'a str,
    },
}

/// What is still to be fetched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unfetched {
    /// Files.
    pub count: i64,
    /// How long until the next one is due; none when nothing is left.
    pub next: Option<Duration>,
}

const CLAIM: &str = "
WITH me AS MATERIALIZED (SELECT account_id FROM account_lease WHERE account_id = $1 AND epoch = $3 FOR SHARE),
q AS MATERIALIZED (
  SELECT f.id FROM file f WHERE f.account_id = (SELECT account_id FROM me) AND f.state = 0 AND f.inbound
     AND (f.retry_at IS NULL OR f.retry_at <= clock_timestamp())
   ORDER BY f.retry_at NULLS FIRST LIMIT 1 FOR UPDATE SKIP LOCKED)
UPDATE file f SET attempts = f.attempts + 1, retry_at = clock_timestamp() + make_interval(secs => $2), reason = NULL
  FROM q WHERE f.account_id = $1 AND f.id = q.id
RETURNING f.id, f.attempts, f.platform_ref, extract(epoch FROM clock_timestamp() - f.created_at)::float8 AS age";

const PUT_OFF: &str = "
UPDATE file SET retry_at = clock_timestamp() + make_interval(secs => $4), reason = $5, attempts = attempts - $6
 WHERE account_id = $1 AND id = $2 AND state = 0 AND attempts = $3";

const INHERIT: &str = "
UPDATE file SET retry_at = NULL
 WHERE account_id = $1 AND state = 0 AND inbound AND attempts > 0 AND reason IS NULL AND retry_at IS NOT NULL";

const UNFETCHED: &str = "
SELECT count(*) AS count,
       extract(epoch FROM min(coalesce(retry_at, clock_timestamp())) - clock_timestamp())::float8 AS next
  FROM file WHERE account_id = $1 AND state = 0 AND inbound";

// What an earlier try left behind the last chunk; of a failed one, everything. In the order in which chunks are written: row first.
const TRIM: &str = "
WITH f AS MATERIALIZED (SELECT id FROM file WHERE account_id = $1 AND id = $2 AND state = 0 AND attempts = $3 FOR UPDATE)
DELETE FROM file_chunk c USING f WHERE c.account_id = $1 AND c.file_id = f.id AND c.seq >= $4";

/// The end of a statement whose `f` is the ended file: an inbox row, and its pending twin.
macro_rules! tell {
    ($item:literal) => {
        concat!(
            "
i AS (INSERT INTO inbox (account_id, dedupe_key, kind) SELECT $1, 'f:' || $2, 4 FROM f ON CONFLICT DO NOTHING RETURNING 1),
p AS (INSERT INTO pending (account_id, chat_key, kind, dedupe_key, item)
      SELECT $1, f.chat_key, 4, 'f:' || $2, ",
            $item,
            "::jsonb FROM f, i RETURNING 1)
SELECT count(*) FROM f"
        )
    };
}

// What is stored must be as long as what was counted.
const READY: &str = concat!(
    "
WITH f AS (
  UPDATE file SET state = 1, size_bytes = $4, sha256 = $5, sniffed = $6, ready_at = now(), retry_at = NULL, reason = NULL
   WHERE account_id = $1 AND id = $2 AND state = 0 AND attempts = $3
     AND $4 = (SELECT coalesce(sum(octet_length(data)), 0) FROM file_chunk WHERE account_id = $1 AND file_id = $2)
  RETURNING chat_key),",
    tell!("$7::text")
);

const FAILED: &str = concat!(
    "
WITH f AS (
  UPDATE file SET state = 2, reason = $4, retry_at = NULL
   WHERE account_id = $1 AND id = $2 AND state = 0 AND attempts = $3 RETURNING chat_key),",
    tell!("$5::text")
);

/// For the test that reads the plans.
#[cfg(test)]
pub(super) const HOT: &[&str] = &[CLAIM, PUT_OFF, INHERIT, UNFETCHED, TRIM, READY, FAILED];

impl Database {
    /// Gives back what an earlier tenure was fetching when it ended.
    pub async fn inherit_fetches(&self, account: AccountId) -> Result<u64, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let inherit = connection.prepare_cached(INHERIT).await?;
            let inherited = connection.execute(&inherit, &[&account.0]).await?;
            connection.done();
            Ok(inherited)
        })
        .await
    }

    /// The next file to fetch, for `lease`; new ones first. None once the tenure is over.
    pub async fn claim_fetch(
        &self,
        account: AccountId,
        epoch: Epoch,
        lease: Duration,
    ) -> Result<Option<DueFile>, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let claim = connection.prepare_cached(CLAIM).await?;
            let row = connection.query_opt(&claim, &[&account.0, &lease.as_secs_f64(), &epoch.0]).await?;
            connection.done();
            row.as_ref().map(due).transpose()
        })
        .await
    }

    /// Puts a file off for `after`; a try that says nothing about the file does not count (`counts` is false).
    pub async fn put_off_fetch(
        &self,
        account: AccountId,
        file: &DueFile,
        after: Duration,
        reason: &str,
        counts: bool,
    ) -> Result<(), StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let put_off = connection.prepare_cached(PUT_OFF).await?;
            let (id, seconds, spared) = (file.id.as_str(), after.as_secs_f64(), i32::from(!counts));
            connection.execute(&put_off, &[&account.0, &id, &file.attempt, &seconds, &reason, &spared]).await?;
            connection.done();
            Ok(())
        })
        .await
    }

    /// Ends a file's fetch for good and tells the chatservers, in one transaction: what they are told is an inbox row, like
    /// everything else. False when another try has taken it over or ended it.
    pub async fn end_fetch(&self, account: AccountId, file: &DueFile, end: &FetchEnd<'_>) -> Result<bool, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let trim = connection.prepare_cached(TRIM).await?;
            let (id, item) = (file.id.as_str(), item(file, end));
            let kept = match end {
                FetchEnd::Ready { chunks, .. } => *chunks,
                FetchEnd::Failed { .. } => 0,
            };
            let (work, _) = Work::begin(connection, &trim, &[&account.0, &id, &file.attempt, &kept]).await?;
            let client = work.client();
            let row = match end {
                FetchEnd::Ready { size_bytes, sha256, sniffed, .. } => {
                    let ready = client.prepare_cached(READY).await?;
                    client
                        .query_one(&ready, &[&account.0, &id, &file.attempt, size_bytes, sha256, sniffed, &item])
                        .await?
                }
                FetchEnd::Failed { reason } => {
                    let failed = client.prepare_cached(FAILED).await?;
                    client.query_one(&failed, &[&account.0, &id, &file.attempt, reason, &item]).await?
                }
            };
            let ended = row.get::<_, i64>(0) == 1;
            work.commit().await?;
            Ok(ended)
        })
        .await
    }

    /// How much is still to be fetched, and when the next is due.
    pub async fn unfetched(&self, account: AccountId) -> Result<Unfetched, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let unfetched = connection.prepare_cached(UNFETCHED).await?;
            let row = connection.query_one(&unfetched, &[&account.0]).await?;
            connection.done();
            let next: Option<f64> = row.get("next");
            Ok(Unfetched { count: row.get("count"), next: next.map(|s| Duration::from_secs_f64(s.max(0.0))) })
        })
        .await
    }
}

fn due(row: &Row) -> Result<DueFile, StoreError> {
    let id: &str = row.get("id");
    let unexpected = |what: &str| StoreError::Unexpected(format!("file {id} has no {what}"));
    Ok(DueFile {
        id: FileId::parse(id).ok_or_else(|| unexpected("id of ours"))?,
        attempt: row.get("attempts"),
        platform_ref: row.get::<_, Option<String>>("platform_ref").ok_or_else(|| unexpected("platform's id"))?,
        age: Duration::from_secs_f64(row.get::<_, f64>("age").max(0.0)),
    })
}

/// What the chatservers are told.
fn item(file: &DueFile, end: &FetchEnd<'_>) -> String {
    let mut item = FileEndItem {
        file: file.id.to_string(),
        of: None,
        state: FileState::Failed.as_str().to_owned(),
        size_bytes: None,
        mime: None,
        sha256: None,
        reason: None,
    };
    match end {
        FetchEnd::Ready { size_bytes, sha256, sniffed, .. } => {
            item.state = FileState::Ready.as_str().to_owned();
            item.size_bytes = Some(*size_bytes);
            item.mime = sniffed.map(str::to_owned);
            item.sha256 = Some(text::hex(sha256));
        }
        FetchEnd::Failed { reason } => item.reason = Some((*reason).to_owned()),
    }
    serde_json::to_string(&item).expect("plain fields are JSON")
}
