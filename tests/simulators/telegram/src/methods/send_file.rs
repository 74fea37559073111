//! Files of every kind: from a multipart body, by URL, or by the identifier that the bot was told before.

use serde_json::{Value, json};

use super::around::{Around, put};
use crate::{
    bot::State,
    chats::set_caption,
    files::{Kind, NewFile, Stored},
    formatting::{self, Formatted},
    image,
    params::{Params, Upload},
    reply::{ApiError, Outcome},
};

/// Largest photo in bytes; the method reference.
const MAX_PHOTO: usize = 10 << 20;
/// Largest file of any kind in bytes; the method reference.
const MAX_FILE: usize = 50 << 20;
/// Most of a photo's width and height together; the method reference.
const MAX_SIDES: u32 = 10_000;
/// Most that one side of a photo is longer than the other; the method reference.
const MAX_RATIO: u32 = 20;
/// Largest photo, voice message and other file fetched by its URL, in bytes; "Sending files".
const MAX_PHOTO_BY_URL: usize = 5 << 20;
const MAX_VOICE_BY_URL: usize = 1 << 20;
const MAX_FILE_BY_URL: usize = 20 << 20;

/// A photo, shown in the chat.
pub fn photo(state: &mut State, params: &Params) -> Outcome {
    send(state, params, Kind::Photo)
}

/// A film.
pub fn video(state: &mut State, params: &Params) -> Outcome {
    send(state, params, Kind::Video)
}

/// A film without sound.
pub fn animation(state: &mut State, params: &Params) -> Outcome {
    send(state, params, Kind::Animation)
}

/// Music.
pub fn audio(state: &mut State, params: &Params) -> Outcome {
    send(state, params, Kind::Audio)
}

/// A voice message.
pub fn voice(state: &mut State, params: &Params) -> Outcome {
    send(state, params, Kind::Voice)
}

/// A round film.
pub fn video_note(state: &mut State, params: &Params) -> Outcome {
    send(state, params, Kind::VideoNote)
}

/// Any file.
pub fn document(state: &mut State, params: &Params) -> Outcome {
    send(state, params, Kind::Document)
}

/// A sticker.
pub fn sticker(state: &mut State, params: &Params) -> Outcome {
    send(state, params, Kind::Sticker)
}

/// Two equal calls make two messages here, too.
fn send(state: &mut State, params: &Params, kind: Kind) -> Outcome {
    let caption = if kind.has_caption() { formatting::read_caption(params)? } else { Formatted::default() };
    let field = kind.field();
    let file = match (params.upload(field), params.given(field)) {
        (Some(upload), _) => uploaded(kind, upload),
        (None, Some(named)) => named_file(state, params, kind, named)?,
        (None, None) => return Err(ApiError::bad(format!("there is no {field} in the request"))),
    };
    let around = Around::read(params, state.chats.writable(params.get("chat_id"))?)?;
    let caption = formatting::finish_caption(caption)?;
    check(&file)?;
    let content = Content { caption, told: told(params, file.kind), shown: shown(params, file.kind), file };
    let fields = content.keep(state);
    Ok(put(state, &around, |body| fill(body, fields)))
}

