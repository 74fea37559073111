//! The outbox from the sender's side: claim.
//!
//! A claim is a short transaction that holds the lease row `FOR SHARE` and checks the epoch: the fence
//! (P4). An unlocked check is no fence. A claim that writes for long is extended in the same way. None is made at a server that the
//! holder of the lease has not vouched for (`marks`).

use std::borrow::Cow;
use std::time::Duration;

use tokio_postgres::Row;

use super::items::PartItem;
use super::{Connection, Database, StoreError};
use crate::faults::{Sabotage, point, sabotaged};
use crate::model::{AccountId, ChatId, Epoch, FileId, FileKind, OutboxId};

/// The number of one claim and of no other: what may put back a claim that was never answered. The number of an attempt
/// would not do: when the lost claim was never carried out, the next one makes an attempt of the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimToken(i64);

impl ClaimToken {
    /// A new one.
    #[allow(clippy::new_without_default)] // each is another
    pub fn new() -> Self {
        Self(uuid::Uuid::new_v4().as_u64_pair().0 as i64)
    }
}

/// One claim of one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The part.
    pub id: OutboxId,
    /// Number of the attempt.
    pub n: i32,
    /// Which claim it was.
    pub token: ClaimToken,
}

/// A part that is ours to send, until `write_by`.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// The part.
    pub id: OutboxId,
    /// Number of this attempt.
    pub n: i32,
    /// Its chat.
    pub chat_id: ChatId,
    /// Its chat, as the platform names it.
    pub chat_key: String,
    /// The text of the part; of a file, what goes with it.
    pub text: String,
    /// The file it carries.
    pub file: Option<ClaimedFile>,
    /// Earlier attempts that certainly failed.
    pub failures: i64,
    /// How long it has been waiting since it was accepted.
    pub age: Duration,
}

/// The file of a claimed part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedFile {
    /// Which.
    pub id: FileId,
    /// As what it is sent.
    pub kind: FileKind,
    /// As declared.
    pub name: Option<String>,
    /// What its bytes show, else as declared.
    pub mime: Option<String>,
    /// As counted.
    pub size_bytes: u64,
}

/// The deadlines of a claim, counted from the moment in which the database carries it out.
#[derive(Clone, Copy, Debug)]
pub struct ClaimSpans {
    /// After this no byte is written.
    pub write_by: Duration,
    /// After this nobody waits for the answer, unless the claim is extended.
    pub answer_by: Duration,
}

impl ClaimSpans {
    /// The same for all.
    pub fn all(span: Duration) -> Self {
        Self { write_by: span, answer_by: span }
    }
}

// A part is refused when the tenure is over, when it is not the first of its chat and lane, or while another part of its
// chat is under way: the process before us may still wait for that answer.
const CLAIM: &str = "
WITH me AS MATERIALIZED (
  SELECT account_id FROM account_lease WHERE account_id = $1 AND epoch = $2 AND server = pg_postmaster_start_time() FOR SHARE),
q AS MATERIALIZED (
  SELECT o.id FROM me JOIN outbox o ON o.account_id = me.account_id
   WHERE o.id = ANY ($3::bigint[]) AND o.open AND o.state = 0
     AND NOT EXISTS (SELECT 1 FROM outbox x WHERE x.account_id = o.account_id AND x.lane = o.lane AND x.chat_id = o.chat_id
                        AND x.open AND (x.chat_seq, x.part) < (o.chat_seq, o.part))
     AND NOT EXISTS (SELECT 1 FROM outbox x WHERE x.account_id = o.account_id AND x.lane IN (0, 1, 2) AND x.chat_id = o.chat_id
                        AND x.open AND x.state = 1)
   ORDER BY o.id FOR NO KEY UPDATE OF o SKIP LOCKED),
u AS (
  UPDATE outbox o SET state = 1, epoch = $2, claim = $6, attempt = attempt + 1, retry_at = NULL,
         write_by = clock_timestamp() + make_interval(secs => $4),
         answer_by = clock_timestamp() + make_interval(secs => $5)
    FROM q WHERE o.account_id = $1 AND o.id = q.id
  RETURNING o.id, o.attempt, o.write_by, o.answer_by, o.chat_id, o.chat_key, o.body, o.item, o.created_at),
a AS (
  INSERT INTO attempt (account_id, outbox_id, n, epoch, chat_key, claimed_at, write_by, answer_by)
  SELECT $1, id, attempt, $2, chat_key, clock_timestamp(), write_by, answer_by FROM u)
SELECT u.id, u.attempt, u.chat_id, u.chat_key, u.body, u.item::text AS item, f.name AS file_name,
       coalesce(f.sniffed, f.mime) AS file_mime, f.size_bytes, extract(epoch FROM clock_timestamp() - u.created_at)::float8 AS age,
       (SELECT count(*) FROM attempt t WHERE t.account_id = $1 AND t.outbox_id = u.id AND t.outcome = 3) AS failures
  FROM u LEFT JOIN file f ON f.account_id = $1 AND f.id = u.item->>'file' ORDER BY u.id";

// A claim that writes for long moves its deadlines, under the epoch as a claim is made: whoever raised the epoch waits out what is
// in the row then, and nobody moves it after that.
const EXTEND: &str = "
WITH me AS MATERIALIZED (SELECT account_id FROM account_lease WHERE account_id = $1 AND epoch = $2 FOR SHARE),
q AS MATERIALIZED (
  SELECT o.id FROM me JOIN outbox o ON o.account_id = me.account_id
   WHERE o.id = $3 AND o.attempt = $4 AND o.claim = $5 AND o.epoch = $2 AND o.open AND o.state = 1
   FOR NO KEY UPDATE OF o),
