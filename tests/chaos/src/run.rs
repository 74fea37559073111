//! What a scenario has in hand while it breaks things.

use std::sync::Arc;

use switchboard_tests::agent::Agent;
use switchboard_tests::checker::Expectations;
use switchboard_tests::harness::{ALL, Desk, Dice, Fleet, FleetOptions, Load, Traffic, Underway, finished};
use tokio::sync::Semaphore;

/// How long everything may take to come to rest, seconds.
const REST_S: u64 = 180;

/// How much of the battery, and how much traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Part of every test run.
    Quick,
    /// All of it.
    Full,
}

impl Tier {
    /// One of two numbers.
    pub fn pick<T>(self, quick: T, full: T) -> T {
        match self {
            Self::Quick => quick,
            Self::Full => full,
        }
    }
}

/// How the name of a scenario ends that is there without bugs, too.
pub const SABOTAGED: &str = "_sabotaged";

/// A known bug that a sabotaged build has.
#[derive(Clone, Debug)]
pub struct Bug {
    /// What it is called.
    pub name: &'static str,
    /// The invariants that it breaks: one of them must be red.
    pub breaks: &'static [&'static str],
    /// What one of the violations must speak of; empty when nothing else could break them.
    pub about: String,
}

/// A scenario under way.
pub struct Run {
    /// The processes.
    pub fleet: Fleet,
    /// The customers. They write at least the load's messages, and until [`settle`](Self::settle).
    pub traffic: Traffic,
    /// Choices of the seed.
    pub dice: Dice,
    /// How much was asked for.
    pub tier: Tier,
    /// The desks' agents, once all is at rest.
    pub agents: Vec<Arc<Agent>>,
    /// Further agents who stay to the end.
    pub guests: Vec<Arc<Agent>>,
    /// What the checker shall demand; the usual, until the scenario changes it.
    pub expected: Expectations,
    /// Calls that may be written after their tenure: one for each freeze.
    pub stale_allowed: u64,
    /// Messages that customers wrote beside the traffic.
    pub more_in: usize,
    /// Replies accepted beside the desks'.
    pub more_out: usize,
    /// Invariants that say nothing here: the database was set back, and no longer knows what was promised.
    pub forgotten: Vec<&'static str>,
    /// How many delivered messages, and how many calls, the database knows nothing of then.
    pub forgot: (u64, u64),
    /// Whether known bugs are switched on.
    pub sabotaged: bool,
    /// What must be caught then.
    pub bugs: Vec<Bug>,
    /// Faults written down by the harness that hindered nobody: they count as not injected.
    pub idle: u64,
    /// Nothing comes to rest any more: the verdict is given on what is there.
    pub restless: bool,
    /// Figures of the scenario's own, for its line.
    pub notes: Vec<String>,
    desks: Vec<Desk>,
    budget: Arc<Semaphore>,
    written: usize,
    accepted: usize,
    settled: bool,
    quiet: bool,
    injected: Vec<String>,
    witnessed: Vec<String>,
    unmet: Vec<String>,
}

impl Run {
    /// Starts the servers, the processes and the traffic.
    pub async fn begin(options: FleetOptions, load: Load, tier: Tier, seed: u64) -> Self {
        // Bells that nobody hears are a fault like others: all must hold.
        let sabotaged = options.name.ends_with(SABOTAGED);
        let fleet = Fleet::start(options).await;
        let Underway { traffic, desks, budget } = load.begin(&fleet);
        Self {
            traffic,
            dice: Dice::new(seed),
            tier,
            agents: Vec::new(),
            guests: Vec::new(),
            expected: fleet.expectations().require(ALL),
            stale_allowed: 0,
            more_in: 0,
            more_out: 0,
            forgotten: Vec::new(),
            forgot: (0, 0),
            sabotaged,
            bugs: Vec::new(),
            idle: 0,
            restless: false,
            notes: Vec::new(),
            desks,
            budget,
            written: 0,
            accepted: 0,
            settled: false,
            quiet: load.replies == 0,
            injected: Vec::new(),
            witnessed: Vec::new(),
            unmet: Vec::new(),
            fleet,
        }
    }

    /// Whether no desk answers: then whatever goes out is the scenario's own.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Says that a bug must have been caught by now, if it was switched on.
    pub fn bug(&mut self, name: &'static str, breaks: &'static [&'static str], about: impl Into<String>) {
        self.bugs.push(Bug { name, breaks, about: about.into() });
    }

    /// Counts a fault that the harness does not write down itself, such as one of the platform.
    pub fn injected(&mut self, what: impl Into<String>) {
        self.injected.push(what.into());
    }

    /// Says that a fault's effect was seen from outside: in an observer's log, in the ledger of tenures, in an answer.
    pub fn witnessed(&mut self, what: impl Into<String>) {
        self.witnessed.push(what.into());
    }

    /// Makes the scenario red unless it `holds`; the run goes on to its verdict. For figures; what the rest builds on is
    /// asserted.
    pub fn demand(&mut self, holds: bool, what: impl Into<String>) {
        if !holds {
            self.unmet.push(what.into());
        }
    }

    /// Demands that did not hold.
    pub fn unmet(&self) -> &[String] {
        &self.unmet
    }

    /// Faults so far, and effects seen.
    pub fn witnesses(&self) -> (u64, u64) {
        (self.fleet.faults() + self.injected.len() as u64 - self.idle, self.witnessed.len() as u64)
    }

    /// What was seen, for the verdict.
    pub fn seen(&self) -> &[String] {
        &self.witnessed
    }

    /// Ends the traffic and waits until nothing is on its way; a scenario may do it itself, to measure afterwards.
    pub async fn settle(&mut self) {
        if !self.settled {
            self.written = self.traffic.finish().await;
            self.budget.close();
            let (agents, replies) = finished(std::mem::take(&mut self.desks)).await;
            (self.agents, self.accepted, self.settled) = (agents, replies as usize, true);
        }
        self.rest().await;
    }

    /// Waits until nothing is on its way.
    pub async fn rest(&self) {
        if self.restless {
            return;
        }
        let onlookers: Vec<_> = self.agents.iter().chain(&self.guests).map(AsRef::as_ref).collect();
        self.fleet.rest(&onlookers, REST_S).await;
    }

    /// What customers wrote and what agents were promised, in all.
    pub fn totals(&self) -> (u64, u64) {
        ((self.written + self.more_in) as u64, (self.accepted + self.more_out) as u64)
    }
}
