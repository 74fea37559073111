//! sendMessage, sendChatAction, answerCallbackQuery.

use serde_json::json;

use super::around::{Around, put};
use crate::{
    bot::{Change, QUERY_S, State},
    chats::set_text,
    formatting,
    params::Params,
    reply::{ApiError, Outcome, Success},
    text::utf16_len,
};

/// Seconds a chat action shows.
const ACTION_S: i64 = 5;
/// Longest notice of answerCallbackQuery in characters.
const MAX_NOTICE: usize = 200;
const ACTIONS: [&str; 11] = [
    "typing",
    "upload_photo",
    "record_video",
    "upload_video",
    "record_voice",
    "upload_voice",
    "upload_document",
    "choose_sticker",
    "find_location",
    "record_video_note",
    "upload_video_note",
];

/// Two equal calls make two messages: the platform knows no idempotency.
pub fn send_message(state: &mut State, params: &Params) -> Outcome {
    let formatted = formatting::read(params)?;
    let chat = state.chats.writable(params.get("chat_id"))?;
    let around = Around::read(params, chat)?;
    let formatted = formatting::finish(formatted)?;
    Ok(put(state, &around, |body| set_text(body, &formatted)))
}

/// Shows for five seconds, or until a message comes.
pub fn send_chat_action(state: &mut State, params: &Params) -> Outcome {
    let until = state.now() + ACTION_S;
    let chat = state.chats.writable(params.get("chat_id"))?;
    let action = params.get("action").to_ascii_lowercase();
    if !ACTIONS.contains(&action.as_str()) {
        return Err(ApiError::bad("wrong parameter action in request"));
    }
    let id = chat.id;
    chat.action = Some((action, until));
    state.changed(Some(id), "action");
    Ok(Success::of(json!(true)))
}

/// Once for each press, and not later than 150 s after it.
pub fn answer_callback_query(state: &mut State, params: &Params) -> Outcome {
    let too_old = || ApiError::bad("query is too old and response timeout expired or query ID is invalid");
    let text = params.get("text");
    if utf16_len(text) > MAX_NOTICE {
        return Err(ApiError::bad("MESSAGE_TOO_LONG"));
    }
    let pressed = state.presses.remove(params.get("callback_query_id")).ok_or_else(too_old)?;
    if state.now() - pressed > QUERY_S {
        return Err(too_old());
    }
    state.tell(Change { chat: None, what: "answer", notice: (!text.is_empty()).then(|| text.to_owned()) });
    Ok(Success::of(json!(true)))
}
