//! Canned replies as JSON.

use schemars::JsonSchema;
use serde::Serialize;
use switchboard_common::store::CannedReply;

/// The result of `replies`.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Replies")]
pub(super) struct RepliesJson {
    replies: Vec<ReplyJson>,
    next_after: Option<String>,
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Reply")]
struct ReplyJson {
    id: String,
    queue: Option<String>,
    key: String,
    text: String,
}

impl RepliesJson {
    /// A page of at most `limit`: a full one may have a next.
    pub(super) fn of(replies: Vec<CannedReply>, limit: i64) -> Self {
        let full = i64::try_from(replies.len()).is_ok_and(|count| count >= limit);
        let next_after = replies.last().filter(|_| full).map(|reply| reply.id.to_string());
        let shown = |CannedReply { id, queue, key, text }| ReplyJson { id: id.to_string(), queue, key, text };
        Self { replies: replies.into_iter().map(shown).collect(), next_after }
    }
}
