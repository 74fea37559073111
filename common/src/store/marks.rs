//! How far an account's history has come: by that a database is known which went backwards, because it was restored or because
//! a failover lost what its standby had not got.
//!
//! After that, parts that were sent wait again, and would all be sent twice. So a claim is possible only at the server that the
//! holder of the lease has vouched for; each start of a server is another one.

use serde::{Deserialize, Serialize};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::sender::TELL;
use super::{Database, StoreError};
use crate::model::AccountId;

/// How far it has come, as the lease row says, or as somebody remembers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The tenure's epoch,
    pub epoch: i64,
    /// and its renewals, counted over all tenures.
    pub beat: i64,
    /// The generation of agents' cursors.
    pub feed_epoch: i64,
    /// The server's cluster and timeline; `None`: nobody has vouched for one.
    pub lineage: Option<String>,
    /// Whether commits waited for a standby.
    pub replicated: bool,
}

/// The server that answers now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Here {
    /// Its cluster and timeline.
    pub lineage: String,
    /// Whether it runs since it was vouched for.
    pub vouched: bool,
}

/// How far the history has come, and at which server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whereabouts {
    /// What the row says.
    pub mark: Mark,
    /// What is there.
    pub here: Here,
}

/// What was held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldBack {
    /// Parts that wait for a person's decision.
    pub parts: i64,
    /// The generation of agents' cursors from now on.
    pub feed_epoch: i64,
}

impl Mark {
    /// Marks of one account are compared by this.
    pub fn place(&self) -> (i64, i64) {
        (self.epoch, self.beat)
    }
}

/// Columns of `account_lease l` and of the server, as [`Whereabouts`] reads them. The timeline stands in the name of the log's
/// current segment; what the control file says is as old as the last checkpoint.
macro_rules! whereabouts {
    () => {
        " l.epoch AS mark_epoch, l.beat AS mark_beat, l.lineage AS mark_lineage, l.replicated AS mark_replicated,
          (SELECT feed_epoch FROM fleet WHERE one) AS mark_feed_epoch,
          l.server IS NOT DISTINCT FROM pg_postmaster_start_time() AS vouched,
          (SELECT system_identifier::text FROM pg_control_system())
            || '/' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) AS lineage"
    };
}
pub(super) use whereabouts;

impl Whereabouts {
    pub(super) fn of(row: &Row) -> Self {
        Self {
            mark: Mark {
                epoch: row.get("mark_epoch"),
                beat: row.get("mark_beat"),
                feed_epoch: row.get("mark_feed_epoch"),
                lineage: row.get("mark_lineage"),
                replicated: row.get("mark_replicated"),
            },
            here: Here { lineage: row.get("lineage"), vouched: row.get("vouched") },
        }
    }
}

const VOUCH: &str = "
UPDATE account_lease SET server = pg_postmaster_start_time(), lineage = $4,
       replicated = current_setting('synchronous_standby_names') <> ''
 WHERE account_id = $1 AND epoch = $2 AND beat = $3";

// First of all: whatever it says, no claim is possible any more.
const DOUBT: &str = "UPDATE account_lease SET server = NULL WHERE account_id = $1 AND epoch = $2 AND beat = $3";

// Parts under way keep their attempt: a late answer still tells what became of them.
const HOLD: &str = "
WITH q AS MATERIALIZED (
  SELECT id FROM outbox WHERE account_id = $1 AND lane IN (0, 1, 2) AND open ORDER BY id LIMIT 2000 FOR NO KEY UPDATE),
told AS (
  UPDATE outbox o SET state = 3, open = false, retry_at = NULL,
         reason = 'the database was set back; it may have been sent before'
    FROM q WHERE o.account_id = $1 AND o.id = q.id
  RETURNING o.id, o.attempt, o.chat_id, o.chat_key, o.chat_seq, o.part, o.parts, o.agent_id, o.state, o.reason),
