//! The pool, and a connection that is closed rather than reused when its use was cut short.
//!
//! tokio-postgres is not cancel safe: a statement whose future was dropped goes on, and the next user of
//! the connection waits behind it. So a [`Connection`] goes back to the pool only by [`Connection::done`].

use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Connect, Hook, HookError, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Timeouts};
use futures_util::future::BoxFuture;
use secrecy::ExposeSecret;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::{AsyncMessage, Client, Config, NoTls};

use super::StoreError;
use crate::faults::{Sabotage, sabotaged};
use crate::secrets::SecretFile;

/// How to reach Postgres.
#[derive(Clone, Debug)]
pub struct DatabaseOptions {
    /// `postgresql://user@host:port/database`, several hosts allowed; no password in it.
    pub url: String,
    /// The password, when the server asks for one; each new connection uses it as it is then.
    pub password: Option<Arc<SecretFile>>,
    /// Connections at most.
    pub pool_size: usize,
    /// Shown in `pg_stat_activity`.
    pub application_name: String,
    /// No statement and no commit may take longer, lock waits included.
    pub statement_timeout: Duration,
}

impl DatabaseOptions {
    /// Whether a URL names a password, which belongs elsewhere; an error when it is no URL of a database.
    pub fn holds_password(url: &str) -> Result<bool, StoreError> {
        let config: tokio_postgres::Config = url.parse()?;
        Ok(config.get_password().is_some())
    }
}

/// What a pool's connections are for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Only a server that accepts writes, and keeps them, will do.
    Write,
    /// Any server will do.
    Read,
}

/// The pool of one process.
#[derive(Clone)]
pub struct Database {
    pool: Pool,
    deadline: Duration,
    /// Whose changes go into `audit`.
    pub(super) actor: Arc<str>,
}

impl Database {
    /// Makes the pool; connects when first used. Fails only on an unreadable URL.
    pub fn new(options: &DatabaseOptions) -> Result<Self, StoreError> {
        Self::open(options, Purpose::Write)
    }

    /// The same for a process that only reads: a standby in recovery will do, and what it reads may be a little old.
    pub fn for_reading(options: &DatabaseOptions) -> Result<Self, StoreError> {
        Self::open(options, Purpose::Read)
    }

    fn open(options: &DatabaseOptions, purpose: Purpose) -> Result<Self, StoreError> {
        let mut config: tokio_postgres::Config = options.url.parse()?;
        let timeout_ms = options.statement_timeout.as_millis();
        config
            .application_name(&options.application_name)
            .connect_timeout(Duration::from_secs(3))
            .keepalives_idle(Duration::from_secs(20))
            .tcp_user_timeout(Duration::from_secs(10))
            .target_session_attrs(match purpose {
                Purpose::Write => TargetSessionAttrs::ReadWrite,
                Purpose::Read => TargetSessionAttrs::Any,
            })
            // Prepared statements here are planned once: a generic plan made while `pending` is empty
            // must not become a sequential scan for the connection's life (docs/data.md). A scan that is forbidden and
            // still needed is priced so high that it would be compiled every time: no jit.
            .options(format!(
                "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c jit=off -c lock_timeout=2000 \
                 -c idle_in_transaction_session_timeout=3000 -c statement_timeout={timeout_ms} -c timezone=UTC{}",
                match purpose {
                    Purpose::Write => "",
                    Purpose::Read => " -c default_transaction_read_only=on",
                }
            ));
        let manager = deadpool_postgres::Manager::from_connect(
            config,
            Connector { password: options.password.clone() },
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let wait = Some(Duration::from_secs(5));
        let pool = Pool::builder(manager)
            .max_size(options.pool_size.max(1))
            .runtime(Runtime::Tokio1)
            .timeouts(Timeouts { wait, create: wait, recycle: wait })
            .post_create(Hook::async_fn(move |client, _| {
                Box::pin(async move {
                    if purpose == Purpose::Read {
                        return Ok(());
                    }
                    // A primary that does not flush before it answers breaks P1: refuse to use it.
                    let row = client
                        .query_one("SELECT current_setting('synchronous_commit')", &[])
                        .await
                        .map_err(HookError::Backend)?;
                    match row.get::<_, &str>(0) {
                        level @ ("off" | "local") => Err(HookError::message(format!(
                            "synchronous_commit is {level}: acknowledged messages could be lost; set it to on"
                        ))),
                        _ => Ok(()),
                    }
                })
            }))
            .build()
            .map_err(|error| StoreError::NoConnection(error.to_string()))?;
        Ok(Self {
            pool,
            deadline: options.statement_timeout + Duration::from_secs(1),
            actor: options.application_name.as_str().into(),
        })
    }

    /// Takes a connection out of the pool.
    pub async fn connection(&self) -> Result<Connection, StoreError> {
        let object = self.pool.get().await.map_err(|error| match error {
            deadpool_postgres::PoolError::Backend(error) => StoreError::Database(error),
            other => StoreError::NoConnection(other.to_string()),
        })?;
        Ok(Connection { object: Some(object) })
    }

    /// Bounds a whole operation in time: `statement_timeout` does not cover a commit that waits for a
    /// standby. Dropping the operation closes its connection.
    pub async fn within<T>(&self, operation: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        match tokio::time::timeout(self.deadline, operation).await {
            Ok(result) => result,
            Err(_) => Err(StoreError::Timeout(self.deadline.as_millis())),
        }
    }

    /// One round trip, for readiness; whether commits wait for a standby now.
    pub async fn ping(&self) -> Result<bool, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let row = connection.query_one("SELECT current_setting('synchronous_standby_names') <> ''", &[]).await?;
            connection.done();
            Ok(row.get(0))
        })
        .await
    }

    /// Connections (in use or idle, idle) now.
    pub fn pool_state(&self) -> (usize, usize) {
        let status = self.pool.status();
        (status.size, status.available)
    }
}

