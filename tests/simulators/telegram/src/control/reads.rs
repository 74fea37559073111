//! What tests and pages may look at.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Json,
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use futures_util::{Stream, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use super::{Answer, OfAccount, OfQuery, Refused, bot};
use crate::{
    bot::{Change, State as BotState},
    chats::{Chat, Message, Standing},
    clock::boottime_ns,
    server::Simulator,
};

type Platform = State<Arc<Simulator>>;

pub async fn state(State(simulator): Platform, query: OfQuery<OfAccount>) -> Answer {
    let bot = bot(&simulator, &query.acct)?;
    let mut state = bot.lock();
    let now = state.now();
    state.queue.expire(now);
    Ok(Json(json!({
        "acct": bot.name,
        "unix": now,
        "queue": {
            "waiting": state.queue.len(),
            "next_update_id": state.queue.next_id(),
            "last_confirmed": state.queue.last_confirmed,
            "allowed_updates": state.allowed,
        },
        "polls": {
            "count": state.polling.polls,
            "conflicts": state.polling.conflicts,
            "waiting": state.polling.is_waiting(),
        },
        "downloads": state.files.downloads,
        "calls": { "open": bot.open_calls(), "by_reply": state.replies },
        "limits": state.limiter.rules,
        "high_water": state.limiter.high_water(boottime_ns()),
        "faults": state.faults.standing(),
        "webhook": state.webhook.as_ref().map(|hook| &hook.url),
        "delivery": {
            "in_flight": state.delivery.in_flight(),
            "attempts": state.delivery.attempts,
            "last_error": state.delivery.last_error.as_ref().map(|(_, why)| why),
            "behaviour": state.delivery.behaviour,
        },
        "chats": state.chats.chats.len(),
    })))
}

#[derive(Debug, Deserialize)]
pub struct OfChat {
    acct: String,
    chat: i64,
}

/// A conversation, oldest message first.
pub async fn chat(State(simulator): Platform, query: OfQuery<OfChat>) -> Answer {
    let state = bot(&simulator, &query.acct)?.lock();
    let chat = state.chats.chats.get(&query.chat).ok_or_else(|| Refused::because(format!("no chat {}", query.chat)))?;
    let action = chat.action.as_ref().filter(|(_, until)| *until > state.now()).map(|(action, _)| action);
    let messages: Vec<_> = chat.messages.iter().map(|(id, message)| show(&state, *id, message)).collect();
    Ok(Json(json!({
        "chat": state.chats.describe(query.chat),
        "standing": standing(chat.standing),
        "action": action,
        "keys": chat.keys.as_ref().map(|(with, markup)| json!({ "message_id": with, "markup": markup })),
        "commands": state.menu.shown(query.chat),
        "menu_button": state.menu.button(Some(query.chat)),
        "messages": messages,
    })))
}

fn show(state: &BotState, id: i64, message: &Message) -> Value {
    let from = if message.author.is_none() { "bot" } else { "customer" };
    let Some(body) = &message.body else {
        return json!({ "message_id": id, "from": from, "date": message.date, "deleted": true });
    };
    let text = body.get("text").or_else(|| body.get("caption"));
    let entities = body.get("entities").or_else(|| body.get("caption_entities"));
    let service = SERVICE.into_iter().find(|field| body.get(field).is_some());
    let quoted = body.get("reply_to_message");
    json!({
        "message_id": id,
        "from": from,
        "author": body["from"]["first_name"],
        "date": message.date,
        "text": text,
        "entities": entities,
        "other": service,
        "contact": body.get("contact"),
        "location": body.get("location"),
        "venue": body.get("venue"),
        "poll": body.get("poll"),
        "file": super::media::shown(state, body),
        "edited": body.get("edit_date").is_some(),
        "reply_to": quoted.map(|quoted| &quoted["message_id"]),
        "reply_text": quoted.and_then(|quoted| quoted.get("text").or_else(|| quoted.get("caption"))),
        "quote": body.get("quote").map(|quote| &quote["text"]),
        "forwarded": body.get("forward_origin").map(from_whom),
        "reactions": reactions(message),
        "buttons": body["reply_markup"]["inline_keyboard"],
        "deleted": false,
    })
}

/// What nobody says: the platform itself tells it.
const SERVICE: [&str; 8] = [
    "new_chat_members",
    "left_chat_member",
    "new_chat_title",
    "pinned_message",
    "delete_chat_photo",
    "message_auto_delete_timer_changed",
    "migrate_to_chat_id",
    "migrate_from_chat_id",
];

/// The name that an origin shows.
fn from_whom(origin: &Value) -> &Value {
    match origin["type"].as_str() {
        Some("user") => &origin["sender_user"]["first_name"],
        Some("hidden_user") => &origin["sender_user_name"],
        Some("chat") => &origin["sender_chat"]["title"],
        _ => &origin["chat"]["title"],
    }
}

/// Who reacted how, the bot first.
fn reactions(message: &Message) -> Vec<Value> {
    let each = message.reactions.iter().flat_map(|(who, all)| all.iter().map(move |one| (who, one)));
    each.map(
        |(who, one)| json!({ "from": if *who == 0 { "bot" } else { "customer" }, "by": who, "emoji": one["emoji"] }),
    )
    .collect()
}

fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Open => "open",
        Standing::NeverStarted => "never_started",
        Standing::Blocked => "blocked",
        Standing::Deactivated => "deactivated",
        Standing::Kicked => "kicked",
        Standing::Migrated(_) => "migrated",
    }
}

/// All chats, the most recently used first.
pub async fn chats(State(simulator): Platform, query: OfQuery<OfAccount>) -> Answer {
    let state = bot(&simulator, &query.acct)?.lock();
    let last = |chat: &Chat| chat.messages.last_key_value().map_or((0, 0), |(id, message)| (message.date, *id));
    let mut chats: Vec<_> = state.chats.chats.values().collect();
    chats.sort_by_key(|chat| std::cmp::Reverse(last(chat)));
    let rows: Vec<_> = chats
        .into_iter()
        .map(|chat| {
            json!({
                "chat": state.chats.describe(chat.id),
                "standing": standing(chat.standing),
                "messages": chat.messages.len(),
                "last": chat.messages.last_key_value().map(|(id, message)| show(&state, *id, message)),
            })
        })
        .collect();
    Ok(Json(json!({ "chats": rows })))
}

/// Changes as they happen, as server-sent events. `lost` says that some were missed: read anew.
pub async fn events(
    State(simulator): Platform,
    query: OfQuery<OfAccount>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refused> {
    let changes = bot(&simulator, &query.acct)?.changes.subscribe();
    let stream = stream::unfold(changes, |mut changes| async move {
        let change = match changes.recv().await {
            Ok(change) => change,
            Err(RecvError::Lagged(_)) => Change { chat: None, what: "lost", notice: None },
            Err(RecvError::Closed) => return None,
        };
        let data = serde_json::to_string(&change).expect("plain data serialises");
        Some((Ok(Event::default().data(data)), changes))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()))
}
