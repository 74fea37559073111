//! Where `./dev test` put what the scenarios need. Absent: the test fails and names `./dev test`.

use std::path::PathBuf;

/// Programs and folders.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The executable, built with the feature `faults`.
    pub switchboard: PathBuf,
    /// The Telegram simulator.
    pub simulator: PathBuf,
    /// The folder with `initdb`, `pg_ctl`, `postgres`.
    pub postgres_bin: PathBuf,
    /// Class path of ZooKeeper's server.
    pub zookeeper_classes: String,
    /// The reverse proxy, for the runs that have one.
    pub haproxy: PathBuf,
    /// The other one.
    pub nginx: PathBuf,
    /// Where runs are kept.
    pub runs: PathBuf,
}

impl Settings {
    /// Reads them from the environment.
    ///
    /// # Panics
    ///
    /// When one is missing.
    pub fn read() -> Self {
        let get = |name: &str| {
            std::env::var(name)
                .unwrap_or_else(|_| panic!("{name} is not set: run the scenarios by `./dev test scenarios`"))
        };
        let program = |name: &str, usual: &str| std::env::var_os(name).map_or_else(|| usual.into(), PathBuf::from);
        Self {
            switchboard: get("SWITCHBOARD_TEST_BIN").into(),
            simulator: get("SWITCHBOARD_TEST_SIMULATOR").into(),
            postgres_bin: get("SWITCHBOARD_TEST_PGBIN").into(),
            zookeeper_classes: get("SWITCHBOARD_TEST_ZKCP"),
            haproxy: program("SWITCHBOARD_HAPROXY", "/usr/sbin/haproxy"),
            nginx: program("SWITCHBOARD_NGINX", "/usr/sbin/nginx"),
            runs: get("SWITCHBOARD_TEST_DIR").into(),
        }
    }
}
