//! The JSON of the `item` columns in `pending` and `history`: a wire format between versions of our own
//! services, so it only ever gains optional fields.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::{Content, text};

/// `pending.item` of what a customer did.
#[derive(Debug, Default, Serialize, Deserialize, PartialEq)]
pub struct CustomerItem {
    /// The chat is a group.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub group: bool,
    /// The chat's title as the platform gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The platform's id of the author.
    pub author_id: String,
    /// The author's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author_name: Option<String>,
    /// Message: files that came with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileItem>,
    /// Message: what came beside text and files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub content: Vec<ContentItem>,
    /// Edit: dedupe key of the message that was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of_key: Option<String>,
    /// Membership: the customer can no longer be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<bool>,
}

/// A file in the `item` of a message: what an agent's desktop needs to offer it.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct FileItem {
    /// `FileId`.
    pub file: String,
    /// `FileKind` as its word.
    pub kind: String,
    /// As declared by who sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// As declared by who sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime: Option<String>,
    /// As declared by who sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<i64>,
}

/// Something in the `content` of a message. Only who makes it knows its type; everybody else hands it on as it is, so that
/// what a later version wrote reaches the agents through an earlier one.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct ContentItem {
    /// What it is.
    pub r#type: String,
    /// The fields of its type.
    #[serde(flatten)]
    pub fields: Map<String, Value>,
}

impl From<&Content> for ContentItem {
    fn from(content: &Content) -> Self {
        let (r#type, field, value) = match content {
            Content::Unsupported { of } => ("unsupported", "of", text::storable(of)),
        };
        Self { r#type: r#type.to_owned(), fields: [(field.to_owned(), Value::from(value))].into_iter().collect() }
    }
}

/// In the `history.item` of a transfer: who has a chat, or where it waits.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ChatPlace {
    /// The agent of this name has it.
    Agent(String),
    /// It waits in the queue of this name.
    Queue(String),
}

/// `outbox.item`: what a part carries beside its text.
#[derive(Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct PartItem {
    /// `FileId`: the text is what goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// `FileKind` as its word: as what the file is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#as: Option<String>,
}

/// `pending.item` and `history.item` of what became of a file's bytes.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct FileEndItem {
    /// `FileId`.
    pub file: String,
    /// In `history`: seq of the message that shows the file; none when the log does not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<i64>,
    /// `FileState` as its word: `ready` or `failed`.
    pub state: String,
    /// Ready: as counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<i64>,
    /// Ready: the type that its bytes show, when it is one that we know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime: Option<String>,
    /// Ready: hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Failed: a reason an agent can read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `pending.item` and `history.item` of an outcome.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct OutcomeItem {
    /// The message's seq in its chat.
    pub of: i64,
    /// Which part of it.
    pub part: i16,
    /// Of how many.
    pub parts: i16,
    /// `PartState` as its word.
    pub state: String,
    /// A reason an agent can read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The agent whose message it is: their feed gets the entry whoever has the chat now.
    pub agent_id: i32,
    /// The agent who decided, when a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<i32>,
}
