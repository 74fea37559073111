//! Deletions: of the bot's own messages, and in private chats of incoming ones, for two days.

use serde_json::json;

use super::around::{message_id, message_ids};
use crate::{
    bot::State,
    chats::{Chat, ChatKind},
    params::Params,
    reply::{ApiError, Outcome, Success},
};

/// Seconds after which a message can no longer be deleted.
const DELETABLE_S: i64 = 48 * 60 * 60;

/// One message, which has to be there.
pub fn delete_message(state: &mut State, params: &Params) -> Outcome {
    let now = state.now();
    let chat = state.chats.writable(params.get("chat_id"))?;
    let id = message_id(params)?;
    if chat.message(id).is_none() {
        return Err(ApiError::bad("message to delete not found"));
    }
    may_delete(chat, id, now)?;
    delete(state, params, &[id])
}

/// Several messages; those that are not there are passed over.
pub fn delete_messages(state: &mut State, params: &Params) -> Outcome {
    let now = state.now();
    let chat = state.chats.writable(params.get("chat_id"))?;
    let mut ids = message_ids(params)?;
    ids.retain(|id| chat.message(*id).is_some());
    for id in &ids {
        may_delete(chat, *id, now)?;
    }
    delete(state, params, &ids)
}

fn may_delete(chat: &Chat, id: i64, now: i64) -> Result<(), ApiError> {
    let Some(message) = chat.messages.get(&id) else { return Ok(()) };
    if message.author.is_some() && chat.kind != ChatKind::Private && !chat.admin {
        return Err(ApiError::bad("message can't be deleted"));
    }
    if now - message.date >= DELETABLE_S {
        return Err(ApiError::bad("message can't be deleted for everyone"));
    }
    Ok(())
}

fn delete(state: &mut State, params: &Params, ids: &[i64]) -> Outcome {
    let chat = state.chats.writable(params.get("chat_id"))?;
    let chat_id = chat.id;
    ids.iter().for_each(|id| chat.forget(*id));
    state.changed(Some(chat_id), "delete");
    Ok(Success::messages(json!(true), ids.to_vec()))
}