a AS (
  UPDATE attempt SET outcome = 7, reason = 'the database was set back' FROM told t
   WHERE attempt.account_id = $1 AND attempt.outbox_id = t.id AND attempt.n = t.attempt AND attempt.outcome IS NULL),
";

// Once for a start of a server, whichever account notices it first.
const RAISE_FEEDS: &str = "
UPDATE fleet SET feed_epoch = greatest(feed_epoch, $1) + 1, raised_on = pg_postmaster_start_time()
 WHERE one AND raised_on IS DISTINCT FROM pg_postmaster_start_time()";

// Nobody holds the new epoch, and whoever held one before learns that it is over.
const BEYOND: &str = "
UPDATE account_lease SET epoch = greatest(epoch, $2) + 1, beat = greatest(beat, $3) + 1, holder = NULL, released = true,
       handover = false, server = pg_postmaster_start_time(), lineage = $4,
       replicated = current_setting('synchronous_standby_names') <> ''
 WHERE account_id = $1 AND epoch = $5 AND beat = $6 AND server IS NULL";

impl Database {
    /// Vouches for the server that answers now; false when the lease has moved on since `found`.
    pub async fn vouch(&self, account: AccountId, found: &Whereabouts) -> Result<bool, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let (mark, here) = (&found.mark, &found.here);
            let changed = connection.execute(VOUCH, &[&account.0, &mark.epoch, &mark.beat, &here.lineage]).await?;
            connection.done();
            Ok(changed == 1)
        })
        .await
    }

    /// The database went backwards: every part of the account that is not decided becomes unconfirmed, agents' cursors are
    /// not trusted any more, and the epoch goes beyond every one that there was. `newest` is the furthest that anybody
    /// remembers. `None`: another was first.
    pub async fn hold_back(
        &self,
        account: AccountId,
        found: &Whereabouts,
        newest: &Mark,
    ) -> Result<Option<HeldBack>, StoreError> {
        // A part may have been unconfirmed before, at the same attempt: that was told by another key.
        let hold = format!("{HOLD} {}", TELL.replace("':' || w.word AS key", "':set_back:' || $2::bigint AS key"));
        let mark = &found.mark;
        let doubted: Option<i64> = self
            .within(async {
                let connection = self.connection().await?;
                if connection.execute(DOUBT, &[&account.0, &mark.epoch, &mark.beat]).await? == 0 {
                    return Ok(None);
                }
                connection.execute(RAISE_FEEDS, &[&newest.feed_epoch]).await?;
                let row = connection.query_one("SELECT feed_epoch FROM fleet WHERE one", &[]).await?;
                connection.done();
                Ok(Some(row.get(0)))
            })
            .await?;
        let Some(feed_epoch) = doubted else { return Ok(None) };
        let mut parts = 0;
        loop {
            // However many wait, a transaction stays short; whoever looks next goes on with the rest.
            let told: i64 = self
                .within(async {
                    let connection = self.connection().await?;
                    let row = connection.query_one(&hold, &[&account.0, &feed_epoch]).await?;
                    connection.done();
                    Ok(row.get(0))
                })
                .await?;
            if told == 0 {
                break;
            }
            parts += told;
        }
        self.within(async {
            let connection = self.connection().await?;
            let values: [&(dyn ToSql + Sync); 6] =
                [&account.0, &newest.epoch, &newest.beat, &found.here.lineage, &mark.epoch, &mark.beat];
            let changed = connection.execute(BEYOND, &values).await?;
            connection.done();
            Ok((changed == 1).then_some(HeldBack { parts, feed_epoch }))
        })
        .await
    }

    /// An operator says that the database was restored to an earlier state: whoever serves an account next holds its undecided
    /// parts back. Returns how many accounts there are.
    pub async fn distrust(&self) -> Result<u64, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let accounts = connection
                .execute(
                    "WITH f AS (UPDATE fleet SET raised_on = NULL WHERE one)
                     UPDATE account_lease SET server = NULL, lineage = 'restored', replicated = false",
                    &[],
                )
                .await?;
            connection.done();
            Ok(accounts)
        })
        .await
    }
}
