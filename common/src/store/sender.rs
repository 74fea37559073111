//! The outbox from the sender's side: claim and settle. What waits is read by `heads`.
//!
//! A claim is a short transaction that holds the lease row `FOR SHARE` and checks the epoch: the fence
//! (P4). An unlocked check is no fence. Settling is not fenced: a late success is a fact.
//! What an attempt became is written in the same transaction as an inbox row, which the chatserver
//! drains into the chat's log: there is no second way.

use std::borrow::Cow;
use std::time::Duration;

use super::{Connection, Database, StoreError};
use crate::faults::{Sabotage, point, sabotaged};
use crate::model::{AccountId, AttemptOutcome, ChatId, Epoch, FreezeScope, OutboxId, PartState};

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
    /// The text of the part.
    pub text: String,
    /// Earlier attempts that certainly failed.
    pub failures: i64,
    /// How long it has been waiting since it was accepted.
    pub age: Duration,
}

/// How an attempt ended, and what becomes of its part.
#[derive(Clone, Debug)]
pub enum Settlement {
    /// Sent, under the platform's id.
    Sent {
        /// The platform's id of the part.
        platform_id: String,
    },
    /// Not delivered; back into the queue.
    Retry {
        /// Throttled, not sent or account down.
        outcome: AttemptOutcome,
        /// When to try again.
        after: Duration,
        /// What a 429 holds back, and for how long.
        freeze: Option<Freeze>,
        /// Why, for operators.
        reason: String,
    },
    /// May have been delivered.
    Unconfirmed {
        /// Why, readable to an agent.
        reason: String,
    },
    /// Refused for good; later parts of the same message are given up with it.
    Failed {
        /// Why, readable to an agent.
        reason: String,
    },
}

/// A scope the platform holds back, and for how long from now.
#[derive(Clone, Debug, PartialEq)]
pub struct Freeze {
    /// What is held back.
    pub scope: FreezeScope,
    /// For how long from now.
    pub remaining: Duration,
}

/// A past exchange, as the limiter must remember it.
#[derive(Clone, Debug)]
pub struct SlotHistory {
    /// The chat it was for; none: it concerned no chat, and counts for the account alone.
    pub chat_key: Option<String>,
    /// Slots it took.
    pub cost: usize,
    /// Seconds since its answer; negative while the answer is still allowed to come.
    pub ended_ago: f64,
}

// A part is refused when the tenure is over, when it is not the first of its chat and lane, or while another part of its
// chat is under way: the process before us may still wait for that answer.
const CLAIM: &str = "
WITH me AS MATERIALIZED (SELECT account_id FROM account_lease WHERE account_id = $1 AND epoch = $2 FOR SHARE),
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
         write_by = clock_timestamp() + make_interval(secs => $4), answer_by = clock_timestamp() + make_interval(secs => $5)
    FROM q WHERE o.account_id = $1 AND o.id = q.id
  RETURNING o.id, o.attempt, o.write_by, o.answer_by, o.chat_id, o.chat_key, o.body, o.created_at),
a AS (
  INSERT INTO attempt (account_id, outbox_id, n, epoch, chat_key, claimed_at, write_by, answer_by)
  SELECT $1, id, attempt, $2, chat_key, clock_timestamp(), write_by, answer_by FROM u)
SELECT u.id, u.attempt, u.chat_id, u.chat_key, u.body, extract(epoch FROM clock_timestamp() - u.created_at)::float8 AS age,
       (SELECT count(*) FROM attempt t WHERE t.account_id = $1 AND t.outbox_id = u.id AND t.outcome = 3) AS failures
  FROM u ORDER BY u.id";

// $1 account $2 id $3 attempt $4 new state $5 platform id $6 reason $7 outcome $8 states it may be in
const SETTLE: &str = "
WITH o AS (
  UPDATE outbox SET state = $4, open = false, platform_id = $5, reason = $6
   WHERE account_id = $1 AND id = $2 AND attempt = $3 AND state = ANY ($8::int2[])
  RETURNING id, attempt, chat_id, chat_key, chat_seq, part, parts, agent_id, state, reason),
rest AS (
  UPDATE outbox x SET state = 4, open = false, reason = 'an earlier part of this message failed' FROM o
   WHERE $4 = 4 AND x.account_id = $1 AND x.chat_id = o.chat_id AND x.chat_seq = o.chat_seq AND x.part > o.part
     AND x.open AND x.state = 0
  RETURNING x.id, x.attempt, x.chat_id, x.chat_key, x.chat_seq, x.part, x.parts, x.agent_id, x.state, x.reason),
