//! What an account's platform can do, as data.

use serde_json::{Value, json};

use super::Limit;

/// What the chatserver must know of a platform before it queues a message, and what a desktop may show. Written to
/// `account.capabilities` from the platform's spec and the account's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Longest text of one part, in UTF-16 code units; a longer text is split.
    pub text_max_utf16: usize,
    /// The limits in force.
    pub limits: Vec<Limit>,
    /// What may be attached; none: nothing.
    pub files: Option<FileLimits>,
}

/// What may be attached to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileLimits {
    /// Largest photo, bytes.
    pub photo_max_bytes: u64,
    /// Largest file of any other kind, bytes.
    pub file_max_bytes: u64,
    /// Longest text that goes with a file, UTF-16 code units; a longer one follows as messages of its own.
    pub caption_max_utf16: usize,
}

impl Capabilities {
    /// As `account.capabilities` holds it.
    pub fn to_json(&self) -> Value {
        let limits: Vec<Value> = self.limits.iter().map(|limit| limit.to_json()).collect();
        let mut json = json!({ "text_max_utf16": self.text_max_utf16, "limits": limits });
        if let Some(files) = self.files {
            json["files"] = json!({
                "photo_max_bytes": files.photo_max_bytes,
                "file_max_bytes": files.file_max_bytes,
                "caption_max_utf16": files.caption_max_utf16,
            });
        }
        json
    }
}

impl FileLimits {
    /// Reads the `files` of `account.capabilities`.
    pub fn from_json(json: &Value) -> Option<Self> {
        Some(Self {
            photo_max_bytes: json["photo_max_bytes"].as_u64()?,
            file_max_bytes: json["file_max_bytes"].as_u64()?,
            caption_max_utf16: json["caption_max_utf16"].as_u64()?.try_into().ok()?,
        })
    }
}
