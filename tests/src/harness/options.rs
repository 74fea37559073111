//! What a scenario may ask of its fleet.

/// Which Postgres a fleet has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// One server.
    Single,
    /// A primary and its standby under Patroni, behind HAProxy. Takes some ten seconds to start.
    Patroni {
        /// Commits wait for the standby.
        synchronous: bool,
        /// They wait even while there is none.
        strict: bool,
    },
}

/// How a fleet differs from the usual one.
#[derive(Clone, Debug)]
pub struct FleetOptions {
    /// Name of the run's folder.
    pub name: &'static str,
    /// Connectors of the account.
    pub connectors: usize,
    /// ZooKeeper servers: one, or three.
    pub zookeepers: usize,
    /// Links that can be cut: from each connector to Postgres and ZooKeeper, from all to the platform, and between
    /// the ZooKeeper servers.
    pub cuts: bool,
    /// Which Postgres.
    pub database: Database,
    /// Postgres, and each ZooKeeper server, lies on a small disk of its own, which can become full. Needs root.
    pub small_disks: bool,
    /// Chatservers.
    pub chatservers: usize,
    /// `doorbell.sweep_ms`.
    pub sweep_ms: u64,
    /// `connector.write_by_ms`.
    pub write_by_ms: u64,
    /// `connector.answer_by_ms`.
    pub answer_by_ms: u64,
    /// How long the simulator takes to answer, milliseconds.
    pub reply_delay_ms: u64,
    /// By how much a call's way to the simulator varies, milliseconds.
    pub arrival_jitter_ms: u64,
    /// `SWITCHBOARD_SABOTAGE` for every process.
    pub sabotage: Option<&'static str>,
    /// The platform calls a webhook, instead of being polled.
    pub webhook: bool,
    /// HAProxy stands before connectors and chatservers, for platforms and agents.
    pub proxy: bool,
    /// It is nginx that stands there instead.
    pub nginx: bool,
    /// A loader runs.
    pub loader: bool,
    /// Each process has the rights of its role at Postgres, and no more; else all are the superuser.
    pub roles: bool,
    /// Further sections of the configuration.
    pub settings: &'static str,
    /// Options of every process by their environment variables: they win over the configuration.
    pub environment: &'static [(&'static str, &'static str)],
}

impl FleetOptions {
    /// The usual fleet.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            connectors: 1,
            zookeepers: 1,
            cuts: false,
            database: Database::Single,
            small_disks: false,
            chatservers: 2,
            sweep_ms: 10_000,
            write_by_ms: 1_500,
            answer_by_ms: 4_000,
            reply_delay_ms: 5,
            arrival_jitter_ms: 0,
            sabotage: None,
            webhook: false,
            proxy: false,
            nginx: false,
            loader: false,
            roles: true,
            settings: "",
            environment: &[],
        }
    }

    /// The usual fleet with an active connector and a standby.
    pub fn pair(name: &'static str) -> Self {
        Self { connectors: 2, ..Self::new(name) }
    }
}
