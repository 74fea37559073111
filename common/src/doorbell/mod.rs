//! "There is something to read": the table is the truth, the doorbell only makes looking early.
//!
//! # The protocol
//!
//! Each reader has one znode: `/doorbells/chatserver/<id>` (ephemeral) or `/doorbells/account/<name>`. A
//! writer commits first and rings then; ringing sets a counter in the reader's node. Nothing else is ever
//! in a node: no ids, no text.
//!
//! * **Rings merge.** At most one write per ringing process is on its way; whoever rings meanwhile is part
//!   of the next. ZooKeeper's load is bounded by readers and time, not by messages.
//! * **Arm, then read, then wait.** The listener arms a one-shot watch and only then lets the reader look
//!   at the table, so a ring between looking and waiting is not missed. (Persistent watches die silently
//!   at the first reconnect in the client's version 0.11.2.)
//! * **The sweep is the floor.** A reader looks when the sweep interval has passed without a ring: 10 s
//!   while ZooKeeper is there, 1 s without. After every reconnect and in every new session it looks at once.
//!
//! So losing a ring, all rings, or ZooKeeper costs at most one sweep interval, never a message.

mod memory;
mod zookeeper;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::ensemble::{Ensemble, Link};
use crate::faults::{Sabotage, sabotaged};
use crate::model::AccountName;
use crate::service::shutdown::Shutdown;

/// Whom to ring.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// The connector of an account: its outbox has work.
    Account(AccountName),
    /// Every live chatserver: there are pending items or feed entries.
    Chatservers,
}

/// How long a lost ring can cost.
#[derive(Clone, Copy, Debug)]
pub struct Sweep {
    /// While ZooKeeper is there.
    pub usual: Duration,
    /// While it is not.
    pub alone: Duration,
}

/// Rings and listens.
#[derive(Clone)]
pub struct Doorbells {
    inner: Arc<Inner>,
    sweep: Sweep,
}

enum Inner {
    ZooKeeper(zookeeper::Bells),
    Memory(memory::Bells),
}

impl Doorbells {
    /// Doorbells over ZooKeeper.
    pub fn zookeeper(ensemble: &Ensemble, sweep: Sweep, shutdown: &Shutdown) -> Self {
        Self { inner: Arc::new(Inner::ZooKeeper(zookeeper::Bells::new(ensemble, shutdown))), sweep }
    }

    /// Doorbells inside one process, for tests.
    pub fn memory(sweep: Sweep) -> Self {
        Self { inner: Arc::new(Inner::Memory(memory::Bells::default())), sweep }
    }

    /// Tells the account's connector that its outbox has work. Never blocks, never fails.
    pub fn ring_account(&self, account: &AccountName) {
        self.ring(Target::Account(account.clone()));
    }

    /// Tells every other live chatserver that there is something to read; a chatserver tells itself. Never blocks, never fails.
    pub fn ring_chatservers(&self) {
        self.ring(Target::Chatservers);
    }

    fn ring(&self, target: Target) {
        if sabotaged(Sabotage::DropDoorbells) {
            return;
        }
        match &*self.inner {
            Inner::ZooKeeper(bells) => bells.ring(target),
            Inner::Memory(bells) => bells.ring(&target),
        }
    }

    /// Listens as the chatserver `id`; the name must be unique among live processes.
    pub fn listen_chatserver(&self, id: &str) -> Listener {
        self.listen(Target::Chatservers, id)
    }

    /// Listens as the account's connector.
    pub fn listen_account(&self, account: &AccountName) -> Listener {
        self.listen(Target::Account(account.clone()), account.as_str())
    }

    fn listen(&self, target: Target, id: &str) -> Listener {
        let rung = Arc::new(Notify::new());
        // The first wait returns at once: look before the first ring.
        rung.notify_one();
        let (link, guard) = match &*self.inner {
            Inner::ZooKeeper(bells) => (Some(bells.link()), Some(bells.listen(&target, id, rung.clone()))),
            Inner::Memory(bells) => {
                bells.listen(target, rung.clone());
                (None, None)
            }
        };
        Listener { rung, link, sweep: self.sweep, looked: Instant::now(), _task: guard }
    }
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// Somebody rang, or something may have been missed.
    Rung,
    /// Nobody did, for a whole sweep interval.
    Swept,
}

/// A reader's ear.
pub struct Listener {
    rung: Arc<Notify>,
    link: Option<watch::Receiver<Link>>,
    sweep: Sweep,
    /// When a wait ended last: a wait that was cancelled must not put the sweep off.
    looked: Instant,
    _task: Option<zookeeper::Task>,
}

impl Listener {
    /// Waits for a ring or the sweep, whichever comes first. Cancel safe: the sweep comes in its time, however often a
    /// wait is cut short.
    pub async fn wait(&mut self) -> Woken {
        let woken = self.woken().await;
        self.looked = Instant::now();
        woken
    }

    async fn woken(&mut self) -> Woken {
        if sabotaged(Sabotage::NoSweep) {
            self.rung.notified().await;
            return Woken::Rung;
        }
        let alone = self.link.as_ref().is_some_and(|link| !link.borrow().connected);
        let interval = if alone { self.sweep.alone } else { self.sweep.usual };
        tokio::select! {
            () = self.rung.notified() => Woken::Rung,
            () = tokio::time::sleep_until(self.looked + interval) => Woken::Swept,
            // A change of the session changes the interval, and may have swallowed rings.
            () = session_changed(&mut self.link) => Woken::Rung,
        }
    }
}

async fn session_changed(link: &mut Option<watch::Receiver<Link>>) {
    if let Some(link) = link
        && link.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doorbells() -> Doorbells {
        Doorbells::memory(Sweep { usual: Duration::from_secs(10), alone: Duration::from_secs(1) })
    }

    #[tokio::test(start_paused = true)]
    async fn rings_merge_and_none_before_the_wait_is_missed() {
        let bells = doorbells();
        let mut ear = bells.listen_chatserver("a");
        assert_eq!(ear.wait().await, Woken::Rung, "looks before the first ring");
        for _ in 0..100 {
            bells.ring_chatservers();
        }
        assert_eq!(ear.wait().await, Woken::Rung);
        assert_eq!(ear.wait().await, Woken::Swept, "a hundred rings are one");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_cut_short_does_not_put_the_sweep_off() {
        let mut ear = doorbells().listen_chatserver("a");
        assert_eq!(ear.wait().await, Woken::Rung);
        for _ in 0..9 {
            assert!(tokio::time::timeout(Duration::from_secs(1), ear.wait()).await.is_err());
        }
        let begun = Instant::now();
        assert_eq!(ear.wait().await, Woken::Swept);
        assert_eq!(begun.elapsed(), Duration::from_secs(1), "the tenth second");
    }

    #[tokio::test(start_paused = true)]
    async fn each_listener_hears_its_own() {
        let bells = doorbells();
        let account = AccountName::new("support").expect("a name");
        let (mut a, mut b) = (bells.listen_chatserver("a"), bells.listen_chatserver("b"));
        let mut c = bells.listen_account(&account);
        for ear in [&mut a, &mut b, &mut c] {
            ear.wait().await;
        }
        bells.ring_chatservers();
        assert_eq!((a.wait().await, b.wait().await), (Woken::Rung, Woken::Rung));
        bells.ring_account(&account);
        assert_eq!((c.wait().await, a.wait().await), (Woken::Rung, Woken::Swept));
    }
}
