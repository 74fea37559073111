//! Orders to customers to send what is neither text nor file: places, polls, keys of a keyboard, reactions.

use std::sync::Arc;

use axum::{Json, body::Bytes, extract::State};
use serde::Deserialize;
use serde_json::json;

use super::{Answer, Body, OfQuery, Refused, bot};
use crate::{
    bot::Deed,
    customers::{Place, Vote},
    files::{Kind, NewFile},
    image,
    server::Simulator,
};

type Platform = State<Arc<Simulator>>;

/// Where customers are who do not say where they are.
const HERE: Place = Place { latitude: 55.75, longitude: 37.62 };

/// A place, with `title` and `address` a venue, with `live_period` a live one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AtPlace {
    acct: String,
    chat: i64,
    from: Option<i64>,
    latitude: Option<f64>,
    longitude: Option<f64>,
    live_period: Option<i64>,
    title: Option<String>,
    address: Option<String>,
}

fn place(latitude: Option<f64>, longitude: Option<f64>) -> Place {
    Place { latitude: latitude.unwrap_or(HERE.latitude), longitude: longitude.unwrap_or(HERE.longitude) }
}

pub async fn location(State(simulator): Platform, Body(order): Body<AtPlace>) -> Answer<Deed> {
    let named = match (order.title, order.address) {
        (None, None) => None,
        (title, address) => Some((title.unwrap_or_default(), address.unwrap_or_default())),
    };
    let place = place(order.latitude, order.longitude);
    let mut bot = bot(&simulator, &order.acct)?.lock();
    Ok(Json(bot.place(order.chat, order.from.unwrap_or(order.chat), &place, order.live_period, named)?))
}

/// A live place moves.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moved {
    acct: String,
    chat: i64,
    message_id: i64,
    latitude: f64,
    longitude: f64,
    /// It is no longer live.
    #[serde(default)]
    stop: bool,
}

pub async fn moved(State(simulator): Platform, Body(order): Body<Moved>) -> Answer<Deed> {
    let place = Place { latitude: order.latitude, longitude: order.longitude };
    let mut bot = bot(&simulator, &order.acct)?.lock();
    Ok(Json(bot.move_place(order.chat, order.message_id, &place, order.stop)?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Polled {
    acct: String,
    chat: i64,
    from: Option<i64>,
    question: String,
    options: Vec<String>,
}

pub async fn poll(State(simulator): Platform, Body(order): Body<Polled>) -> Answer<Deed> {
    let vote = Vote { question: order.question, options: order.options };
    let mut bot = bot(&simulator, &order.acct)?.lock();
    Ok(Json(bot.poll(order.chat, order.from.unwrap_or(order.chat), &vote)?))
}

/// A key of the reply keyboard, by its text.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    acct: String,
    chat: i64,
    from: Option<i64>,
    text: String,
    latitude: Option<f64>,
    longitude: Option<f64>,
}

pub async fn key(State(simulator): Platform, Body(order): Body<Key>) -> Answer<Deed> {
    let place = place(order.latitude, order.longitude);
    let mut bot = bot(&simulator, &order.acct)?.lock();
    Ok(Json(bot.press_key(order.chat, order.from.unwrap_or(order.chat), &order.text, &place)?))
}

/// All reactions of one person to a message from now on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reaction {
    acct: String,
    chat: i64,
    from: Option<i64>,
    message_id: i64,
    emoji: Vec<String>,
}

pub async fn reaction(State(simulator): Platform, Body(order): Body<Reaction>) -> Answer<Deed> {
    let mut bot = bot(&simulator, &order.acct)?.lock();
    Ok(Json(bot.react(order.chat, order.from.unwrap_or(order.chat), order.message_id, &order.emoji)?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TakeBack {
    acct: String,
    chat: i64,
    message_id: i64,
}

/// A customer removes a message for both sides, and the bot is never told.
pub async fn take_back(State(simulator): Platform, Body(order): Body<TakeBack>) -> Answer {
    bot(&simulator, &order.acct)?.lock().take_back(order.chat, order.message_id)?;
    Ok(Json(json!({})))
}

/// A person's next profile photo; its bytes are the request's body, and without any they hide all.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Face {
    acct: String,
    chat: i64,
}

pub async fn face(State(simulator): Platform, query: OfQuery<Face>, bytes: Bytes) -> Answer {
    if !bytes.is_empty() && image::dimensions(&bytes).is_none() {
        return Err(Refused::because("a profile photo is a picture: these bytes are none"));
    }
    let photo = (!bytes.is_empty()).then(|| NewFile::of(Kind::Photo, bytes));
    let shown = photo.is_some();
    bot(&simulator, &query.acct)?.lock().show_face(query.chat, photo);
    Ok(Json(json!({ "shown": shown })))
}
