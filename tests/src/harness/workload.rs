//! Traffic both ways: customers who write, desks that take every chat and answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::{Dice, Simulator};
use crate::agent::{Agent, View};

/// The platform's number of the n-th customer.
pub fn customer(n: usize) -> i64 {
    700_100_000 + n as i64
}

/// Customers who write at a steady pace.
#[derive(Debug)]
pub struct Traffic {
    task: JoinHandle<()>,
}

impl Traffic {
    /// Starts `messages` messages over `chats` chats, one each `pause`; each carries a tag of its own.
    pub fn start(platform: &Simulator, chats: usize, messages: usize, pause: Duration, seed: u64) -> Self {
        let platform = platform.clone();
        let task = tokio::spawn(async move {
            let mut dice = Dice::new(seed);
            let mut clock = tokio::time::interval(pause);
            for n in 0..messages {
                clock.tick().await;
                // Every chat gets its share, in an order of the seed's choosing.
                let chat = if n < chats { n } else { dice.below(chats as u64) as usize };
                platform.message(customer(chat), &format!("question [[q{n}]] of customer {chat} 👋")).await;
            }
        });
        Self { task }
    }

    /// Waits until all is written.
    ///
    /// # Panics
    ///
    /// When the simulator refused something.
    pub async fn finish(self) {
        self.task.await.expect("the traffic ends in order");
    }

    /// Whether all is written.
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }
}

/// An agent who takes every chat offered and answers: `replies` in all, spread over its chats.
#[derive(Debug)]
pub struct Desk {
    /// The agent.
    pub agent: Arc<Agent>,
    task: JoinHandle<u64>,
}

impl Desk {
    /// Begins to work; ends when it has accepted its share of `replies` (counted over all desks by `budget`).
    pub fn open(agent: Agent, budget: Arc<tokio::sync::Semaphore>) -> Self {
        let agent = Arc::new(agent);
        let working = agent.clone();
        Self { agent, task: tokio::spawn(async move { work(&working, &budget).await }) }
    }

    /// Waits until the replies are used up; returns how many were this desk's.
    ///
    /// # Panics
    ///
    /// When a reply was refused or not accepted in time.
    pub async fn finish(self) -> (Arc<Agent>, u64) {
        let sent = self.task.await.expect("the desk ends in order");
        (self.agent, sent)
    }
}

async fn work(agent: &Agent, budget: &tokio::sync::Semaphore) -> u64 {
    let mut place = 0;
    let mut answered: HashMap<String, u64> = HashMap::new();
    let mut sent = 0;
    loop {
        let waiting: Vec<String> = agent.view().waiting().map(str::to_owned).collect();
        for chat in waiting {
            // Another desk was faster, or the chat is being taken: the feed tells.
            let _ = agent.take(&chat).await;
        }
        let (own, seen): (Vec<String>, usize) = {
            let view = agent.view();
            (view.own().map(str::to_owned).collect(), view.entries.len())
        };
        for chat in own {
            let told = agent.view().customer_messages(0).filter(|seen| seen.chat == chat).count() as u64;
            // One reply for every two questions, and one to begin with.
            while answered.get(&chat).copied().unwrap_or_default() < told.div_ceil(2) {
                let Ok(permit) = budget.try_acquire() else { return sent };
                permit.forget();
                let n = answered.entry(chat.clone()).or_default();
                let key = format!("{}-{chat}-{n}", agent.name());
                let text = format!("answer [[r-{key}]]");
                agent.send(&chat, &key, &text).await.unwrap_or_else(|error| panic!("reply {key}: {error}"));
                *n += 1;
                sent += 1;
            }
        }
        if budget.available_permits() == 0 {
            return sent;
        }
        place = place.max(seen);
        let news = |view: &View| view.entries.len() > place || view.waiting().next().is_some();
        // Without news for a while: look whether other desks used the replies up.
        let _ = agent.wait_until("news", Duration::from_millis(500), news).await;
    }
}

/// Whether the last state shown of every part that the agent was told of is final.
pub fn replies_are_shown(view: &View) -> bool {
    view.parts.values().all(|shown| shown.state != "queued" && shown.state != "sending")
}
