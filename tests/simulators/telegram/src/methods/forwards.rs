//! Forwarding keeps where a message is from, copying does not.

use serde_json::{Value, json};

use super::around::{Around, message_id, message_ids, put};
use crate::{
    bot::State,
    chats::{CONTENT, is_content, set_caption, set_or_remove},
    files::Kind,
    formatting,
    params::Params,
    reply::{ApiError, Outcome, Success},
};

/// One message with its origin.
pub fn forward_message(state: &mut State, params: &Params) -> Outcome {
    let around = bare(state, params)?;
    let source = source(state, params, message_id(params)?, "forward")?;
    Ok(put(state, &around, |body| forwarded(body, &source)))
}

/// Several, in their order; those that cannot go are passed over.
pub fn forward_messages(state: &mut State, params: &Params) -> Outcome {
    several(state, params, "forward", forwarded)
}

/// One message without its origin, with a caption of its own when one is given.
pub fn copy_message(state: &mut State, params: &Params) -> Outcome {
    let caption = match params.has("caption") {
        true => Some(formatting::finish_caption(formatting::read_caption(params)?)?),
        false => None,
    };
    let around = Around::read(params, state.chats.writable(params.get("chat_id"))?)?;
    let source = source(state, params, message_id(params)?, "copy")?;
    let mut sent = put(state, &around, |body| {
        copied(body, &source);
        if let Some(caption) = caption.filter(|_| Kind::of(&source).is_some_and(Kind::has_caption)) {
            set_caption(body, &caption);
        }
    });
    sent.result = json!({ "message_id": sent.result["message_id"] });
    Ok(sent)
}

/// Several, in their order, on wish without their captions.
pub fn copy_messages(state: &mut State, params: &Params) -> Outcome {
    let bare = params.flag("remove_caption");
    several(state, params, "copy", |body, source| {
        copied(body, source);
        if bare {
            set_or_remove(body, "caption", None);
            set_or_remove(body, "caption_entities", None);
        }
    })
}

fn bare(state: &mut State, params: &Params) -> Result<Around, ApiError> {
    let chat = state.chats.writable(params.get("chat_id"))?.id;
    Ok(Around::bare(params, chat))
}

fn several(state: &mut State, params: &Params, what: &str, fill: impl Fn(&mut Value, &Value)) -> Outcome {
    let ids = message_ids(params)?;
    if !ids.is_sorted_by(|one, next| one < next) {
        return Err(ApiError::bad("message identifiers must be in a strictly increasing order"));
    }
    let around = bare(state, params)?;
    state.chats.find(params.get("from_chat_id"))?;
    let sources: Vec<_> = ids.iter().filter_map(|id| source(state, params, *id, what).ok()).collect();
    if sources.is_empty() {
        return Err(ApiError::bad(format!("there are no messages to {what}")));
    }
    let mut sent = Vec::new();
    for source in &sources {
        sent.extend(put(state, &around, |body| fill(body, source)).message_ids);
    }
    let told = sent.iter().map(|id| json!({ "message_id": id })).collect();
    Ok(Success::messages(told, sent))
}

/// The message that goes elsewhere: not a service message, and not one that is protected.
fn source(state: &mut State, params: &Params, id: i64, what: &str) -> Result<Value, ApiError> {
    let chat = state.chats.find(params.get("from_chat_id"))?;
    let found = chat.message(id).cloned();
    let found = found.ok_or_else(|| ApiError::bad(format!("message to {what} not found")))?;
    if found["has_protected_content"] == true || !is_content(&found) {
        let why = if what == "copy" { "message can't be copied" } else { "message can't be forwarded" };
        return Err(ApiError::bad(why));
    }
    Ok(found)
}

fn copied(body: &mut Value, source: &Value) {
    for field in CONTENT {
        set_or_remove(body, field, source.get(field).cloned());
    }
}

fn forwarded(body: &mut Value, source: &Value) {
    copied(body, source);
    let first = json!({ "type": "user", "date": source["date"], "sender_user": source["from"] });
    body["forward_origin"] = source.get("forward_origin").cloned().unwrap_or(first);
}
