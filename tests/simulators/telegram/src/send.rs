//! Methods that write to chats: sendMessage, editMessageText, deleteMessage, sendChatAction, answerCallbackQuery.

use serde_json::{Value, json};

use crate::{
    bot::{Change, QUERY_S, State},
    chats::{Chat, ChatKind, set_or_remove, set_text},
    formatting::{self, Formatted},
    keyboard,
    params::Params,
    reply::{ApiError, Outcome, Success},
    text::utf16_len,
};

/// Seconds after which a message can no longer be deleted.
const DELETABLE_S: i64 = 48 * 60 * 60;
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
const NOT_MODIFIED: &str = "message is not modified: specified new message content and reply markup are exactly the same \
                            as a current content and reply markup of the message";

/// Two equal calls make two messages: the platform knows no idempotency.
pub fn send_message(state: &mut State, params: &Params) -> Outcome {
    let formatted = formatting::read(params)?;
    let chat = state.chats.writable(params.get("chat_id"))?;
    let around = Around::read(params, chat)?;
    let formatted = formatting::finish(formatted)?;
    Ok(put(state, around, |body| set_text(body, &formatted)))
}

/// What every new message may have around its content.
pub struct Around {
    chat: i64,
    markup: Option<Value>,
    quoted: Option<Value>,
    protected: bool,
}

impl Around {
    /// Reads and checks it.
    pub fn read(params: &Params, chat: &Chat) -> Result<Self, ApiError> {
        let markup = keyboard::check(params.get("reply_markup"), chat.kind == ChatKind::Private)?;
        let quoted = match reply_target(params)? {
            Some(target) => match chat.quoted(target.message_id) {
                None if !target.optional => return Err(ApiError::bad("message to be replied not found")),
                quoted => quoted,
            },
            None => None,
        };
        Ok(Self { chat: chat.id, markup, quoted, protected: params.flag("protect_content") })
    }
}

/// Puts a message of the bot's into its chat; `fill` writes the content.
pub fn put(state: &mut State, around: Around, fill: impl FnOnce(&mut Value)) -> Success {
    let Around { chat: id, markup, quoted, protected } = around;
    let message_id = state.chats.next_message_id(id);
    let now = state.now();
    let mut body =
        json!({ "message_id": message_id, "from": state.bot_user(), "chat": state.chats.describe(id), "date": now });
    fill(&mut body);
    set_or_remove(&mut body, "reply_markup", markup);
    set_or_remove(&mut body, "reply_to_message", quoted);
    set_or_remove(&mut body, "has_protected_content", protected.then_some(Value::Bool(true)));
    if let Some(chat) = state.chats.chats.get_mut(&id) {
        chat.keep(message_id, None, now, body.clone());
    }
    state.changed(Some(id), "message");
    Success::message(body, message_id)
}

struct ReplyTarget {
    message_id: i64,
    optional: bool,
}

fn reply_target(params: &Params) -> Result<Option<ReplyTarget>, ApiError> {
    let Some(json) = params.given("reply_parameters") else { return Ok(None) };
    let value: Value =
        serde_json::from_str(json).map_err(|_| ApiError::bad("can't parse reply parameters JSON object"))?;
    if !value.is_object() {
        return Err(ApiError::bad("object expected as reply parameters"));
    }
    let message_id = value["message_id"].as_i64().filter(|id| *id > 0);
    let message_id = message_id.ok_or_else(|| ApiError::bad("invalid reply_to_message_id specified"))?;
    Ok(Some(ReplyTarget { message_id, optional: value["allow_sending_without_reply"].as_bool() == Some(true) }))
}

fn message_id(params: &Params) -> Result<i64, ApiError> {
    let id = params.get("message_id").trim().parse::<i64>().ok().filter(|id| *id > 0);
    id.ok_or_else(|| ApiError::bad("message identifier is not specified"))
}

/// Only the bot's own messages, at any age; content that stays the same is refused.
pub fn edit_message_text(state: &mut State, params: &Params) -> Outcome {
    if params.given("inline_message_id").is_some() {
        return Err(ApiError::bad("MESSAGE_ID_INVALID"));
    }
    let formatted = formatting::read(params)?;
    let now = state.now();
    let chat = state.chats.writable(params.get("chat_id"))?;
    let (chat_id, private) = (chat.id, chat.kind == ChatKind::Private);
    let id = message_id(params)?;
    let markup = keyboard::check(params.get("reply_markup"), private)?;
    let message = chat.messages.get_mut(&id).filter(|message| message.body.is_some());
    let message = message.ok_or_else(|| ApiError::bad("message to edit not found"))?;
    if message.author.is_some() {
        return Err(ApiError::bad("message can't be edited"));
    }
    let formatted: Formatted = formatting::finish(formatted)?;
    let body = message.body.as_mut().expect("filtered above");
    let mut changed = body.clone();
    set_text(&mut changed, &formatted);
    set_or_remove(&mut changed, "reply_markup", markup);
    if changed == *body {
        return Err(ApiError::bad(NOT_MODIFIED));
    }
    changed["edit_date"] = json!(now);
    body.clone_from(&changed);
    state.changed(Some(chat_id), "edit");
    Ok(Success::message(changed, id))
}

/// Own messages, and incoming ones of private chats, for two days.
pub fn delete_message(state: &mut State, params: &Params) -> Outcome {
    let now = state.now();
    let chat = state.chats.writable(params.get("chat_id"))?;
    let (chat_id, private) = (chat.id, chat.kind == ChatKind::Private);
    let id = message_id(params)?;
    let message = chat.messages.get_mut(&id).filter(|message| message.body.is_some());
    let message = message.ok_or_else(|| ApiError::bad("message to delete not found"))?;
    if message.author.is_some() && !private {
        return Err(ApiError::bad("message can't be deleted"));
    }
    if now - message.date >= DELETABLE_S {
        return Err(ApiError::bad("message can't be deleted for everyone"));
    }
    message.body = None;
    state.changed(Some(chat_id), "delete");
    Ok(Success::message(json!(true), id))
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