a AS (
  UPDATE attempt SET ended_at = clock_timestamp(), outcome = $7, platform_id = $5, reason = $6
   WHERE account_id = $1 AND outbox_id = $2 AND n = $3),
";

// What is told of `told` rows: an inbox row each, and its pending twin for the chatserver.
const TELL: &str = "
k AS (SELECT t.*, 'o:' || t.id || ':' || t.attempt || ':' || w.word AS key, w.word
        FROM told t JOIN (VALUES (2, 'sent'), (3, 'unconfirmed'), (4, 'failed')) w(state, word) ON w.state = t.state),
i AS (INSERT INTO inbox (account_id, dedupe_key, kind) SELECT $1, key, 9 FROM k ORDER BY key COLLATE \"C\"
      ON CONFLICT DO NOTHING RETURNING dedupe_key),
p AS (INSERT INTO pending (account_id, chat_key, kind, dedupe_key, item)
      SELECT $1, k.chat_key, 9, k.key, jsonb_strip_nulls(jsonb_build_object(
               'of', k.chat_seq, 'part', k.part, 'parts', k.parts, 'state', k.word, 'reason', k.reason, 'agent_id', k.agent_id))
        FROM k JOIN i ON i.dedupe_key = k.key ORDER BY k.id RETURNING 1)
SELECT count(*) FROM p";

const SPEND: &str = "
UPDATE attempt SET cost = $4, chat_key = $5 WHERE account_id = $1 AND outbox_id = $2 AND n = $3 AND ended_at IS NULL";

const RETRY: &str = "
WITH o AS (
  UPDATE outbox SET state = 0, retry_at = clock_timestamp() + make_interval(secs => $4)
   WHERE account_id = $1 AND id = $2 AND attempt = $3 AND state = 1 RETURNING 1)
UPDATE attempt SET ended_at = clock_timestamp(), outcome = $5, reason = $6, freeze_scope = $7,
       freeze_until = clock_timestamp() + make_interval(secs => $8)
 WHERE account_id = $1 AND outbox_id = $2 AND n = $3";

// Fenced: only the active one decides that nobody will answer any more. Late evidence may still turn it into sent.
const OVERDUE: &str = "
WITH me AS MATERIALIZED (SELECT account_id FROM account_lease WHERE account_id = $1 AND epoch = $2 FOR SHARE),
q AS MATERIALIZED (
  SELECT o.id FROM me JOIN outbox o ON o.account_id = me.account_id
   WHERE o.open AND o.state = 1 AND o.answer_by < clock_timestamp() - make_interval(secs => $3) AND NOT (o.id = ANY ($4::bigint[]))
   ORDER BY o.id FOR NO KEY UPDATE OF o SKIP LOCKED),
told AS (
  UPDATE outbox o SET state = 3, open = false, reason = 'the call was interrupted; it may have arrived'
    FROM q WHERE o.account_id = $1 AND o.id = q.id
  RETURNING o.id, o.attempt, o.chat_id, o.chat_key, o.chat_seq, o.part, o.parts, o.agent_id, o.state, o.reason),
a AS (
  UPDATE attempt SET outcome = 7, reason = 'interrupted' FROM told t
   WHERE attempt.account_id = $1 AND attempt.outbox_id = t.id AND attempt.n = t.attempt),
";

