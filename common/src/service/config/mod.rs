//! Configuration: defaults, a TOML file, the environment; one typed struct, unknown keys refused.

mod source;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

pub use crate::secrets::{SecretFile, SecretRefError, resolve_secret};
pub use source::ConfigError;

use crate::service::addresses::Addresses;
use crate::service::networks::Lists;
use crate::store::DatabaseOptions;

/// The commented default file: every option, its default, a sentence.
pub const DEFAULT: &str = include_str!("default.toml");

/// Hours that a person may mean: up to ten years.
const SPAN_HOURS: RangeInclusive<u64> = 1..=87_600;

/// All options. Each process uses the sections it needs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the truth is.
    pub postgres: Postgres,
    /// Where signals and elections are.
    pub zookeeper: ZooKeeper,
    /// How long a lost signal can cost.
    pub doorbell: Doorbell,
    /// The operators' listener.
    pub admin: Admin,
    /// Logs.
    pub log: Log,
    /// Who may connect as an agent.
    pub auth: Auth,
    /// Serving an account.
    pub connector: Connector,
    /// Attachments.
    pub files: Files,
    /// Everything that is reached from outside.
    pub public: Public,
    /// Serving REST.
    pub loader: Loader,
    /// Serving agents.
    pub chatserver: Chatserver,
}

/// `[postgres]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Postgres {
    pub url: String,
    pub password: SecretString,
    pub password_file: String,
    pub pool_size: usize,
    pub statement_timeout_ms: u64,
    pub synchronous: bool,
}

/// `[zookeeper]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct ZooKeeper {
    pub connect: String,
    pub chroot: String,
    pub session_timeout_ms: u64,
}

/// `[doorbell]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Doorbell {
    pub sweep_ms: u64,
    pub sweep_without_zookeeper_ms: u64,
}

/// `[admin]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Admin {
    pub listen: SocketAddr,
    pub allow: String,
    pub deny: String,
}

impl Admin {
    /// Whom the listener serves.
    pub fn lists(&self) -> Result<Lists, ConfigError> {
        Lists::new("admin", &self.allow, &self.deny)
    }
}

/// `[log]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Log {
    pub format: LogFormat,
    pub level: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Plain on a terminal, JSON elsewhere.
    Auto,
    /// JSON lines.
    Json,
    /// Lines for people.
    Plain,
}

/// `[auth]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Auth {
    pub issuer: String,
    pub audience: String,
    pub hs256_secret: SecretString,
    pub hs256_secret_file: String,
    pub public_key_file: String,
    pub public_key_algorithm: String,
}

/// `[connector]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Connector {
    pub listen: SocketAddr,
    pub public_url: String,
    pub proxy: String,
    pub webhooks_per_second: NonZeroU32,
    pub poll_timeout_s: u64,
    pub in_flight: usize,
    pub write_by_ms: u64,
    pub answer_by_ms: u64,
    pub upload_answer_by_ms: u64,
    pub retry_first_ms: u64,
    pub retry_longest_ms: u64,
    pub give_up_hours: u64,
}

/// `[files]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Files {
    pub pool_size: usize,
    pub link_secret: SecretString,
    pub link_secret_file: String,
    pub link_good_for_s: u64,
    pub orphan_hours: u64,
    pub at_once: usize,
}

/// `[public]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Public {
    pub trusted_proxies: String,
    pub requests_per_second: u32,
    pub requests_at_once: u32,
    pub connections: usize,
    pub sockets_per_address: usize,
    pub allow: String,
    pub deny: String,
}

/// `[loader]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Loader {
    pub listen: SocketAddr,
    pub replica_url: String,
    pub exports_at_once: usize,
}

/// `[chatserver]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Chatserver {
    pub listen: SocketAddr,
    pub name: String,
    pub origins: String,
    pub sessions_per_agent: usize,
    pub feed_retention_days: u32,
}

impl Chatserver {
    /// The web origins, besides its own, whose pages are let in.
    pub fn origins(&self) -> Vec<String> {
        self.origins.split(',').map(str::trim).filter(|origin| !origin.is_empty()).map(str::to_owned).collect()
    }
}

fn lines(secret: Option<SecretFile>) -> Vec<SecretString> {
    let Some(text) = secret.map(|secret| secret.current()) else { return Vec::new() };
    let lines = text.expose_secret().lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(SecretString::from).collect()
}

