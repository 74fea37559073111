//! An entry of a chat's log, word for word as the websocket's `history` answers it (docs/protocol.md).

use chrono::SecondsFormat;
use serde::Serialize;
use serde_json::{Map, Value};
use switchboard_common::model::Lane;
use switchboard_common::store::{
    Author as Who, ChatPlace, ContentItem, Delivery, Entry as Stored, EntryBody, FileItem, LogPage,
};
use utoipa::ToSchema;

/// A page of a chat's log.
#[derive(Serialize, ToSchema)]
pub(crate) struct Log {
    #[schema(example = "17")]
    chat: String,
    /// Oldest first.
    entries: Vec<Entry>,
    /// Send it as `before` for what is older; null: the log begins here.
    next_before: Option<i64>,
    /// Send it as `after` for what is newer; null: nothing was newer.
    next_after: Option<i64>,
}

impl Log {
    pub(crate) fn of(chat: i64, page: LogPage) -> Self {
        let (first, last) = (page.entries.first().map(|entry| entry.seq), page.entries.last().map(|entry| entry.seq));
        let with_delivery = |stored: Stored| {
            let parts = page.delivery.iter().filter(|part| part.seq == stored.seq).map(Part::from).collect();
            let delivery = matches!(stored.body, EntryBody::AgentMessage { .. }).then_some(parts);
            Entry { delivery, ..Entry::from(stored) }
        };
        Self {
            chat: chat.to_string(),
            // A log begins with 1, so whoever has that has all.
            next_before: first.filter(|seq| *seq > 1),
            next_after: last.filter(|seq| *seq < page.last_seq),
            entries: page.entries.into_iter().map(with_delivery).collect(),
        }
    }
}

/// One line of a chat's log.
#[derive(Serialize, ToSchema)]
pub(crate) struct Entry {
    #[schema(example = "17")]
    pub(crate) chat: String,
    /// The account's name.
    #[schema(example = "support")]
    pub(crate) account: String,
    /// 1, 2, 3 … in its chat.
    pub(crate) seq: i64,
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    pub(crate) at: String,
    pub(crate) author: Author,
    #[serde(flatten)]
    pub(crate) body: EntryKind,
    /// How the parts of an agent's message stand now; in histories only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) delivery: Option<Vec<Part>>,
}

/// Who made an entry, with the name as it is now.
#[derive(Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Author {
    /// Switchboard itself.
    System {},
    /// A customer.
    Customer { id: String, name: Option<String> },
    /// An agent.
    Agent { id: String, name: Option<String> },
}

/// What an entry says. Kinds and fields may be added; pass over what you do not know.
#[derive(Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum EntryKind {
    /// A customer or an agent wrote.
    Message {
        text: String,
        /// What came with it; absent: nothing.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        #[schema(required = false)]
        files: Vec<File>,
        /// What came beside text and files; absent: nothing.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        #[schema(required = false)]
        content: Vec<Content>,
        /// From an agent: the agent's own name for it.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        client_key: Option<String>,
        /// From an agent: into how many parts it was split.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        parts: Option<i16>,
        /// From an agent: `bot` or `bulk`; absent: interactive.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        lane: Option<&'static str>,
    },
    /// A customer changed a message.
    Edited {
        text: String,
        /// Seq of the message; null: it is older than the log.
        of: Option<i64>,
    },
    /// An interaction began: the chat waits in its queue.
    Opened {
        interaction: String,
        queue: String,
        /// The name of the agent who opened it; absent: the customer wrote.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        by: Option<String>,
    },
    /// The agent gave the chat back: it waits again.
    Released { interaction: String, queue: String },
    /// The chat went to another agent or queue.
    Transferred {
        interaction: String,
        /// Who had it, or where it waited.
        from: Place,
        /// Who has it, or where it waits.
        to: Place,
        /// For the colleagues.
        note: Option<String>,
    },
    /// An agent took the chat.
    Taken { interaction: String, agent: String },
    /// The interaction ended.
    Closed { interaction: String, outcome: Option<String> },
    /// What became of a part.
    Outcome {
        /// Seq of the message.
        of: i64,
        part: i16,
        parts: i16,
        state: String,
        reason: Option<String>,
        /// The name of the agent who decided, when a person did.
        by: Option<String>,
    },
    /// How the fetching of a customer's file ended.
    File {
        file: String,
        /// Seq of the message that shows it; null: it is older than the log.
        of: Option<i64>,
        /// `ready` or `failed`.
        state: String,
        /// As counted.
        size_bytes: Option<i64>,
        /// The type that the bytes show; null: none that we know.
        mime: Option<String>,
        sha256: Option<String>,
        /// Why it failed.
        reason: Option<String>,
    },
    /// The customer left or returned.
    Membership {
        /// `left` or `returned`.
        state: &'static str,
    },
    /// Written by a later version.
    Unknown {},
}

/// Who has a chat, or where it waits.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Place {
    /// The agent of this name has it.
    Agent(String),
    /// It waits in the queue of this name.
    Queue(String),
}

