//! Orders to customers: write, edit, block, press.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{Answer, Body, Refused, bot};
use crate::{
    bot::{Deed, State as BotState},
    chats::{ChatKind, Standing},
    customers::{self, Origin, Saying},
    formatting::Entity,
    made_up::RawUpdate,
    server::Simulator,
};

type Platform = State<Arc<Simulator>>;

/// A message of a customer; in a private chat `chat` is the customer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Words {
    chat: i64,
    text: String,
    /// In a group: who writes.
    from: Option<i64>,
    first_name: Option<String>,
    username: Option<String>,
    language_code: Option<String>,
    reply_to: Option<i64>,
    /// The part of that message that is quoted.
    quote: Option<String>,
    /// Instead: from where the message is that it replies to.
    reply_from: Option<Origin>,
    /// Where it is forwarded from.
    forward: Option<Origin>,
    /// The customer's own formatting.
    #[serde(default)]
    entities: Vec<Entity>,
}

impl Words {
    fn say(self, bot: &mut BotState) -> Result<Deed, Refused> {
        let from = self.from.unwrap_or(self.chat);
        if from <= 0 {
            return Err(Refused::because("in a group `from` says who writes; ids of people are positive"));
        }
        bot.introduce(from, self.first_name, self.username, self.language_code);
        check_room(bot)?;
        let saying = Saying {
            text: Some(self.text),
            entities: self.entities,
            reply_to: self.reply_to,
            quote: self.quote,
            reply_from: self.reply_from,
            forward: self.forward,
            extra: Vec::new(),
        };
        Ok(bot.say(self.chat, from, saying)?)
    }
}

/// The platform would lose the update, and a test must not wonder where it went.
pub fn check_room(bot: &BotState) -> Result<(), Refused> {
    match bot.queue.is_full() {
        true => Err(Refused::because("100,000 updates wait: the platform would lose the next one")),
        false => Ok(()),
    }
}

#[derive(Debug, Deserialize)]
pub struct Message {
    acct: String,
    #[serde(flatten)]
    words: serde_json::Map<String, Value>,
}

