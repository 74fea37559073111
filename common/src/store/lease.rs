//! The tenure row: who is active, in which epoch, and since when it was last renewed.
//!
//! Raised by compare-and-set. The update waits for claims in progress (they hold the row `FOR SHARE`), so
//! after it no claim of an earlier epoch can commit. Every tenure leaves a row in the ledger `tenure`.

use std::time::Duration;

use super::marks::{Whereabouts, whereabouts};
use super::{Database, StoreError};
use crate::model::{AccountId, Epoch};

/// The lease as seen by a candidate.
#[derive(Clone, Debug)]
pub struct Lease {
    /// Number of the present or last tenure.
    pub epoch: Epoch,
    /// Who holds or held it.
    pub holder: Option<String>,
    /// The holder gave it up in order.
    pub released: bool,
    /// The holder is about to give it up in order, or has.
    pub handover: bool,
    /// Time since the last renewal by the database's clock; `None` when never renewed.
    pub stale: Option<Duration>,
    /// Whether anybody may hold it: the account is not disabled.
    pub enabled: bool,
    /// Which version of the account's settings is the newest.
    pub version: i64,
    /// How far the account's history has come, and at which server.
    pub whereabouts: Whereabouts,
}

/// Which rule lets a candidate raise the epoch; the protocol is `tenure`'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The incumbent gave the lease up, or there never was one.
    Released,
    /// The first in line, and the lease is stale by more than T/2.
    Lowest,
    /// Anybody, and the lease is stale by more than 2T.
    Anyone,
}

impl Way {
    /// The ledger's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Lowest => "lowest",
            Self::Anyone => "anyone",
        }
    }
}

/// An attempt to begin a tenure.
#[derive(Clone, Copy, Debug)]
pub struct Raise<'a> {
    /// Who.
    pub holder: &'a str,
    /// The epoch that was seen: nobody may have raised it since.
    pub seen: Epoch,
    /// By which rule.
    pub way: Way,
    /// An unreleased lease must not have been renewed for so long.
    pub stale: Duration,
    /// For how long Postgres has answered us.
    pub answering: Duration,
}

/// What an incumbent learns when it renews.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renewed {
    /// Go on, by this version of the account's settings.
    Ours {
        /// The newest.
        version: i64,
        /// How far the account's history has come, and at which server.
        whereabouts: Whereabouts,
    },
    /// An operator has disabled the account: nobody goes on.
    Disabled,
    /// An operator asks for a handover: step back.
    HandOver,
    /// The tenure is over.
    Lost,
}

/// From one tenure to the next.
#[derive(Clone, Debug)]
pub struct Gap {
    /// The next one.
    pub epoch: Epoch,
    /// Who holds it.
    pub holder: String,
    /// From the release to the next one's opening; `None` when the earlier one was not released in order.
    pub span: Option<Duration>,
}

// The update waits for claims in progress. `old` is read under its lock: what the ledger says is what was decided on.
pub(super) const RAISE: &str = "
WITH old AS (
  SELECT account_id, released OR renewed_at IS NULL AS free, clock_timestamp() - renewed_at AS stale
    FROM account_lease WHERE account_id = $1 AND epoch = $3 AND server = pg_postmaster_start_time() FOR UPDATE),
new AS (
  UPDATE account_lease l SET epoch = l.epoch + 1, holder = $2, released = false, handover = false, beat = l.beat + 1,
         renewed_at = clock_timestamp(), since = clock_timestamp()
    FROM old WHERE l.account_id = old.account_id AND l.epoch = $3
     AND (old.free OR old.stale > make_interval(secs => $4))
  RETURNING l.account_id, l.epoch, l.holder, l.since, old.free, old.stale)
INSERT INTO tenure (account_id, epoch, holder, begun_at, way, stale_ms, answering_ms)
SELECT account_id, epoch, holder, since, CASE WHEN free THEN 'released' ELSE $5::text END,
       CASE WHEN free THEN NULL ELSE (extract(epoch FROM stale) * 1000)::bigint END, $6
  FROM new RETURNING epoch";

const OPEN: &str =
    "UPDATE tenure SET opened_at = clock_timestamp() WHERE account_id = $1 AND epoch = $2 AND opened_at IS NULL";

const LEASE: &str = concat!(
    "SELECT l.epoch, l.holder, l.released, l.handover, a.enabled, a.version,
            extract(epoch FROM clock_timestamp() - l.renewed_at)::float8 AS stale,",
    whereabouts!(),
    "  FROM account_lease l JOIN account a ON a.id = l.account_id WHERE l.account_id = $1"
);

// `replicated` is what it was while the beats were written that this one follows.
const RENEW: &str = concat!(
    "UPDATE account_lease l SET renewed_at = clock_timestamp(), beat = l.beat + 1,
            replicated = CASE WHEN l.server = pg_postmaster_start_time()
                              THEN current_setting('synchronous_standby_names') <> '' ELSE l.replicated END
       FROM account a
      WHERE l.account_id = $1 AND l.epoch = $2 AND NOT l.released AND a.id = l.account_id
     RETURNING l.handover, a.enabled, a.version,",
    whereabouts!()
);

