//! Where a forwarded message is from.

use serde::Deserialize;
use serde_json::{Value, json};

/// The four kinds of origin.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Origin {
    /// A person.
    User {
        /// Their id.
        id: i64,
        /// Their first name.
        name: String,
    },
    /// A person who is not to be found by it.
    HiddenUser {
        /// What is shown of them.
        name: String,
    },
    /// A group, in whose name somebody spoke.
    Chat {
        /// Its id.
        id: i64,
        /// Its title.
        name: String,
    },
    /// A channel.
    Channel {
        /// Its id.
        id: i64,
        /// Its title.
        name: String,
        /// Which message of it.
        message_id: i64,
        /// Who signed it.
        signature: Option<String>,
    },
}

impl Origin {
    /// The `MessageOrigin` object.
    pub fn describe(&self, now: i64) -> Value {
        // An hour before it came here.
        let date = now - 3600;
        match self {
            Self::User { id, name } => {
                let user = json!({ "id": id, "is_bot": false, "first_name": name });
                json!({ "type": "user", "date": date, "sender_user": user })
            }
            Self::HiddenUser { name } => json!({ "type": "hidden_user", "date": date, "sender_user_name": name }),
            Self::Chat { id, name } => {
                let chat = json!({ "id": id, "type": "supergroup", "title": name });
                json!({ "type": "chat", "date": date, "sender_chat": chat })
            }
            Self::Channel { id, name, message_id, signature } => {
                let chat = json!({ "id": id, "type": "channel", "title": name });
                let mut origin = json!({ "type": "channel", "date": date, "chat": chat, "message_id": message_id });
                if let Some(signature) = signature {
                    origin["author_signature"] = json!(signature);
                }
                origin
            }
        }
    }
}
