//! Doorbells over ZooKeeper: a node per reader, a counter in it, a one-shot watch on it.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::{Notify, watch};
use zookeeper_client::{Acls, Client, CreateMode, Error, EventType};

use super::Target;
use crate::ensemble::{Ensemble, Link, bounded};
use crate::faults::{Sabotage, sabotaged};
use crate::service::metrics::DOORBELL_RINGS;
use crate::service::shutdown::Shutdown;

const CHATSERVERS: &str = "/doorbells/chatserver";
const ACCOUNTS: &str = "/doorbells/account";

pub(super) struct Bells {
    due: Arc<Due>,
    link: watch::Receiver<Link>,
    shutdown: Shutdown,
}

/// Rings not yet written. While one write is on its way, all others gather here.
#[derive(Default)]
struct Due {
    targets: Mutex<BTreeSet<Target>>,
    added: Notify,
    /// The chatserver that this process is: it tells itself, without a znode.
    own: OnceLock<String>,
}

impl Due {
    fn add(&self, target: Target) {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner).insert(target);
        self.added.notify_one();
    }
}

/// A listening task; it ends with this value.
pub(super) struct Task(tokio::task::AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Bells {
    pub(super) fn new(ensemble: &Ensemble, shutdown: &Shutdown) -> Self {
        let bells = Self { due: Arc::default(), link: ensemble.link(), shutdown: shutdown.clone() };
        let (due, link, ending) = (bells.due.clone(), bells.link(), shutdown.clone());
        shutdown.spawn(async move {
            tokio::select! {
                () = write_rings(&due, link) => {}
                () = ending.wait() => {}
            }
        });
        bells
    }

    pub(super) fn link(&self) -> watch::Receiver<Link> {
        self.link.clone()
    }

    pub(super) fn ring(&self, target: Target) {
        self.due.add(target);
    }

    pub(super) fn listen(&self, target: &Target, id: &str, rung: Arc<Notify>) -> Task {
        let (directory, ephemeral) = match target {
            Target::Chatservers => {
                // A process is one chatserver at most.
                let _ = self.due.own.set(id.to_owned());
                (CHATSERVERS, true)
            }
            Target::Account(_) => (ACCOUNTS, false),
        };
        let node = Node { directory, path: format!("{directory}/{id}"), ephemeral };
        let (link, ending) = (self.link(), self.shutdown.clone());
        let task = self.shutdown.spawn(async move {
            if sabotaged(Sabotage::DropDoorbells) {
                return;
            }
            tokio::select! {
                () = node.hear(link, &rung) => {}
                () = ending.wait() => {}
            }
        });
        Task(task.abort_handle())
    }
}

async fn write_rings(due: &Due, mut link: watch::Receiver<Link>) {
    let mut count = 0u64;
    let mut live: Option<Live> = None;
    loop {
        tokio::select! {
            () = due.added.notified() => {}
            // Whoever has come meanwhile may have looked before the last rings, and heard none of them.
            () = changed(&mut live) => due.add(Target::Chatservers),
        }
        // Without a session the rings wait: readers sweep every second meanwhile.
        let Ok(now) = link.wait_for(|link| link.connected).await.map(|link| link.clone()) else { return };
        let targets = std::mem::take(&mut *due.targets.lock().unwrap_or_else(PoisonError::into_inner));
        let Some(client) = now.client.filter(|_| !targets.is_empty()) else { continue };
        live = live.filter(|live| live.incarnation == now.incarnation);
        count += 1;
        let own = due.own.get().map(String::as_str);
        if let Err(error) = write(&client, &targets, count, &mut live, now.incarnation, own).await {
            live = None;
            tracing::debug!(%error, "a ring was lost; the sweep will find what it announced");
        }
    }
}

/// The chatservers that were there when their watch was set.
struct Live {
    ids: Vec<String>,
    incarnation: u64,
    /// Ends when chatservers come or go, or the session ends.
    changed: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// Waits until chatservers come or go; then they are listed anew. Cancel safe.
async fn changed(live: &mut Option<Live>) {
    match live {
        Some(known) => known.changed.as_mut().await,
        None => std::future::pending().await,
    }
    *live = None;
}

async fn write(
    client: &Client,
    targets: &BTreeSet<Target>,
    count: u64,
    live: &mut Option<Live>,
    incarnation: u64,
    own: Option<&str>,
) -> Result<(), Error> {
    let mut paths = Vec::new();
    for target in targets {
        match target {
            Target::Account(name) => paths.push(format!("{ACCOUNTS}/{name}")),
            Target::Chatservers => {
                if live.is_none() {
                    match bounded(client.list_and_watch_children(CHATSERVERS)).await {
                        Ok((ids, watcher)) => {
                            let changed = Box::pin(async move { drop(watcher.changed().await) });
                            *live = Some(Live { ids, incarnation, changed });
                        }
                        Err(Error::NoNode) => continue,
                        Err(error) => return Err(error),
                    }
                }
                let ids = live.iter().flat_map(|live| &live.ids).filter(|id| Some(id.as_str()) != own);
                paths.extend(ids.map(|id| format!("{CHATSERVERS}/{id}")));
            }
        }
    }
    if paths.is_empty() {
        return Ok(());
    }
    metrics::counter!(DOORBELL_RINGS).increment(paths.len() as u64);
    let data = count.to_string();
    if let [path] = paths.as_slice() {
        return ignore_absent(bounded(client.set_data(path, data.as_bytes(), None)).await);
    }
    let mut writer = client.new_multi_writer();
    for path in &paths {
        writer.add_set_data(path, data.as_bytes(), None)?;
    }
    let together = tokio::time::timeout(std::time::Duration::from_secs(2), writer.commit()).await;
    if matches!(together, Ok(Ok(_))) {
        return Ok(());
    }
    // One reader has just gone and took the whole write with it: ring the others one by one.
    for path in &paths {
        ignore_absent(bounded(client.set_data(path, data.as_bytes(), None)).await)?;
    }
    Ok(())
}

fn ignore_absent<T>(result: Result<T, Error>) -> Result<(), Error> {
    match result {
        Ok(_) | Err(Error::NoNode) => Ok(()),
        Err(error) => Err(error),
    }
}

struct Node {
    directory: &'static str,
    path: String,
    ephemeral: bool,
}

impl Node {
    /// Passes rings on for ever, session after session.
    async fn hear(&self, mut link: watch::Receiver<Link>, rung: &Notify) {
        loop {
            let Ok(current) = link.wait_for(|link| link.connected).await.map(|link| link.clone()) else { return };
            let Some(client) = current.client else { continue };
            let lost = async {
                let mut link = link.clone();
                // Ends with the session, or with the process (then the channel closes).
                let _ = link.wait_for(|now| now.incarnation != current.incarnation || now.client.is_none()).await;
            };
            tokio::select! {
                result = self.hear_session(&client, rung) => if let Err(error) = result {
                    tracing::debug!(%error, path = self.path, "listening is interrupted");
                    drop(client);
                    // Not a wait for anything: keeps a persistent error from spinning.
                    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                },
                () = lost => {}
            }
        }
    }

    async fn hear_session(&self, client: &Client, rung: &Notify) -> Result<(), Error> {
        self.make(client, true).await?;
        let mut armed: Option<i32> = None;
        loop {
            match bounded(client.get_and_watch_data(&self.path)).await {
                Ok((_, stat, watcher)) => {
                    // One ring since the watch was last set is the one that it told of: the reader looks, or has looked, after
                    // it. Of further ones nobody told.
                    if armed.is_none_or(|armed| armed.wrapping_add(1) != stat.version) {
                        rung.notify_one();
                    }
                    armed = Some(stat.version);
                    let event = watcher.changed().await;
                    rung.notify_one();
                    if event.event_type == EventType::Session {
                        return Ok(());
                    }
                }
                Err(Error::NoNode) => {
                    armed = None;
                    self.make(client, false).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Makes the node. An ephemeral one that is already there at the start of a session belongs to an
    /// earlier session of this very process name: it would vanish under us, so it is replaced.
    async fn make(&self, client: &Client, new_session: bool) -> Result<(), Error> {
        let persistent = CreateMode::Persistent.with_acls(Acls::anyone_all());
        bounded(client.mkdir(self.directory, &persistent)).await?;
        let mode = if self.ephemeral { CreateMode::Ephemeral } else { CreateMode::Persistent };
        let options = mode.with_acls(Acls::anyone_all());
        match bounded(client.create(&self.path, b"0", &options)).await {
            Err(Error::NodeExists) if self.ephemeral && new_session => {
                ignore_absent(bounded(client.delete(&self.path, None)).await)?;
                bounded(client.create(&self.path, b"0", &options)).await.map(drop)
            }
            Ok(_) | Err(Error::NodeExists) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