impl Config {
    /// Reads defaults, `file` and `environment` (pairs of name and value), in this order.
    pub fn load(file: Option<&Path>, environment: impl Iterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let config: Self = source::merge(DEFAULT, file, environment)?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let refuse = |key: &str, why: &str| Err(ConfigError::Value { key: key.to_owned(), why: why.to_owned() });
        if !(1..=50).contains(&self.connector.poll_timeout_s) {
            return refuse("connector.poll_timeout_s", "must be from 1 to 50, the longest a platform waits");
        }
        if self.connector.in_flight == 0 || !SPAN_HOURS.contains(&self.connector.give_up_hours) {
            return refuse("connector", "in_flight must be at least 1, and give_up_hours from 1 to 87600, ten years");
        }
        if self.connector.write_by_ms < 100 {
            return refuse("connector.write_by_ms", "must be at least 100: a claim and a call must fit into it");
        }
        if self.connector.answer_by_ms.max(self.connector.upload_answer_by_ms) > 600_000 {
            return refuse(
                "connector",
                "answer_by_ms and upload_answer_by_ms must be at most 600000: limits look ten minutes back",
            );
        }
        if self.zookeeper.session_timeout_ms < 500 {
            return refuse("zookeeper.session_timeout_ms", "must be at least 500; 2000 to 10000 is sensible");
        }
        if self.chatserver.sessions_per_agent == 0 {
            return refuse("chatserver.sessions_per_agent", "must be at least 1, else nobody could come in");
        }
        if self.connector.answer_by_ms < self.connector.write_by_ms {
            return refuse("connector.answer_by_ms", "must not be below connector.write_by_ms");
        }
        if self.files.pool_size == 0 || self.files.at_once == 0 || self.loader.exports_at_once == 0 {
            return refuse("files, loader", "pool_size, at_once and exports_at_once must be at least 1");
        }
        if !(1..=86_400).contains(&self.files.link_good_for_s) {
            return refuse("files.link_good_for_s", "must be from 1 to 86400: a link is good for whoever has it");
        }
        if !SPAN_HOURS.contains(&self.files.orphan_hours) {
            return refuse(
                "files.orphan_hours",
                "must be from 1 to 87600: an upload waits for the message that names it",
            );
        }
        if self.chatserver.feed_retention_days == 0 {
            return refuse("chatserver.feed_retention_days", "must be at least 1, else no session could resume");
        }
        if self.postgres.pool_size == 0 || self.postgres.statement_timeout_ms < 100 {
            return refuse("postgres", "pool_size must be at least 1, and statement_timeout_ms at least 100");
        }
        if self.doorbell.sweep_ms == 0 || self.doorbell.sweep_without_zookeeper_ms == 0 {
            return refuse("doorbell", "a sweep interval of 0 would spin; use at least 50");
        }
        if !self.zookeeper.chroot.starts_with('/') {
            return refuse("zookeeper.chroot", "must start with /");
        }
        self.admin.lists()?;
        Addresses::new(&self.public).map(drop)
    }

    /// Options of the database for a process that calls itself `application_name`.
    pub fn database(&self, application_name: &str) -> Result<DatabaseOptions, ConfigError> {
        self.database_at("postgres.url", &self.postgres.url, application_name)
    }

    /// Options of the copy that the loader reads from, when one is configured: other servers, else the same.
    pub fn replica(&self, application_name: &str) -> Result<Option<DatabaseOptions>, ConfigError> {
        match self.loader.replica_url.as_str() {
            "" => Ok(None),
            url => self.database_at("loader.replica_url", url, application_name).map(Some),
        }
    }

    fn database_at(&self, key: &str, url: &str, application_name: &str) -> Result<DatabaseOptions, ConfigError> {
        let postgres = &self.postgres;
        let refuse = |why: String| ConfigError::Value { key: key.to_owned(), why };
        if DatabaseOptions::holds_password(url).map_err(|error| refuse(error.to_string()))? {
            return Err(refuse("it holds a password: put that into postgres.password_file".to_owned()));
        }
        Ok(DatabaseOptions {
            url: url.to_owned(),
            password: either("postgres.password", &postgres.password, &postgres.password_file)?.map(Arc::new),
            pool_size: postgres.pool_size,
            application_name: application_name.to_owned(),
            statement_timeout: Duration::from_millis(postgres.statement_timeout_ms),
        })
    }

    /// Options of a connector's second pool, for the bytes of files alone.
    pub fn files_database(&self, application_name: &str) -> Result<DatabaseOptions, ConfigError> {
        Ok(DatabaseOptions { pool_size: self.files.pool_size, ..self.database(application_name)? })
    }

    /// The keys of signed links, a line each: all are believed, the first signs. None: there are no links.
    pub fn link_secret(&self) -> Result<Option<SecretFile>, ConfigError> {
        either("files.link_secret", &self.files.link_secret, &self.files.link_secret_file)
    }

    /// The shared keys of agents' tokens, a line each: all are believed, the first signs.
    pub fn hs256_secrets(&self) -> Result<Vec<SecretString>, ConfigError> {
        either("auth.hs256_secret", &self.auth.hs256_secret, &self.auth.hs256_secret_file).map(lines)
    }
}

/// A secret given directly or by a file (its path, or `credential:NAME`); `None` when neither is set.
fn either(key: &str, direct: &SecretString, file: &str) -> Result<Option<SecretFile>, ConfigError> {
    match (direct.expose_secret().is_empty(), file) {
        (true, "") => Ok(None),
        (false, "") => Ok(Some(SecretFile::fixed(direct.clone()))),
        (true, path) => {
            let reference = if path.starts_with("credential:") { path.to_owned() } else { format!("file:{path}") };
            SecretFile::open(&reference)
                .map(Some)
                .map_err(|error| ConfigError::Value { key: format!("{key}_file"), why: error.to_string() })
        }
        (false, _) => {
            Err(ConfigError::Value { key: key.to_owned(), why: "give it directly or by file, not both".to_owned() })
        }
    }
}
