//! Orders about the webhook: how deliveries behave, replays, forgeries, and what a stranger with the token does.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Body, Refused, bot};
use crate::{
    delivery::{
        Behaviour,
        orders::{self, Forge, Replay},
    },
    reply::ApiError,
    server::Simulator,
    webhook::Webhook,
};

type Platform = State<Arc<Simulator>>;

/// What is left out stays as it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Behave {
    acct: String,
    copies: Option<usize>,
    to: Option<Vec<String>>,
    reorder: Option<bool>,
    hold: Option<bool>,
    timeout_ms: Option<u64>,
    backoff_scale: Option<f64>,
}

pub async fn behave(State(simulator): Platform, Body(order): Body<Behave>) -> Answer<Behaviour> {
    if order.copies == Some(0) {
        return Err(Refused::because("each update is sent at least once: `hold` keeps it back"));
    }
    if order.backoff_scale.is_some_and(|scale| !(0.0..=1.0).contains(&scale)) {
        return Err(Refused::because("pauses can be made shorter: a scale lies between 0 and 1"));
    }
    let mut state = bot(&simulator, &order.acct)?.lock();
    let now = &mut state.delivery.behaviour;
    now.copies = order.copies.unwrap_or(now.copies);
    now.to = order.to.unwrap_or_else(|| now.to.clone());
    now.reorder = order.reorder.unwrap_or(now.reorder);
    now.hold = order.hold.unwrap_or(now.hold);
    now.timeout_ms = order.timeout_ms.unwrap_or(now.timeout_ms);
    now.backoff_scale = order.backoff_scale.unwrap_or(now.backoff_scale);
    let now = now.clone();
    state.delivery.wake.notify_one();
    Ok(Json(now))
}

/// Somebody else who has the token sets a webhook, or with an empty address removes it. No call is counted or logged.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Set {
    acct: String,
    url: String,
    #[serde(default)]
    secret_token: String,
}

pub async fn set(State(simulator): Platform, Body(order): Body<Set>) -> Answer {
    bot(&simulator, &order.acct)?.lock().set(Webhook::by_stranger(order.url, order.secret_token));
    Ok(Json(json!({})))
}

/// The bot's token is another one from now on; the old one is worth nothing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    acct: String,
    token: String,
}

pub async fn token(State(simulator): Platform, Body(order): Body<Token>) -> Answer {
    let bot = bot(&simulator, &order.acct)?;
    bot.rename(&order.token)?;
    bot.lock().polling.end_at_once(ApiError::unauthorized());
    Ok(Json(json!({})))
}

#[derive(Debug, Deserialize)]
pub struct OfAccount {
    acct: String,
    #[serde(flatten)]
    order: serde_json::Map<String, Value>,
}

/// The order without the account. Not flattened: serde cannot flatten and refuse unknown fields at once.
fn read<T: serde::de::DeserializeOwned>(order: OfAccount) -> Result<(String, T), Refused> {
    let read = serde_json::from_value(Value::Object(order.order));
    Ok((order.acct, read.map_err(|error| Refused::because(error.to_string()))?))
}

pub async fn replay(State(simulator): Platform, Body(order): Body<OfAccount>) -> Answer {
    let (acct, order) = read::<Replay>(order)?;
    let statuses = orders::replay(&simulator, bot(&simulator, &acct)?, order).await?;
    let mut counted: BTreeMap<String, usize> = BTreeMap::new();
    for status in &statuses {
        *counted.entry(status.map_or("none".to_owned(), |status| status.to_string())).or_default() += 1;
    }
    Ok(Json(json!({ "statuses": statuses, "counted": counted })))
}

pub async fn forge(State(simulator): Platform, Body(order): Body<OfAccount>) -> Answer {
    let (acct, order) = read::<Forge>(order)?;
    let status = orders::forge(&simulator, bot(&simulator, &acct)?, order).await?;
    Ok(Json(json!({ "status": status })))
}
