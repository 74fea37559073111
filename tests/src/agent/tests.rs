//! The agent against a chatserver played by hand, one connection at a time.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request as Upgrade, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

use super::*;
use crate::checker::Expectations;
use crate::checker::history::correct;
use crate::observer::{WriteLog, sha256_hex};

/// Nothing here takes longer unless it is broken.
const SOON: Duration = Duration::from_secs(10);

/// A chatserver that does what the test says, and the agent's log.
struct Stage {
    listener: TcpListener,
    log: SharedLog,
    path: PathBuf,
}

/// One connection of the agent.
struct Connection {
    socket: WebSocketStream<TcpStream>,
    bearer: Option<String>,
}

impl Stage {
    async fn set() -> Self {
        let path = std::env::temp_dir().join(format!("agent-{}.jsonl", uuid::Uuid::new_v4()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { listener, log: WriteLog::create(&path).unwrap(), path }
    }

    fn options(&self) -> AgentOptions {
        let server = format!("ws://{}/v1/agent", self.listener.local_addr().unwrap());
        let options = AgentOptions::new("alice", "secret", vec![server], Arc::clone(&self.log));
        AgentOptions { backoff_max: Duration::from_millis(100), ..options }
    }

    #[expect(clippy::result_large_err, reason = "the library's callback wants it so")]
    async fn accept(&self) -> Connection {
        let (socket, _) = timeout(SOON, self.listener.accept()).await.unwrap().unwrap();
        let mut bearer = None;
        let upgrade = |request: &Upgrade, mut response: Response| -> Result<Response, ErrorResponse> {
            assert_eq!(request.headers()["sec-websocket-protocol"], "switchboard.v1");
            bearer = request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
            response.headers_mut().insert("sec-websocket-protocol", "switchboard.v1".parse().unwrap());
            Ok(response)
        };
        let socket = accept_hdr_async(socket, upgrade).await.unwrap();
        Connection { socket, bearer }
    }

    /// A session without cursors, up to and with its resync.
    async fn fresh(&self, name: &str) -> Connection {
        let mut connection = self.accept().await;
        let hello = connection.read().await;
        assert_eq!(hello["type"], "hello");
        connection.hello(name, 0, false).await;
        connection.send(json!({"type": "resync", "feed_epoch": 1, "feeds": {"agent:1": 0, "queue:1": 0}, "chats": [], "queues": []})).await;
        connection
    }

    fn lines(&self, event: &str) -> Vec<Value> {
        let text = fs::read_to_string(&self.path).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["ev"] == event).collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.path));
    }
}

impl Connection {
    async fn read(&mut self) -> Value {
        match timeout(SOON, self.socket.next()).await.unwrap().unwrap().unwrap() {
            Message::Text(text) => serde_json::from_str(text.as_str()).unwrap(),
            other => panic!("the agent sent {other:?}"),
        }
    }

    async fn send(&mut self, frame: Value) {
        self.send_text(&frame.to_string()).await;
    }

    async fn send_text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    async fn hello(&mut self, name: &str, head: i64, recovered: bool) {
        let feed = json!({"head": head, "recovered": recovered});
        let result =
            json!({"session": name, "server": "chat-1", "feed_epoch": 1, "feeds": {"agent:1": feed, "queue:1": feed}});
        self.send(json!({"re": 0, "type": "ok", "result": result})).await;
    }

    /// Expects a request of one type, and gives its answer.
    async fn answer(&mut self, kind: &str, result: Value) -> Value {
        let request = self.read().await;
        assert_eq!(request["type"], kind);
        self.send(json!({"re": request["id"], "type": "ok", "result": result})).await;
        request
    }

    async fn refuse(&mut self, code: &str, retry: bool) {
        let request = self.read().await;
        self.send(json!({"re": request["id"], "type": "error", "code": code, "message": "no", "retry": retry})).await;
    }

    async fn close(mut self, code: u16) {
        let frame = CloseFrame { code: code.into(), reason: "".into() };
        self.socket.close(Some(frame)).await.unwrap();
    }
}

