//! The DevTools websocket: numbered calls, their answers, and what pages complain about.
//!
//! One connection serves all pages ("flat" sessions): every message names its session. Events other than complaints
//! and attached frames are dropped: tests wait for states of the page, not for events.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// A call that takes longer hangs; `Page::wait_for` adds its own deadline on top.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

#[derive(Default)]
struct State {
    asked: HashMap<u64, oneshot::Sender<Value>>,
    complaints: HashMap<String, Vec<String>>,
    /// Sessions of a page and of a frame in it that Chromium runs in a process of its own.
    attached: Vec<(String, String)>,
    gone: bool,
}

/// The connection to one browser.
pub struct Devtools {
    last_id: AtomicU64,
    out: mpsc::Sender<Message>,
    state: Arc<Mutex<State>>,
    pump: JoinHandle<()>,
}

impl Devtools {
    pub async fn connect(address: &str) -> Result<Arc<Self>> {
        // Screenshots come as one message of many megabytes, from a browser we started.
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let (socket, _) = tokio_tungstenite::connect_async_with_config(address, Some(config), true).await?;
        let (mut write, mut read) = socket.split();
        let (out, mut to_write) = mpsc::channel::<Message>(64);
        let state = Arc::new(Mutex::new(State::default()));
        let heard = state.clone();
        let pump = tokio::spawn(async move {
            loop {
                tokio::select! {
                    Some(message) = to_write.recv() => if write.send(message).await.is_err() { break },
                    message = read.next() => match message {
                        Some(Ok(Message::Text(text))) => hear(&heard, &text),
                        Some(Ok(_)) => {}
                        _ => break,
                    },
                }
            }
            let mut state = lock(&heard);
            state.gone = true;
            state.asked.clear(); // whoever waits learns it by the dropped sender
        });
        Ok(Arc::new(Self { last_id: AtomicU64::new(0), out, state, pump }))
    }

    /// One call; the error names the method and what Chromium said.
    pub async fn call(&self, session: Option<&str>, method: &str, params: Value) -> Result<Value> {
        self.call_within(session, method, params, ANSWER_WITHIN).await
    }

    /// The same for a call that may take its time.
    pub async fn call_within(
        &self,
        session: Option<&str>,
        method: &str,
        params: Value,
        within: Duration,
    ) -> Result<Value> {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let mut frame = json!({"id": id, "method": method, "params": params});
        if let Some(session) = session {
            frame["sessionId"] = session.into();
        }
        let (tell, answer) = oneshot::channel();
        {
            let mut state = lock(&self.state);
            if state.gone {
                bail!("{method}: Chromium is gone");
            }
            state.asked.insert(id, tell);
        }
        let sent = self.out.send(Message::text(frame.to_string())).await;
        sent.with_context(|| format!("{method}: Chromium is gone"))?;
        let answer = tokio::time::timeout(within, answer).await;
        lock(&self.state).asked.remove(&id);
        let mut answer = answer
            .with_context(|| format!("{method}: no answer within {within:?}"))?
            .with_context(|| format!("{method}: Chromium is gone"))?;
        if let Some(error) = answer.get("error") {
            bail!("{method}: {}", error["message"].as_str().unwrap_or("unknown error"));
        }
        Ok(answer["result"].take())
    }

    /// Errors a page wrote to its console since it was attached.
    pub fn complaints(&self, session: &str) -> Vec<String> {
        lock(&self.state).complaints.get(session).cloned().unwrap_or_default()
    }

    /// The sessions of frames of other sites in this page.
    pub fn attached(&self, page: &str) -> Vec<String> {
        let state = lock(&self.state);
        state.attached.iter().filter(|(parent, _)| parent == page).map(|(_, frame)| frame.clone()).collect()
    }
}

impl Drop for Devtools {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

fn hear(state: &Mutex<State>, text: &str) {
    let Ok(message) = serde_json::from_str::<Value>(text) else {
        return;
    };
    let mut state = lock(state);
    if let Some(id) = message["id"].as_u64() {
        if let Some(tell) = state.asked.remove(&id) {
            let _ = tell.send(message);
        }
        return;
    }
    let session = message["sessionId"].as_str().unwrap_or_default().to_owned();
    let params = &message["params"];
    match message["method"].as_str() {
        Some("Target.attachedToTarget") if params["targetInfo"]["type"] == "iframe" => {
            state.attached.push((session, text_of(&params["sessionId"])));
        }
        Some("Target.detachedFromTarget") => state.attached.retain(|(_, frame)| params["sessionId"] != **frame),
        Some(method) => {
            if let Some(complaint) = complaint(method, params) {
                state.complaints.entry(session).or_default().push(complaint);
            }
        }
        None => {}
    }
}

/// What counts as a complaint: errors and failed assertions on the console, exceptions nobody caught, and what the
/// browser itself reports as an error (a resource not found, a violation of the content security policy).
fn complaint(method: &str, params: &Value) -> Option<String> {
    match method {
        "Runtime.consoleAPICalled" if matches!(params["type"].as_str(), Some("error" | "assert")) => {
            let words = params["args"].as_array()?.iter();
            let words = words.map(|arg| arg.get("value").or(arg.get("description")).map_or_else(String::new, text_of));
            Some(format!("console: {}", words.collect::<Vec<_>>().join(" ")))
        }
        "Runtime.exceptionThrown" => {
            let details = &params["exceptionDetails"];
            let what = details["exception"].get("description").unwrap_or(&details["text"]);
            Some(format!("exception: {}", text_of(what)))
        }
        "Log.entryAdded" if params["entry"]["level"] == "error" => {
            let entry = &params["entry"];
            let place = entry.get("url").map(text_of).unwrap_or_default();
            Some(format!("{}: {} {place}", text_of(&entry["source"]), text_of(&entry["text"])))
        }
        _ => None,
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A test that panicked elsewhere must not hide its words behind a poisoned lock.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
