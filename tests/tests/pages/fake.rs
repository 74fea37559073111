//! A chatserver of the test's own: the page's files from disk, and `/v1/agent` answered line by line by the test.
//!
//! A test says what is asked and what is answered, in order; anything else asked fails the test. So it can do what the
//! real chatserver never should: break a socket before the answer, leave out an entry, send hostile text.

use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path as Segment, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use serde_json::{Value, json};
use switchboard_tests::browser::{Browser, Page};
use tokio::sync::mpsc;

/// Everything waited for here happens within milliseconds; the rest is a machine under load.
pub const SOON: Duration = Duration::from_secs(10);

/// What the chatserver sends with its pages: nothing inline, nothing from elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob:; \
                      base-uri 'none'; form-action 'none'";

/// The fake chatserver: an address, and the sockets that come.
pub struct Fake {
    pub address: String,
    sockets: mpsc::Receiver<WebSocket>,
}

impl Fake {
    pub async fn start() -> Self {
        let (tell, sockets) = mpsc::channel(8);
        let app = Router::new()
            .route("/v1/agent", any(agent))
            .route("/", get(async || file("index.html").await))
            .route("/files/{account}/{file}", get(attachment).put(upload))
            .route("/{name}", get(async |Segment(name): Segment<String>| file(&name).await))
            .with_state(tell);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, sockets }
    }

    /// The next socket that a page opens.
    pub async fn accept(&mut self) -> Socket {
        let socket = tokio::time::timeout(SOON, self.sockets.recv()).await;
        Socket(socket.expect("no page connected").expect("the server is gone"))
    }

    /// Whether a page connected that nobody accepted yet.
    pub fn was_called(&mut self) -> bool {
        self.sockets.try_recv().is_ok()
    }

    /// A browser with the page open, connected as the agent bob with these chats.
    pub async fn desk(&mut self, width: u32, chats: Value) -> (Browser, Page, Socket) {
        let browser = Browser::start().await.unwrap_or_else(|error| panic!("{error:#}"));
        let page = browser.open(width, 760, &format!("{}/#token=secret-token", self.address)).await.unwrap();
        let mut socket = self.accept().await;
        socket.welcome(false).await;
        socket.resync(10, chats).await;
        page.wait_for("document.querySelector('#status').dataset.state === 'connected'", SOON).await.unwrap();
        (browser, page, socket)
    }
}

async fn agent(State(tell): State<mpsc::Sender<WebSocket>>, upgrade: WebSocketUpgrade) -> Response {
    if !upgrade.requested_protocols().any(|offered| offered == "switchboard.v1") {
        return StatusCode::BAD_REQUEST.into_response();
    }
    upgrade.protocols(["switchboard.v1"]).on_upgrade(async move |socket| tell.send(socket).await.unwrap())
}

/// A file server's answer: `picture` and `page` are there, nothing else is. The token comes in the header only.
async fn attachment(uri: Uri, headers: HeaderMap, Segment((account, name)): Segment<(String, String)>) -> Response {
    assert!(uri.query().is_none() && account == "support-bot", "{uri}");
    if headers.get(header::AUTHORIZATION).is_none_or(|token| token != "Bearer secret-token") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    match name.as_str() {
        "picture" => ([(header::CONTENT_TYPE, "image/png")], PICTURE).into_response(),
        "page" => ([(header::CONTENT_TYPE, "text/html")], "<script>window.hacked = true</script>").into_response(),
        _ => (StatusCode::NOT_FOUND, r#"{"title": "Not found", "detail": "there is no such file"}"#).into_response(),
    }
}

/// Takes what is not larger than a kilobyte; the file's id is its name and size.
async fn upload(
    uri: Uri,
    headers: HeaderMap,
    Segment((account, key)): Segment<(String, String)>,
    bytes: Bytes,
) -> Response {
    assert!(account == "support-bot" && key.len() == 36, "{uri}");
    assert_eq!(headers[header::AUTHORIZATION], "Bearer secret-token");
    assert_eq!(headers[header::CONTENT_TYPE], "image/png");
    if bytes.len() > 1000 {
        let problem = json!({"title": "Too large", "detail": "this account takes files of at most 1,000 bytes"});
        return (StatusCode::PAYLOAD_TOO_LARGE, problem.to_string()).into_response();
    }
    let query = uri.query().and_then(|query| query.strip_prefix("name=")).expect("a name");
    let name = percent_decoded(query);
    let file = json!({"file": format!("{name}/{}", bytes.len()), "name": name, "mime": "image/png",
                      "size_bytes": bytes.len(), "sha256": "00", "kind": "photo"});
    (StatusCode::CREATED, file.to_string()).into_response()
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        rest = match (first, more) {
            (b'%', [high, low, more @ ..]) => {
                let digits = [*high, *low];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
                more
            }
            (byte, more) => {
                bytes.push(*byte);
                more
            }
        };
    }
    String::from_utf8(bytes).unwrap()
}

