//! Tenure: which of an account's connectors is active, and in which epoch.
//!
//! # Who is authoritative
//!
//! The **lease row** in Postgres is the tenure. ZooKeeper only says who should try, and when. Being
//! elected is never permission to send: permission is a claim under the epoch, checked under the lease
//! row's lock (`store::sender`), and good for one call until its `write_by`. So a wrong takeover costs a
//! flap, never a double. `tests/model` explores every interleaving of what follows.
//!
//! ```text
//!              raise: lease free or stale, compare-and-set on the epoch
//!   standby ──────────────────────────────────────────────────────────> recovering
//!    ^  ^ ^                                                                 │ foreign write_by passed,
//!    │  │ │                                                                 │ limiter rebuilt
//!    │  │ │       renewal changes no row, or a claim is refused:            v
//!    │  │ └──────────────── another raised the epoch ──────────────────── active ──┐ renews every T/4
//!    │  │                                                                 │  ^─────┘
//!    │  └── release <── drained <── stepping back: SIGTERM or handover <──┘
//!    └── the process dies: its successor is a new standby; its lease goes stale
//! ```
//!
//! # When may a candidate raise the epoch
//!
//! | its place among the candidates | the lease is free | or was not renewed for more than | ledger |
//! |---|---|---|---|
//! | lowest | at once | T/2 | `released`, `lowest` |
//! | ZooKeeper does not tell | at once | 2T | `released`, `anyone` |
//! | behind another | not before that one had its turn, unless it steps back | 2T | `anyone` |
//!
//! A doctor that must ask the platform although a holder died raises by the last rule, too, and releases in the same
//! transaction (`store::exchanges`): a holder that was only frozen must not go on with a limiter that does not count it.
//!
//! # Stepping back
//!
//! An operator's `handover`, or the active itself on SIGTERM, sets a flag in the lease row. The active goes on for T/8, in which
//! its standby sees the flag and begins to look every few milliseconds. Then the active claims nothing more, waits until no call
//! of its own can write a byte, and releases: the standby is there within milliseconds.
//!
//! # A database that went backwards
//!
//! A restore, or a failover to a standby that had not got everything, makes sent parts wait again. So claims are possible only at
//! a server that was vouched for since it started: by the incumbent's renewal, or by whoever may raise the epoch. Both know
//! how far the lease row had come (`memory`). When the database is behind that, everything undecided becomes unconfirmed,
//! and the epoch goes beyond every one there was.
//!
//! # A disabled account
//!
//! Renewals and candidates read along whether the account is enabled. While it is not, the active releases without waiting for
//! anybody, no candidate stands in line, and nobody raises.
//!
//! # The deadlines
//!
//! * **T/4**: the incumbent renews. **T/2** without a renewal: the lease is stale for the lowest candidate.
//! * **T**: the session timeout. After a kill the lease is stale before the znode goes, so a takeover takes
//!   about T. The server must grant exactly T (`ensemble`).
//! * **2T**: a dead ensemble, or a hung process with a living session, delays a takeover but cannot prevent it.
//! * **T/2 since Postgres answers us**: staleness is judged only then. After a restart of the database every
//!   lease looks stale, and the incumbent must have had its chance to renew.
//! * **`write_by`** per claim: the new active waits until no foreign claim can write a byte. Nothing in flight,
//!   nothing to wait for. **`answer_by`** decides only when an agent is shown *unconfirmed*.
//!
//! # What fails, and what happens
//!
//! | failure | what happens |
//! |---|---|
//! | the active dies | its lease goes stale, its node goes after T: takeover |
//! | the active is frozen and goes on | its claims are refused; a claim it holds writes nothing after `write_by`. One call frozen between that check and its write may still go out: it is shown as unconfirmed by then |
//! | the active is cut from ZooKeeper, or a follower from its leader | it renews its lease and goes on; the standby, lowest by now, may not raise |
//! | the active is cut from Postgres | it cannot claim. After T/2 it leaves the line of candidates itself and stops polling; the standby takes over |
//! | ZooKeeper is away | nothing changes; a takeover then takes 2T |
//! | ZooKeeper's session is lost | `ensemble` makes a new one, the candidate stands again at the end of the line; the epoch stays |
//! | Postgres is away | nobody sends, nobody raises; who held the lease renews it |

mod candidate;
mod memory;
mod renewal;

