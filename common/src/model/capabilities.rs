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
}

impl Capabilities {
    /// As `account.capabilities` holds it.
    pub fn to_json(&self) -> Value {
        let limits: Vec<Value> = self.limits.iter().map(|limit| limit.to_json()).collect();
        json!({ "text_max_utf16": self.text_max_utf16, "limits": limits })
    }
}
