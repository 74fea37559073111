//! Orders to the platform itself: faults, clock, limits, numbering.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Body, OfAccount, OfQuery, Refused, bot};
use crate::{
    download,
    faults::{Fault, Mode},
    limits::{Counting, MAX_JITTER_MS, Rule},
    methods,
    server::Simulator,
};

type Platform = State<Arc<Simulator>>;

#[derive(Debug, Deserialize)]
pub struct Order {
    acct: String,
    #[serde(flatten)]
    fault: serde_json::Map<String, Value>,
}

pub async fn add_fault(State(simulator): Platform, Body(order): Body<Order>) -> Answer {
    let fault: Fault =
        serde_json::from_value(Value::Object(order.fault)).map_err(|error| Refused::because(error.to_string()))?;
    let of_downloads = fault.method == download::NAME;
    if fault.method != "*" && !of_downloads && methods::find(&fault.method).is_none() {
        return Err(Refused::because(format!("there is no method {}", fault.method)));
    }
    if fault.mode.is_of_downloads() && !of_downloads {
        return Err(Refused::because(format!("only downloads go wrong in this way: {:?}", fault.mode)));
    }
    if fault.mode == Mode::Mute && of_downloads {
        return Err(Refused::because("a download has no effect that could be left out"));
    }
    let mut bot = bot(&simulator, &order.acct)?.lock();
    bot.faults.add(fault);
    Ok(Json(json!({ "standing": bot.faults.standing() })))
}

pub async fn faults(State(simulator): Platform, query: OfQuery<OfAccount>) -> Answer {
    Ok(Json(json!({ "standing": bot(&simulator, &query.acct)?.lock().faults.standing() })))
}

#[derive(Debug, Deserialize)]
pub struct MaybeAccount {
    acct: Option<String>,
}

/// Withdraws the faults of one account, or of all.
pub async fn clear_faults(State(simulator): Platform, query: OfQuery<MaybeAccount>) -> Answer {
    let chosen = match &query.acct {
        Some(acct) => vec![bot(&simulator, acct)?],
        None => simulator.bots.iter().collect(),
    };
    for bot in chosen {
        bot.lock().faults.clear();
    }
    Ok(Json(json!({})))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    advance_s: i64,
}

pub async fn clock(State(simulator): Platform, Body(order): Body<Clock>) -> Answer {
    let ahead_s = simulator.calendar.advance(order.advance_s);
    Ok(Json(json!({ "unix": simulator.calendar.now(), "ahead_s": ahead_s })))
}

/// What is left out stays as it is. Without an account: all accounts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    acct: Option<String>,
    bot: Option<Rule>,
    private: Option<Rule>,
    group: Option<Rule>,
    counting: Option<Counting>,
    enforce: Option<bool>,
    poll_guard: Option<bool>,
    arrival_jitter_ms: Option<u64>,
}

pub async fn limits(State(simulator): Platform, Body(order): Body<Limits>) -> Answer {
    if [order.bot, order.private, order.group].into_iter().flatten().any(|rule| rule.count == 0 || rule.window_ms == 0)
    {
        return Err(Refused::because("a limit allows at least one call in at least one millisecond"));
    }
    if order.arrival_jitter_ms.is_some_and(|ms| ms > MAX_JITTER_MS) {
        return Err(Refused::because(format!("a call arrives within {MAX_JITTER_MS} ms")));
    }
    let chosen = match &order.acct {
        Some(acct) => vec![bot(&simulator, acct)?],
        None => simulator.bots.iter().collect(),
    };
    let mut told = json!({});
    for bot in chosen {
        let mut state = bot.lock();
        let rules = &mut state.limiter.rules;
        rules.bot = order.bot.unwrap_or(rules.bot);
        rules.private = order.private.unwrap_or(rules.private);
        rules.group = order.group.unwrap_or(rules.group);
        rules.counting = order.counting.unwrap_or(rules.counting);
        rules.enforce = order.enforce.unwrap_or(rules.enforce);
        rules.poll_guard = order.poll_guard.unwrap_or(rules.poll_guard);
        rules.arrival_jitter_ms = order.arrival_jitter_ms.unwrap_or(rules.arrival_jitter_ms);
        told[&bot.name] = json!(*rules);
        // What a former limit counted or paused would make no sense under the new one.
        state.limiter.restart();
    }
    Ok(Json(told))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Renumber {
    acct: String,
    next: i64,
}

pub async fn reset_update_ids(State(simulator): Platform, Body(order): Body<Renumber>) -> Answer {
    if !(1..=i64::from(i32::MAX)).contains(&order.next) {
        return Err(Refused::because("update numbers are positive 32-bit numbers"));
    }
    let mut bot = bot(&simulator, &order.acct)?.lock();
    match bot.queue.renumber(order.next) {
        true => Ok(Json(json!({ "next_update_id": order.next }))),
        false => Err(Refused::because("updates wait: numbering starts anew only in an empty queue")),
    }
}