pub use candidate::candidates;

use std::time::Duration;

use tokio::sync::watch;

use crate::ensemble::Ensemble;
use crate::faults::{Sabotage, point, sabotaged};
use crate::model::{AccountId, AccountName, Epoch};
use crate::service::clock::Moment;
use crate::service::metrics::TENURE_CHANGES;
use crate::service::shutdown::Shutdown;
use crate::store::{Database, Lease, Raise, StoreError, Way};
use candidate::{Candidate, Standing};
use memory::{Found, Memory, Reader};
use renewal::Renewal;

/// While an incumbent steps back, its standby looks so often,
const GLANCE: Duration = Duration::from_millis(5);
/// and for so long; then as usual.
const ATTENTION: Duration = Duration::from_secs(10);

/// A connector's claim to be active, tenure after tenure.
pub struct Tenures {
    account: AccountId,
    holder: String,
    database: Database,
    candidate: Candidate,
    memory: Memory,
    timeout: Duration,
    shutdown: Shutdown,
    pulse: Pulse,
    /// Since when the incumbent is about to step back.
    stepping_back: Option<Moment>,
    /// The tenure given up last: another has its turn first, until then.
    gave_up: Option<(Epoch, Moment)>,
    versions: watch::Sender<i64>,
}

/// One term as active.
pub struct Tenure {
    /// Its number: every write carries it.
    pub epoch: Epoch,
    /// Ends when the tenure is lost or to be given up.
    pub ending: Shutdown,
    /// Whether the lease could be renewed lately. While it could not, the standby may already be active.
    pub renewed: watch::Receiver<bool>,
    /// Ends the renewals: only after the drain, or the lease would go stale meanwhile.
    over: Shutdown,
}

impl Drop for Tenure {
    fn drop(&mut self) {
        self.over.begin();
    }
}

/// Whether Postgres answers this process, and since when.
#[derive(Debug)]
struct Pulse {
    answering: Option<Moment>,
    last: Moment,
}

impl Pulse {
    fn new() -> Self {
        Self { answering: None, last: Moment::now() }
    }

    /// How long it has been answering; zero: it has just begun to.
    fn beats(&mut self) -> Duration {
        self.last = Moment::now();
        match self.answering {
            Some(since) => since.elapsed(),
            None => {
                self.answering = Some(self.last);
                Duration::ZERO
            }
        }
    }

    /// How long it has been silent.
    fn misses(&mut self) -> Duration {
        self.answering = None;
        self.last.elapsed()
    }
}

impl Tenures {
    /// Makes a candidate for `account`. `holder` names this process; `timeout` is T, the session timeout.
    pub fn new(
        (account, name): (AccountId, &AccountName),
        holder: String,
        database: Database,
        ensemble: &Ensemble,
        timeout: Duration,
        shutdown: &Shutdown,
    ) -> Self {
        let candidate = Candidate::stand(ensemble, name, &holder, shutdown);
        let memory = Memory::keep((account, name), &database, ensemble, timeout * 2, shutdown);
        let shutdown = shutdown.clone();
        Self {
            account,
            holder,
            database,
            candidate,
            memory,
            timeout,
            shutdown,
            pulse: Pulse::new(),
            stepping_back: None,
            gave_up: None,
            versions: watch::Sender::new(0),
        }
    }

    /// The newest version of the account's settings, as the lease's reader learns of it by the way; 0: not known yet.
    pub fn versions(&self) -> watch::Receiver<i64> {
        self.versions.subscribe()
    }

    /// Waits, as standby, for the next tenure; `None` when the process stops first.
    pub async fn next(&mut self) -> Option<Tenure> {
        while !self.shutdown.has_begun() {
            match self.attempt().await {
                Ok(Some(epoch)) => return Some(self.begin(epoch)),
                Ok(None) => {}
                Err(error) => {
                    let silent = self.pulse.misses();
                    self.candidate.stand_if(silent <= self.timeout / 2);
                    tracing::debug!(%error, "the lease could not be read; still standby");
                }
            }
            // A change among the candidates is looked at once, a lease that goes stale within T/8.
            let soon = self.stepping_back.is_some_and(|since| since.elapsed() < ATTENTION);
            tokio::select! {
                () = self.candidate.changed() => {}
                _ = self.shutdown.pause(if soon { GLANCE } else { self.timeout / 8 }) => {}
            }
        }
        None
    }

