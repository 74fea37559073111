//! Traffic both ways while something breaks, and what every such run must show.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::{Desk, Duty, Fleet, FleetOptions, Traffic, Uploads};
use crate::agent::Agent;
use crate::checker::Report;

/// Everything a run with traffic both ways must have had to check.
pub const ALL: &[&str] = &[
    "LOG", "IN-1", "IN-2", "IN-3", "IN-4", "IN-5", "IN-6", "IN-7", "WS-1", "WS-2", "WS-3", "WS-4", "OUT-1", "OUT-2",
    "OUT-3", "OUT-4", "OUT-6", "OUT-7", "OUT-8", "OUT-9", "OUT-14", "RC-1",
];

/// The agents who answer.
const AGENTS: [&str; 4] = ["anna", "boris", "clara", "daria"];

/// How much traffic.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Customers.
    pub chats: usize,
    /// What they write in all.
    pub messages: usize,
    /// One message each so many milliseconds.
    pub pause_ms: u64,
    /// What the agents answer in all.
    pub replies: usize,
    /// One answer for so many messages of a chat, and one to begin with.
    pub reply_each: u64,
    /// One in so many messages of either side comes with a file; 0: none does.
    pub file_each: usize,
    /// Which order.
    pub seed: u64,
}

/// Traffic that has begun.
#[derive(Debug)]
pub struct Underway {
    /// The customers.
    pub traffic: Traffic,
    /// The agents.
    pub desks: Vec<Desk>,
    /// Closed, it ends the desks.
    pub budget: Arc<Semaphore>,
}

/// A run whose traffic is over and that is at rest.
#[derive(Debug)]
pub struct Ran {
    /// Its fleet.
    pub fleet: Fleet,
    /// The desks' agents, still online.
    pub agents: Vec<Arc<Agent>>,
    load: Load,
}

impl Load {
    /// Lets the customers and four agents begin. The customers write until somebody says that it is enough.
    pub fn begin(self, fleet: &Fleet) -> Underway {
        let traffic = Traffic::lasting(&fleet.platform, &self);
        let budget = Arc::new(Semaphore::new(self.replies.min(Semaphore::MAX_PERMITS)));
        let desks = AGENTS.iter().map(|name| self.desk(fleet, name, &budget)).collect();
        Underway { traffic, desks, budget }
    }

    fn desk(&self, fleet: &Fleet, name: &str, budget: &Arc<Semaphore>) -> Desk {
        let uploads = (self.file_each > 0).then(|| Uploads {
            client: fleet.file_client(name),
            server: fleet.public_base(),
            each: self.file_each,
        });
        let duty = Duty { budget: budget.clone(), reply_each: self.reply_each, uploads };
        Desk::open(fleet.agent(name, self.seed), duty)
    }

    /// Runs the traffic while `breaking` breaks things; returns when all is at rest.
    ///
    /// # Panics
    ///
    /// When something is refused or does not come to rest.
    pub async fn run(self, options: FleetOptions, breaking: impl AsyncFnOnce(&mut Fleet, &Traffic)) -> Ran {
        let mut fleet = Fleet::start(options).await;
        let Underway { mut traffic, desks, .. } = self.begin(&fleet);
        traffic.enough();
        breaking(&mut fleet, &traffic).await;
        traffic.finish().await;
        let (agents, replies) = finished(desks).await;
        assert_eq!(replies, self.replies as u64);
        let ran = Ran { fleet, agents, load: self };
        ran.rest().await;
        ran
    }
}

impl Ran {
    /// Waits until nothing is on its way.
    pub async fn rest(&self) {
        let onlookers: Vec<_> = self.agents.iter().map(AsRef::as_ref).collect();
        self.fleet.rest(&onlookers, 180).await;
    }

    /// Everything must have held; `more` replies were sent beside the load's.
    ///
    /// # Panics
    ///
    /// When something did not.
    pub async fn held(&self, more: usize) -> Report {
        let report = self.fleet.verdict(&self.fleet.expectations().require(ALL)).await;
        self.fleet.no_secret_was_written();
        report.assert_clean();
        let figures = &report.figures;
        assert_eq!((figures.inbound, figures.out), (self.load.messages as u64, (self.load.replies + more) as u64));
        assert_eq!((figures.lost, figures.duplicated, figures.reordered, figures.unexplained), (0, 0, 0, 0));
        assert_eq!(figures.stale_sends, 0, "never a second sender");
        report
    }
}

/// Waits until all desks are done; returns their agents, whose sessions stay open, and the replies.
pub async fn finished(desks: Vec<Desk>) -> (Vec<Arc<Agent>>, u64) {
    let mut agents = Vec::new();
    let mut replies = 0;
    for desk in desks {
        let (agent, sent) = desk.finish().await;
        agents.push(agent);
        replies += sent;
    }
    (agents, replies)
}
