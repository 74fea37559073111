//! Orders about groups: who is in them, what happens there, what the bot may see.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Answer, Body, Refused, bot};
use crate::{
    bot::Deed,
    chats::{ChatKind, Standing},
    customers::Event,
    server::Simulator,
};

type Platform = State<Arc<Simulator>>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    acct: String,
    chat: i64,
    title: String,
    #[serde(default)]
    supergroup: bool,
}

pub async fn group(State(simulator): Platform, Body(order): Body<Group>) -> Answer {
    if order.chat >= 0 {
        return Err(Refused::because("ids of groups are negative"));
    }
    let kind = match order.supergroup {
        true => ChatKind::Supergroup { title: order.title },
        false => ChatKind::Group { title: order.title },
    };
    let mut bot = bot(&simulator, &order.acct)?.lock();
    bot.chats.open(order.chat, kind, Standing::Open);
    Ok(Json(bot.chats.describe(order.chat)))
}

/// Somebody does something in a group.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InGroup {
    acct: String,
    chat: i64,
    /// Who does it.
    from: i64,
}

pub async fn kick(State(simulator): Platform, Body(order): Body<InGroup>) -> Answer<Deed> {
    let mut bot = bot(&simulator, &order.acct)?.lock();
    bot.introduce(order.from, None, None, None);
    Ok(Json(bot.move_bot(order.chat, order.from, Standing::Kicked)?))
}

/// Somebody adds the bot to a group, which is new or threw it out before.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invite {
    acct: String,
    chat: i64,
    from: i64,
    title: String,
}

pub async fn invite(State(simulator): Platform, Body(order): Body<Invite>) -> Answer {
    if order.chat >= 0 {
        return Err(Refused::because("ids of groups are negative"));
    }
    let deeds = bot(&simulator, &order.acct)?.lock().invite(order.chat, &order.title, order.from)?;
    Ok(Json(json!({ "items": deeds })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Promote {
    acct: String,
    chat: i64,
    from: i64,
    #[serde(default = "yes")]
    admin: bool,
}

fn yes() -> bool {
    true
}

pub async fn promote(State(simulator): Platform, Body(order): Body<Promote>) -> Answer<Deed> {
    Ok(Json(bot(&simulator, &order.acct)?.lock().promote(order.chat, order.from, order.admin)?))
}

/// A service message: `what` names it.
#[derive(Debug, Deserialize)]
pub struct Service {
    acct: String,
    chat: i64,
    from: i64,
    #[serde(flatten)]
    event: Map<String, Value>,
}

pub async fn service(State(simulator): Platform, Body(order): Body<Service>) -> Answer<Deed> {
    // Not a flattened Event: serde cannot flatten and refuse unknown fields at once.
    let event: Event =
        serde_json::from_value(Value::Object(order.event)).map_err(|error| Refused::because(error.to_string()))?;
    Ok(Json(bot(&simulator, &order.acct)?.lock().happen(order.chat, order.from, event)?))
}

/// Whether groups show the bot only what is meant for it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Privacy {
    acct: String,
    on: bool,
}

pub async fn privacy(State(simulator): Platform, Body(order): Body<Privacy>) -> Answer {
    bot(&simulator, &order.acct)?.lock().privacy = order.on;
    Ok(Json(json!({ "on": order.on })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Migrate {
    acct: String,
    chat: i64,
    to: i64,
    from: i64,
}

pub async fn migrate(State(simulator): Platform, Body(order): Body<Migrate>) -> Answer {
    let deeds = bot(&simulator, &order.acct)?.lock().migrate(order.chat, order.to, order.from)?;
    Ok(Json(json!({ "items": deeds })))
}
