//! sendMediaGroup: two to ten files that are shown as one.

use serde_json::{Value, json};

use super::{
    around::{Around, put},
    send_file::{Content, fill, read_item},
};
use crate::{
    bot::State,
    files::Kind,
    params::Params,
    reply::{ApiError, Outcome, Success},
};

/// Files of an album; the method reference. (The platform forgives an album of one: this simulator does not.)
const ITEMS: std::ops::RangeInclusive<usize> = 2..=10;

/// One message each, all with the same group.
pub fn send_media_group(state: &mut State, params: &Params) -> Outcome {
    let items = match params.given("media") {
        Some(json) => {
            serde_json::from_str::<Vec<Value>>(json).map_err(|_| ApiError::bad("can't parse media JSON object"))?
        }
        None => return Err(ApiError::bad("parameter \"media\" is required")),
    };
    if items.is_empty() {
        return Err(ApiError::bad("there are no messages to send"));
    }
    if items.len() < *ITEMS.start() {
        return Err(ApiError::bad("too few messages to send as an album"));
    }
    if items.len() > *ITEMS.end() {
        return Err(ApiError::bad("too many messages to send as an album"));
    }
    if items.iter().any(|item| item["type"] == "animation") {
        return Err(ApiError::bad("type \"animation\" can't be used in sendMediaGroup"));
    }
    let contents = items.iter().map(|item| read_item(state, params, item)).collect::<Result<Vec<_>, _>>()?;
    check_mix(&contents)?;
    let around = Around::read_reply(params, state.chats.writable(params.get("chat_id"))?)?;
    let group = (state.bot_id * 1_000_000 + state.chats.next_group()).to_string();
    let (mut told, mut sent) = (Vec::new(), Vec::new());
    for content in contents {
        let mut fields = content.keep(state);
        fields.push(("media_group_id", json!(group)));
        let one = put(state, &around, |body| fill(body, fields));
        sent.extend(one.message_ids);
        told.push(one.result);
    }
    Ok(Success::messages(Value::Array(told), sent))
}

/// Documents go with documents, music with music; pictures and films go together.
fn check_mix(contents: &[Content]) -> Result<(), ApiError> {
    for (kind, word) in [(Kind::Document, "Document"), (Kind::Audio, "Audio")] {
        let of_kind = contents.iter().filter(|content| content.file.kind == kind).count();
        if of_kind != 0 && of_kind != contents.len() {
            return Err(ApiError::bad(format!("{word} can't be mixed with other media types")));
        }
    }
    Ok(())
}
