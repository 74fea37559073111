//! Files: what customers and the bot sent, by the identifiers that the bot was told, and the links that getFile gives.

use std::collections::HashMap;

use axum::body::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    bot::State,
    image,
    params::Params,
    reply::{ApiError, Outcome, Success},
    text::sha256_hex,
};

/// The most that a bot may download; the method reference.
pub const MAX_DOWNLOAD: i64 = 20 << 20;
/// How long a link is good at least; the method reference.
pub const MIN_LINK_S: i64 = 60 * 60;

/// What a file is to the messenger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Shown in the chat.
    Photo,
    /// Any file.
    Document,
    /// A film.
    Video,
    /// Music.
    Audio,
    /// A voice message.
    Voice,
    /// A round film.
    VideoNote,
    /// A film without sound.
    Animation,
    /// A sticker.
    Sticker,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Animation,
        Self::Photo,
        Self::Document,
        Self::Video,
        Self::Audio,
        Self::Voice,
        Self::VideoNote,
        Self::Sticker,
    ];

    /// What a message carries, if it is a file. An animation also comes as a document, and counts as what it is.
    pub fn of(message: &Value) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| message.get(kind.field()).is_some())
    }

    /// Whether words may lie under it.
    pub fn has_caption(self) -> bool {
        !matches!(self, Self::VideoNote | Self::Sticker)
    }

    /// Its field in a `Message`.
    pub fn field(self) -> &'static str {
        match self {
            Self::Photo => "photo",
            Self::Document => "document",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Voice => "voice",
            Self::VideoNote => "video_note",
            Self::Animation => "animation",
            Self::Sticker => "sticker",
        }
    }

    /// What its `file_id` begins with, its folder on the platform, its file's ending and usual type.
    fn ways(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Self::Photo => ("AgAC", "photos", "jpg", "image/jpeg"),
            Self::Document => ("BQAC", "documents", "bin", "application/octet-stream"),
            Self::Video => ("BAAC", "videos", "mp4", "video/mp4"),
            Self::Audio => ("CQAC", "music", "mp3", "audio/mpeg"),
            Self::Voice => ("AwAC", "voice", "oga", "audio/ogg"),
            Self::VideoNote => ("DQAC", "video_notes", "mp4", "video/mp4"),
            Self::Animation => ("CgAC", "animations", "mp4", "video/mp4"),
            Self::Sticker => ("CAAC", "stickers", "webp", "image/webp"),
        }
    }

    /// The type that browsers and logs are told when nobody named one.
    pub fn usual_mime(self) -> &'static str {
        self.ways().3
    }

    /// Whether a `Message` names this file's name and type.
    fn is_named(self) -> bool {
        matches!(self, Self::Document | Self::Video | Self::Audio | Self::Animation)
    }
}

/// A file about to be kept.
#[derive(Clone, Debug)]
pub struct NewFile {
    /// What it is.
    pub kind: Kind,
    /// Its bytes.
    pub bytes: Bytes,
    /// As declared.
    pub name: Option<String>,
    /// As declared.
    pub mime: Option<String>,
    /// What the platform says of its size; without it, the truth.
    pub claims_bytes: Option<i64>,
    /// Of its bytes.
    pub sha256: String,
}

impl NewFile {
    /// A file without a name.
    pub fn of(kind: Kind, bytes: Bytes) -> Self {
        let sha256 = sha256_hex(&bytes);
        Self { kind, bytes, name: None, mime: None, claims_bytes: None, sha256 }
    }
}

/// A file as one of a bot's identifiers names it.
#[derive(Clone, Debug)]
pub struct Stored {
    /// What it is.
    pub kind: Kind,
    /// Its bytes.
    pub bytes: Bytes,
    /// As declared.
    pub name: Option<String>,
    /// As declared.
    pub mime: Option<String>,
    /// What the platform says of its size.
    pub size: i64,
    /// Of its bytes.
    pub sha256: String,
    /// The same for the same bytes, whoever asks.
    unique_id: String,
    path: String,
    link_until: Option<i64>,
}

/// A file in a line of the observers' log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// The field of the message, or of the call.
    pub field: &'static str,
    /// As declared.
    pub name: Option<String>,
    /// How many bytes it has.
    pub bytes: u64,
    /// Of its bytes.
    pub sha256: String,
}

impl Stored {
    /// As the observers' log tells it.
    pub fn seen(&self) -> Seen {
        let (name, sha256) = (self.name.clone(), self.sha256.clone());
        Seen { field: self.kind.field(), name, bytes: self.bytes.len() as u64, sha256 }
    }
}

/// The files of a bot. Identifiers are its own: another bot's lead nowhere here.
#[derive(Clone, Debug)]
pub struct Files {
    kept: HashMap<String, Stored>,
    count: u64,
    /// How long a link is good.
    pub link_s: i64,
    /// Downloads begun.
    pub downloads: u64,
}

impl Default for Files {
    fn default() -> Self {
        Self { kept: HashMap::new(), count: 0, link_s: MIN_LINK_S, downloads: 0 }
    }
}

impl Files {
    /// The file that an identifier names.
    pub fn get(&self, file_id: &str) -> Option<&Stored> {
        self.kept.get(file_id)
    }

    /// Numbers go on where they were in another state of the same files.
    pub fn number_on_from(&mut self, other: &Self) {
        self.count = other.count;
    }

    /// The file that a link leads to, when it is still good.
    pub fn linked(&self, path: &str, now: i64) -> Option<&Stored> {
        self.kept.values().find(|file| file.path == path && file.link_until.is_some_and(|until| now <= until))
    }

