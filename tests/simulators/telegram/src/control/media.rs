//! Orders about files: customers send them, tests and pages look at them.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Body, OfQuery, Refused, bot};
use crate::{
    bot::Deed,
    customers::Saying,
    files::{Kind, MIN_LINK_S, NewFile, file_id_of},
    image,
    server::Simulator,
};

type Platform = State<Arc<Simulator>>;

/// A photo of nothing, for whoever needs just any.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Photo {
    acct: String,
    chat: i64,
    caption: Option<String>,
    from: Option<i64>,
}

pub async fn photo(State(simulator): Platform, Body(order): Body<Photo>) -> Answer<Deed> {
    let mut bot = bot(&simulator, &order.acct)?.lock();
    let bytes = image::made_up(1280, 853, &format!("photo {} of {}", bot.queue.next_id(), bot.acct)).into();
    let new = NewFile::of(Kind::Photo, bytes);
    let saying = Saying { text: order.caption, ..Saying::default() };
    Ok(Json(bot.send_file(order.chat, order.from.unwrap_or(order.chat), new, None, saying)?))
}

/// A file of a customer; its bytes are the request's body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sent {
    acct: String,
    chat: i64,
    kind: Kind,
    from: Option<i64>,
    first_name: Option<String>,
    caption: Option<String>,
    name: Option<String>,
    mime: Option<String>,
    /// Files that name the same album belong together.
    album: Option<String>,
    /// The size that the platform tells, instead of the true one.
    claims_bytes: Option<i64>,
    reply_to: Option<i64>,
    /// Where it is forwarded from, as JSON.
    forward: Option<String>,
    /// The customer's own formatting of the caption, as JSON.
    entities: Option<String>,
}

/// A part of a query that is JSON.
fn read<T: serde::de::DeserializeOwned>(json: Option<&str>) -> Result<Option<T>, Refused> {
    let value = json.map(serde_json::from_str).transpose();
    value.map_err(|error| Refused::because(error.to_string()))
}

pub async fn file(State(simulator): Platform, query: OfQuery<Sent>, bytes: Bytes) -> Answer<Deed> {
    let axum::extract::Query(order) = query;
    let (from, kind) = (order.from.unwrap_or(order.chat), order.kind);
    if kind == Kind::Photo && image::dimensions(&bytes).is_none() {
        return Err(Refused::because("apps send photos as JPEG: these bytes are no picture"));
    }
    if order.caption.is_some() && !kind.has_caption() {
        return Err(Refused::because("round films and stickers have no caption"));
    }
    let saying = Saying {
        text: order.caption,
        entities: read(order.entities.as_deref())?.unwrap_or_default(),
        reply_to: order.reply_to,
        forward: read(order.forward.as_deref())?,
        ..Saying::default()
    };
    let (name, mime, claims_bytes) = (order.name, order.mime, order.claims_bytes);
    let new = NewFile { name, mime, claims_bytes, ..NewFile::of(kind, bytes) };
    let mut bot = bot(&simulator, &order.acct)?.lock();
    super::deeds::check_room(&bot)?;
    bot.introduce(from, order.first_name, None, None);
    Ok(Json(bot.send_file(order.chat, from, new, order.album, saying)?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Links {
    acct: String,
    good_s: i64,
}

/// How long links of getFile are good from now on.
pub async fn links(State(simulator): Platform, Body(order): Body<Links>) -> Answer {
    if order.good_s < MIN_LINK_S {
        return Err(Refused::because("the platform promises an hour: let the calendar run instead"));
    }
    bot(&simulator, &order.acct)?.lock().files.link_s = order.good_s;
    Ok(Json(json!({ "good_s": order.good_s })))
}

#[derive(Debug, Deserialize)]
pub struct Wanted {
    acct: String,
    file_id: String,
}

/// The bytes of a file, for pages and tests: no token, no limit.
pub async fn media(State(simulator): Platform, query: OfQuery<Wanted>) -> Result<Response, Refused> {
    let state = bot(&simulator, &query.acct)?.lock();
    let file = state.files.get(&query.file_id).ok_or_else(|| Refused::because("there is no such file"))?;
    let mime = file.mime.as_deref().unwrap_or(file.kind.usual_mime());
    // A browser must not run what somebody sent.
    let safe = ["image/", "audio/", "video/"].iter().any(|kind| mime.starts_with(kind)) && !mime.contains("svg");
    let shown = if safe { mime } else { "application/octet-stream" };
    let guard = (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned());
    Ok(([(header::CONTENT_TYPE, shown.to_owned()), guard], file.bytes.clone()).into_response())
}

/// A message's file, as conversations show it.
pub fn shown(state: &crate::bot::State, message: &Value) -> Option<Value> {
    let file_id = file_id_of(message)?;
    let file = state.files.get(file_id)?;
    Some(json!({
        "kind": file.kind, "file_id": file_id, "name": file.name, "mime": file.mime, "bytes": file.bytes.len(),
        "sha256": file.sha256, "album": message.get("media_group_id"),
    }))
}
