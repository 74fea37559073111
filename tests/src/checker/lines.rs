//! The observers' lines as types: tests/README.md in Rust.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};

/// A customer did something.
#[derive(Debug, Deserialize)]
pub struct Typed {
    pub acct: String,
    pub key: String,
    #[serde(deserialize_with = "text_or_number")]
    pub chat: Option<String>,
    pub pseq: i64,
    pub tag: Option<String>,
    pub hash: Option<String>,
    pub file: Option<SeenFile>,
}

/// A file that came with a message, or that a call carried.
#[derive(Debug, Deserialize)]
pub struct SeenFile {
    /// What it is: the platform's word.
    pub field: String,
    pub bytes: i64,
    pub sha256: String,
}

/// An agent uploaded a file.
#[derive(Debug, Deserialize)]
pub struct Put {
    pub agent: String,
    pub acct: String,
    pub client_key: String,
    /// Its id, when it was taken.
    pub file: Option<String>,
    pub sha256: String,
    pub bytes: i64,
    pub status: i64,
}

/// An agent downloaded a file.
#[derive(Debug, Deserialize)]
pub struct Get {
    pub t: i64,
    pub agent: String,
    pub acct: String,
    pub server: String,
    pub file: String,
    /// Of what came; `None` when no file came.
    pub sha256: Option<String>,
    pub status: i64,
    pub range: Option<String>,
    /// Of what should have come, where the client knew.
    pub want: Option<String>,
}

/// A key given to the connector, or acknowledged by it.
#[derive(Debug, Deserialize)]
pub struct Keyed {
    pub t: i64,
    pub acct: String,
    pub key: String,
}

/// One exchange as the platform saw it; also a `call_open` that never ended.
#[derive(Debug, Deserialize)]
pub struct Call {
    pub acct: String,
    pub call: i64,
    pub method: String,
    #[serde(default, deserialize_with = "text_or_number")]
    pub chat: Option<String>,
    pub tag: Option<String>,
    pub hash: Option<String>,
    pub file: Option<SeenFile>,
    #[serde(default, deserialize_with = "text_or_number")]
    pub idem: Option<String>,
    pub epoch: Option<i64>,
    pub t_first: i64,
    #[serde(default)]
    pub t_last: i64,
    pub t_reply: Option<i64>,
    /// When the platform's limits counted it, where it says so.
    #[serde(default)]
    pub t_counted: Option<i64>,
    /// `open` for a call without its end.
    #[serde(default)]
    pub reply: String,
    #[serde(default)]
    pub applied: bool,
    #[serde(default, deserialize_with = "text_or_number")]
    pub pmid: Option<String>,
    /// Seconds.
    #[serde(default)]
    pub retry_after: Option<i64>,
}

/// One request to a webhook.
#[derive(Debug, Deserialize)]
pub struct Delivery {
    pub acct: String,
    pub key: String,
    pub t_sent: i64,
    pub took_ms: i64,
    /// `None` when no answer came.
    pub status: Option<i64>,
}

/// A file was asked for by a link that the platform gave.
#[derive(Debug, Deserialize)]
pub struct Download {
    #[serde(rename = "acct")]
    _acct: String,
    #[serde(rename = "reply")]
    _reply: String,
}

/// A line about one session, in the order the agent saw them.
#[derive(Debug)]
pub enum SocketLine {
    Open(Open),
    Resync(Resync),
    Close(Close),
    Frame(Frame),
}

/// The answer to `hello`.
#[derive(Debug, Deserialize)]
pub struct Open {
    pub agent: String,
    pub sess: String,
    pub server: String,
    pub feed_epoch: i64,
    pub cursors: Option<BTreeMap<String, i64>>,
    /// The feed epoch sent with the cursors.
    pub cursor_epoch: Option<i64>,
    /// The heads in the answer.
    pub heads: Option<BTreeMap<String, i64>>,
    pub recovered: bool,
}

/// A snapshot took the place of a replay.
#[derive(Debug, Deserialize)]
pub struct Resync {
    pub t: i64,
    pub sess: String,
    pub feed_epoch: i64,
    pub feeds: BTreeMap<String, i64>,
}

/// The session ended.
#[derive(Debug, Deserialize)]
pub struct Close {
    pub sess: String,
}

