//! The outbox from the operators' side: what waits, what failed, what nobody knows; and decisions about it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;

use super::append::By;
use super::audit::Change;
use super::chats::{LOCK_CHAT, LockedChat};
use super::decisions::{LOCK_PARTS, Made, Part, part, write};
use super::work::Work;
use super::{Database, StoreError};
use crate::model::{AccountId, AgentId, AttemptOutcome, ChatId, OutboxId, PartState};

/// Which parts an operator looks at; what is empty or `None` does not narrow.
#[derive(Clone, Debug, Default)]
pub struct PartFilter {
    /// These alone.
    pub ids: Vec<i64>,
    /// In one of these states.
    pub states: Vec<PartState>,
    /// Of this chat.
    pub chat: Option<ChatId>,
    /// Accepted so long ago, or longer.
    pub older: Option<Duration>,
}

/// A part without its text.
#[derive(Clone, Debug)]
pub struct PartRow {
    /// Its number.
    pub id: OutboxId,
    /// Its chat.
    pub chat: ChatId,
    /// The message's seq in its chat.
    pub seq: i64,
    /// Which part of it, and of how many.
    pub part: (i16, i16),
    /// Where it stands.
    pub state: Option<PartState>,
    /// Tries begun.
    pub attempts: i32,
    /// Why it is where it is.
    pub reason: Option<String>,
    /// Since when it was accepted.
    pub age: Duration,
    /// What is sent with it.
    pub file: Option<String>,
    /// The platform's id, once sent.
    pub platform_id: Option<String>,
}

/// One try to call the platform.
#[derive(Clone, Debug)]
pub struct AttemptRow {
    /// Which.
    pub n: i32,
    /// Under which tenure.
    pub epoch: i64,
    /// When it began.
    pub claimed_at: DateTime<Utc>,
    /// When its end was recorded.
    pub ended_at: Option<DateTime<Utc>>,
    /// How it ended.
    pub outcome: Option<AttemptOutcome>,
    /// What the platform or the network said.
    pub reason: Option<String>,
}

/// What an operator may decide about a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatorDecision {
    /// Take back a part that no sender has claimed.
    Cancel,
    /// Send a part again that failed, or that may have arrived.
    Requeue,
    /// Give a part up that may have arrived, or leave it at that.
    Close,
}

impl OperatorDecision {
    /// From which states.
    pub fn from(self) -> &'static [PartState] {
        match self {
            Self::Cancel => &[PartState::Queued],
            Self::Requeue => &[PartState::Failed, PartState::Unconfirmed],
            Self::Close => &[PartState::Unconfirmed],
        }
    }

    /// What agents read in the chat's log as the reason.
    const TOLD: Option<&'static str> = Some("operator");

    fn made(self) -> (Made, &'static str) {
        let made = |to, kept| Made { by: By::System, to, kept, told: Self::TOLD };
        match self {
            Self::Cancel => (made(PartState::Cancelled, Self::TOLD), "outbox.cancel"),
            Self::Requeue => (made(PartState::Queued, None), "outbox.requeue"),
            Self::Close => (made(PartState::Closed, Self::TOLD), "outbox.close"),
        }
    }
}

const PARTS: &str = "
SELECT id, chat_id, chat_seq, part, parts, state, attempt, reason, item->>'file' AS file_id, platform_id,
       extract(epoch FROM clock_timestamp() - created_at)::float8 AS age
  FROM outbox
 WHERE account_id = $1 AND id > $2 AND (cardinality($3::bigint[]) = 0 OR id = ANY ($3))
   AND (cardinality($4::int2[]) = 0 OR state = ANY ($4)) AND ($5::bigint IS NULL OR chat_id = $5)
   AND ($6::float8 IS NULL OR created_at <= clock_timestamp() - make_interval(secs => $6))
 ORDER BY id LIMIT $7";

