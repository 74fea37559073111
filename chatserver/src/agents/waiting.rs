//! What waits, as JSON.

use chrono::{DateTime, SecondsFormat, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use switchboard_common::store::{WaitingPart, WaitingParts};

/// The result of `waiting`.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Waiting")]
pub(super) struct WaitingJson {
    chat: String,
    parts: Vec<PartJson>,
    /// Older ones found no place; absent when all did.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    more: bool,
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "WaitingPart")]
struct PartJson {
    seq: i64,
    part: i16,
    lane: &'static str,
    state: &'static str,
    position: usize,
    exact: bool,
    expected_s: Option<f64>,
    reason: &'static str,
    until: Option<String>,
}

impl WaitingJson {
    pub(super) fn of(chat: i64, waiting: &WaitingParts) -> Self {
        let parts = waiting.parts.iter().map(PartJson::of).collect();
        Self { chat: chat.to_string(), parts, more: waiting.more }
    }
}

impl PartJson {
    fn of(part: &WaitingPart) -> Self {
        let time = |until: DateTime<Utc>| until.to_rfc3339_opts(SecondsFormat::Millis, true);
        Self {
            seq: part.seq,
            part: part.part,
            lane: part.lane.as_str(),
            state: part.state.as_str(),
            position: part.position,
            exact: part.exact,
            // More digits would promise too much.
            expected_s: part.expected_s.map(|seconds| (seconds * 10.0).round() / 10.0),
            reason: part.reason.as_str(),
            until: part.until.map(time),
        }
    }
}
