//! What every long-running subcommand starts with.

use std::net::SocketAddr;
use std::time::Duration;

use switchboard_common::doorbell::{Doorbells, Sweep};
use switchboard_common::ensemble::{Ensemble, EnsembleOptions};
use switchboard_common::service::config::Config;
use switchboard_common::service::database::{self as database_watch, Replication};
use switchboard_common::service::health::Health;
use switchboard_common::service::shutdown::Shutdown;
use switchboard_common::service::{admin, metrics, telemetry};
use switchboard_common::store::{Database, needed_version, schema_version};

use crate::notify;

/// A running component's surroundings.
pub struct Process {
    /// Ends the work.
    pub shutdown: Shutdown,
    /// Ends what the work needs to the last: signals, the admin listener.
    surroundings: Shutdown,
    /// What `/readyz` answers.
    pub health: Health,
    /// Where the truth is.
    pub database: Database,
    /// Signals and elections.
    pub ensemble: Ensemble,
    /// Rings and ears.
    pub doorbells: Doorbells,
}

/// Ends at the latest this long after the shutdown began: calls under way may take `answer_by`.
const DRAIN: Duration = Duration::from_secs(20);
/// The same for tasks that outlive the work: calls whose answer is still awaited, after the lease was released.
const TASKS: Duration = Duration::from_secs(20);
/// The same for closing the ZooKeeper session and the admin listener.
const SURROUNDINGS: Duration = Duration::from_secs(3);

impl Process {
    /// Logs, metrics, the admin listener, the database (waited for), ZooKeeper (not waited for). Ready only when the component
    /// itself has said that it is `serving`.
    pub async fn start(config: &Config, name: &str, admin_listen: Option<SocketAddr>) -> anyhow::Result<Self> {
        let database = Database::new(&config.database(&application_name(name))?)?;
        let replication = if config.postgres.synchronous { Replication::Expected } else { Replication::Welcome };
        Self::start_on(config, name, admin_listen, (database, replication), ensemble).await
    }

    /// The same for a process that only reads, from the replica when one is configured, and needs no ZooKeeper.
    pub async fn start_reader(config: &Config, name: &str, admin_listen: Option<SocketAddr>) -> anyhow::Result<Self> {
        let shown = application_name(name);
        let (database, server) = match config.replica(&shown)? {
            Some(replica) => (Database::for_reading(&replica)?, "loader.replica_url"),
            None => (Database::new(&config.database(&shown)?)?, "postgres.url"),
        };
        let process =
            Self::start_on(config, name, admin_listen, (database, Replication::Ignored), |_, _| Ensemble::absent())
                .await?;
        process.health.fact("reads_from", server);
        Ok(process)
    }

    async fn start_on(
        config: &Config,
        name: &str,
        admin_listen: Option<SocketAddr>,
        (database, replication): (Database, Replication),
        ensemble: impl FnOnce(&Config, &Shutdown) -> Ensemble,
    ) -> anyhow::Result<Self> {
        telemetry::install(&config.log)?;
        let shutdown = Shutdown::on_signals()?;
        let surroundings = Shutdown::default();
        let health = Health::default();
        health.expect(&["postgres", "serving"]);
        let listen = admin_listen.unwrap_or(config.admin.listen);
        let metrics = metrics::install(&surroundings, &labels(name))?;
        let address = admin::serve(listen, config.admin.lists()?, health.clone(), metrics, &surroundings).await?;
        tracing::info!(component = name, admin = %address, version = env!("CARGO_PKG_VERSION"), "starting");
        wait_for_schema(&database, &health, &shutdown).await?;
        let ensemble = ensemble(config, &surroundings);
        let sweep = Sweep {
            usual: Duration::from_millis(config.doorbell.sweep_ms),
            alone: Duration::from_millis(config.doorbell.sweep_without_zookeeper_ms),
        };
        let doorbells = Doorbells::zookeeper(&ensemble, sweep, &surroundings);
        database_watch::watch(&database, replication, &health, &shutdown);
        Ok(Self { shutdown, surroundings, health, database, ensemble, doorbells })
    }

    /// Does the component's work until it ends, or for [`DRAIN`] after the shutdown began.
    pub async fn work(&self, work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
        let overdue = async {
            self.shutdown.wait().await;
            self.health.drain();
            notify::stopping();
            tokio::time::sleep(DRAIN).await;
        };
        tokio::select! {
            done = work => done,
            () = notify::follow(&self.health) => Ok(()),
            () = overdue => {
                tracing::warn!("what was under way did not end in time; a successor finds it in the tables");
                Ok(())
            }
        }
    }

    /// Waits until every task has ended, within bounds.
    pub async fn end(self) {
        self.shutdown.begin();
        self.health.drain();
        let worked_out = self.shutdown.drained(TASKS).await;
        // Only now: the last outcomes have been rung, and the session's end lets a successor begin.
        self.surroundings.begin();
        match self.surroundings.drained(SURROUNDINGS).await && worked_out {
            true => tracing::info!("stopped"),
            false => tracing::warn!("stopped; some tasks did not end in time"),
        }
    }
}

/// `connector shop` is a connector of the account `shop`; of a chatserver its address tells which.
fn labels(name: &str) -> Vec<(&str, &str)> {
    match name.split_once(' ') {
        Some(("connector", account)) => vec![("role", "connector"), ("account", account)],
        Some((role, _)) => vec![("role", role)],
        None => vec![("role", name)],
    }
}

/// What a process calls itself at Postgres: with its version, so that a doctor sees who runs which.
pub fn application_name(name: &str) -> String {
    format!("switchboard/{} {name}", env!("CARGO_PKG_VERSION"))
}

/// Begins to keep a session; without a configured ensemble there never is one.
pub fn ensemble(config: &Config, shutdown: &Shutdown) -> Ensemble {
    match config.zookeeper.connect.as_str() {
        "" => Ensemble::absent(),
        connect => Ensemble::open(
            EnsembleOptions {
                connect: connect.to_owned(),
                chroot: config.zookeeper.chroot.clone(),
                session_timeout: Duration::from_millis(config.zookeeper.session_timeout_ms),
            },
            shutdown,
        ),
    }
}

/// A missing database is waited for, not crashed on; a schema that is too old is said so.
async fn wait_for_schema(database: &Database, health: &Health, shutdown: &Shutdown) -> anyhow::Result<()> {
    let needed = needed_version();
    loop {
        let note = match schema_version(database).await {
            Ok(Some(version)) if version >= needed => {
                health.set("postgres", true, "answers");
                return Ok(());
            }
            Ok(version) => format!(
                "the tables are at version {}, this program needs {needed}: run `switchboard migrate`",
                version.map_or("none".to_owned(), |v| v.to_string())
            ),
            Err(error) if error.is_unavailable() => error.to_string(),
            Err(error) => return Err(error.into()),
        };
        tracing::warn!(note, "waiting for the database");
        notify::waiting(&note);
        health.set("postgres", false, note);
        anyhow::ensure!(shutdown.pause(Duration::from_secs(1)).await, "told to stop while waiting for the database");
    }
}
