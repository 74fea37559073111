//! Edits: only of the bot's own messages, at any age; what stays the same is refused.

use serde_json::{Value, json};

use super::{
    around::message_id,
    send_file::{Content, read_item},
};
use crate::{
    bot::State,
    chats::{CONTENT, set_caption, set_or_remove, set_text},
    files::{Kind, file_id_of},
    formatting, keyboard,
    params::Params,
    reply::{ApiError, Outcome, Success},
};

const NOT_MODIFIED: &str = "message is not modified: specified new message content and reply markup are exactly the same \
                            as a current content and reply markup of the message";

/// New words; those of a file are its caption, and no text.
pub fn text(state: &mut State, params: &Params) -> Outcome {
    let formatted = formatting::read(params)?;
    edit(state, params, |_, body| {
        if body.get("text").is_none() {
            return Err(ApiError::bad("there is no text in the message to edit"));
        }
        set_text(body, &formatting::finish(formatted)?);
        Ok(())
    })
}

/// A new caption, or none.
pub fn caption(state: &mut State, params: &Params) -> Outcome {
    let formatted = formatting::read_caption(params)?;
    edit(state, params, |_, body| {
        if !has_caption(body) {
            return Err(ApiError::bad("there is no caption in the message to edit"));
        }
        set_caption(body, &formatting::finish_caption(formatted)?);
        set_or_remove(
            body,
            "show_caption_above_media",
            params.flag("show_caption_above_media").then_some(Value::Bool(true)),
        );
        Ok(())
    })
}

/// Another file, or one in the place of a text.
pub fn media(state: &mut State, params: &Params) -> Outcome {
    let item = params.given("media").ok_or_else(|| ApiError::bad("media is empty"))?;
    let item: Value = serde_json::from_str(item).map_err(|_| ApiError::bad("can't parse input media JSON object"))?;
    let content = read_item(state, params, &item)?;
    edit(state, params, |state, body| {
        let album = body.get("media_group_id").is_some();
        let kind = Kind::of(body);
        if body.get("text").is_none() && !kind.is_some_and(is_exchanged) {
            return Err(ApiError::bad("message can't be edited"));
        }
        if album && !kind.is_some_and(|kind| fits_album(kind, content.file.kind)) {
            return Err(ApiError::bad("message can't be edited"));
        }
        replace(state, body, content);
        Ok(())
    })
}

/// Another inline keyboard, or none.
pub fn reply_markup(state: &mut State, params: &Params) -> Outcome {
    edit(state, params, |_, _| Ok(()))
}

/// Finds the message, lets `change` write its content, and keeps what came out.
fn edit(
    state: &mut State,
    params: &Params,
    change: impl FnOnce(&mut State, &mut Value) -> Result<(), ApiError>,
) -> Outcome {
    if params.given("inline_message_id").is_some() {
        return Err(ApiError::bad("MESSAGE_ID_INVALID"));
    }
    let now = state.now();
    let chat = state.chats.writable(params.get("chat_id"))?;
    let (chat_id, id) = (chat.id, message_id(params)?);
    let markup = keyboard::check_inline(params.get("reply_markup"))?;
    let message = chat.messages.get(&id).filter(|message| message.body.is_some());
    let message = message.ok_or_else(|| ApiError::bad("message to edit not found"))?;
    let old = message.body.clone().unwrap_or_default();
    if message.author.is_some() || old.get("forward_origin").is_some() {
        return Err(ApiError::bad("message can't be edited"));
    }
    let mut changed = old.clone();
    change(state, &mut changed)?;
    set_or_remove(&mut changed, "reply_markup", markup);
    if changed == old {
        return Err(ApiError::bad(NOT_MODIFIED));
    }
    changed["edit_date"] = json!(now);
    let message = state.chats.chats.get_mut(&chat_id).and_then(|chat| chat.messages.get_mut(&id));
    if let Some(message) = message {
        message.body = Some(changed.clone());
    }
    state.changed(Some(chat_id), "edit");
    Ok(Success::message(changed, id))
}

fn has_caption(body: &Value) -> bool {
    Kind::of(body).is_some_and(|kind| kind.has_caption())
}

/// Whether a message with such a file may get another one.
fn is_exchanged(kind: Kind) -> bool {
    !matches!(kind, Kind::Sticker | Kind::Voice | Kind::VideoNote)
}

/// Inside an album music stays music, documents stay documents, pictures and films may change places.
fn fits_album(old: Kind, new: Kind) -> bool {
    let shown = |kind| matches!(kind, Kind::Photo | Kind::Video);
    old == new || (shown(old) && shown(new))
}

/// Writes new content over the old; the same file again stays what it was.
fn replace(state: &mut State, body: &mut Value, content: Content) {
    let old = file_id_of(body).and_then(|id| state.files.get(id));
    if old.is_some_and(|old| old.kind == content.file.kind && old.sha256 == content.file.sha256) {
        set_caption(body, &content.caption);
        return;
    }
    for field in CONTENT {
        set_or_remove(body, field, None);
    }
    content.write(state, body);
}