fn entry(feed: &str, feed_seq: i64, seq: i64, kind: &str, more: Value) -> Value {
    let mut entry = json!({"chat": "17", "account": "support", "seq": seq, "at": "2026-11-21T09:00:00.123Z", "kind": kind,
                           "author": {"kind": "customer", "id": "9", "name": "Olga"}});
    entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"type": "entry", "feed": feed, "seq": feed_seq, "entry": entry})
}

#[tokio::test]
async fn frames_are_logged_as_they_came_and_cursors_resume() {
    let stage = Stage::set().await;
    let agent = Agent::spawn(stage.options());
    let mut server = stage.accept().await;
    let hello = server.read().await;
    assert_eq!((hello["token"].as_str(), hello.get("cursors")), (Some("secret"), None));
    server.hello("s1", 3, false).await;
    let chat = json!({"chat": "16", "account": "support", "platform": "telegram", "title": "Jan", "customer": null, "state": "taken",
                      "agent": "alice", "queue": "support", "last_seq": 5, "unread": 2, "last": null});
    server.send(json!({"type": "resync", "feed_epoch": 1, "feeds": {"agent:1": 3, "queue:1": 7}, "chats": [chat], "queues": []})).await;
    let odd = r#"{ "chat":"17", "account":"support","seq":2,"kind":"message","author":{"kind":"customer"},"text":"h\u0065llo [[t1]]" }"#;
    server.send(entry("queue:1", 8, 1, "opened", json!({"interaction": "1", "queue": "support"}))).await;
    server.send_text(&format!(r#"{{"type":"entry","feed":"queue:1","seq":9,"entry":{odd}}}"#)).await;
    server.send_text(&format!(r#"{{"type":"entry","feed":"queue:1","seq":9,"entry":{odd}}}"#)).await;
    server.send(entry("agent:1", 6, 3, "taken", json!({"interaction": "1", "agent": "alice"}))).await;
    agent.wait_until("the chat is mine", SOON, |view| view.own().eq(["16", "17"])).await.unwrap();
    {
        let view = agent.view();
        assert_eq!((view.gaps, view.repeats, view.resyncs), (1, 1, 1));
        assert_eq!(
            view.customer_messages(0).map(|seen| seen.text.as_deref()).collect::<Vec<_>>(),
            [Some("hello [[t1]]")]
        );
    }
    let frames = stage.lines("frame");
    let numbers: Vec<_> =
        frames.iter().map(|line| (line["feed"].as_str().unwrap(), line["seq"].as_i64().unwrap())).collect();
    assert_eq!(numbers, [("queue:1", 8), ("queue:1", 9), ("queue:1", 9), ("agent:1", 6)]);
    assert_eq!(frames[1]["hash"], sha256_hex(odd.as_bytes()), "the hash is of the text as received");
    assert_eq!(frames[1]["tag"], "t1");
    server.close(4001).await;

    let mut server = stage.accept().await;
    let hello = server.read().await;
    assert_eq!(hello["cursors"], json!({"feed_epoch": 1, "feeds": {"agent:1": 6, "queue:1": 9}}));
    server.hello("s2", 9, true).await;
    server
        .send(entry(
            "agent:1",
            7,
            4,
            "outcome",
            json!({"of": 3, "part": 0, "parts": 1, "state": "sent", "reason": null}),
        ))
        .await;
    agent
        .wait_until("the outcome", SOON, |view| view.part("17", 3, 0).is_some_and(|shown| shown.state == "sent"))
        .await
        .unwrap();
    agent.stop().await;
    let opens = stage.lines("open");
    assert_eq!(opens[0]["cursors"], Value::Null);
    assert_eq!(opens[1]["cursors"], json!({"agent:1": 6, "queue:1": 9}));
    assert_eq!((opens[0]["recovered"].clone(), opens[1]["recovered"].clone()), (json!(false), json!(true)));
    assert_eq!(stage.lines("status")[0]["state"], "sent");
    let closes = stage.lines("close");
    assert_eq!(closes.len(), 1, "an agent that is stopped stays open in its log");
    assert_eq!(closes[0]["code"], 4001);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_with_the_same_client_key() {
    let stage = Stage::set().await;
    let agent = Agent::spawn(AgentOptions { token_in_header: true, ..stage.options() });
    let mut server = stage.fresh("s1").await;
    assert_eq!(server.bearer.as_deref(), Some("Bearer secret"));
    let accepted = json!({"chat": "17", "seq": 4, "parts": 1, "state": "queued", "repeated": true});
    let play = async {
        let first = server.read().await;
        drop(server); // committed, perhaps, and never answered
        let mut server = stage.fresh("s2").await;
        server.refuse("unavailable", true).await;
        let last = server.answer("send", accepted).await;
        assert_eq!((&first["client_key"], &first["text"]), (&last["client_key"], &last["text"]));
        server
    };
    let (result, server) = tokio::join!(agent.send("17", "k1", "hi [[t2]]"), play);
    assert_eq!(result.unwrap()["seq"], 4);
    assert_eq!(stage.lines("submit").len(), 1);
    assert_eq!(stage.lines("submit")[0]["tag"], "t2");
    assert_eq!(stage.lines("refused")[0]["code"], "unavailable");
    assert_eq!(stage.lines("accepted")[0]["repeated"], true);
    assert_eq!(stage.lines("close")[0]["code"], Value::Null);
    drop(server);
}

#[tokio::test]
async fn a_lane_is_asked_for_and_logged_and_what_waits_comes_as_it_is() {
    let stage = Stage::set().await;
    let agent = Agent::spawn(stage.options());
    let mut server = stage.fresh("s1").await;
    let accepted = json!({"chat": "17", "seq": 4, "parts": 1, "state": "queued", "repeated": false});
    let (sent, request) =
        tokio::join!(agent.send_in("bulk", "17", "k1", "hi"), server.answer("send", accepted.clone()));
    assert_eq!((sent.unwrap()["seq"].as_i64(), request["lane"].as_str()), (Some(4), Some("bulk")));
    let (sent, request) = tokio::join!(agent.send("17", "k2", "hi"), server.answer("send", accepted));
    assert!(sent.is_ok() && request.get("lane").is_none());
    let part = json!({"seq": 4, "part": 0, "lane": "bulk", "position": 12, "reason": "account_limit"});
    let answer = json!({"chat": "17", "parts": [part]});
    let (waits, request) = tokio::join!(agent.waiting("17", Some(4)), server.answer("waiting", answer));
    assert_eq!((waits.unwrap(), request["seq"].as_i64()), (vec![part], Some(4)));
    let lanes: Vec<_> = stage.lines("submit").into_iter().map(|line| line["lane"].clone()).collect();
    assert_eq!(lanes, ["bulk", "interactive"]);
}

#[tokio::test]
async fn a_refusal_for_good_ends_the_send_and_a_decision_is_asked_once() {
    let stage = Stage::set().await;
    let agent = Agent::spawn(stage.options());
    let mut server = stage.fresh("s1").await;
    let (result, ()) = tokio::join!(agent.send_seen("17", "k1", "hi", Some(3)), server.refuse("stale", false));
    assert_eq!(result.unwrap_err().code(), Some("stale"));
    assert!(stage.lines("accepted").is_empty());
    let (result, request) = tokio::join!(agent.cancel("17", 4), server.answer("cancel", json!({"cancelled": [0, 1]})));
    assert_eq!((result.unwrap(), request["seq"].as_i64()), (vec![0, 1], Some(4)));
    let lose = async {
        assert_eq!(server.read().await["type"], "resend");
        drop(server);
    };
    let (result, ()) = tokio::join!(agent.decide(Decision::Resend, "17", 4, 0), lose);
    assert_eq!(result, Err(Failure::Lost));
    let mut server = stage.fresh("s2").await;
    let (result, ()) = tokio::join!(agent.decide(Decision::Resend, "17", 4, 0), server.refuse("too_late", false));
    assert_eq!(result.unwrap_err().code(), Some("too_late"));
    let (taken, asked) = tokio::join!(agent.take("17"), server.answer("take", json!({"chat": "17", "seq": 9})));
    assert_eq!((taken, asked["chat"].as_str()), (Ok(9), Some("17")));
    let decisions: Vec<_> = stage
        .lines("decision")
        .into_iter()
        .map(|line| (line["action"].clone(), line["ok"].clone(), line["code"].clone()))
        .collect();
    let want = [
        (json!("cancel"), json!(true), Value::Null),
        (json!("resend"), json!(false), Value::Null),
        (json!("resend"), json!(false), json!("too_late")),
    ];
    assert_eq!(decisions, want);
}

#[tokio::test]
async fn a_final_close_code_is_obeyed() {
    let stage = Stage::set().await;
    let agent = Agent::spawn(stage.options());
    let mut server = stage.accept().await;
    server.read().await;
    server.close(4500).await;
    agent.wait_until("it was sent away", SOON, |view| view.link == Link::Refused(4500)).await.unwrap();
    assert_eq!(agent.take("17").await, Err(Failure::Ended));
    let again = timeout(Duration::from_millis(300), stage.listener.accept()).await;
    assert!(again.is_err(), "it came back");
}

#[tokio::test]
async fn it_comes_back_after_silence_a_cut_and_a_broken_frame() {
    let stage = Stage::set().await;
    let agent = Agent::spawn(AgentOptions { silence: Duration::from_millis(200), ..stage.options() });
    let silent = stage.fresh("s1").await;
    let mut server = stage.fresh("s2").await;
    drop(silent);
    server.send_text(r#"{"type":"surprise"}"#).await;
    let mut cut = stage.fresh("s3").await;
    agent.wait_until("it is back", SOON, |view| view.sessions == 3 && view.resyncs == 3).await.unwrap();
    agent.cut();
    while let Ok(Some(Ok(_))) = timeout(SOON, cut.socket.next()).await {}
    let _server = stage.fresh("s4").await;
    agent.wait_until("it is back", SOON, |view| view.sessions == 4).await.unwrap();
    assert_eq!(stage.lines("unreadable").len(), 1);
    assert_eq!(stage.lines("close").len(), 3);
}

#[tokio::test]
async fn without_an_answer_patience_ends() {
    let stage = Stage::set().await;
    let agent = Agent::spawn(AgentOptions { patience: Duration::from_millis(200), ..stage.options() });
    let _server = stage.fresh("s1").await;
    assert_eq!(agent.history("17", None, 50).await, Err(Failure::Deadline));
    let error = agent.wait_until("pigs fly", Duration::from_millis(50), |_| false).await.unwrap_err().to_string();
    assert!(error.contains("pigs fly") && error.contains("s1"), "{error}");
}

#[tokio::test]
async fn the_checker_can_read_every_line() {
    let stage = Stage::set().await;
    let agent = Agent::spawn(stage.options());
    let mut server = stage.fresh("s1").await;
    let result = json!({"chat": "11", "seq": 5, "parts": 1, "state": "queued", "repeated": false});
    let (sent, _) = tokio::join!(agent.send("11", "a1", "first [[a1]]"), server.answer("send", result));
    sent.unwrap();
    let (refused, ()) = tokio::join!(agent.send("11", "a2", " "), server.refuse("bad_text", false));
    refused.unwrap_err();
    let (decided, _) = tokio::join!(agent.decide(Decision::Drop, "11", 5, 0), server.answer("drop", json!({})));
    decided.unwrap();
    server
        .send(entry(
            "agent:1",
            1,
            6,
            "outcome",
            json!({"of": 5, "part": 0, "parts": 1, "state": "sent", "reason": null}),
        ))
        .await;
    agent.wait_until("the outcome", SOON, |view| !view.parts.is_empty()).await.unwrap();
    server.close(4008).await;
    agent.wait_until("the end", SOON, |view| view.session.is_none()).await.unwrap();
    let mut run = correct();
    *run.of("agent") = ["open", "resync", "submit", "accepted", "refused", "decision", "frame", "status", "close"]
        .into_iter()
        .flat_map(|event| {
            let lines = stage.lines(event);
            assert!(!lines.is_empty(), "no {event} was written");
            lines
        })
        .collect();
    let report = run.check(&Expectations::default());
    assert_eq!(report.finding("LOG").violated, 0, "{report}");
}
