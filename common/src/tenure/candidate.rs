//! Who should try to be active: ephemeral sequential nodes, each watching only its predecessor.

use std::sync::Arc;

use tokio::sync::{Notify, OnceCell, watch};
use uuid::Uuid;
use zookeeper_client::{Acls, Client, CreateMode, Error};

use crate::ensemble::{Ensemble, Link, bounded};
use crate::model::AccountName;
use crate::service::shutdown::Shutdown;

/// A candidate's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// First in line.
    Lowest,
    /// Somebody is before us.
    Behind,
    /// ZooKeeper does not tell.
    Unknown,
}

/// Stands in line for as long as the process lives; clones are the same candidate.
#[derive(Clone)]
pub(super) struct Candidate {
    standing: watch::Receiver<Standing>,
    woken: Arc<Notify>,
    order: Arc<watch::Sender<Order>>,
}

/// How to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Order {
    /// Who cannot reach Postgres is no candidate.
    stands: bool,
    /// Grows when the candidate is to go to the end of the line.
    turn: u64,
}

impl Candidate {
    /// Stands for the account in every session until shutdown.
    pub(super) fn stand(ensemble: &Ensemble, account: &AccountName, holder: &str, shutdown: &Shutdown) -> Self {
        let (sender, standing) = watch::channel(Standing::Unknown);
        let (order, orders) = watch::channel(Order { stands: true, turn: 0 });
        let woken = Arc::new(Notify::new());
        let line = Line {
            directory: directory(account),
            holder: holder.to_owned(),
            name: Uuid::new_v4(),
            standing: sender,
            woken: woken.clone(),
        };
        // Ends, and leaves the line, when the last clone of the candidate is gone.
        shutdown.spawn(line.stand(ensemble.link(), orders));
        Self { standing, woken, order: Arc::new(order) }
    }

    /// Leaves the line, or stands in it again, at its end.
    pub(super) fn stand_if(&self, stands: bool) {
        self.order.send_if_modified(|order| std::mem::replace(&mut order.stands, stands) != stands);
    }

    /// Goes to the end of the line.
    pub(super) fn step_back(&self) {
        self.order.send_modify(|order| order.turn += 1);
    }

    pub(super) fn standing(&self) -> Standing {
        *self.standing.borrow()
    }

    /// Waits until something changed in the line. Cancel safe.
    pub(super) async fn changed(&self) {
        self.woken.notified().await;
    }
}

/// Where an account's candidates stand.
fn directory(account: &AccountName) -> String {
    format!("/accounts/{account}/candidates")
}

/// Names of the processes that stand for an account now, first in line first.
pub async fn candidates(client: &Client, account: &AccountName) -> Result<Vec<String>, Error> {
    let directory = directory(account);
    let mut line = match bounded(client.list_children(&directory)).await {
        Err(Error::NoNode) => Vec::new(),
        other => other?,
    };
    line.sort_by(|a, b| number(a).cmp(number(b)));
    let mut holders = Vec::new();
    for node in line {
        match bounded(client.get_data(&format!("{directory}/{node}"))).await {
            Ok((holder, _)) => holders.push(String::from_utf8_lossy(&holder).into_owned()),
            Err(Error::NoNode) => {} // gone meanwhile
            Err(error) => return Err(error),
        }
    }
    Ok(holders)
}

struct Line {
    directory: String,
    holder: String,
    /// Tells this candidate's nodes from all others, in every session.
    name: Uuid,
    standing: watch::Sender<Standing>,
    woken: Arc<Notify>,
}

impl Line {
    async fn stand(self, mut link: watch::Receiver<Link>, mut orders: watch::Receiver<Order>) {
        loop {
            self.set(Standing::Unknown);
            let current = tokio::select! {
                found = link.wait_for(|link| link.connected) => found.map(|link| link.clone()),
                gone = orders.changed() => match gone {
                    Ok(()) => continue,
                    Err(_) => return,
                },
            };
            let Ok(current) = current else { return };
            let Some(client) = current.client else { continue };
            let lost = async {
                let mut link = link.clone();
                // Ends with the session, or with the process (then the channel closes).
                let _ = link.wait_for(|now| now.incarnation != current.incarnation || now.client.is_none()).await;
            };
            let stands = orders.borrow_and_update().stands;
            let own = OnceCell::new();
            tokio::select! {
                result = self.stand_session(&client, stands, &own) => if let Err(error) = result {
                    tracing::debug!(%error, "standing for the account is interrupted");
                    drop(client);
                    // Not a wait for anything: keeps a persistent error from spinning.
                    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                },
                () = lost => {}
                order = orders.changed() => {
                    if let Some(node) = own.get() {
                        // At once: whoever is next waits for just this.
                        let _ = bounded(client.delete(node, None)).await;
                    }
                    if order.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Stands for one session, or until an order comes; returns when the own node is gone.
    /// `node` becomes the path of the own node.
    async fn stand_session(&self, client: &Client, stands: bool, node: &OnceCell<String>) -> Result<(), Error> {
        let persistent = CreateMode::Persistent.with_acls(Acls::anyone_all());
        bounded(client.mkdir(&self.directory, &persistent)).await?;
        let prefix = format!("c_{}-", self.name);
        self.remove_own(client, &prefix).await?;
        if !stands {
            return std::future::pending().await;
        }
        let options = CreateMode::EphemeralSequential.with_acls(Acls::anyone_all());
        let path = format!("{}/{prefix}", self.directory);
        let (_, sequence) = bounded(client.create(&path, self.holder.as_bytes(), &options)).await?;
        let own = format!("{prefix}{sequence}");
        let _ = node.set(format!("{}/{own}", self.directory));
        loop {
            let mut line = bounded(client.list_children(&self.directory)).await?;
            line.sort_by(|a, b| number(a).cmp(number(b)));
            let Some(place) = line.iter().position(|name| *name == own) else {
                return Ok(()); // somebody removed our node: stand again
            };
            let Some(before) = place.checked_sub(1) else {
                self.set(Standing::Lowest);
                let (stat, watcher) =
                    bounded(client.check_and_watch_stat(&format!("{}/{own}", self.directory))).await?;
                if stat.is_some() {
                    watcher.changed().await;
                }
                return Ok(());
            };
            self.set(Standing::Behind);
            let predecessor = format!("{}/{}", self.directory, line[before]);
            let (stat, watcher) = bounded(client.check_and_watch_stat(&predecessor)).await?;
            if stat.is_some() {
                watcher.changed().await;
            }
        }
    }

    /// Removes earlier nodes of this candidate. The unique name also finds one whose creation was never answered: left in
    /// this living session, it would stand before us for ever.
    async fn remove_own(&self, client: &Client, prefix: &str) -> Result<(), Error> {
        for node in bounded(client.list_children(&self.directory)).await? {
            if node.starts_with(prefix) {
                match bounded(client.delete(&format!("{}/{node}", self.directory), None)).await {
                    Ok(()) | Err(Error::NoNode) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    fn set(&self, standing: Standing) {
        if self.standing.send_if_modified(|now| std::mem::replace(now, standing) != standing) {
            self.woken.notify_one();
        }
    }
}

/// The sequence number at the end of a node's name; it sorts as text.
fn number(name: &str) -> &str {
    name.rsplit('-').next().unwrap_or(name)
}
