//! Traffic both ways: customers who write, desks that take every chat and answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;

use super::{Dice, Load, Simulator, picture};
use crate::agent::{Agent, View};
use crate::file_client::FileClient;

/// What an upload may take while things are broken.
const UPLOAD: Duration = Duration::from_secs(60);

/// The platform's number of the n-th customer.
pub fn customer(n: usize) -> i64 {
    700_100_000 + n as i64
}

/// Customers who write at a steady pace.
#[derive(Debug)]
pub struct Traffic {
    task: AbortOnDropHandle<()>,
    written: Arc<AtomicUsize>,
    enough: Arc<AtomicBool>,
}

impl Traffic {
    /// Starts a load's messages, one each pause; each carries a tag of its own.
    pub fn start(platform: &Simulator, load: &Load) -> Self {
        let traffic = Self::lasting(platform, load);
        traffic.enough();
        traffic
    }

    /// The same, but the customers go on writing until somebody says that it is [`enough`](Self::enough).
    pub fn lasting(platform: &Simulator, load: &Load) -> Self {
        let (written, enough) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let writing = write(platform.clone(), *load, written.clone(), enough.clone());
        Self { task: AbortOnDropHandle::new(tokio::spawn(writing)), written, enough }
    }

    /// No more than the load's messages are needed.
    pub fn enough(&self) {
        self.enough.store(true, Ordering::Relaxed);
    }

    /// Waits until all is written; returns how many messages that was.
    ///
    /// # Panics
    ///
    /// When the simulator refused something.
    pub async fn finish(&mut self) -> usize {
        self.enough();
        (&mut self.task).await.expect("the traffic ends in order");
        self.written.load(Ordering::Relaxed)
    }

    /// Whether all is written.
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }
}

async fn write(platform: Simulator, load: Load, written: Arc<AtomicUsize>, enough: Arc<AtomicBool>) {
    let mut dice = Dice::new(load.seed);
    let mut clock = tokio::time::interval(Duration::from_millis(load.pause_ms.max(1)));
    for n in 0.. {
        if n >= load.messages && enough.load(Ordering::Relaxed) {
            return;
        }
        clock.tick().await;
        // Every chat gets its share, in an order of the seed's choosing.
        let chat = if n < load.chats { n } else { dice.below(load.chats as u64) as usize };
        let text = format!("question [[q{n}]] of customer {chat} 👋");
        match is_with_file(n, load.file_each) {
            true => platform.photo(customer(chat), &picture(320, 200, 2000, n as u8), &text).await,
            false => platform.message(customer(chat), &text).await,
        };
        written.fetch_add(1, Ordering::Relaxed);
    }
}

/// Whether the n-th message comes with a file when one in `each` does.
fn is_with_file(n: usize, each: usize) -> bool {
    each > 0 && n % each == each - 1
}

/// Where an agent uploads, and how often it does.
#[derive(Debug)]
pub struct Uploads {
    /// The agent's way to the files.
    pub client: FileClient,
    /// The file server's address.
    pub server: String,
    /// One in so many replies comes with a file.
    pub each: usize,
}

impl Uploads {
    /// Uploads until it is taken: whoever got no answer asks again under the same key.
    async fn put(&self, key: &str) -> String {
        let bytes = format!("the file of {key}\n").repeat(40);
        let taken = async {
            let mut clock = tokio::time::interval(Duration::from_millis(100));
            loop {
                clock.tick().await;
                let answered = self.client.put(&self.server, key, "answer.txt", "text/plain", bytes.as_bytes()).await;
                // 201, or 200 when the try whose answer was lost had come in whole.
                if let Some(file) = answered.told["file"].as_str().filter(|_| matches!(answered.status, 200 | 201)) {
                    return file.to_owned();
                }
            }
        };
        tokio::time::timeout(UPLOAD, taken).await.expect("an upload is taken while things are broken")
    }
}

/// An agent who takes every chat offered and answers: `replies` in all, spread over its chats.
#[derive(Debug)]
pub struct Desk {
    /// The agent.
    pub agent: Arc<Agent>,
    task: AbortOnDropHandle<u64>,
}

/// What desks do.
#[derive(Debug)]
pub struct Duty {
    /// How many replies all desks together may still give; closed, it ends them.
    pub budget: Arc<Semaphore>,
    /// One reply for so many questions of a chat, and one to begin with.
    pub reply_each: u64,
    /// Where to upload, if replies come with files.
    pub uploads: Option<Uploads>,
}

impl Desk {
    /// Begins to work; ends when the replies are used up.
    pub fn open(agent: Agent, duty: Duty) -> Self {
        let agent = Arc::new(agent);
        let working = agent.clone();
        Self { agent, task: AbortOnDropHandle::new(tokio::spawn(async move { duty.work(&working).await })) }
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

impl Duty {
    async fn work(&self, agent: &Agent) -> u64 {
        let (mut told, mut answered): (HashMap<String, u64>, HashMap<String, u64>) = Default::default();
        let (mut place, mut sent) = (0, 0);
        loop {
            let waiting: Vec<String> = agent.view().waiting().map(str::to_owned).collect();
            for chat in waiting {
                // Another desk was faster, or the chat is being taken: the feed tells.
                let _ = agent.take(&chat).await;
            }
            let own: Vec<String> = {
                let view = agent.view();
                view.customer_messages(place).for_each(|seen| *told.entry(seen.chat.clone()).or_default() += 1);
                place = view.entries.len();
                view.own().map(str::to_owned).collect()
            };
            for chat in own {
                let due = told.get(&chat).copied().unwrap_or_default().div_ceil(self.reply_each.max(1));
                while answered.get(&chat).copied().unwrap_or_default() < due {
                    let Ok(permit) = self.budget.try_acquire() else { return sent };
                    permit.forget();
                    let n = answered.entry(chat.clone()).or_default();
                    self.reply(agent, &chat, *n, sent).await;
                    *n += 1;
                    sent += 1;
                }
            }
            if self.budget.available_permits() == 0 || self.budget.is_closed() {
                return sent;
            }
            let news = |view: &View| view.entries.len() > place || view.waiting().next().is_some();
            // Without news for a while: look whether the replies are used up.
            let _ = agent.wait_until("news", Duration::from_millis(500), news).await;
        }
    }

    async fn reply(&self, agent: &Agent, chat: &str, n: u64, sent: u64) {
        let key = format!("{}-{chat}-{n}", agent.name());
        let text = format!("answer [[r-{key}]]");
        let accepted = match self.uploads.as_ref().filter(|uploads| is_with_file(sent as usize, uploads.each)) {
            Some(uploads) => agent.send_file(chat, &key, &text, &uploads.put(&key).await).await,
            None => agent.send(chat, &key, &text).await,
        };
        accepted.unwrap_or_else(|error| panic!("reply {key}: {error}"));
    }
}

/// Whether the last state shown of every part that the agent was told of is final.
pub fn replies_are_shown(view: &View) -> bool {
    view.parts.values().all(|shown| shown.state != "queued" && shown.state != "sending")
}