/// A file with what is around it, checked.
pub struct Content {
    /// The file.
    pub file: NewFile,
    /// The words under it.
    pub caption: Formatted,
    /// What the sender tells of it: fields of the file's object.
    told: Vec<(&'static str, Value)>,
    /// How it is shown: fields of the message.
    shown: Vec<(&'static str, Value)>,
}

impl Content {
    /// Keeps the file, and writes everything into a message.
    pub fn write(self, state: &mut State, body: &mut Value) {
        fill(body, self.keep(state));
    }

    /// Keeps the file; the fields of a message that carries it.
    pub fn keep(self, state: &mut State) -> Vec<(&'static str, Value)> {
        let field = self.file.kind.field();
        let mut fields = state.files.keep(state.bot_id, self.file);
        if let Some((_, object)) = fields.iter_mut().find(|(name, object)| *name == field && object.is_object()) {
            for (name, value) in self.told {
                object[name] = value;
            }
        }
        let mut around = json!({});
        set_caption(&mut around, &self.caption);
        for name in ["caption", "caption_entities"] {
            fields.extend(around.get(name).map(|value| (name, value.clone())));
        }
        fields.extend(self.shown);
        fields
    }
}

/// Writes fields into a message.
pub fn fill(body: &mut Value, fields: Vec<(&'static str, Value)>) {
    fields.into_iter().for_each(|(name, value)| body[name] = value);
}

/// One item of an album, or what an edit puts in the place of a file.
pub fn read_item(state: &State, params: &Params, item: &Value) -> Result<Content, ApiError> {
    let wrong = |why: String| ApiError::bad(format!("can't parse InputMedia: {why}"));
    if !item.is_object() {
        return Err(wrong("expected an Object".to_owned()));
    }
    let kind = item["type"].as_str().ok_or_else(|| wrong("Can't find field \"type\"".to_owned()))?;
    let kinds = [Kind::Photo, Kind::Video, Kind::Animation, Kind::Audio, Kind::Document];
    let kind = kinds.into_iter().find(|known| known.field() == kind);
    let kind = kind.ok_or_else(|| wrong("invalid type specified".to_owned()))?;
    let media = item["media"].as_str().filter(|media| !media.is_empty());
    let media = media.ok_or_else(|| wrong("media not found".to_owned()))?;
    let own = Params::of_json(item);
    let caption = formatting::finish_caption(formatting::read_caption(&own)?)?;
    let file = named_file(state, params, kind, media)?;
    check(&file)?;
    Ok(Content { caption, told: told(&own, kind), shown: shown(&own, kind), file })
}

fn uploaded(kind: Kind, upload: &Upload) -> NewFile {
    let Upload { name, mime, bytes, sha256 } = upload.clone();
    NewFile { kind, bytes, name, mime, claims_bytes: None, sha256 }
}

/// The file that a text names: a part of the body, a URL, an identifier.
fn named_file(state: &State, params: &Params, kind: Kind, named: &str) -> Result<NewFile, ApiError> {
    let wrong = || ApiError::bad("wrong file identifier/HTTP URL specified");
    if named.starts_with("attach://") {
        return params.part(named).map(|upload| uploaded(kind, upload)).ok_or_else(wrong);
    }
    if named.starts_with("http://") || named.starts_with("https://") {
        return match kind {
            Kind::VideoNote => Err(wrong()),
            _ => by_url(kind, params.fetched(named)?),
        };
    }
    let known = state.files.get(named).ok_or_else(wrong)?;
    if known.kind != kind {
        let what = format!("can't use file of type {:?} as {kind:?}", known.kind);
        return Err(ApiError::bad(what));
    }
    let Stored { bytes, name, mime, size, sha256, .. } = known.clone();
    Ok(NewFile { kind, bytes, name, mime, claims_bytes: Some(size), sha256 })
}

/// What the platform fetched itself: smaller, and of the types that it takes in this way.
fn by_url(kind: Kind, upload: &Upload) -> Result<NewFile, ApiError> {
    let mime = upload.mime.as_deref().unwrap_or_default();
    let one_of = |types: &[&str]| types.contains(&mime);
    let fits = match kind {
        Kind::Photo => mime.starts_with("image/"),
        Kind::Video => mime == "video/mp4",
        Kind::Animation => one_of(&["video/mp4", "image/gif"]),
        Kind::Audio => one_of(&["audio/mpeg", "audio/mp4"]),
        Kind::Voice => mime == "audio/ogg",
        Kind::Document => one_of(&["image/gif", "application/pdf", "application/zip"]),
        Kind::Sticker => mime == "image/webp",
        Kind::VideoNote => false,
    };
    if !fits {
        return Err(ApiError::bad("wrong type of the web page content"));
    }
    let most = if kind == Kind::Photo { MAX_PHOTO_BY_URL } else { MAX_FILE_BY_URL };
    if upload.bytes.len() > most {
        return Err(ApiError::bad("failed to get HTTP URL content"));
    }
    // A long voice message arrives as a file.
    let long = kind == Kind::Voice && upload.bytes.len() > MAX_VOICE_BY_URL;
    Ok(uploaded(if long { Kind::Document } else { kind }, upload))
}

/// What the sender tells of a file's inside; nobody looks into it here.
fn told(params: &Params, kind: Kind) -> Vec<(&'static str, Value)> {
    let (numbers, texts): (&[&'static str], &[&'static str]) = match kind {
        Kind::Video | Kind::Animation => (&["duration", "width", "height"], &[]),
        Kind::Audio => (&["duration"], &["performer", "title"]),
        Kind::Voice => (&["duration"], &[]),
        Kind::VideoNote => (&["duration", "length"], &[]),
        Kind::Sticker => (&[], &["emoji"]),
        Kind::Photo | Kind::Document => (&[], &[]),
    };
    let number = |name: &&'static str| Some((*name, json!(params.given(name)?.trim().parse::<u32>().ok()?)));
    let text = |name: &&'static str| Some((*name, json!(params.given(name)?)));
    numbers.iter().filter_map(number).chain(texts.iter().filter_map(text)).collect()
}

fn shown(params: &Params, kind: Kind) -> Vec<(&'static str, Value)> {
    let is_seen = matches!(kind, Kind::Photo | Kind::Video | Kind::Animation);
    let flags = [("has_spoiler", "has_media_spoiler"), ("show_caption_above_media", "show_caption_above_media")];
    let set = flags.into_iter().filter(|(name, _)| is_seen && params.flag(name));
    set.map(|(_, field)| (field, json!(true))).collect()
}

fn check(file: &NewFile) -> Result<(), ApiError> {
    let size = file.bytes.len();
    if size == 0 {
        return Err(ApiError::bad("file must be non-empty"));
    }
    if size > MAX_FILE {
        return Err(ApiError::too_large());
    }
    if file.kind != Kind::Photo {
        return Ok(());
    }
    if size > MAX_PHOTO {
        let why = format!("file of size {size} bytes is too big for a photo; the maximum size is {MAX_PHOTO} bytes");
        return Err(ApiError::bad(why));
    }
    let fits = |(width, height): (u32, u32)| {
        let (long, short) = (width.max(height), width.min(height));
        width + height <= MAX_SIDES && short > 0 && long <= short * MAX_RATIO
    };
    match image::dimensions(&file.bytes).is_some_and(fits) {
        true => Ok(()),
        false => Err(ApiError::bad("PHOTO_INVALID_DIMENSIONS")),
    }
}
