//! Entries as JSON. Made once, shared by all sessions.

use chrono::{DateTime, SecondsFormat, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use switchboard_common::model::Lane;
use switchboard_common::store::{
    Author, ChatPlace, ChatView, ContentItem, Delivery, Entry, EntryBody, FileItem, HistoryPage,
};

use super::snapshot::ChatJson;

/// The `entry` frame. `chat` is there when the entry moves it.
pub(crate) fn entry_frame(feed: &str, seq: i64, entry: &Entry, chat: Option<&ChatView>) -> String {
    let chat = chat.map(ChatJson::of);
    json(&EntryFrame { r#type: "entry", feed, seq, entry: EntryJson::of(entry, None), chat })
}

/// A new entry of a feed.
#[derive(JsonSchema, Serialize)]
pub(super) struct EntryFrame<'a> {
    #[schemars(extend("const" = "entry"))]
    r#type: &'static str,
    feed: &'a str,
    seq: i64,
    entry: EntryJson<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chat: Option<ChatJson<'a>>,
}

/// The result of `history`: oldest first.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "History")]
pub(super) struct HistoryJson<'a> {
    chat: String,
    entries: Vec<EntryJson<'a>>,
    next_before: Option<i64>,
}

/// A page of a chat's log as JSON.
pub(super) fn history(chat: i64, page: &HistoryPage) -> Box<RawValue> {
    let delivery = |entry: &Entry| match entry.body {
        EntryBody::AgentMessage { .. } => {
            Some(page.delivery.iter().filter(|part| part.seq == entry.seq).map(PartJson::of).collect())
        }
        _ => None,
    };
    let page = HistoryJson {
        chat: chat.to_string(),
        // A log begins with 1, so whoever has that has all.
        next_before: page.entries.first().map(|entry| entry.seq).filter(|seq| *seq > 1),
        entries: page.entries.iter().map(|entry| EntryJson::of(entry, delivery(entry))).collect(),
    };
    serde_json::value::to_raw_value(&page).expect("plain fields are JSON")
}

pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain fields are JSON")
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Entry")]
pub(super) struct EntryJson<'a> {
    chat: String,
    account: &'a str,
    seq: i64,
    #[schemars(with = "DateTime<Utc>")]
    at: String,
    kind: &'static str,
    author: AuthorJson<'a>,
    #[serde(flatten)]
    body: BodyJson<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<Vec<PartJson<'a>>>,
}

