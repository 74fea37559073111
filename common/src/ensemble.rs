//! The process's one ZooKeeper session, and the one place where it is rebuilt.
//!
//! ZooKeeper only makes things fast (DESIGN: signals are hints, tenure is a row), so nothing here is
//! waited for by the work itself: without a session the process goes on, sweeping.
//!
//! What the client does, and what we make of it: `Disconnected` comes and goes, and requests made
//! meanwhile are sent after the reconnect; `Expired`, `Closed` and `AuthFailed` are final, so a new
//! session is made and whoever watches [`Link`] makes their ephemeral nodes and watches anew. A call has
//! no timeout of its own: wrap each in [`bounded`].

mod examine;

use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;
use zookeeper_client::{Acls, Client, CreateMode, SessionState};

use crate::service::shutdown::Shutdown;

pub use examine::{Examined, examine, four_letters};

/// Where the servers are, and how long silence means death.
#[derive(Clone, Debug)]
pub struct EnsembleOptions {
    /// `host:port`, separated by commas.
    pub connect: String,
    /// Root of the fleet's nodes; made when missing.
    pub chroot: String,
    /// T: the session timeout. What the server grants must be exactly this.
    pub session_timeout: Duration,
}

/// The session as it is now.
#[derive(Clone, Default)]
pub struct Link {
    /// The client, chrooted; absent between sessions. Do not keep a clone: the last one closes the session.
    pub client: Option<Client>,
    /// Whether a server answers at present.
    pub connected: bool,
    /// Grows with every session: ephemeral nodes and watches of an earlier one are gone.
    pub incarnation: u64,
    /// Grows with every (re)connect: something may have been missed.
    pub contact: u64,
    /// Why there is no session, for operators.
    pub trouble: Option<String>,
}

/// Keeps a session until shutdown.
#[derive(Clone)]
pub struct Ensemble {
    link: watch::Receiver<Link>,
}

impl Ensemble {
    /// Starts keeping a session; returns at once.
    pub fn open(options: EnsembleOptions, shutdown: &Shutdown) -> Self {
        let (sender, link) = watch::channel(Link::default());
        let ending = shutdown.clone();
        shutdown.spawn(async move { keep(options, sender, ending).await });
        Self { link }
    }

    /// An ensemble that is never there.
    pub fn absent() -> Self {
        let (sender, link) = watch::channel(Link::default());
        // A closed channel would make every `changed` return at once: keep the sender for ever.
        std::mem::forget(sender);
        Self { link }
    }

    /// Follows the session.
    pub fn link(&self) -> watch::Receiver<Link> {
        self.link.clone()
    }
}

/// How long a single call may take; a queued one can otherwise wait for a whole outage.
const CALL: Duration = Duration::from_secs(2);

/// Bounds a call. Running out of time leaves its outcome unknown: it may still be carried out.
pub async fn bounded<T>(
    call: impl Future<Output = Result<T, zookeeper_client::Error>>,
) -> Result<T, zookeeper_client::Error> {
    tokio::time::timeout(CALL, call).await.unwrap_or(Err(zookeeper_client::Error::Timeout))
}

async fn keep(options: EnsembleOptions, link: watch::Sender<Link>, shutdown: Shutdown) {
    let mut pause = Duration::from_millis(100);
    while !shutdown.has_begun() {
        let opened = tokio::select! {
            opened = connect(&options) => opened,
            () = shutdown.wait() => return,
        };
        match opened {
            Ok(client) => {
                pause = Duration::from_millis(100);
                follow(client, &link, &shutdown).await;
            }
            Err(error) => {
                let trouble = format!("{error:#}");
                if link.borrow().trouble.as_ref() != Some(&trouble) {
                    tracing::warn!(error = trouble, "no ZooKeeper session; going on without signals");
                }
                link.send_modify(|link| link.trouble = Some(trouble));
                shutdown.pause(pause).await;
                pause = (pause * 2).min(Duration::from_secs(2));
            }
        }
    }
}

async fn connect(options: &EnsembleOptions) -> anyhow::Result<Client> {
    let client = Client::connector().with_session_timeout(options.session_timeout).connect(&options.connect).await?;
    let granted = client.session_timeout();
    anyhow::ensure!(
        granted == options.session_timeout,
        "ZooKeeper grants a session timeout of {} ms instead of the {} ms in zookeeper.session_timeout_ms: set \
         minSessionTimeout and maxSessionTimeout (or tickTime) on the servers, or change the option",
        granted.as_millis(),
        options.session_timeout.as_millis()
    );
    if options.chroot == "/" {
        return Ok(client);
    }
    let persistent = CreateMode::Persistent.with_acls(Acls::anyone_all());
    bounded(client.mkdir(&options.chroot, &persistent)).await?;
    client
        .chroot(options.chroot.clone())
        .map_err(|_| anyhow::anyhow!("zookeeper.chroot \"{}\" is no path", options.chroot))
}

/// Publishes the session until it ends for good.
async fn follow(client: Client, link: &watch::Sender<Link>, shutdown: &Shutdown) {
    let mut states = client.state_watcher();
    tracing::info!("ZooKeeper session open");
    metrics::gauge!(crate::service::metrics::ZOOKEEPER_CONNECTED).set(1.0);
    link.send_modify(|link| {
        link.client = Some(client);
        link.connected = true;
        link.incarnation += 1;
        link.contact += 1;
        link.trouble = None;
    });
    loop {
        let state = tokio::select! {
            state = states.changed() => state,
            () = shutdown.wait() => break,
        };
        let connected = matches!(state, SessionState::SyncConnected | SessionState::ConnectedReadOnly);
        tracing::info!(%state, "ZooKeeper session changed");
        metrics::gauge!(crate::service::metrics::ZOOKEEPER_CONNECTED).set(if connected { 1.0 } else { 0.0 });
        if state.is_terminated() {
            break;
        }
        link.send_modify(|link| {
            link.connected = connected;
            link.contact += u64::from(connected);
            link.trouble = (!connected).then(|| "disconnected".to_owned());
        });
    }
    metrics::gauge!(crate::service::metrics::ZOOKEEPER_CONNECTED).set(0.0);
    link.send_modify(|link| {
        link.client = None;
        link.connected = false;
    });
    if shutdown.has_begun() {
        // The ephemeral nodes vanish now only if the close reaches the server before the process ends.
        let closed = async { while !states.changed().await.is_terminated() {} };
        if tokio::time::timeout(CALL, closed).await.is_err() {
            tracing::warn!("the ZooKeeper session was not closed in time; others will wait for its timeout");
        }
    }
}
