//! What is remembered of an account's history, in this process and in ZooKeeper, and whether the database is behind it.
//!
//! The active writes a mark after each renewal that was committed. A database that has less was set back. What happened between
//! the last mark and the loss is not seen by it: a change of the timeline tells, unless commits wait for a standby, and then
//! nothing is lost by a failover.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use zookeeper_client::{Acls, Client, CreateMode, Error};

use crate::ensemble::{Ensemble, Link, bounded};
use crate::model::{AccountId, AccountName};
use crate::service::clock::Moment;
use crate::service::metrics::SET_BACK;
use crate::service::shutdown::Shutdown;
use crate::store::{Database, Mark, StoreError, Whereabouts};

/// The newest mark; clones share it.
#[derive(Clone)]
pub(super) struct Memory {
    account: AccountId,
    node: String,
    database: Database,
    link: watch::Receiver<Link>,
    newest: Arc<Mutex<Option<Mark>>>,
    told: watch::Sender<Option<Mark>>,
    /// Since when nobody could be asked.
    alone: Arc<Mutex<Option<Moment>>>,
    /// For so long ZooKeeper is waited for.
    patience: Duration,
}

/// What a look at the server came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It has all that is known: go on.
    Whole,
    /// It was set back, and everything undecided is held back. No epoch of before is good any more.
    SetBack,
    /// Not known yet: ask again.
    Unknown,
}

/// Who looks at the lease row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// Somebody who may raise the epoch: others may know more.
    Candidate,
    /// Who has just moved the row ahead by one, and knows best how far it had come.
    Incumbent,
}

impl Reader {
    /// How far the row had come before this reader touched it.
    fn had(self, mark: &Mark) -> (i64, i64) {
        match self {
            Self::Candidate => mark.place(),
            Self::Incumbent => (mark.epoch, mark.beat - 1),
        }
    }
}

impl Memory {
    /// Begins to keep the account's mark in ZooKeeper, until shutdown.
    pub(super) fn keep(
        (account, name): (AccountId, &AccountName),
        database: &Database,
        ensemble: &Ensemble,
        patience: Duration,
        shutdown: &Shutdown,
    ) -> Self {
        let (told, telling) = watch::channel(None);
        let node = format!("/accounts/{name}/mark");
        let memory = Self {
            account,
            node: node.clone(),
            database: database.clone(),
            link: ensemble.link(),
            newest: Arc::default(),
            told,
            alone: Arc::default(),
            patience,
        };
        let (link, ending) = (ensemble.link(), shutdown.clone());
        shutdown.spawn(async move {
            tokio::select! {
                () = write(&node, link, telling) => {}
                () = ending.wait() => {}
            }
        });
        memory
    }

    /// Remembers what a reader of the lease saw.
    pub(super) fn note(&self, mark: &Mark) {
        let mut newest = locked(&self.newest);
        if newest.as_ref().is_none_or(|newest| newest.place() < mark.place()) {
            *newest = Some(mark.clone());
        }
    }

    /// Remembers what a renewal has committed, for others, too.
    pub(super) fn tell(&self, mark: &Mark) {
        self.note(mark);
        self.told.send_replace(Some(mark.clone()));
    }

    /// Whether the server must be looked at before anything is done there.
    pub(super) fn doubts(&self, found: &Whereabouts, reader: Reader) -> bool {
        let had = reader.had(&found.mark);
        !found.here.vouched || locked(&self.newest).as_ref().is_some_and(|newest| newest.place() > had)
    }

    /// Looks whether the server has all that is known to have been committed, and vouches for it, or holds back.
    pub(super) async fn look(&self, found: &Whereabouts, reader: Reader) -> Result<Found, StoreError> {
        let mut known = locked(&self.newest).clone();
        if reader == Reader::Candidate {
            match self.recall().await {
                Ok(mark) => {
                    *locked(&self.alone) = None;
                    known = known.into_iter().chain(mark).max_by_key(Mark::place);
                }
                Err(error) if known.is_none() => {
                    let since = *locked(&self.alone).get_or_insert_with(Moment::now);
                    if since.elapsed() < self.patience {
                        tracing::warn!(%error, "whether the database went backwards is not known yet: waiting for ZooKeeper");
                        return Ok(Found::Unknown);
                    }
                    tracing::warn!(%error, "whether the database went backwards is not known: going on without ZooKeeper");
                }
                Err(_) => {}
            }
        }
        let Some(why) = set_back(found, known.as_ref(), reader) else {
            return Ok(match self.database.vouch(self.account, found).await? {
                true => Found::Whole,
                false => Found::Unknown,
            });
        };
        let newest = known.as_ref().filter(|known| known.place() > found.mark.place()).unwrap_or(&found.mark);
        let Some(held) = self.database.hold_back(self.account, found, newest).await? else { return Ok(Found::Unknown) };
        metrics::counter!(SET_BACK).increment(1);
        tracing::error!(
            why,
            parts = held.parts,
            feed_epoch = held.feed_epoch,
            "the database went backwards: what was undecided may have been sent before, and waits for a person; see \
             `switchboard outbox list`"
        );
        Ok(Found::SetBack)
    }

