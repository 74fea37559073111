//! What every new message of the bot's may have around its content: what it replies to, and its keyboard.

use serde_json::{Value, json};

use crate::{
    bot::State,
    chats::{Chat, ChatKind, set_or_remove},
    formatting,
    keyboard::{self, Markup},
    params::Params,
    reply::{ApiError, Success},
    text::utf16_len,
};

/// Longest quote in UTF-16 units; the method reference.
const MAX_QUOTE: usize = 1024;

/// What a new message has around its content.
#[derive(Clone, Debug, Default)]
pub struct Around {
    chat: i64,
    markup: Markup,
    quoted: Option<Value>,
    quote: Option<Value>,
    protected: bool,
}

impl Around {
    /// Reads and checks it.
    pub fn read(params: &Params, chat: &Chat) -> Result<Self, ApiError> {
        let markup = keyboard::check(params.get("reply_markup"), chat.kind == ChatKind::Private)?;
        let (quoted, quote) = match reply_target(params)? {
            Some(target) => match chat.quoted(target.message_id).filter(|_| target.is_in(chat)) {
                None if !target.optional => return Err(ApiError::bad("message to be replied not found")),
                None => (None, None),
                Some(quoted) => {
                    let quote = target.quote(&quoted)?;
                    (Some(quoted), quote)
                }
            },
            None => (None, None),
        };
        Ok(Self { markup, quoted, quote, ..Self::bare(params, chat.id) })
    }

    /// The same without a keyboard: albums have none, whatever is sent along.
    pub fn read_reply(params: &Params, chat: &Chat) -> Result<Self, ApiError> {
        Ok(Self { markup: Markup::None, ..Self::read(params, chat)? })
    }

    /// Without a keyboard and without a reply.
    pub fn bare(params: &Params, chat: i64) -> Self {
        Self { chat, protected: params.flag("protect_content"), ..Self::default() }
    }
}

/// Puts a message of the bot's into its chat; `fill` writes the content.
pub fn put(state: &mut State, around: &Around, fill: impl FnOnce(&mut Value)) -> Success {
    let Around { chat: id, markup, quoted, quote, protected } = around.clone();
    let message_id = state.chats.next_message_id(id);
    let now = state.now();
    let mut body =
        json!({ "message_id": message_id, "from": state.bot_user(), "chat": state.chats.describe(id), "date": now });
    fill(&mut body);
    set_or_remove(&mut body, "reply_markup", markup.clone().inline());
    set_or_remove(&mut body, "reply_to_message", quoted);
    set_or_remove(&mut body, "quote", quote);
    set_or_remove(&mut body, "has_protected_content", protected.then_some(Value::Bool(true)));
    if let Some(chat) = state.chats.chats.get_mut(&id) {
        chat.keep(message_id, None, now, body.clone());
        match markup {
            Markup::Below(keys) => chat.keys = Some((message_id, keys)),
            Markup::Remove => chat.keys = None,
            Markup::None | Markup::Inline(_) => {}
        }
    }
    state.changed(Some(id), "message");
    Success::message(body, message_id)
}

struct ReplyTarget {
    message_id: i64,
    optional: bool,
    told: Value,
}

impl ReplyTarget {
    /// Replies into other chats are not played: their message is not found.
    fn is_in(&self, chat: &Chat) -> bool {
        let named = &self.told["chat_id"];
        named.is_null() || named.as_i64().or_else(|| named.as_str()?.parse().ok()) == Some(chat.id)
    }

    /// The part of the message that is quoted: it has to be in it, letter by letter.
    fn quote(&self, quoted: &Value) -> Result<Option<Value>, ApiError> {
        let Some(quote) = self.told["quote"].as_str().filter(|quote| !quote.is_empty()) else { return Ok(None) };
        let quote = formatting::plain(quote, self.told["quote_parse_mode"].as_str().unwrap_or_default())?.text;
        let text = quoted["text"].as_str().or_else(|| quoted["caption"].as_str()).unwrap_or_default();
        let wanted = self.told["quote_position"].as_u64().unwrap_or_default() as usize;
        let places = text.match_indices(&quote).map(|(at, _)| utf16_len(&text[..at]));
        let position = places.min_by_key(|at| at.abs_diff(wanted)).filter(|_| utf16_len(&quote) <= MAX_QUOTE);
        let position = position.ok_or_else(|| ApiError::bad("QUOTE_TEXT_INVALID"))?;
        Ok(Some(json!({ "text": quote, "position": position, "is_manual": true })))
    }
}

fn reply_target(params: &Params) -> Result<Option<ReplyTarget>, ApiError> {
    let Some(json) = params.given("reply_parameters") else { return Ok(None) };
    let told: Value =
        serde_json::from_str(json).map_err(|_| ApiError::bad("can't parse reply parameters JSON object"))?;
    if !told.is_object() {
        return Err(ApiError::bad("object expected as reply parameters"));
    }
    let message_id = told["message_id"].as_i64().filter(|id| *id > 0);
    let message_id = message_id.ok_or_else(|| ApiError::bad("invalid reply_to_message_id specified"))?;
    let optional = told["allow_sending_without_reply"].as_bool() == Some(true);
    Ok(Some(ReplyTarget { message_id, optional, told }))
}

/// The message that a request names.
pub fn message_id(params: &Params) -> Result<i64, ApiError> {
    let id = params.get("message_id").trim().parse::<i64>().ok().filter(|id| *id > 0);
    id.ok_or_else(|| ApiError::bad("message identifier is not specified"))
}

/// Most messages that one request names; the method reference.
const MAX_IDS: usize = 100;

/// The messages that a request names.
pub fn message_ids(params: &Params) -> Result<Vec<i64>, ApiError> {
    let unreadable = || ApiError::bad("can't parse message identifiers JSON array");
    let Some(json) = params.given("message_ids") else {
        return Err(ApiError::bad("message identifiers are not specified"));
    };
    let values: Vec<Value> = serde_json::from_str(json).map_err(|_| unreadable())?;
    if values.is_empty() {
        return Err(ApiError::bad("message identifiers are not specified"));
    }
    if values.len() > MAX_IDS {
        return Err(ApiError::bad("too many message identifiers specified"));
    }
    let number = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok()).filter(|id| *id > 0);
    values
        .iter()
        .map(|value| number(value).ok_or_else(|| ApiError::bad("invalid message identifier specified")))
        .collect()
}