pub async fn message(State(simulator): Platform, Body(order): Body<Message>) -> Answer<Deed> {
    // Not a flattened Words: serde cannot flatten and refuse unknown fields at once.
    let words: Words =
        serde_json::from_value(Value::Object(order.words)).map_err(|error| Refused::because(error.to_string()))?;
    Ok(Json(words.say(&mut bot(&simulator, &order.acct)?.lock())?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Messages {
    acct: String,
    items: Vec<Words>,
}

pub async fn messages(State(simulator): Platform, Body(order): Body<Messages>) -> Answer {
    let bot = bot(&simulator, &order.acct)?;
    // One lock for each: pollers get their turn in between.
    let deeds: Result<Vec<_>, _> = order.items.into_iter().map(|words| words.say(&mut bot.lock())).collect();
    Ok(Json(json!({ "items": deeds? })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Customer {
    acct: String,
    chat: i64,
    first_name: Option<String>,
    username: Option<String>,
    language_code: Option<String>,
}

pub async fn customer(State(simulator): Platform, Body(order): Body<Customer>) -> Answer {
    if order.chat <= 0 {
        return Err(Refused::because("ids of people are positive"));
    }
    let mut bot = bot(&simulator, &order.acct)?.lock();
    bot.introduce(order.chat, order.first_name, order.username, order.language_code);
    bot.chats.open(order.chat, ChatKind::Private, Standing::NeverStarted);
    bot.changed(Some(order.chat), "standing");
    Ok(Json(bot.chats.describe(order.chat)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    acct: String,
    chat: i64,
    message_id: i64,
    text: String,
    #[serde(default)]
    entities: Vec<Entity>,
}

pub async fn edit(State(simulator): Platform, Body(order): Body<Edit>) -> Answer<Deed> {
    let mut bot = bot(&simulator, &order.acct)?.lock();
    Ok(Json(bot.edit(order.chat, order.message_id, &order.text, &order.entities)?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InChat {
    acct: String,
    chat: i64,
    /// In a group: who does it.
    from: Option<i64>,
    /// `start`: what the deep link carries.
    payload: Option<String>,
    /// `contact`: the customer's own card.
    own: Option<bool>,
}

impl InChat {
    fn who(&self) -> i64 {
        self.from.unwrap_or(self.chat)
    }
}

pub async fn start(State(simulator): Platform, Body(order): Body<InChat>) -> Answer<Deed> {
    let text = match order.payload.as_deref() {
        Some(payload) if payload.len() > 64 => return Err(Refused::because("a payload has at most 64 characters")),
        Some(payload) => format!("/start {payload}"),
        None => "/start".to_owned(),
    };
    let mut bot = bot(&simulator, &order.acct)?.lock();
    let blocked = bot.chats.chats.get(&order.chat).is_some_and(|chat| chat.standing == Standing::Blocked);
    if blocked {
        bot.move_bot(order.chat, order.chat, Standing::Open)?;
    }
    Ok(Json(bot.say(order.chat, order.who(), Saying { text: Some(text), ..Saying::default() })?))
}

pub async fn block(State(simulator): Platform, Body(order): Body<InChat>) -> Answer<Deed> {
    Ok(Json(bot(&simulator, &order.acct)?.lock().move_bot(order.chat, order.chat, Standing::Blocked)?))
}

pub async fn unblock(State(simulator): Platform, Body(order): Body<InChat>) -> Answer<Deed> {
    Ok(Json(bot(&simulator, &order.acct)?.lock().move_bot(order.chat, order.chat, Standing::Open)?))
}

pub async fn deactivate(State(simulator): Platform, Body(order): Body<InChat>) -> Answer {
    let mut bot = bot(&simulator, &order.acct)?.lock();
    // Nobody is told: the bot finds out when it writes.
    let chat = bot.chats.chats.get_mut(&order.chat).ok_or_else(|| Refused::because("no such chat"))?;
    chat.standing = Standing::Deactivated;
    bot.changed(Some(order.chat), "standing");
    Ok(Json(json!({})))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Press {
    acct: String,
    chat: i64,
    message_id: i64,
    data: String,
    from: Option<i64>,
    /// The bot is told the message's place only.
    #[serde(default)]
    inaccessible: bool,
    /// What the customer wrote before, and the bot hears after.
    overtakes: Option<String>,
}

pub async fn callback(State(simulator): Platform, Body(order): Body<Press>) -> Answer<Deed> {
    let mut bot = bot(&simulator, &order.acct)?.lock();
    let Press { chat, message_id, data, inaccessible, overtakes, .. } = order;
    let press = customers::Press { chat, from: order.from.unwrap_or(chat), message_id, data, inaccessible, overtakes };
    Ok(Json(bot.press(press)?))
}

pub async fn contact(State(simulator): Platform, Body(order): Body<InChat>) -> Answer<Deed> {
    let mut bot = bot(&simulator, &order.acct)?.lock();
    Ok(Json(bot.contact(order.chat, order.who(), order.own.unwrap_or(true))?))
}

/// An update that a test made up: `body` is any JSON, `text_raw` any text at all.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MadeUp {
    acct: String,
    body: Option<Box<RawValue>>,
    text_raw: Option<String>,
    #[serde(default)]
    keep_id: bool,
    chat: Option<i64>,
    key: Option<String>,
}

pub async fn update(State(simulator): Platform, Body(order): Body<MadeUp>) -> Answer<Deed> {
    let text = match (order.body, order.text_raw) {
        (Some(body), None) => body.get().to_owned(),
        (None, Some(text)) => text,
        _ => return Err(Refused::because("give either `body` or `text_raw`")),
    };
    let own_id = serde_json::from_str::<Value>(&text).ok().and_then(|value| value.get("update_id")?.as_i64());
    let raw = RawUpdate {
        text,
        own_id: own_id.filter(|_| order.keep_id),
        keep_id: order.keep_id,
        chat: order.chat,
        key: order.key,
    };
    let mut bot = bot(&simulator, &order.acct)?.lock();
    check_room(&bot)?;
    if let Some(chat) = order.chat {
        let kind = if chat > 0 { ChatKind::Private } else { ChatKind::Group { title: format!("Group {chat}") } };
        bot.chats.open(chat, kind, Standing::NeverStarted);
    }
    Ok(Json(bot.enqueue_raw(&raw)))
}