    async fn recall(&self) -> Result<Option<Mark>, Error> {
        let client = self.link.borrow().client.clone().ok_or(Error::SessionExpired)?;
        match bounded(client.get_data(&self.node)).await {
            // What cannot be read was written by another version: it knows nothing that this one would understand.
            Ok((text, _)) => Ok(serde_json::from_slice(&text).ok()),
            Err(Error::NoNode) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Why the database must be taken for one that went backwards; `None`: it need not.
fn set_back(found: &Whereabouts, known: Option<&Mark>, reader: Reader) -> Option<&'static str> {
    let (row, here) = (&found.mark, &found.here);
    if known.is_some_and(|known| known.place() > reader.had(row)) {
        return Some("it has less than is known to have been committed");
    }
    let cluster = |lineage: &str| lineage.split('/').next().unwrap_or_default().to_owned();
    match &row.lineage {
        None => None,
        Some(before) if *before == here.lineage => None,
        Some(before) if cluster(before) != cluster(&here.lineage) => Some("it is another one, or was restored"),
        Some(_) if !row.replicated => Some("another server took over, and commits did not wait for it"),
        Some(_) => None,
    }
}

/// Writes each newest mark as soon as there is a session; what was not written in time is overtaken.
async fn write(node: &str, mut link: watch::Receiver<Link>, mut marks: watch::Receiver<Option<Mark>>) {
    while marks.changed().await.is_ok() {
        let Some(mark) = marks.borrow_and_update().clone() else { continue };
        let Ok(client) = link.wait_for(|link| link.connected).await.map(|link| link.client.clone()) else { return };
        let (Some(client), Ok(text)) = (client, serde_json::to_vec(&mark)) else { continue };
        if let Err(error) = put(&client, node, &text).await {
            tracing::debug!(%error, "the account's mark could not be written");
        }
    }
}

async fn put(client: &Client, node: &str, text: &[u8]) -> Result<(), Error> {
    match bounded(client.set_data(node, text, None)).await {
        Err(Error::NoNode) => {
            let persistent = CreateMode::Persistent.with_acls(Acls::anyone_all());
            if let Some((parent, _)) = node.rsplit_once('/') {
                bounded(client.mkdir(parent, &persistent)).await?;
            }
            match bounded(client.create(node, text, &persistent)).await {
                Ok(_) | Err(Error::NodeExists) => Ok(()),
                Err(error) => Err(error),
            }
        }
        other => other.map(drop),
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Here;

    fn found(epoch: i64, beat: i64, lineage: Option<&str>, replicated: bool, here: &str) -> Whereabouts {
        let lineage = lineage.map(str::to_owned);
        Whereabouts {
            mark: Mark { epoch, beat, feed_epoch: 1, lineage, replicated },
            here: Here { lineage: here.to_owned(), vouched: false },
        }
    }

    #[test]
    fn a_database_that_has_less_is_known() {
        let known = found(3, 10, Some("a/1"), true, "a/1").mark;
        for (epoch, beat, behind) in [(3, 9, true), (2, 99, true), (3, 10, false), (3, 11, false), (4, 1, false)] {
            let row = found(epoch, beat, Some("a/1"), true, "a/1");
            assert_eq!(set_back(&row, Some(&known), Reader::Candidate).is_some(), behind, "epoch {epoch}, beat {beat}");
        }
    }

    #[test]
    fn a_renewal_moves_the_row_beyond_what_was_known() {
        let known = found(3, 10, Some("a/1"), true, "a/1").mark;
        for (beat, behind) in [(10, true), (11, false), (12, false)] {
            let row = found(3, beat, Some("a/1"), true, "a/1");
            assert_eq!(set_back(&row, Some(&known), Reader::Incumbent).is_some(), behind, "beat {beat}");
        }
    }

    #[test]
    fn another_server_is_trusted_when_commits_waited_for_it() {
        for (before, replicated, here, suspicious) in [
            (None, false, "a/1", false),
            (Some("a/1"), false, "a/1", false),
            (Some("a/1"), true, "a/2", false),
            (Some("a/1"), false, "a/2", true),
            (Some("a/1"), true, "b/1", true),
            (Some("restored"), true, "a/1", true),
        ] {
            let row = found(3, 10, before, replicated, here);
            for known in [None, Some(&row.mark)] {
                let found = set_back(&row, known, Reader::Candidate);
                assert_eq!(found.is_some(), suspicious, "{before:?} {replicated} {here}");
            }
        }
    }
}
