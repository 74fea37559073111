//! The outbox from the sender's side: settle. What waits is read by `heads`, and claimed by `claim`.
//!
//! Settling is not fenced: a late success is a fact.
//! What an attempt became is written in the same transaction as an inbox row, which the chatserver
//! drains into the chat's log: there is no second way.

use std::time::Duration;

use super::{Database, StoreError};
use crate::faults::{Sabotage, sabotaged};
use crate::model::{AccountId, AttemptOutcome, Epoch, FreezeScope, OutboxId, PartState};

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
pub(super) const TELL: &str = "
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

pub(super) const HOT: &[&str] = &[RETRY, SPEND];

impl Database {
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
        let mut sql = format!("{SETTLE} told AS (SELECT * FROM o UNION ALL SELECT * FROM rest), {TELL}");
        if sabotaged(Sabotage::LastWriteWins) {
            sql = sql.replace("state = ANY ($8::int2[])", "$8::int2[] IS NOT NULL");
        }
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
