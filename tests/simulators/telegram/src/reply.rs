//! What a method answers, and the platform's envelope around it.

use serde::Serialize;
use serde_json::{Value, json};

/// What a method answers.
pub type Outcome = Result<Success, ApiError>;

/// A method that did what it was asked.
#[derive(Clone, Debug)]
pub struct Success {
    /// The `result` field.
    pub result: Value,
    /// The words that setWebhook and deleteWebhook add.
    pub description: Option<&'static str>,
    /// The messages made, changed, deleted or reacted to.
    pub message_ids: Vec<i64>,
}

/// A refusal, in the platform's words. The HTTP status equals `code`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// `error_code` and HTTP status.
    pub code: u16,
    /// `description`.
    pub description: String,
    /// `parameters.retry_after` and the header Retry-After, in seconds.
    pub retry_after: Option<u64>,
    /// `parameters.migrate_to_chat_id`.
    pub migrate_to: Option<i64>,
}

impl Success {
    /// A result without a message.
    pub fn of(result: Value) -> Self {
        Self { result, description: None, message_ids: Vec::new() }
    }

    /// The result of a method that answers the message it touched.
    pub fn message(result: Value, message_id: i64) -> Self {
        Self::messages(result, vec![message_id])
    }

    /// The result of a method that touched several messages.
    pub fn messages(result: Value, message_ids: Vec<i64>) -> Self {
        Self { result, description: None, message_ids }
    }
}

impl ApiError {
    fn new(code: u16, description: String) -> Self {
        Self { code, description, retry_after: None, migrate_to: None }
    }

    /// 400 with the platform's prefix.
    pub fn bad(what: impl AsRef<str>) -> Self {
        Self::new(400, format!("Bad Request: {}", what.as_ref()))
    }

    /// 401: no such bot.
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized".to_owned())
    }

    /// 403 with the platform's prefix.
    pub fn forbidden(what: &str) -> Self {
        Self::new(403, format!("Forbidden: {what}"))
    }

    /// 404: no such method or path.
    pub fn not_found() -> Self {
        Self::new(404, "Not Found".to_owned())
    }

    /// 409 with the platform's prefix.
    pub fn conflict(what: &str) -> Self {
        Self::new(409, format!("Conflict: {what}"))
    }

    /// 413: the request is larger than the platform takes.
    pub fn too_large() -> Self {
        Self::new(413, "Request Entity Too Large".to_owned())
    }

    /// 429: the caller waits `seconds`.
    pub fn flood(seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..Self::new(429, format!("Too Many Requests: retry after {seconds}")) }
    }

    /// 400 that names the chat's new id.
    pub fn migrated(to: i64) -> Self {
        Self { migrate_to: Some(to), ..Self::bad("group chat was upgraded to a supergroup chat") }
    }

    /// 500: the platform failed.
    pub fn internal() -> Self {
        Self::new(500, "Internal Server Error".to_owned())
    }

    /// Any refusal, for faults that name it.
    pub fn custom(code: u16, description: &str) -> Self {
        Self::new(code, description.to_owned())
    }
}

#[derive(Serialize)]
struct Envelope<'a> {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Value>,
}

/// The body of an answer.
pub fn envelope(outcome: &Outcome) -> Vec<u8> {
    let envelope = match outcome {
        Ok(success) => Envelope {
            ok: true,
            result: Some(&success.result),
            error_code: None,
            description: success.description,
            parameters: None,
        },
        Err(error) => Envelope {
            ok: false,
            result: None,
            error_code: Some(error.code),
            description: Some(&error.description),
            parameters: match (error.retry_after, error.migrate_to) {
                (Some(seconds), _) => Some(json!({ "retry_after": seconds })),
                (None, Some(chat)) => Some(json!({ "migrate_to_chat_id": chat })),
                (None, None) => None,
            },
        },
    };
    serde_json::to_vec(&envelope).expect("plain data serialises")
}
