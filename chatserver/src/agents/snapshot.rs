//! Chats and snapshots as JSON.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use switchboard_common::model::ChatState;
use switchboard_common::store::{ChatView, Snapshot};

use super::frames::EntryJson;

/// Bytes of chats in a snapshot at most; more than a person can look through, and few enough for one frame.
const SNAPSHOT_BYTES: usize = 4 * 1024 * 1024;

/// The `resync` frame, or with `kind` none what `snapshot` answers.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Snapshot")]
pub(super) struct SnapshotJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    feed_epoch: i64,
    feeds: BTreeMap<String, i64>,
    #[schemars(with = "Vec<ChatJson<'static>>")]
    chats: Vec<Box<RawValue>>,
    queues: Vec<QueueJson>,
    /// Chats that found no place; absent when all did.
    #[serde(skip_serializing_if = "is_zero")]
    more: usize,
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Queue")]
struct QueueJson {
    id: String,
    name: String,
    feed: String,
}

fn is_zero(more: &usize) -> bool {
    *more == 0
}

impl SnapshotJson {
    pub(super) fn of(snapshot: &Snapshot, kind: Option<&'static str>) -> Self {
        let mut bytes = 0;
        let mut chats = Vec::with_capacity(snapshot.chats.len());
        for chat in &snapshot.chats {
            let raw = serde_json::value::to_raw_value(&ChatJson::of(chat)).expect("plain fields are JSON");
            bytes += raw.get().len();
            if bytes > SNAPSHOT_BYTES {
                break;
            }
            chats.push(raw);
        }
        let queue = |feed: &switchboard_common::store::AgentFeed| {
            let (id, name) = feed.queue.as_ref()?;
            Some(QueueJson { id: id.to_string(), name: name.clone(), feed: feed.name.clone() })
        };
        Self {
            r#type: kind,
            feed_epoch: snapshot.agent.feed_epoch,
            feeds: snapshot.agent.feeds.iter().map(|feed| (feed.name.clone(), feed.head)).collect(),
            more: snapshot.more + snapshot.chats.len() - chats.len(),
            chats,
            queues: snapshot.agent.feeds.iter().filter_map(queue).collect(),
        }
    }
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Chat")]
pub(super) struct ChatJson<'a> {
    chat: String,
    account: &'a str,
    platform: &'a str,
    title: Option<&'a str>,
    customer: Option<CustomerJson<'a>>,
    state: &'static str,
    agent: Option<&'a str>,
    queue: Option<&'a str>,
    last_seq: i64,
    unread: i32,
    read_seq: i64,
    last: Option<EntryJson<'a>>,
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Customer")]
struct CustomerJson<'a> {
    id: String,
    name: Option<&'a str>,
    phone: Option<&'a str>,
}

impl<'a> ChatJson<'a> {
    pub(super) fn of(chat: &'a ChatView) -> Self {
        Self {
            chat: chat.id.to_string(),
            account: &chat.account,
            platform: &chat.platform,
            title: chat.title.as_deref(),
            customer: chat.customer.as_ref().map(|(id, name, phone)| CustomerJson {
                id: id.to_string(),
                name: name.as_deref(),
                phone: phone.as_deref(),
            }),
            state: ChatState::as_str(chat.state),
            agent: chat.agent.as_deref(),
            queue: chat.queue.as_deref(),
            last_seq: chat.last_seq,
            unread: chat.unread,
            read_seq: chat.read_seq,
            last: chat.last.as_ref().map(|entry| EntryJson::of(entry, None)),
        }
    }
}
