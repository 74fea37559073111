//! What a message carries beside its text, read leniently: teloxide's types refuse a whole message for a file whose media
//! type has no slash, or that is larger than 4 GiB.

use serde_json::Value;
use switchboard_common::model::{Attachment, Content, FileKind};

/// A message's text, its files, and what came beside both.
pub(super) struct Carried {
    pub text: String,
    pub attachments: Vec<Attachment>,
    pub content: Vec<Content>,
}

/// One field per message: an animation also comes as a document, a venue also as a location.
const FILES: [(&str, FileKind); 7] = [
    ("animation", FileKind::Animation),
    ("audio", FileKind::Audio),
    ("document", FileKind::Document),
    ("sticker", FileKind::Sticker),
    ("video", FileKind::Video),
    ("video_note", FileKind::VideoNote),
    ("voice", FileKind::Voice),
];
const ANNOUNCED: [&str; 8] = ["contact", "game", "venue", "location", "poll", "story", "paid_media", "checklist"];

/// Reads a message as the platform spells it.
pub(super) fn carried(message: &Value) -> Carried {
    let text = message["text"].as_str().or(message["caption"].as_str()).unwrap_or_default().to_owned();
    let attachment =
        photo(&message["photo"]).or_else(|| FILES.iter().find_map(|(field, kind)| attachment(&message[*field], *kind)));
    let known = || ANNOUNCED.iter().copied().find(|field| !message[*field].is_null());
    let unsupported = match &attachment {
        Some(_) => None,
        None => known().or_else(|| (!message["text"].is_string()).then_some("unknown")),
    };
    let content = unsupported.map(|of| Content::Unsupported { of: of.to_owned() });
    Carried { text, attachments: attachment.into_iter().collect(), content: content.into_iter().collect() }
}

/// The largest of a photo's sizes; always JPEG, without a name.
fn photo(sizes: &Value) -> Option<Attachment> {
    let pixels =
        |size: &&Value| size["width"].as_u64().unwrap_or(0).saturating_mul(size["height"].as_u64().unwrap_or(0));
    let largest = sizes.as_array()?.iter().filter(|size| size["file_id"].is_string()).max_by_key(pixels)?;
    let photo = attachment(largest, FileKind::Photo)?;
    Some(Attachment { mime: Some("image/jpeg".to_owned()), ..photo })
}

fn attachment(file: &Value, kind: FileKind) -> Option<Attachment> {
    let text = |field: &str| file[field].as_str().map(str::to_owned);
    let mime = text("mime_type").or_else(|| implied(file, kind).map(str::to_owned));
    let size_bytes = file["file_size"].as_i64();
    Some(Attachment { kind, platform_ref: text("file_id")?, name: text("file_name"), mime, size_bytes })
}

/// What the kind says of the type, where the platform does not.
fn implied(file: &Value, kind: FileKind) -> Option<&'static str> {
    match kind {
        FileKind::Sticker if file["is_video"] == true => Some("video/webm"),
        FileKind::Sticker if file["is_animated"] == true => Some("application/x-tgsticker"),
        FileKind::Sticker => Some("image/webp"),
        FileKind::VideoNote => Some("video/mp4"),
        _ => None,
    }
}
