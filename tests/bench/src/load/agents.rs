//! Agents who only look: each has a socket, and notes when the frame of each message came.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, header};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::clock::now_ns;

/// An agent's socket.
pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// When each message was shown; 0: not yet.
pub struct Shown {
    times: Vec<AtomicI64>,
    count: AtomicU64,
    last: AtomicI64,
    goal: AtomicU64,
    gate: Mutex<()>,
    reached: Condvar,
}

impl Shown {
    /// For so many messages.
    pub fn new(messages: usize) -> Arc<Self> {
        let times = (0..messages).map(|_| AtomicI64::new(0)).collect();
        Arc::new(Self {
            times,
            count: AtomicU64::new(0),
            last: AtomicI64::new(0),
            goal: AtomicU64::new(u64::MAX),
            gate: Mutex::new(()),
            reached: Condvar::new(),
        })
    }

    /// Message `number` was shown.
    pub fn at(&self, number: usize) -> Option<i64> {
        self.times.get(number).map(|time| time.load(Ordering::Relaxed)).filter(|time| *time > 0)
    }

    /// How many were.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// Waits until so many were, `patience` at most.
    pub fn wait(&self, goal: u64, patience: Duration) {
        self.goal.store(goal, Ordering::SeqCst);
        let gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.reached.wait_timeout_while(gate, patience, |()| self.count() < goal));
    }

    /// When one was shown last.
    pub fn last(&self) -> i64 {
        self.last.load(Ordering::Relaxed)
    }

    fn note(&self, text: &str, now: i64) {
        let Some(number) = number_of(text) else { return };
        let Some(time) = self.times.get(number) else { return };
        if time.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.last.store(now, Ordering::Relaxed);
            let count = self.count.fetch_add(1, Ordering::SeqCst) + 1;
            if count >= self.goal.load(Ordering::SeqCst) {
                // Whoever waits has looked by then, or looks afterwards.
                drop(self.gate.lock());
                self.reached.notify_all();
            }
        }
    }
}

/// The number that our messages begin with; other frames have none.
fn number_of(frame: &str) -> Option<usize> {
    let (_, rest) = frame.split_once("\"text\":\"#")?;
    rest.split_once(' ')?.0.parse().ok()
}

/// Opens a session: the socket after the answer to `hello` and the snapshot.
pub async fn open(server: &str, token: &str) -> anyhow::Result<Socket> {
    let mut request = server.into_client_request()?;
    request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("switchboard.v1"));
    let (mut socket, _) = connect_async(request).await?;
    if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
        stream.set_nodelay(true)?;
    }
    socket.send(Message::text(json!({"id": 0, "type": "hello", "token": token}).to_string())).await?;
    loop {
        let frame = socket.next().await.context("the session ended before it began")??;
        let Message::Text(text) = frame else { continue };
        let frame: Value = serde_json::from_str(&text)?;
        anyhow::ensure!(frame["type"] != "error", "hello: {text}");
        if frame["type"] == "resync" {
            return Ok(socket);
        }
    }
}

/// Looks on a thread of its own until the process ends; returns once all have their sessions.
pub fn look(agents: &Value, shown: Arc<Shown>) -> anyhow::Result<()> {
    let agents: Vec<(String, String)> = agents
        .as_array()
        .context("agents")?
        .iter()
        .map(|agent| Some((agent["server"].as_str()?.to_owned(), agent["token"].as_str()?.to_owned())))
        .collect::<Option<_>>()
        .context("an agent has a server and a token")?;
    let (ready, waiting) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => return drop(ready.send(Err(error.into()))),
        };
        runtime.block_on(async {
            let mut sockets = Vec::new();
            for (server, token) in &agents {
                match open(server, token).await {
                    Ok(socket) => sockets.push(socket),
                    Err(error) => return drop(ready.send(Err(error))),
                }
            }
            drop(ready.send(Ok(())));
            let looking = sockets.into_iter().map(|socket| follow(socket, &shown));
            futures_util::future::join_all(looking).await;
        });
    });
    waiting.recv().context("the agents' thread")?
}

async fn follow(mut socket: Socket, shown: &Shown) {
    while let Some(Ok(frame)) = socket.next().await {
        let now = now_ns();
        if let Message::Text(text) = frame {
            shown.note(&text, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_known_by_its_number() {
        assert_eq!(number_of(r##"{"type":"entry","entry":{"text":"#17 and more"}}"##), Some(17));
        assert_eq!(number_of(r#"{"type":"entry","entry":{"kind":"opened"}}"#), None);
    }

    #[test]
    fn a_second_frame_of_a_message_is_not_counted() {
        let shown = Shown::new(2);
        shown.note(r##""text":"#1 a""##, 5);
        shown.note(r##""text":"#1 a""##, 9);
        shown.note(r##""text":"#7 a""##, 9);
        assert_eq!((shown.count(), shown.at(1), shown.at(0)), (1, Some(5), None));
    }
}