/// One entry of a feed. There are millions in a long run, so names are shared and the hash is cut to
/// 128 bits.
#[derive(Debug)]
pub struct Frame {
    pub sess: Arc<str>,
    pub feed: Arc<str>,
    pub feed_epoch: i64,
    pub seq: i64,
    pub kind: Arc<str>,
    pub chat: i64,
    pub chat_seq: i64,
    pub hash: u128,
}

/// A frame as it lies in the log; [`Frame`] is what is kept of it.
#[derive(Deserialize)]
pub struct FrameLine<'a> {
    pub sess: &'a str,
    pub feed: &'a str,
    pub feed_epoch: i64,
    pub seq: i64,
    pub kind: &'a str,
    #[serde(deserialize_with = "number_or_text")]
    pub chat: i64,
    pub chat_seq: i64,
    pub hash: &'a str,
}

/// An agent asked to send.
#[derive(Debug, Deserialize)]
pub struct Submit {
    pub agent: String,
    pub client_key: String,
    pub hash: String,
}

/// The chatserver took a message.
#[derive(Debug, Deserialize)]
pub struct Accepted {
    pub t: i64,
    pub agent: String,
    pub client_key: String,
    #[serde(deserialize_with = "number_or_text")]
    pub chat: i64,
    pub seq: i64,
    pub parts: i64,
    pub repeated: bool,
}

/// The chatserver refused a message.
#[derive(Debug, Deserialize)]
pub struct RefusedLine {
    #[serde(rename = "agent")]
    _agent: String,
    #[serde(rename = "client_key")]
    _client_key: String,
    #[serde(rename = "code")]
    _code: String,
}

/// An outcome shown to an agent.
#[derive(Debug, Deserialize)]
pub struct Status {
    pub t: i64,
    pub agent: String,
    pub sess: String,
    #[serde(deserialize_with = "number_or_text")]
    pub chat: i64,
    /// The outcome entry's own place in the chat.
    pub seq: Option<i64>,
    pub of: i64,
    pub part: i64,
    pub state: String,
}

/// A person decided about a part.
#[derive(Debug, Deserialize)]
pub struct Decision {
    pub t: i64,
    #[serde(deserialize_with = "number_or_text")]
    pub chat: i64,
    pub of: i64,
    pub part: Option<i64>,
    pub action: String,
    pub ok: bool,
    /// Why it was refused; null beside `ok: false` means that the answer was lost.
    pub code: Option<String>,
}

/// Ties the wall clock to the logs' clock.
#[derive(Debug, Deserialize)]
pub struct Clock {
    pub boottime_ns: i64,
    pub wall: DateTime<Utc>,
}

/// Something the harness broke, from `t0` to `t1` (null: to the end of the run).
#[derive(Debug, Deserialize)]
pub struct Fault {
    #[serde(deserialize_with = "text_or_number")]
    pub id: Option<String>,
    pub kind: String,
    pub target: String,
    pub t0: i64,
    pub t1: Option<i64>,
    /// What the process calls itself in the lease.
    pub holder: Option<String>,
}

/// A process died or stopped itself at a named step.
#[derive(Debug, Deserialize)]
pub struct CrashPoint {
    pub t: i64,
    #[serde(rename = "proc")]
    pub process: String,
    pub name: String,
    /// `stop`: by SIGSTOP. Anything else, or nothing: it died.
    pub how: Option<String>,
    /// Of a stop: its SIGCONT.
    pub t1: Option<i64>,
    pub holder: Option<String>,
}

/// Ids that are numbers on one platform and texts on another.
#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Number(i64),
    Text(String),
}

fn text_or_number<'de, D: Deserializer<'de>>(input: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<Id>::deserialize(input)?.map(|id| match id {
        Id::Number(number) => number.to_string(),
        Id::Text(text) => text,
    }))
}

/// Ids of our own: decimal strings in the protocol, numbers in the database.
fn number_or_text<'de, D: Deserializer<'de>>(input: D) -> Result<i64, D::Error> {
    match Id::deserialize(input)? {
        Id::Number(number) => Ok(number),
        Id::Text(text) => text.parse().map_err(serde::de::Error::custom),
    }
}
