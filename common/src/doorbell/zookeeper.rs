//! Doorbells over ZooKeeper: a node per reader, a counter in it, a one-shot watch on it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

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
        self.due.targets.lock().unwrap_or_else(PoisonError::into_inner).insert(target);
        self.due.added.notify_one();
    }

    pub(super) fn listen(&self, target: &Target, id: &str, rung: Arc<Notify>) -> Task {
        let (directory, ephemeral) = match target {
            Target::Chatservers => (CHATSERVERS, true),
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
    loop {
        due.added.notified().await;
        // Without a session the rings wait: readers sweep every second meanwhile.
        let Ok(client) = link.wait_for(|link| link.connected).await.map(|link| link.client.clone()) else { return };
        let targets = std::mem::take(&mut *due.targets.lock().unwrap_or_else(PoisonError::into_inner));
        let Some(client) = client.filter(|_| !targets.is_empty()) else { continue };
        count += 1;
        if let Err(error) = write(&client, &targets, count).await {
            tracing::debug!(%error, "a ring was lost; the sweep will find what it announced");
        }
    }
}

async fn write(client: &Client, targets: &BTreeSet<Target>, count: u64) -> Result<(), Error> {
    let mut paths = Vec::new();
    for target in targets {
        match target {
            Target::Account(name) => paths.push(format!("{ACCOUNTS}/{name}")),
            Target::Chatservers => match bounded(client.list_children(CHATSERVERS)).await {
                Ok(children) => paths.extend(children.iter().map(|id| format!("{CHATSERVERS}/{id}"))),
                Err(Error::NoNode) => {}
                Err(error) => return Err(error),
            },
        }
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
        loop {
            match bounded(client.get_and_watch_data(&self.path)).await {
                Ok((_, _, watcher)) => {
                    rung.notify_one();
                    let event = watcher.changed().await;
                    rung.notify_one();
                    if event.event_type == EventType::Session {
                        return Ok(());
                    }
                }
                Err(Error::NoNode) => self.make(client, false).await?,
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