#[derive(JsonSchema, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schemars(rename = "Author")]
enum AuthorJson<'a> {
    System,
    Customer { id: String, name: Option<&'a str> },
    Agent { id: String, name: Option<&'a str> },
}

#[derive(JsonSchema, Serialize)]
#[serde(untagged)]
#[schemars(rename = "Body")]
enum BodyJson<'a> {
    #[schemars(extend("x-kind" = "message"))]
    Text {
        text: &'a str,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        files: Vec<FileJson<'a>>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        content: Vec<ContentJson<'a>>,
    },
    #[schemars(extend("x-kind" = "message"))]
    Answer {
        text: &'a str,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        files: Vec<FileJson<'a>>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        content: Vec<ContentJson<'a>>,
        client_key: &'a str,
        parts: i16,
        #[serde(skip_serializing_if = "Option::is_none")]
        lane: Option<&'static str>,
    },
    #[schemars(extend("x-kind" = "edited"))]
    Edited { text: &'a str, of: Option<i64> },
    #[schemars(extend("x-kind" = "opened"))]
    Opened {
        interaction: String,
        queue: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<&'a str>,
    },
    #[schemars(extend("x-kind" = "released"))]
    Released { interaction: String, queue: &'a str },
    #[schemars(extend("x-kind" = "transferred"))]
    Transferred { interaction: String, from: PlaceJson<'a>, to: PlaceJson<'a>, note: Option<&'a str> },
    #[schemars(extend("x-kind" = "taken"))]
    Taken { interaction: String, agent: &'a str },
    #[schemars(extend("x-kind" = "closed"))]
    Closed { interaction: String, outcome: Option<&'a str> },
    #[schemars(extend("x-kind" = "file"))]
    File {
        file: &'a str,
        of: Option<i64>,
        state: &'a str,
        size_bytes: Option<i64>,
        mime: Option<&'a str>,
        sha256: Option<&'a str>,
        reason: Option<&'a str>,
    },
    #[schemars(extend("x-kind" = "outcome"))]
    Outcome { of: i64, part: i16, parts: i16, state: &'a str, reason: Option<&'a str>, by: Option<&'a str> },
    #[schemars(extend("x-kind" = "membership"))]
    Membership { state: &'static str },
    #[schemars(extend("x-kind" = "unknown"))]
    Unknown {},
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Content")]
struct ContentJson<'a> {
    r#type: &'a str,
    #[serde(flatten)]
    fields: &'a Map<String, Value>,
}

impl<'a> ContentJson<'a> {
    fn of(item: &'a ContentItem) -> Self {
        Self { r#type: &item.r#type, fields: &item.fields }
    }
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "File")]
struct FileJson<'a> {
    file: &'a str,
    kind: &'a str,
    name: Option<&'a str>,
    mime: Option<&'a str>,
    size_bytes: Option<i64>,
}

impl<'a> FileJson<'a> {
    fn of(file: &'a FileItem) -> Self {
        Self {
            file: &file.file,
            kind: &file.kind,
            name: file.name.as_deref(),
            mime: file.mime.as_deref(),
            size_bytes: file.size_bytes,
        }
    }
}

/// Who has a chat, or where it waits.
#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Place")]
enum PlaceJson<'a> {
    Agent(&'a str),
    Queue(&'a str),
}

impl<'a> PlaceJson<'a> {
    fn of(place: &'a ChatPlace) -> Self {
        match place {
            ChatPlace::Agent(name) => Self::Agent(name),
            ChatPlace::Queue(name) => Self::Queue(name),
        }
    }
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Delivery")]
pub(super) struct PartJson<'a> {
    part: i16,
    state: &'static str,
    reason: Option<&'a str>,
}

impl<'a> PartJson<'a> {
    fn of(part: &'a Delivery) -> Self {
        Self { part: part.part, state: part.state.as_str(), reason: part.reason.as_deref() }
    }
}

impl<'a> EntryJson<'a> {
    pub(super) fn of(entry: &'a Entry, delivery: Option<Vec<PartJson<'a>>>) -> Self {
        let (kind, body) = body(&entry.body);
        Self {
            chat: entry.chat.to_string(),
            account: &entry.account,
            seq: entry.seq,
            at: entry.at.to_rfc3339_opts(SecondsFormat::Millis, true),
            kind,
            author: match &entry.author {
                Author::System => AuthorJson::System,
                Author::Customer { id, name } => AuthorJson::Customer { id: id.to_string(), name: name.as_deref() },
                Author::Agent { id, name } => AuthorJson::Agent { id: id.to_string(), name: name.as_deref() },
            },
            body,
            delivery,
        }
    }
}

fn carried<'a>(files: &'a [FileItem], content: &'a [ContentItem]) -> (Vec<FileJson<'a>>, Vec<ContentJson<'a>>) {
    (files.iter().map(FileJson::of).collect(), content.iter().map(ContentJson::of).collect())
}

fn body(body: &EntryBody) -> (&'static str, BodyJson<'_>) {
    match body {
        EntryBody::CustomerMessage { text, files, content } => {
            let (files, content) = carried(files, content);
            ("message", BodyJson::Text { text, files, content })
        }
        EntryBody::AgentMessage { text, files, content, client_key, parts, lane } => {
            let lane = (*lane != Lane::Interactive).then(|| lane.as_str());
            let (files, content) = carried(files, content);
            ("message", BodyJson::Answer { text, files, content, client_key, parts: *parts, lane })
        }
        EntryBody::Edited { text, of } => ("edited", BodyJson::Edited { text, of: *of }),
        EntryBody::Opened { interaction, queue, by } => {
            ("opened", BodyJson::Opened { interaction: interaction.to_string(), queue, by: by.as_deref() })
        }
        EntryBody::Released { interaction, queue } => {
            ("released", BodyJson::Released { interaction: interaction.to_string(), queue })
        }
        EntryBody::Transferred { interaction, from, to, note } => {
            let (from, to) = (PlaceJson::of(from), PlaceJson::of(to));
            let interaction = interaction.to_string();
            ("transferred", BodyJson::Transferred { interaction, from, to, note: note.as_deref() })
        }
        EntryBody::Taken { interaction, agent } => {
            ("taken", BodyJson::Taken { interaction: interaction.to_string(), agent })
        }
        EntryBody::Closed { interaction, outcome } => {
            ("closed", BodyJson::Closed { interaction: interaction.to_string(), outcome: outcome.as_deref() })
        }
        EntryBody::File(end) => (
            "file",
            BodyJson::File {
                file: &end.file,
                of: end.of,
                state: &end.state,
                size_bytes: end.size_bytes,
                mime: end.mime.as_deref(),
                sha256: end.sha256.as_deref(),
                reason: end.reason.as_deref(),
            },
        ),
        EntryBody::Outcome { item, by } => (
            "outcome",
            BodyJson::Outcome {
                of: item.of,
                part: item.part,
                parts: item.parts,
                state: &item.state,
                reason: item.reason.as_deref(),
                by: by.as_deref(),
            },
        ),
        EntryBody::Membership { left } => {
            ("membership", BodyJson::Membership { state: if *left { "left" } else { "returned" } })
        }
        EntryBody::Unknown => ("unknown", BodyJson::Unknown {}),
    }
}

#[cfg(test)]
#[path = "frames_tests.rs"]
mod tests;