pub(super) const RELEASE: &str = "
WITH l AS (UPDATE account_lease SET released = true
            WHERE account_id = $1 AND epoch = $2 AND NOT released RETURNING account_id, epoch)
UPDATE tenure t SET released_at = clock_timestamp() FROM l WHERE t.account_id = l.account_id AND t.epoch = l.epoch";

/// What a takeover runs; a standby has it prepared.
pub(super) const TAKEOVER: &[&str] = &[RAISE, OPEN];

/// Raises the epoch; `client` may be a transaction that goes on.
pub(super) async fn raised(
    client: &impl deadpool_postgres::GenericClient,
    account: AccountId,
    raise: &Raise<'_>,
) -> Result<Option<Epoch>, StoreError> {
    let (stale, answering) = (raise.stale.as_secs_f64(), raise.answering.as_millis() as i64);
    let statement = client.prepare_cached(RAISE).await?;
    let way = raise.way.as_str();
    let row =
        client.query_opt(&statement, &[&account.0, &raise.holder, &raise.seen.0, &stale, &way, &answering]).await?;
    Ok(row.map(|row| Epoch(row.get(0))))
}

impl Database {
    /// Reads the lease.
    pub async fn lease(&self, account: AccountId) -> Result<Lease, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let statement = connection.prepare_cached(LEASE).await?;
            let row = connection.query_one(&statement, &[&account.0]).await?;
            connection.done();
            Ok(Lease {
                epoch: Epoch(row.get("epoch")),
                holder: row.get("holder"),
                released: row.get("released"),
                handover: row.get("handover"),
                stale: row.get::<_, Option<f64>>("stale").map(|seconds| Duration::from_secs_f64(seconds.max(0.0))),
                enabled: row.get("enabled"),
                version: row.get("version"),
                whereabouts: Whereabouts::of(&row),
            })
        })
        .await
    }

    /// Begins a tenure: allowed when nobody raised the epoch meanwhile, the incumbent released the lease or has not renewed it
    /// for long enough, and the server was vouched for. `None`: the incumbent lives, or another was first.
    pub async fn raise_lease(&self, account: AccountId, raise: &Raise<'_>) -> Result<Option<Epoch>, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let raised = raised(&*connection, account, raise).await?;
            connection.done();
            Ok(raised)
        })
        .await
    }

    /// Renews the tenure, and learns what operators want of the account.
    pub async fn renew_lease(&self, account: AccountId, epoch: Epoch) -> Result<Renewed, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let statement = connection.prepare_cached(RENEW).await?;
            let row = connection.query_opt(&statement, &[&account.0, &epoch.0]).await?;
            connection.done();
            Ok(match row {
                None => Renewed::Lost,
                Some(row) if !row.get::<_, bool>("enabled") => Renewed::Disabled,
                Some(row) if row.get("handover") => Renewed::HandOver,
                Some(row) => Renewed::Ours { version: row.get("version"), whereabouts: Whereabouts::of(&row) },
            })
        })
        .await
    }

    /// Notes in the ledger that the tenure has recovered what earlier ones left, and may send.
    pub async fn open_tenure(&self, account: AccountId, epoch: Epoch) -> Result<(), StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let statement = connection.prepare_cached(OPEN).await?;
            connection.execute(&statement, &[&account.0, &epoch.0]).await?;
            connection.done();
            Ok(())
        })
        .await
    }

    /// Gives the tenure up in order, so that a successor need not wait; false when it is over already.
    pub async fn release_lease(&self, account: AccountId, epoch: Epoch) -> Result<bool, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let changed = connection.execute(RELEASE, &[&account.0, &epoch.0]).await?;
            connection.done();
            Ok(changed == 1)
        })
        .await
    }

    /// Says that the active is to step back, to it and to its standby; false when nobody holds this epoch any more.
    pub async fn ask_for_handover(&self, account: AccountId, epoch: Epoch) -> Result<bool, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let changed = connection
                .execute(
                    "UPDATE account_lease SET handover = true WHERE account_id = $1 AND epoch = $2 AND NOT released",
                    &[&account.0, &epoch.0],
                )
                .await?;
            connection.done();
            Ok(changed == 1)
        })
        .await
    }

    /// How long nobody could send between the tenure `epoch` and the one after it, once that one has opened.
    pub async fn gap_after(&self, account: AccountId, epoch: Epoch) -> Result<Option<Gap>, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let row = connection
                .query_opt(
                    "SELECT n.epoch, n.holder, extract(epoch FROM n.opened_at - t.released_at)::float8 AS gap
                       FROM tenure t JOIN tenure n ON n.account_id = t.account_id AND n.epoch = t.epoch + 1
                      WHERE t.account_id = $1 AND t.epoch = $2 AND n.opened_at IS NOT NULL",
                    &[&account.0, &epoch.0],
                )
                .await?;
            connection.done();
            Ok(row.map(|row| Gap {
                epoch: Epoch(row.get("epoch")),
                holder: row.get("holder"),
                span: row.get::<_, Option<f64>>("gap").map(|seconds| Duration::from_secs_f64(seconds.max(0.0))),
            }))
        })
        .await
    }
}
