//! The Bot API's envelope as it spells it. The objects inside are teloxide's types.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::value::RawValue;

/// Every answer of the Bot API.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope<'a> {
    pub ok: bool,
    #[serde(borrow)]
    pub result: Option<&'a RawValue>,
    pub error_code: Option<u16>,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub parameters: Parameters,
}

/// What a caller can do about an error.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Parameters {
    /// Seconds.
    pub retry_after: Option<u64>,
    /// The supergroup that a group has become.
    pub migrate_to_chat_id: Option<i64>,
}

/// Of an update, what the cursor needs.
#[derive(Debug, Deserialize)]
pub(super) struct UpdateId {
    pub update_id: i64,
}

/// Of a file, what it takes to fetch it.
#[derive(Debug, Deserialize)]
pub(super) struct FoundFile {
    pub file_path: Option<String>,
    pub file_size: Option<u64>,
}

/// Of a sent message, what we keep.
#[derive(Debug, Deserialize)]
pub(super) struct SentMessage {
    pub message_id: i64,
}

/// Of getWebhookInfo, what we act on.
#[derive(Debug, Deserialize)]
pub(super) struct WebhookTold {
    pub url: String,
    #[serde(default)]
    pub has_custom_certificate: bool,
    #[serde(default)]
    pub pending_update_count: u64,
    pub last_error_date: Option<i64>,
    pub last_error_message: Option<String>,
    #[serde(default)]
    pub allowed_updates: HashSet<String>,
}