/// One white pixel, PNG.
const PICTURE: &[u8] = &[
    137, 80, 78, 71, 13, 10, 26, 10, 0, 0, 0, 13, 73, 72, 68, 82, 0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0, 58, 126, 155,
    85, 0, 0, 0, 10, 73, 68, 65, 84, 120, 218, 99, 248, 15, 0, 1, 1, 1, 0, 28, 176, 140, 153, 0, 0, 0, 0, 73, 69, 78,
    68, 174, 66, 96, 130,
];

async fn file(name: &str) -> Response {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../chatserver/src/page");
    let kind = match name.rsplit_once('.') {
        Some((_, "html")) => "text/html; charset=utf-8",
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "svg")) => "image/svg+xml",
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    match tokio::fs::read(folder.join(name)).await {
        Ok(bytes) => ([(header::CONTENT_TYPE, kind), (header::CONTENT_SECURITY_POLICY, POLICY)], bytes).into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

/// One page's socket. Dropped, the connection breaks without a close frame, as when a process is killed.
pub struct Socket(WebSocket);

impl Socket {
    /// The next request, which must be of this type.
    pub async fn asked(&mut self, kind: &str) -> Value {
        self.asked_any(&[kind]).await
    }

    /// The next request, which must be of one of these types; pings in between are answered, and so are the question
    /// what a part waits for, which comes with time, and the word that a chat was read.
    pub async fn asked_any(&mut self, kinds: &[&str]) -> Value {
        loop {
            let message = tokio::time::timeout(SOON, self.0.recv()).await;
            let message = message.unwrap_or_else(|_| panic!("waited in vain for the request {kinds:?}"));
            let message = message.unwrap_or_else(|| panic!("the page closed instead of asking {kinds:?}")).unwrap();
            let Message::Text(text) = message else { panic!("expected {kinds:?}, got {message:?}") };
            let request: Value = serde_json::from_str(&text).unwrap();
            if request["type"] == "ping" {
                self.ok(&request, json!({})).await;
                continue;
            }
            if request["type"] == "waiting" && !kinds.contains(&"waiting") {
                self.ok(&request, json!({"chat": request["chat"], "parts": []})).await;
                continue;
            }
            if request["type"] == "read" && !kinds.contains(&"read") {
                self.ok(&request, json!({"chat": request["chat"], "seq": request["seq"], "unread": 0})).await;
                continue;
            }
            assert!(kinds.iter().any(|kind| request["type"] == *kind), "expected {kinds:?}, got {request}");
            return request;
        }
    }

    /// Waits so long, and sees that nothing comes but pings, and that a chat was read.
    pub async fn is_asked_nothing_for(&mut self, span: Duration) {
        let asked = async {
            loop {
                let message = self.0.recv().await.expect("the page stays connected").unwrap();
                let request: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
                assert!(request["type"] == "ping" || request["type"] == "read", "nothing is asked: {request}");
                self.ok(&request, json!({})).await;
            }
        };
        let _: Result<(), _> = tokio::time::timeout(span, asked).await;
    }

    pub async fn ok(&mut self, request: &Value, result: Value) {
        self.send(json!({"re": request["id"], "type": "ok", "result": result})).await;
    }

    pub async fn error(&mut self, request: &Value, code: &str, message: &str, retry: bool) {
        self.send(json!({"re": request["id"], "type": "error", "code": code, "message": message, "retry": retry}))
            .await;
    }

    pub async fn send(&mut self, frame: Value) {
        self.0.send(Message::text(frame.to_string())).await.unwrap();
    }

    pub async fn entry(&mut self, feed: &str, seq: u64, entry: Value) {
        self.send(json!({"type": "entry", "feed": feed, "seq": seq, "entry": entry})).await;
    }

    /// Answers hello as the agent bob of the queue support; returns what hello said.
    pub async fn welcome(&mut self, recovered: bool) -> Value {
        let hello = self.asked("hello").await;
        let feed = json!({"head": 10, "recovered": recovered});
        let result = json!({
            "session": "s1", "agent": {"id": "12", "name": "bob", "display_name": "Bob Larsen"},
            "server": "chatserver-1", "version": "0.1.0", "feed_epoch": 1,
            "feeds": {"agent:12": feed, "queue:3": feed},
        });
        self.ok(&hello, result).await;
        hello
    }

    pub async fn resync(&mut self, heads: u64, chats: Value) {
        let mut frame = snapshot(heads, chats);
        frame["type"] = "resync".into();
        self.send(frame).await;
    }

    /// Answers the request for a chat's history.
    pub async fn history(&mut self, chat: &str, entries: Value, next_before: Value) -> Value {
        let request = self.asked("history").await;
        assert_eq!(request["chat"], chat);
        self.ok(&request, json!({"chat": chat, "entries": entries, "next_before": next_before})).await;
        request
    }

    pub async fn close(mut self, code: u16) {
        let frame = CloseFrame { code, reason: "".into() };
        self.0.send(Message::Close(Some(frame))).await.unwrap();
    }
}

pub fn snapshot(heads: u64, chats: Value) -> Value {
    json!({
        "feed_epoch": 1, "feeds": {"agent:12": heads, "queue:3": heads}, "chats": chats,
        "queues": [{"id": "3", "name": "support", "feed": "queue:3"}],
    })
}

/// A chat of a snapshot; with an agent it is taken, else it waits.
pub fn chat(id: &str, title: &str, agent: Option<&str>, last_seq: u64, unread: u64, last: Value) -> Value {
    json!({
        "chat": id, "account": "support-bot", "platform": "telegram", "title": title,
        "customer": {"id": "9", "name": title, "phone": null},
        "state": if agent.is_some() { "taken" } else { "waiting" }, "agent": agent,
        "queue": "support", "last_seq": last_seq, "unread": unread, "last": last,
    })
}

/// An entry: `more` is what its kind adds, and may replace anything, such as the author.
pub fn entry(chat: &str, seq: u64, kind: &str, author: Value, more: Value) -> Value {
    let mut entry = json!({
        "chat": chat, "account": "support-bot", "seq": seq, "at": format!("2026-11-21T09:{:02}:00.123Z", seq % 60),
        "kind": kind, "author": author,
    });
    entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    entry
}

pub fn customer(name: &str) -> Value {
    json!({"kind": "customer", "id": "9", "name": name})
}

pub fn bob() -> Value {
    json!({"kind": "agent", "id": "12", "name": "Bob Larsen"})
}

pub fn system() -> Value {
    json!({"kind": "system"})
}

/// What the customer wrote.
pub fn said(chat: &str, seq: u64, name: &str, text: &str) -> Value {
    entry(chat, seq, "message", customer(name), json!({"text": text}))
}

/// What bob wrote, in this many parts.
pub fn answered(chat: &str, seq: u64, key: &str, text: &str, parts: u64) -> Value {
    entry(chat, seq, "message", bob(), json!({"text": text, "client_key": key, "parts": parts}))
}

/// What became of a part.
pub fn outcome(chat: &str, seq: u64, of: u64, part: u64, state: &str, reason: Option<&str>) -> Value {
    let more = json!({"of": of, "part": part, "parts": 1, "state": state, "reason": reason, "by": null});
    entry(chat, seq, "outcome", system(), more)
}

/// Keeps a picture for people who ask for it by naming a directory.
pub async fn picture(page: &Page, name: &str) {
    if let Some(directory) = std::env::var_os("SWITCHBOARD_PICTURES") {
        page.screenshot(&Path::new(&directory).join(name)).await.unwrap();
    }
}
