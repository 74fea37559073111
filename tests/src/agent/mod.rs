//! The observer agent: a client of the agents' websocket that writes down what it was shown.
//!
//! It keeps one session open for ever, at any of the listed chatservers, and keeps its cursors as a good
//! client does. It never judges and never hides: a gap or a repeat is logged as it came, the checker
//! decides. What a policy needs to act ("take every waiting chat, answer each message") is in [`View`].

mod backoff;
mod logged;
mod requests;
mod session;
#[cfg(test)]
mod tests;
mod view;
mod wire;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::bail;
use serde_json::Value;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use backoff::Jitter;
pub use requests::{Decision, Failure, Refusal};
pub use view::{ChatState, ChatView, Link, Seen, Shown, View};

use crate::observer::SharedLog;
use logged::Logged;

/// Requests that may wait for a session at once; beyond it the caller waits.
const WAITING_REQUESTS: usize = 256;

/// How an agent is to behave.
#[derive(Clone, Debug)]
pub struct AgentOptions {
    /// The agent's name, as in its token and in the database.
    pub name: String,
    /// Its bearer token.
    pub token: String,
    /// Where the token goes: the upgrade's header, or the `hello`.
    pub token_in_header: bool,
    /// Websocket addresses, such as `ws://127.0.0.1:7101/v1/agent`. Each session picks one at random.
    pub servers: Vec<String>,
    /// `agent.jsonl`.
    pub log: SharedLog,
    /// Makes the picks and the jitter repeatable.
    pub seed: u64,
    /// How long a request may take in all, repeats included.
    pub patience: Duration,
    /// The longest pause between two sessions; the first is a twentieth of it.
    pub backoff_max: Duration,
    /// A socket that says nothing for so long is dead: two missed pings of the server, and some.
    pub silence: Duration,
}

impl AgentOptions {
    /// The usual agent of a test: short pauses, because the test waits for it.
    pub fn new(name: &str, token: &str, servers: Vec<String>, log: SharedLog) -> Self {
        Self {
            name: name.to_owned(),
            token: token.to_owned(),
            token_in_header: false,
            servers,
            log,
            seed: 1,
            patience: Duration::from_secs(30),
            backoff_max: Duration::from_secs(1),
            silence: Duration::from_secs(60),
        }
    }
}

/// A running agent. Dropping it ends it as [`Agent::stop`] does, without waiting.
#[derive(Debug)]
pub struct Agent {
    shared: Arc<Shared>,
    requests: mpsc::Sender<Request>,
    task: Option<JoinHandle<()>>,
}

/// A request on its way to the session.
#[derive(Debug)]
struct Request {
    body: Value,
    answer: oneshot::Sender<Result<Value, Refusal>>,
}

/// What the handle and the session's task share.
#[derive(Debug)]
struct Shared {
    name: String,
    token: String,
    token_in_header: bool,
    servers: Mutex<Vec<String>>,
    logged: Logged,
    jitter: Mutex<Jitter>,
    patience: Duration,
    backoff_max: Duration,
    silence: Duration,
    view: watch::Sender<View>,
    cut: Notify,
    stop: CancellationToken,
}

impl Shared {
    fn jitter<T>(&self, draw: impl FnOnce(&mut Jitter) -> T) -> T {
        draw(&mut self.jitter.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Agent {
    /// Starts it; it connects by itself.
    pub fn spawn(options: AgentOptions) -> Self {
        let (requests, waiting) = mpsc::channel(WAITING_REQUESTS);
        let shared = Arc::new(Shared {
            jitter: Mutex::new(Jitter::new(options.seed, &options.name)),
            logged: Logged::new(options.name.clone(), options.log),
            view: watch::Sender::new(View::new(options.name.clone())),
            name: options.name,
            token: options.token,
            token_in_header: options.token_in_header,
            servers: Mutex::new(options.servers),
            patience: options.patience,
            backoff_max: options.backoff_max,
            silence: options.silence,
            cut: Notify::new(),
            stop: CancellationToken::new(),
        });
        let task = tokio::spawn(session::keep(Arc::clone(&shared), waiting));
        Self { shared, requests, task: Some(task) }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// What it knows now. Do not hold it across an await: the session waits for the lock.
    pub fn view(&self) -> watch::Ref<'_, View> {
        self.shared.view.borrow()
    }

    /// Waits until its view satisfies `holds`; `what` names the state in the error after `deadline`.
    pub async fn wait_until(
        &self,
        what: &str,
        deadline: Duration,
        holds: impl FnMut(&View) -> bool,
    ) -> anyhow::Result<()> {
        let mut view = self.shared.view.subscribe();
        match tokio::time::timeout(deadline, view.wait_for(holds)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => bail!("{} ended before: {what}", self.shared.name),
            Err(_) => bail!("{} waited {deadline:?} in vain for: {what}; {}", self.shared.name, self.view().summary()),
        }
    }

    /// Other chatservers from the next session on, after a restart on new ports.
    pub fn set_servers(&self, servers: Vec<String>) {
        *self.shared.servers.lock().unwrap_or_else(PoisonError::into_inner) = servers;
    }

    /// Drops the socket without a word, as a lost network does; the agent comes back by itself. Without
    /// a session it cuts the next one.
    pub fn cut(&self) {
        self.shared.cut.notify_one();
    }

    /// Ends it. No `close` is logged, so the session counts as open to the end of the run: stop agents
    /// only when everything has come to rest.
    pub async fn stop(mut self) {
        self.shared.stop.cancel();
        if let Some(task) = self.task.take() {
            drop(task.await);
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}
