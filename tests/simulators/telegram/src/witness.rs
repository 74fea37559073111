//! What the log tells of a call beside its method: its words, its files, and what it asks to be done to which message.

use serde_json::{Map, Value};

use crate::{
    bot::State,
    described,
    files::{Kind, Seen},
    methods::Method,
    params::{Params, Upload},
};

/// Parameters that say what is to be done. None of them holds words that somebody wrote.
const ASKED: [&str; 13] = [
    "message_id",
    "message_ids",
    "from_chat_id",
    "reaction",
    "action",
    "callback_query_id",
    "user_id",
    "latitude",
    "longitude",
    "phone_number",
    "reply_parameters",
    "reply_markup",
    "entities",
];

/// The words of a call: its text, its caption, or the first caption of an album.
pub fn words(params: &Params) -> Option<String> {
    let own = params.given("text").or_else(|| params.given("caption")).map(str::to_owned);
    own.or_else(|| items(params).iter().find_map(|item| item["caption"].as_str().map(str::to_owned)))
}

/// The parameters that say what is to be done, as JSON where they are.
pub fn asked(params: &Params) -> Map<String, Value> {
    let told = |name: &str| {
        let text = params.given(name)?;
        let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
        Some((name.to_owned(), value))
    };
    ASKED.into_iter().filter_map(told).collect()
}

/// The file that a call sends, whether or not it is taken.
pub fn file(state: &State, method: &Method, params: &Params) -> Option<Seen> {
    let kind = method.sends()?;
    match params.upload(kind.field()) {
        Some(upload) => Some(seen(kind.field(), upload)),
        None => named(state, params, kind.field(), params.given(kind.field())?),
    }
}

/// The files of an album, or the one that an edit puts in the place of another.
pub fn files(state: &State, params: &Params) -> Vec<Seen> {
    let of = |item: &Value| {
        let kind = Kind::ALL.into_iter().find(|kind| item["type"] == kind.field())?;
        named(state, params, kind.field(), item["media"].as_str()?)
    };
    items(params).iter().filter_map(of).collect()
}

/// What of a call breaks the description of the Bot API.
pub fn strange(method: &Method, params: &Params) -> Vec<String> {
    let fields = described::api().methods.get(method.name).map(|shape| &shape.fields[..]).unwrap_or_default();
    let required = fields.iter().filter(|field| field.required);
    let absent = required.filter(|field| !params.has(&field.name) && params.upload(&field.name).is_none());
    let missing = absent.map(|field| format!("{} is missing", field.name));
    let told = params.texts().filter(|(_, text)| !text.is_empty());
    let wrong = told.flat_map(|(name, text)| described::api().check_parameter(method.name, name, text));
    missing.chain(wrong).collect()
}

fn items(params: &Params) -> Vec<Value> {
    match params.given("media").and_then(|json| serde_json::from_str(json).ok()) {
        Some(Value::Array(items)) => items,
        Some(one) => vec![one],
        None => Vec::new(),
    }
}

fn named(state: &State, params: &Params, field: &'static str, named: &str) -> Option<Seen> {
    let known = || state.files.get(named).map(|file| Seen { field, ..file.seen() });
    let fetched = || params.fetched(named).ok().map(|upload| seen(field, upload));
    params.part(named).map(|upload| seen(field, upload)).or_else(known).or_else(fetched)
}

fn seen(field: &'static str, upload: &Upload) -> Seen {
    let (name, sha256) = (upload.name.clone(), upload.sha256.clone());
    Seen { field, name, bytes: upload.bytes.len() as u64, sha256 }
}