u AS (
  UPDATE outbox o SET write_by = clock_timestamp() + make_interval(secs => $6), answer_by = clock_timestamp() + make_interval(secs => $7)
    FROM q WHERE o.account_id = $1 AND o.id = q.id RETURNING o.id, o.attempt, o.write_by, o.answer_by)
UPDATE attempt t SET write_by = u.write_by, answer_by = u.answer_by FROM u
 WHERE t.account_id = $1 AND t.outbox_id = u.id AND t.n = u.attempt";

pub(super) const HOT: &[&str] = &[CLAIM, EXTEND];

/// The claim; with a known bug switched on, one whose fence is broken.
async fn claim_statement(
    connection: &Connection,
    account: AccountId,
    epoch: Epoch,
) -> Result<Cow<'static, str>, StoreError> {
    let unlocked = sabotaged(Sabotage::FenceUnlocked);
    if !unlocked && !sabotaged(Sabotage::PermissionByZooKeeper) {
        return Ok(Cow::Borrowed(CLAIM));
    }
    if unlocked {
        let fence = "SELECT 1 FROM account_lease WHERE account_id = $1 AND epoch = $2";
        let ours = connection.query_opt(fence, &[&account.0, &epoch.0]).await?;
        point("S0");
        if ours.is_none() {
            return Ok(Cow::Borrowed(CLAIM));
        }
    }
    let fence = "SELECT account_id FROM account_lease WHERE account_id = $1 AND epoch = $2 AND server = pg_postmaster_start_time() FOR SHARE";
    Ok(Cow::Owned(CLAIM.replace(fence, "SELECT $1::int AS account_id")))
}

fn claimed(row: &Row) -> Result<Claimed, StoreError> {
    let item = row.get::<_, Option<&str>>("item").map(serde_json::from_str::<PartItem>).transpose();
    let item = item.map_err(|error| StoreError::Unexpected(format!("a part's item: {error}")))?.unwrap_or_default();
    let file = item.file.as_deref().and_then(FileId::parse).map(|id| ClaimedFile {
        id,
        kind: item.r#as.as_deref().and_then(FileKind::from_word).unwrap_or(FileKind::Document),
        name: row.get("file_name"),
        mime: row.get("file_mime"),
        size_bytes: row.get::<_, Option<i64>>("size_bytes").unwrap_or_default().unsigned_abs(),
    });
    Ok(Claimed {
        id: OutboxId(row.get("id")),
        n: row.get("attempt"),
        chat_id: ChatId(row.get("chat_id")),
        chat_key: row.get("chat_key"),
        text: row.get("body"),
        file,
        failures: row.get("failures"),
        age: Duration::from_secs_f64(row.get::<_, f64>("age").max(0.0)),
    })
}

impl Database {
    /// Claims parts under the epoch. A refused one is missing from the answer: the tenure is over, another
    /// part of the chat comes first, or it was cancelled.
    pub async fn claim(
        &self,
        account: AccountId,
        epoch: Epoch,
        token: ClaimToken,
        ids: &[OutboxId],
        spans: ClaimSpans,
    ) -> Result<Vec<Claimed>, StoreError> {
        self.within(async {
            let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
            let connection = self.connection().await?;
            let statement = connection.prepare_cached(&claim_statement(&connection, account, epoch).await?).await?;
            let rows = connection
                .query(
                    &statement,
                    &[
                        &account.0,
                        &epoch.0,
                        &ids,
                        &spans.write_by.as_secs_f64(),
                        &spans.answer_by.as_secs_f64(),
                        &token.0,
                    ],
                )
                .await?;
            connection.done();
            rows.iter().map(claimed).collect()
        })
        .await
    }

    /// Moves the deadlines of a claim to so long from now; false when it is no longer ours to extend: the tenure is over, or the
    /// part is decided.
    pub async fn extend(
        &self,
        account: AccountId,
        epoch: Epoch,
        claim: &Claim,
        spans: ClaimSpans,
    ) -> Result<bool, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let statement = connection.prepare_cached(EXTEND).await?;
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 7] = [
                &account.0,
                &epoch.0,
                &claim.id.0,
                &claim.n,
                &claim.token.0,
                &spans.write_by.as_secs_f64(),
                &spans.answer_by.as_secs_f64(),
            ];
            let extended = connection.execute(&statement, &values).await?;
            connection.done();
            Ok(extended == 1)
        })
        .await
    }

    /// Puts back what a claim without an answer may have taken: not one byte of it was written. Other claims of the same
    /// parts are left alone, even when this comes late.
    pub async fn release_unsent(&self, account: AccountId, token: ClaimToken) -> Result<(), StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            connection
                .execute(
                    "WITH o AS (
                       UPDATE outbox SET state = 0
                        WHERE account_id = $1 AND claim = $2 AND open AND state = 1 RETURNING id, attempt)
                     UPDATE attempt SET ended_at = clock_timestamp(), outcome = 3, reason = 'the claim was not answered'
                       FROM o WHERE attempt.account_id = $1 AND attempt.outbox_id = o.id AND attempt.n = o.attempt",
                    &[&account.0, &token.0],
                )
                .await?;
            connection.done();
            Ok(())
        })
        .await
    }
}
