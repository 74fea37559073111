//! The frames of docs/protocol.md as the agent reads them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

/// Any frame from the server; `kind` says which fields it has.
#[derive(Debug, Deserialize)]
pub struct Incoming<'a> {
    #[serde(rename = "type", borrow)]
    pub kind: Cow<'a, str>,
    pub re: Option<u64>,
    #[serde(borrow)]
    pub result: Option<&'a RawValue>,
    #[serde(borrow)]
    pub code: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub message: Option<Cow<'a, str>>,
    #[serde(default)]
    pub retry: bool,
    #[serde(borrow)]
    pub feed: Option<Cow<'a, str>>,
    pub seq: Option<i64>,
    /// As received: its text is what is hashed.
    #[serde(borrow)]
    pub entry: Option<&'a RawValue>,
    pub feed_epoch: Option<i64>,
    pub feeds: Option<BTreeMap<String, i64>>,
    pub chats: Option<Vec<Snapshot>>,
}

/// The answer to `hello`.
#[derive(Debug, Deserialize)]
pub struct Hello {
    pub session: String,
    pub server: String,
    pub feed_epoch: i64,
    pub feeds: BTreeMap<String, FeedState>,
}

/// What the server says of one feed.
#[derive(Debug, Deserialize)]
pub struct FeedState {
    pub head: i64,
    pub recovered: bool,
}

/// A chat in a snapshot.
#[derive(Debug, Deserialize)]
pub struct Snapshot {
    pub chat: String,
    pub account: String,
    pub state: String,
    pub agent: Option<String>,
    pub last_seq: i64,
    pub unread: i64,
}

/// One entry of a chat's log.
#[derive(Clone, Debug, Deserialize)]
pub struct Entry {
    pub chat: String,
    pub account: String,
    pub seq: i64,
    pub kind: String,
    pub author: Author,
    pub text: Option<String>,
    pub of: Option<i64>,
    pub part: Option<i64>,
    pub state: Option<String>,
    pub reason: Option<String>,
    pub agent: Option<String>,
    pub to: Option<Place>,
}

/// To whom a chat went.
#[derive(Clone, Debug, Deserialize)]
pub struct Place {
    pub agent: Option<String>,
}

/// Who made an entry.
#[derive(Clone, Debug, Deserialize)]
pub struct Author {
    pub kind: String,
    pub name: Option<String>,
}
