//! An agent's desktop, as a stranger would write it.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::{DEADLINE, described, token};

pub(super) struct Client {
    pub(super) socket: WebSocketStream<TcpStream>,
    frames: VecDeque<Value>,
    next_id: i64,
    /// Requests that are not answered yet.
    asked: BTreeMap<i64, Value>,
    /// How far each feed is read; checked to grow by one.
    pub(super) cursors: BTreeMap<String, i64>,
    pub(super) feed_epoch: i64,
}

impl Client {
    pub(super) async fn open(
        address: SocketAddr,
        headers: &[(&'static str, String)],
    ) -> Result<Self, tungstenite::Error> {
        // Small, so that a client that does not read is soon felt.
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        let stream = socket.connect(address).await.unwrap();
        let mut request = format!("ws://{address}/v1/agent").into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        let (socket, _) = client_async(request, stream).await?;
        Ok(Self {
            socket,
            frames: VecDeque::new(),
            next_id: 0,
            asked: BTreeMap::new(),
            cursors: BTreeMap::new(),
            feed_epoch: 0,
        })
    }

    pub(super) async fn connect(address: SocketAddr) -> Self {
        Self::open(address, &[("Sec-WebSocket-Protocol", "switchboard.v1".to_owned())]).await.unwrap()
    }

    /// Connects, says hello without cursors, and has the snapshot.
    pub(super) async fn enter(address: SocketAddr, agent: &str) -> Self {
        let mut client = Self::connect(address).await;
        let hello = client.ok(json!({"type": "hello", "token": token(agent)})).await;
        let resync = client.frame().await;
        assert_eq!(resync["type"], "resync");
        for (feed, seq) in resync["feeds"].as_object().unwrap() {
            assert_eq!(hello["feeds"][feed], json!({"head": seq, "recovered": false}));
        }
        client
    }

    /// Connects, and reads on where another client was.
    pub(super) async fn resume(
        address: SocketAddr,
        agent: &str,
        cursors: &BTreeMap<String, i64>,
        feed_epoch: i64,
    ) -> (Self, Value) {
        let mut client = Self::connect(address).await;
        client.cursors = cursors.clone();
        client.feed_epoch = feed_epoch;
        let cursors = json!({"feed_epoch": feed_epoch, "feeds": cursors});
        let hello = client.ok(json!({"type": "hello", "token": token(agent), "cursors": cursors})).await;
        (client, hello)
    }

    pub(super) async fn text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    /// Sends a request without waiting for its answer; returns its id.
    pub(super) async fn send(&mut self, mut request: Value) -> i64 {
        self.next_id += 1;
        request["id"] = self.next_id.into();
        self.asked.insert(self.next_id, request.clone());
        self.text(&request.to_string()).await;
        self.next_id
    }

    /// Sends a request and waits for its answer; frames that come before are kept.
    pub(super) async fn ask(&mut self, request: Value) -> Value {
        let id = self.send(request).await;
        self.answer_to(json!(id)).await
    }

    pub(super) async fn answer_to(&mut self, id: Value) -> Value {
        loop {
            let frame = self.receive().await.unwrap_or_else(|code| panic!("closed by {code:?}"));
            if frame.get("re").is_some() {
                assert_eq!(frame["re"], id, "answers come in order: {frame}");
                return frame;
            }
            self.frames.push_back(frame);
        }
    }

    pub(super) async fn ok(&mut self, request: Value) -> Value {
        let answer = self.ask(request).await;
        assert_eq!(answer["type"], "ok", "{answer}");
        answer["result"].clone()
    }

    pub(super) async fn refused(&mut self, request: Value) -> String {
        let answer = self.ask(request).await;
        assert_eq!(answer["type"], "error", "{answer}");
        let retry = ["too_fast", "unavailable"].contains(&answer["code"].as_str().unwrap());
        assert_eq!(answer["retry"], retry);
        answer["code"].as_str().unwrap().to_owned()
    }

    /// The next frame that is no answer.
    pub(super) async fn frame(&mut self) -> Value {
        if let Some(frame) = self.frames.pop_front() {
            return frame;
        }
        let frame = self.receive().await.unwrap_or_else(|code| panic!("closed by {code:?}"));
        assert!(frame.get("re").is_none(), "no answer is awaited: {frame}");
        frame
    }

    /// The next frame of any kind, or the code with which the socket was closed.
    pub(super) async fn next_or_closed(&mut self) -> Result<Value, Option<u16>> {
        self.receive().await
    }

    /// A frame that came before an answer.
    pub(super) fn kept(&mut self) -> Option<Value> {
        self.frames.pop_front()
    }

    /// The next entry, of any feed.
    pub(super) async fn entry(&mut self) -> Value {
        let frame = self.frame().await;
        assert_eq!(frame["type"], "entry", "{frame}");
        frame
    }

    /// Entries until one satisfies; it is the last of them.
    pub(super) async fn entries_until(&mut self, last: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut entries = Vec::new();
        loop {
            let frame = self.entry().await;
            let found = last(&frame);
            entries.push(frame);
            if found {
                return entries;
            }
        }
    }

    /// Reads until the socket is closed; returns the code.
    pub(super) async fn closed(&mut self) -> Option<u16> {
        loop {
            if let Err(code) = self.receive().await {
                return code;
            }
        }
    }

    /// The next frame, or the code with which the socket was closed. Keeps the cursors, and sees that no entry is missing.
    async fn receive(&mut self) -> Result<Value, Option<u16>> {
        loop {
            let message = tokio::time::timeout(DEADLINE, self.socket.next()).await.expect("a frame in time");
            let text = match message {
                Some(Ok(Message::Text(text))) => text,
                Some(Ok(Message::Close(close))) => return Err(close.map(|close| close.code.into())),
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => return Err(None),
            };
            let frame: Value = serde_json::from_str(&text).unwrap();
            let asked = frame["re"].as_i64().and_then(|id| self.asked.remove(&id));
            described::check(&frame, asked.as_ref());
            match frame["type"].as_str().unwrap() {
                "entry" => {
                    let cursor = self.cursors.get_mut(frame["feed"].as_str().unwrap()).expect("a feed of ours");
                    *cursor += 1;
                    assert_eq!(frame["seq"], *cursor, "no gap, nothing twice");
                }
                "ok" if asked.as_ref().is_some_and(|asked| asked["type"] == "watch") => {
                    let watched = &frame["result"];
                    let feed = watched["feed"].as_str().unwrap().to_owned();
                    self.cursors.entry(feed).or_insert(watched["head"].as_i64().unwrap());
                }
                "resync" => {
                    let feeds = frame["feeds"].as_object().unwrap();
                    self.cursors = feeds.iter().map(|(feed, seq)| (feed.clone(), seq.as_i64().unwrap())).collect();
                    self.feed_epoch = frame["feed_epoch"].as_i64().unwrap();
                }
                _ => {}
            }
            return Ok(frame);
        }
    }
}