impl Database {
    /// Parts of an account by age, oldest first, from after `after` on.
    pub async fn parts(
        &self,
        account: AccountId,
        filter: &PartFilter,
        after: OutboxId,
        limit: i64,
    ) -> Result<Vec<PartRow>, StoreError> {
        self.within(async {
            let states: Vec<i16> = filter.states.iter().map(|state| *state as i16).collect();
            let (chat, older) = (filter.chat.map(|chat| chat.0), filter.older.map(|span| span.as_secs_f64()));
            let connection = self.connection().await?;
            // An operator's question, asked rarely: here the planner may choose freely.
            connection.batch_execute("SET enable_seqscan = on; SET plan_cache_mode = auto").await?;
            let rows =
                connection.query(PARTS, &[&account.0, &after.0, &filter.ids, &states, &chat, &older, &limit]).await?;
            // Not given back: the connection's settings were changed.
            drop(connection);
            Ok(rows.iter().map(row).collect())
        })
        .await
    }

    /// The tries made for a part, in order.
    pub async fn attempts(&self, account: AccountId, id: OutboxId) -> Result<Vec<AttemptRow>, StoreError> {
        const SQL: &str = "
            SELECT n, epoch, claimed_at, ended_at, outcome, reason FROM attempt
             WHERE account_id = $1 AND outbox_id = $2 ORDER BY n";
        self.within(async {
            let connection = self.connection().await?;
            let rows = connection.query(SQL, &[&account.0, &id.0]).await?;
            connection.done();
            let attempt = |row: &tokio_postgres::Row| AttemptRow {
                n: row.get("n"),
                epoch: row.get("epoch"),
                claimed_at: row.get("claimed_at"),
                ended_at: row.get("ended_at"),
                outcome: row.get::<_, Option<i16>>("outcome").and_then(AttemptOutcome::from_column),
                reason: row.get("reason"),
            };
            Ok(rows.iter().map(attempt).collect())
        })
        .await
    }

    /// Carries out an operator's decision about one part, as an agent's would be: under the chat's lock, told in its log and to
    /// who may see it, and written into `audit`. False: the part is not in a state for it any more.
    pub async fn decide_as_operator(
        &self,
        row: &PartRow,
        account: &str,
        decision: OperatorDecision,
    ) -> Result<bool, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let lock = connection.prepare_cached(LOCK_CHAT).await?;
            let parts = connection.prepare_cached(LOCK_PARTS).await?;
            let nobody: Option<i32> = None::<AgentId>.map(|agent| agent.0);
            let (work, chat, parts) =
                Work::begin_pair(connection, (&lock, &[&row.chat.0, &nobody]), (&parts, &[&row.chat.0, &row.seq]))
                    .await?;
            let parts: Vec<Part> = parts.iter().map(part).collect();
            let chosen: Vec<&Part> = parts
                .iter()
                .filter(|part| part.id == row.id.0 && decision.from().iter().any(|from| part.state == *from as i16))
                .collect();
            let (Some(chat), [part]) = (LockedChat::of(&chat)?, chosen.as_slice()) else {
                work.rollback().await?;
                return Ok(false);
            };
            let (made, action) = decision.made();
            write(&work, &chat, row.seq, &made, &chosen).await?;
            let was = PartState::from_column(part.state).map(PartState::as_str);
            let of = json!({"id": row.id.0, "chat": row.chat.0, "seq": row.seq, "part": part.part});
            let (mut before, mut after) = (of.clone(), of);
            (before["state"], after["state"]) = (was.into(), made.to.as_str().into());
            let (before, after) = (Some(before), Some(after));
            let client: &tokio_postgres::Client = work.client();
            self.record(client, Change { action, subject: account, version: None, before, after }).await?;
            work.commit().await?;
            Ok(true)
        })
        .await
    }
}

fn row(row: &tokio_postgres::Row) -> PartRow {
    PartRow {
        id: OutboxId(row.get("id")),
        chat: ChatId(row.get("chat_id")),
        seq: row.get("chat_seq"),
        part: (row.get("part"), row.get("parts")),
        state: PartState::from_column(row.get("state")),
        attempts: row.get("attempt"),
        reason: row.get("reason"),
        age: Duration::from_secs_f64(row.get::<_, f64>("age").max(0.0)),
        file: row.get("file_id"),
        platform_id: row.get("platform_id"),
    }
}