    /// Keeps a file under a new identifier. Fields of a `Message` that carry it, the first by its own name.
    pub fn keep(&mut self, bot_id: i64, new: NewFile) -> Vec<(&'static str, Value)> {
        let (kind, measured) = (new.kind, image::dimensions(&new.bytes));
        let (width, height) = measured.unwrap_or(if kind == Kind::Sticker { (512, 512) } else { (640, 360) });
        let mut own = self.add(bot_id, "x", &new);
        match kind {
            Kind::Photo => {
                set(&mut own, &[("width", json!(width)), ("height", json!(height))]);
                let smaller = [("s", 90), ("m", 320)].into_iter().filter(|(_, side)| *side < width.max(height));
                let mut sizes: Vec<Value> = smaller.map(|size| self.smaller(bot_id, size, (width, height))).collect();
                sizes.push(own);
                return vec![("photo", Value::Array(sizes))];
            }
            Kind::Video | Kind::Animation => {
                set(&mut own, &[("width", json!(width)), ("height", json!(height)), ("duration", json!(12))]);
            }
            Kind::Voice | Kind::Audio => set(&mut own, &[("duration", json!(4))]),
            Kind::VideoNote => set(&mut own, &[("length", json!(384)), ("duration", json!(7))]),
            Kind::Sticker => {
                let is = |mime: &str| json!(new.mime.as_deref() == Some(mime));
                set(
                    &mut own,
                    &[
                        ("type", json!("regular")),
                        ("width", json!(width)),
                        ("height", json!(height)),
                        ("is_animated", is("application/x-tgsticker")),
                        ("is_video", is("video/webm")),
                        ("emoji", json!("🙂")),
                        ("set_name", json!("Set")),
                    ],
                );
            }
            Kind::Document => {}
        }
        if matches!(kind, Kind::Video | Kind::VideoNote | Kind::Animation) {
            own["thumbnail"] = self.smaller(bot_id, ("t", 90), (width, height));
        }
        let named = kind.is_named().then_some(new.name.as_ref()).flatten();
        set_given(&mut own, "file_name", named);
        let typed = (kind.is_named() || kind == Kind::Voice).then(|| new.mime.as_deref().unwrap_or(kind.usual_mime()));
        set_given(&mut own, "mime_type", typed.map(str::to_owned).as_ref());
        let mut fields = vec![(kind.field(), own.clone())];
        if kind == Kind::Animation {
            // Older clients know documents only.
            ["width", "height", "duration", "thumbnail"]
                .iter()
                .for_each(|name| drop(own.as_object_mut().map(|own| own.remove(*name))));
            fields.push(("document", own));
        }
        fields
    }

    /// A smaller copy of a photo: bytes of its own, so that whoever takes the wrong one is found out.
    fn smaller(&mut self, bot_id: i64, (letter, side): (&str, u32), (width, height): (u32, u32)) -> Value {
        let longest = width.max(height);
        let scaled = |length: u32| u16::try_from((length * side / longest).max(1)).unwrap_or(u16::MAX);
        let (width, height) = (scaled(width), scaled(height));
        let bytes = image::made_up(width, height, &format!("{letter} of {}", self.count)).into();
        let new = NewFile::of(Kind::Photo, bytes);
        let mut size = self.add(bot_id, letter, &new);
        set(&mut size, &[("width", json!(width)), ("height", json!(height))]);
        size
    }

    fn add(&mut self, bot_id: i64, letter: &str, new: &NewFile) -> Value {
        self.count += 1;
        let (begin, folder, ending, _) = new.kind.ways();
        let ending = new.name.as_deref().and_then(|name| name.rsplit_once('.')).map_or(ending, |(_, ending)| ending);
        let plain = !ending.is_empty() && ending.len() <= 8 && ending.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let path = format!("{folder}/file_{}.{}", self.count, if plain { ending } else { "bin" });
        let file_id = format!("{begin}{bot_id}_{}{letter}", self.count);
        let unique_id = format!("{}{}", &begin[..2], &new.sha256[..14]);
        let size = new.claims_bytes.unwrap_or(new.bytes.len() as i64);
        let described = json!({ "file_id": file_id, "file_unique_id": unique_id, "file_size": size });
        let NewFile { kind, bytes, name, mime, sha256, .. } = new.clone();
        self.kept.insert(file_id, Stored { kind, bytes, name, mime, size, sha256, unique_id, path, link_until: None });
        described
    }
}

fn set(object: &mut Value, fields: &[(&str, Value)]) {
    for (name, value) in fields {
        object[*name] = value.clone();
    }
}

fn set_given(object: &mut Value, name: &str, value: Option<&String>) {
    if let Some(value) = value {
        object[name] = json!(value);
    }
}

/// The identifier of the whole file in a `Message`, if it carries one: of a photo, of its largest size.
pub fn file_id_of(message: &Value) -> Option<&str> {
    let field = message.get(Kind::of(message)?.field())?;
    field.as_array().map_or(Some(field), |sizes| sizes.last())?.get("file_id")?.as_str()
}

/// Where a file can be downloaded, for a while.
pub fn get_file(state: &mut State, params: &Params) -> Outcome {
    let file_id = params.given("file_id").ok_or_else(|| ApiError::bad("file_id not specified"))?;
    let until = state.now() + state.files.link_s;
    let unavailable = || ApiError::bad("wrong file_id or the file is temporarily unavailable");
    let file = state.files.kept.get_mut(file_id).ok_or_else(unavailable)?;
    if file.size > MAX_DOWNLOAD {
        return Err(ApiError::bad("file is too big"));
    }
    file.link_until = Some(until);
    Ok(Success::of(json!({
        "file_id": file_id, "file_unique_id": file.unique_id, "file_size": file.size, "file_path": file.path,
    })))
}
