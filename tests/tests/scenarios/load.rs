//! Traffic both ways while something breaks, and what every such run must show.

use std::sync::Arc;
use std::time::Duration;

use switchboard_tests::agent::Agent;
use switchboard_tests::checker::Report;
use switchboard_tests::harness::{Fleet, FleetOptions, Traffic};

use crate::{ALL, desks, finished};

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
    /// Which order.
    pub seed: u64,
}

/// A run whose traffic is over and that is at rest.
pub struct Ran {
    pub fleet: Fleet,
    /// The desks' agents, still online.
    pub agents: Vec<Arc<Agent>>,
    load: Load,
}

impl Load {
    /// Runs the traffic while `breaking` breaks things; returns when all is at rest.
    pub async fn run(self, options: FleetOptions, breaking: impl AsyncFnOnce(&mut Fleet, &Traffic)) -> Ran {
        let mut fleet = Fleet::start(options).await;
        let pause = Duration::from_millis(self.pause_ms);
        let traffic = Traffic::start(&fleet.platform, self.chats, self.messages, pause, self.seed);
        let desks = desks(&fleet, &["anna", "boris", "clara", "daria"], self.replies, self.seed);
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
