//! What all routes share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use switchboard_common::access::Gate;
use switchboard_common::model::{AccountId, AccountName, AgentId, FileId, FileLimits};
use switchboard_common::service::config::SecretFile;
use switchboard_common::service::metrics::{FILE_BYTES, FILE_REQUESTS};
use switchboard_common::service::problem::Problem;
use switchboard_common::service::shutdown::Shutdown;
use switchboard_common::store::Database;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use crate::link::Links;
use crate::sweep;

/// What a file server is made of.
pub struct FileServerOptions {
    /// Lets requests in.
    pub gate: Gate,
    /// Whose files.
    pub account: AccountId,
    /// The same, as paths have it.
    pub account_name: AccountName,
    /// For bytes alone: a pool of its own.
    pub database: Database,
    /// What may be attached now; none: nothing. Asked for every upload: an account's settings change while it is served.
    pub limits: Arc<dyn Fn() -> Option<FileLimits> + Send + Sync>,
    /// Keys of signed links, a line each: the first signs, all are believed. None: no links.
    pub link_secret: Option<SecretFile>,
    /// How long a link is good.
    pub link_good_for: Duration,
    /// How links begin; empty: with a slash.
    pub public_url: String,
    /// Uploads and downloads at once.
    pub at_once: usize,
    /// An upload that no message named is removed after so long.
    pub orphans_after: Duration,
    /// Web pages of these origins may use the routes from a browser.
    pub origins: Vec<String>,
    /// How long whom is waited for.
    pub bounds: Bounds,
    /// The process's end.
    pub shutdown: Shutdown,
}

/// How long whom is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// A client that sends no byte of its body for so long is cut.
    pub silence: Duration,
    /// No upload takes longer; less than the hour after which what was written is taken for abandoned.
    pub upload: Duration,
    /// How long a transfer waits for its turn.
    pub turn: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { silence: Duration::from_secs(30), upload: Duration::from_secs(30 * 60), turn: Duration::from_secs(5) }
    }
}

/// Why there can be no file server.
#[derive(Debug, thiserror::Error)]
pub enum FileServerError {
    /// It could be guessed from a link.
    #[error("files.link_secret needs at least {} bytes", Links::SHORTEST_SECRET_BYTES)]
    ShortSecret,
}

/// The right to transfer one file: of the agent's turns, and of all.
pub(crate) struct Turn(#[expect(dead_code)] OwnedSemaphorePermit, #[expect(dead_code)] OwnedSemaphorePermit);

/// Serves one account's files.
#[derive(Clone)]
pub struct FileServer(Arc<Inner>);

struct Inner {
    gate: Gate,
    account: AccountId,
    name: AccountName,
    database: Database,
    limits: Arc<dyn Fn() -> Option<FileLimits> + Send + Sync>,
    links: Links,
    turns: Arc<Semaphore>,
    /// Turns of each agent who has or wants one; whoever is no agent shares one place with all such.
    shares: Mutex<HashMap<Option<AgentId>, Arc<Semaphore>>>,
    /// One agent's turns at once.
    share: usize,
    origins: Vec<String>,
    bounds: Bounds,
    shutdown: Shutdown,
}

impl FileServer {
    /// Makes it, and begins to look for orphans, until the shutdown.
    pub fn new(options: FileServerOptions) -> Result<Self, FileServerError> {
        let wanted = options.link_secret.is_some();
        let links = Links::new(&options.account_name, options.link_secret, options.link_good_for, &options.public_url);
        if wanted && links.keys().is_empty() {
            return Err(FileServerError::ShortSecret);
        }
        let server = Self(Arc::new(Inner {
            gate: options.gate,
            account: options.account,
            links,
            name: options.account_name,
            database: options.database,
            limits: options.limits,
            turns: Arc::new(Semaphore::new(options.at_once)),
            shares: Mutex::default(),
            share: options.at_once.div_ceil(2),
            origins: options.origins,
            bounds: options.bounds,
            shutdown: options.shutdown,
        }));
        let sweeping =
            sweep::run(server.0.database.clone(), server.0.account, options.orphans_after, server.0.shutdown.clone());
        server.0.shutdown.spawn(sweeping);
        Ok(server)
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.0.gate
    }

    pub(crate) fn account(&self) -> AccountId {
        self.0.account
    }

    pub(crate) fn name(&self) -> &AccountName {
        &self.0.name
    }

    pub(crate) fn database(&self) -> &Database {
        &self.0.database
    }

    pub(crate) fn links(&self) -> &Links {
        &self.0.links
    }

    pub(crate) fn origins(&self) -> &[String] {
        &self.0.origins
    }

    pub(crate) fn bounds(&self) -> Bounds {
        self.0.bounds
    }

    pub(crate) fn limits(&self) -> Option<FileLimits> {
        (self.0.limits)()
    }

    /// Waits for a turn, or says when to come back. Hold it as long as bytes pass. Half of all turns are for others: one
    /// agent whose transfers stand still leaves these.
    pub(crate) async fn turn(&self, agent: Option<AgentId>) -> Result<Turn, Problem> {
        let busy =
            || Problem::unavailable("too many files are being transferred: come back in a moment").retry_after(5);
        let share = self.share(agent);
        let waiting = async { Ok(Turn(share.acquire_owned().await?, self.0.turns.clone().acquire_owned().await?)) };
        let turn: Option<Result<_, AcquireError>> = tokio::time::timeout(self.0.bounds.turn, waiting).await.ok();
        turn.and_then(Result::ok).ok_or_else(busy)
    }

    fn share(&self, agent: Option<AgentId>) -> Arc<Semaphore> {
        let mut shares = self.0.shares.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that nobody holds nor waits for are forgotten.
        shares.retain(|_, share| Arc::strong_count(share) > 1);
        shares.entry(agent).or_insert_with(|| Arc::new(Semaphore::new(self.0.share))).clone()
    }

    /// Gives an upload up, in the background: whoever sent it may be gone.
    pub(crate) fn abandon(&self, id: FileId) {
        let (database, account) = (self.0.database.clone(), self.0.account);
        self.0.shutdown.spawn(async move {
            if let Err(error) = database.abandon_upload(account, &id).await {
                // The row is still there: the sweep finds it.
                tracing::warn!(file.id = %id, %error, "what was written of an upload stays for now");
            }
        });
    }

    pub(crate) fn count_bytes(&self, direction: &'static str, bytes: usize) {
        metrics::counter!(FILE_BYTES, "account" => self.0.name.to_string(), "direction" => direction)
            .increment(bytes as u64);
    }

    pub(crate) fn count_request(&self, outcome: &'static str) {
        metrics::counter!(FILE_REQUESTS, "account" => self.0.name.to_string(), "outcome" => outcome).increment(1);
    }
}