impl From<ChatPlace> for Place {
    fn from(place: ChatPlace) -> Self {
        match place {
            ChatPlace::Agent(name) => Self::Agent(name),
            ChatPlace::Queue(name) => Self::Queue(name),
        }
    }
}

/// A file of a message: the file server hands it out at `/files/{account}/{file}`.
#[derive(Serialize, ToSchema)]
pub(crate) struct File {
    pub(crate) file: String,
    /// `photo`, `document`, `video`, `audio`, `voice`, `video_note`, `animation` or `sticker`.
    kind: String,
    /// As declared by who sent it.
    name: Option<String>,
    /// As declared by who sent it.
    mime: Option<String>,
    /// As declared by who sent it.
    size_bytes: Option<i64>,
}

/// Something that a message carries. Types may be added; of one that you do not know, show the name.
#[derive(Serialize, ToSchema)]
pub(crate) struct Content {
    /// `unsupported`: it is only announced, and the field `of` is the platform's word for it.
    r#type: String,
    /// The fields of its type.
    #[serde(flatten)]
    fields: Map<String, Value>,
}

impl Content {
    /// What it is, in a word.
    pub(crate) fn word(&self) -> &str {
        match self.fields.get("of") {
            Some(Value::String(of)) if self.r#type == "unsupported" => of,
            _ => &self.r#type,
        }
    }
}

impl From<ContentItem> for Content {
    fn from(item: ContentItem) -> Self {
        let ContentItem { r#type, fields } = item;
        Self { r#type, fields }
    }
}

/// How a part of an agent's message stands now.
#[derive(Serialize, ToSchema)]
pub(crate) struct Part {
    part: i16,
    /// `queued`, `sending`, `sent`, `failed`, `unconfirmed`, `cancelled` or `closed`.
    state: &'static str,
    reason: Option<String>,
}

impl From<&Delivery> for Part {
    fn from(part: &Delivery) -> Self {
        Self { part: part.part, state: part.state.as_str(), reason: part.reason.clone() }
    }
}

impl From<FileItem> for File {
    fn from(item: FileItem) -> Self {
        let FileItem { file, kind, name, mime, size_bytes } = item;
        Self { file, kind, name, mime, size_bytes }
    }
}

impl From<Stored> for Entry {
    fn from(entry: Stored) -> Self {
        Self {
            chat: entry.chat.to_string(),
            account: entry.account,
            seq: entry.seq,
            at: entry.at.to_rfc3339_opts(SecondsFormat::Millis, true),
            author: match entry.author {
                Who::System => Author::System {},
                Who::Customer { id, name } => Author::Customer { id: id.to_string(), name },
                Who::Agent { id, name } => Author::Agent { id: id.to_string(), name },
            },
            body: kind(entry.body),
            delivery: None,
        }
    }
}

fn kind(body: EntryBody) -> EntryKind {
    match body {
        EntryBody::CustomerMessage { text, files, content } => EntryKind::Message {
            text,
            files: files.into_iter().map(Into::into).collect(),
            content: content.into_iter().map(Into::into).collect(),
            client_key: None,
            parts: None,
            lane: None,
        },
        EntryBody::AgentMessage { text, files, content, client_key, parts, lane } => EntryKind::Message {
            text,
            files: files.into_iter().map(Into::into).collect(),
            content: content.into_iter().map(Into::into).collect(),
            client_key: Some(client_key),
            parts: Some(parts),
            lane: (lane != Lane::Interactive).then(|| lane.as_str()),
        },
        EntryBody::Edited { text, of } => EntryKind::Edited { text, of },
        EntryBody::Opened { interaction, queue, by } => {
            EntryKind::Opened { interaction: interaction.to_string(), queue, by }
        }
        EntryBody::Released { interaction, queue } => {
            EntryKind::Released { interaction: interaction.to_string(), queue }
        }
        EntryBody::Transferred { interaction, from, to, note } => {
            EntryKind::Transferred { interaction: interaction.to_string(), from: from.into(), to: to.into(), note }
        }
        EntryBody::Taken { interaction, agent } => EntryKind::Taken { interaction: interaction.to_string(), agent },
        EntryBody::Closed { interaction, outcome } => {
            EntryKind::Closed { interaction: interaction.to_string(), outcome }
        }
        EntryBody::Outcome { item, by } => EntryKind::Outcome {
            of: item.of,
            part: item.part,
            parts: item.parts,
            state: item.state,
            reason: item.reason,
            by,
        },
        EntryBody::File(end) => EntryKind::File {
            file: end.file,
            of: end.of,
            state: end.state,
            size_bytes: end.size_bytes,
            mime: end.mime,
            sha256: end.sha256,
            reason: end.reason,
        },
        EntryBody::Membership { left } => EntryKind::Membership { state: if left { "left" } else { "returned" } },
        EntryBody::Unknown => EntryKind::Unknown {},
    }
}