/// Connects with the password as it is now.
struct Connector {
    password: Option<Arc<SecretFile>>,
}

impl Connect for Connector {
    fn connect(&self, config: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), tokio_postgres::Error>> {
        let mut config = config.clone();
        Box::pin(async move {
            if let Some(password) = &self.password {
                config.password(password.current().expose_secret());
            }
            let connected = match (config.connect(NoTls).await, &self.password) {
                // The server may have the new password before our last look at the file.
                (Err(error), Some(password)) if refused(&error) && password.reread() => {
                    config.password(password.current().expose_secret());
                    config.connect(NoTls).await
                }
                (connected, _) => connected,
            };
            let (client, connection) = connected?;
            Ok((client, tokio::spawn(drive(connection))))
        })
    }
}

/// Moves a connection's messages until it ends, or until the server tells that a commit was cut short while it waited for its
/// standby. Such a commit is answered as if all were well, but a failover may lose it: it must look like one that was never
/// answered. The server tells before it answers, and a connection that is gone answers nothing.
async fn drive<S, T>(mut connection: tokio_postgres::Connection<S, T>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(message) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
        match message {
            Ok(AsyncMessage::Notice(notice)) if is_unreplicated(&notice) => {
                tracing::warn!(
                    notice = notice.message(),
                    "a commit that no standby has confirmed is taken for a failed one"
                );
                return;
            }
            Ok(AsyncMessage::Notice(notice)) => tracing::debug!(notice = notice.message(), "Postgres tells"),
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(%error, "a connection to Postgres ended");
                return;
            }
        }
    }
}

/// A warning from where commits wait for standbys. It has no code of its own, and its words depend on the server's language.
fn is_unreplicated(notice: &DbError) -> bool {
    notice.file().is_some_and(|file| file.ends_with("syncrep.c")) && !sabotaged(Sabotage::BelieveCutWait)
}

fn refused(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::INVALID_PASSWORD)
}

/// A connection on loan. Call [`done`](Self::done) after a success; dropped without it, it is closed.
pub struct Connection {
    object: Option<Object>,
}

impl Connection {
    /// Gives the connection back to the pool.
    pub fn done(mut self) {
        drop(self.object.take());
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            drop(Object::take(object));
        }
    }
}

impl Deref for Connection {
    type Target = deadpool_postgres::Client;

    fn deref(&self) -> &Self::Target {
        self.object.as_ref().expect("present until done or dropped")
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.object.as_mut().expect("present until done or dropped")
    }
}