pub(super) const HOT: &[&str] = &[CLAIM, RETRY, SPEND];

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
    let fence = "SELECT account_id FROM account_lease WHERE account_id = $1 AND epoch = $2 FOR SHARE";
    Ok(Cow::Owned(CLAIM.replace(fence, "SELECT $1::int AS account_id")))
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
        write_by: Duration,
        answer_by: Duration,
    ) -> Result<Vec<Claimed>, StoreError> {
        self.within(async {
            let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
            let connection = self.connection().await?;
            let statement = connection.prepare_cached(&claim_statement(&connection, account, epoch).await?).await?;
            let rows = connection
                .query(
                    &statement,
                    &[&account.0, &epoch.0, &ids, &write_by.as_secs_f64(), &answer_by.as_secs_f64(), &token.0],
                )
                .await?;
            connection.done();
            Ok(rows
                .iter()
                .map(|row| Claimed {
                    id: OutboxId(row.get("id")),
                    n: row.get("attempt"),
                    chat_id: ChatId(row.get("chat_id")),
                    chat_key: row.get("chat_key"),
                    text: row.get("body"),
                    failures: row.get("failures"),
                    age: Duration::from_secs_f64(row.get::<_, f64>("age").max(0.0)),
                })
                .collect())
        })
        .await
    }

    /// Records, before it happens, that an attempt takes so many slots in all, the last of them for `chat_key`; false when the
    /// attempt is no longer ours.
    pub async fn spend(
        &self,
        account: AccountId,
        id: OutboxId,
        n: i32,
        cost: usize,
        chat_key: &str,
    ) -> Result<bool, StoreError> {
        self.within(async {
            let cost = i32::try_from(cost).unwrap_or(i32::MAX);
            let connection = self.connection().await?;
            let statement = connection.prepare_cached(SPEND).await?;
            let changed = connection.execute(&statement, &[&account.0, &id.0, &n, &cost, &chat_key]).await?;
            connection.done();
            Ok(changed == 1)
        })
        .await
    }

    /// Records how an attempt ended; true when chatservers have something to read. Repeating it is harmless.
    pub async fn settle(&self, account: AccountId, id: OutboxId, n: i32, end: &Settlement) -> Result<bool, StoreError> {
        let sending = PartState::Sending as i16;
        let either = vec![sending, PartState::Unconfirmed as i16];
        let (state, platform_id, reason, outcome, from) = match end {
            Settlement::Sent { platform_id } => {
                (PartState::Sent, Some(platform_id.as_str()), None, AttemptOutcome::Sent, either)
            }
            Settlement::Failed { reason } => {
                (PartState::Failed, None, Some(reason.as_str()), AttemptOutcome::Refused, either)
            }
            Settlement::Unconfirmed { reason } => {
                (PartState::Unconfirmed, None, Some(reason.as_str()), AttemptOutcome::Unclear, vec![sending])
            }
            Settlement::Retry { outcome, after, freeze, reason } => {
                self.put_back(account, id, n, *outcome, *after, freeze.as_ref(), reason).await?;
                return Ok(false);
            }
        };
        let sql = format!("{SETTLE} told AS (SELECT * FROM o UNION ALL SELECT * FROM rest), {TELL}");
        self.within(async {
            let connection = self.connection().await?;
            let statement = connection.prepare_cached(&sql).await?;
            let row = connection
                .query_one(
                    &statement,
                    &[&account.0, &id.0, &n, &(state as i16), &platform_id, &reason, &(outcome as i16), &from],
                )
                .await?;
            connection.done();
            Ok(row.get::<_, i64>(0) > 0)
        })
        .await
    }

    #[allow(clippy::too_many_arguments)] // the columns of one row
    async fn put_back(
        &self,
        account: AccountId,
        id: OutboxId,
        n: i32,
        outcome: AttemptOutcome,
        after: Duration,
        freeze: Option<&Freeze>,
        reason: &str,
    ) -> Result<(), StoreError> {
        self.within(async {
            let scope = freeze.map(|freeze| freeze.scope.to_column());
            let until = freeze.map(|freeze| freeze.remaining.as_secs_f64());
            let connection = self.connection().await?;
            let statement = connection.prepare_cached(RETRY).await?;
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 8] =
                [&account.0, &id.0, &n, &after.as_secs_f64(), &(outcome as i16), &reason, &scope, &until];
            connection.execute(&statement, &values).await?;
            connection.done();
            Ok(())
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

    /// Shows as unconfirmed what nobody will answer any more: claimed, past `answer_by` by `grace`, and not
    /// among `mine`, the calls this process still waits for. Returns how many.
    pub async fn unconfirm_overdue(
        &self,
        account: AccountId,
        epoch: Epoch,
        grace: Duration,
        mine: &[OutboxId],
    ) -> Result<usize, StoreError> {
        let sql = format!("{OVERDUE} {TELL}");
        let mine: Vec<i64> = mine.iter().map(|id| id.0).collect();
        self.within(async {
            let connection = self.connection().await?;
            let statement = connection.prepare_cached(&sql).await?;
            let row = connection.query_one(&statement, &[&account.0, &epoch.0, &grace.as_secs_f64(), &mine]).await?;
            connection.done();
            Ok(row.get::<_, i64>(0) as usize)
        })
        .await
    }
}