    async fn attempt(&mut self) -> Result<Option<Epoch>, StoreError> {
        let lease = bounded(self.timeout / 2, self.database.lease(self.account)).await?;
        let answering = self.pulse.beats();
        if answering.is_zero() {
            self.database.warm_up(self.account).await?;
        }
        noted(&self.versions, lease.version);
        self.candidate.stand_if(lease.enabled);
        if !lease.enabled {
            return Ok(None);
        }
        let stepping_back = self.stepping_back.unwrap_or_else(Moment::now);
        self.stepping_back = lease.handover.then_some(stepping_back);
        let allowed = self.allowed(&lease, answering);
        match allowed.is_some() && self.memory.doubts(&lease.whereabouts, Reader::Candidate) {
            true if self.memory.look(&lease.whereabouts, Reader::Candidate).await? != Found::Whole => return Ok(None),
            true => {}
            false => self.memory.note(&lease.whereabouts.mark),
        }
        let Some((way, stale)) = allowed else { return Ok(None) };
        point("L1");
        let raise = Raise { holder: &self.holder, seen: lease.epoch, way, stale, answering };
        self.database.raise_lease(self.account, &raise).await
    }

    /// By which rule this candidate may raise the lease now, and how stale an unreleased one must be; `None`: not now.
    fn allowed(&self, lease: &Lease, answering: Duration) -> Option<(Way, Duration)> {
        let standing = self.candidate.standing();
        if sabotaged(Sabotage::PermissionByZooKeeper) {
            return (standing == Standing::Lowest).then_some((Way::Lowest, Duration::ZERO));
        }
        if self.gave_up.is_some_and(|(epoch, until)| lease.epoch == epoch && until.is_ahead()) {
            return None;
        }
        let (half, double) = (self.timeout / 2, self.timeout * 2);
        let its_turn = standing != Standing::Behind || lease.handover;
        if (lease.released || lease.stale.is_none()) && its_turn {
            return Some((Way::Released, double));
        }
        if answering < half {
            return None;
        }
        let (way, needed) = match standing {
            Standing::Lowest => (Way::Lowest, half),
            Standing::Behind | Standing::Unknown => (Way::Anyone, double),
        };
        lease.stale.is_none_or(|stale| stale > needed).then_some((way, needed))
    }

    fn begin(&self, epoch: Epoch) -> Tenure {
        point("L2");
        tracing::info!(epoch = epoch.0, holder = self.holder, "active");
        metrics::counter!(TENURE_CHANGES).increment(1);
        let ending = self.shutdown.apart();
        let over = Shutdown::default();
        let (renewed, receiver) = watch::channel(true);
        let renewal = Renewal {
            account: self.account,
            epoch,
            database: self.database.clone(),
            candidate: self.candidate.clone(),
            memory: self.memory.clone(),
            timeout: self.timeout,
            shutdown: self.shutdown.clone(),
            ending: ending.clone(),
            over: over.clone(),
            renewed,
            versions: self.versions.clone(),
        };
        self.shutdown.spawn(renewal.run());
        Tenure { epoch, ending, renewed: receiver, over }
    }

    /// Gives a tenure up in order, when no call of it can write a byte any more, and lets another have its turn.
    pub async fn release(&mut self, tenure: Tenure) {
        tenure.ending.begin();
        point("L5");
        match self.database.release_lease(self.account, tenure.epoch).await {
            Ok(true) => tracing::info!(epoch = tenure.epoch.0, "released"),
            Ok(false) => tracing::info!(epoch = tenure.epoch.0, "another connector is active"),
            Err(error) => {
                tracing::warn!(%error, "the lease could not be released; a successor waits until it is stale")
            }
        }
        self.gave_up = Some((tenure.epoch, Moment::now() + self.timeout));
        // During the tenure nobody has looked.
        self.pulse = Pulse::new();
        match self.shutdown.has_begun() {
            true => self.candidate.stand_if(false),
            false => self.candidate.step_back(),
        }
    }
}

fn noted(versions: &watch::Sender<i64>, version: i64) {
    versions.send_if_modified(|known| std::mem::replace(known, version) != version);
}

/// A silent database must be noticed in time, however long a statement may take otherwise.
async fn bounded<T>(span: Duration, operation: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(span, operation).await.unwrap_or(Err(StoreError::Timeout(span.as_millis())))
}
