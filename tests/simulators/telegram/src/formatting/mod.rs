//! Formatted text: what the platform makes of `text`, `parse_mode` and `entities`.

mod detect;
mod html;
mod markdown;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use detect::detect;

use crate::{
    params::Params,
    reply::ApiError,
    text::{clean, utf16_len},
};

/// Longest text of one message in UTF-16 units, counted after the formatting is taken out.
pub const MAX_TEXT: usize = 4096;
/// Longest caption, measured in the same way.
pub const MAX_CAPTION: usize = 1024;
/// Longest text parameter in bytes, counted before.
pub const MAX_RAW_BYTES: usize = 32_768;

/// Plain text and what lies over it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Formatted {
    /// The text without its formatting.
    pub text: String,
    /// The formatting, by offset.
    pub entities: Vec<Entity>,
}

/// One stretch of formatting. Offset and length are in UTF-16 units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entity {
    /// The platform's name of the formatting.
    pub r#type: String,
    /// Where it begins.
    pub offset: usize,
    /// How far it goes.
    pub length: usize,
    /// Where a `text_link` leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Language of a `pre`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Which `custom_emoji`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_emoji_id: Option<String>,
}

impl Entity {
    /// An entity without any of the extras.
    pub fn plain(kind: &str, offset: usize, length: usize) -> Self {
        Self { r#type: kind.to_owned(), offset, length, url: None, language: None, custom_emoji_id: None }
    }
}

/// Reads the text of sendMessage and editMessageText: parses its formatting. What is left to check once the chat is known
/// is in [`finish`].
pub fn read(params: &Params) -> Result<Formatted, ApiError> {
    let text = params.get("text");
    if text.is_empty() {
        return Err(ApiError::bad("message text is empty"));
    }
    parse(text, params, "entities")
}

/// The same for the caption of a file, which may be empty.
pub fn read_caption(params: &Params) -> Result<Formatted, ApiError> {
    parse(params.get("caption"), params, "caption_entities")
}

fn parse(text: &str, params: &Params, entities: &str) -> Result<Formatted, ApiError> {
    if text.len() > MAX_RAW_BYTES {
        return Err(ApiError::bad("text is too long"));
    }
    let (cleaned, vanished) = clean(text);
    match by_mode(&cleaned, params.get("parse_mode"))? {
        Some(parsed) => Ok(parsed),
        None => explicit(text, &cleaned, &vanished, params.get(entities)),
    }
}

/// A text that has no entities beside it.
pub fn plain(text: &str, mode: &str) -> Result<Formatted, ApiError> {
    let (text, _) = clean(text);
    Ok(by_mode(&text, mode)?.unwrap_or(Formatted { text, entities: Vec::new() }))
}

/// What a mode makes of a text; `None` without a mode.
fn by_mode(text: &str, mode: &str) -> Result<Option<Formatted>, ApiError> {
    let parsed = match mode.to_ascii_lowercase().as_str() {
        "" | "none" => return Ok(None),
        "html" => html::parse(text),
        "markdownv2" => markdown::parse(text),
        _ => return Err(ApiError::bad("unsupported parse_mode")),
    };
    parsed.map(Some).map_err(|why| ApiError::bad(format!("can't parse entities: {why}")))
}

/// Trims, measures and finds links: the checks that the platform makes after it has looked at the chat.
pub fn finish(formatted: Formatted) -> Result<Formatted, ApiError> {
    let trimmed = trim(formatted);
    if trimmed.text.is_empty() {
        return Err(ApiError::bad("text must be non-empty"));
    }
    if utf16_len(&trimmed.text) > MAX_TEXT {
        return Err(ApiError::bad("message is too long"));
    }
    Ok(with_links(trimmed))
}

/// The same for a caption.
pub fn finish_caption(formatted: Formatted) -> Result<Formatted, ApiError> {
    let trimmed = trim(formatted);
    if utf16_len(&trimmed.text) > MAX_CAPTION {
        return Err(ApiError::bad("message caption is too long"));
    }
    Ok(with_links(trimmed))
}

fn with_links(mut trimmed: Formatted) -> Formatted {
    let found = detect(&trimmed.text).into_iter().filter(|new| {
        trimmed
            .entities
            .iter()
            .all(|old| new.offset + new.length <= old.offset || old.offset + old.length <= new.offset)
    });
    let found: Vec<_> = found.collect();
    trimmed.entities.extend(found);
    trimmed.entities.sort_by_key(|entity| (entity.offset, std::cmp::Reverse(entity.length)));
    trimmed
}

/// Entities given as JSON beside the text.
fn explicit(raw: &str, cleaned: &str, vanished: &[usize], json: &str) -> Result<Formatted, ApiError> {
    // As the platform does: what is no JSON array is taken for no entities at all.
    let given: Vec<Value> = serde_json::from_str(json).unwrap_or_default();
    let mut entities = Vec::new();
    for value in &given {
        if let Some(entity) =
            read_entity(value).map_err(|why| ApiError::bad(format!("can't parse MessageEntity: {why}")))?
        {
            let (offset, end) = fit(raw, entity.0, entity.1)?;
            let moved = |at: usize| at - vanished.iter().filter(|gone| **gone < at).count();
            entities.push(Entity { offset: moved(offset), length: moved(end) - moved(offset), ..entity.2 });
        }
    }
    entities.retain(|entity| entity.length > 0);
    Ok(Formatted { text: cleaned.to_owned(), entities })
}

/// Offset, length and the rest; `None` for the kinds that the platform finds by itself.
fn read_entity(value: &Value) -> Result<Option<(i64, i64, Entity)>, String> {
    let number =
        |name: &str| value.get(name).and_then(Value::as_i64).ok_or_else(|| format!("Can't find field \"{name}\""));
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    if !value.is_object() {
        return Err("expected an Object".to_owned());
    }
    let (offset, length) = (number("offset")?, number("length")?);
    let kind = text("type").ok_or("Can't find field \"type\"")?;
    let mut entity = Entity::plain(&kind, 0, 0);
    match kind.as_str() {
        "bold"
        | "italic"
        | "underline"
        | "strikethrough"
        | "spoiler"
        | "code"
        | "blockquote"
        | "expandable_blockquote" => {}
        "pre" => entity.language = text("language").filter(|language| !language.is_empty()),
        "text_link" => entity.url = Some(text("url").ok_or("Can't find field \"url\"")?),
        "custom_emoji" => {
            entity.custom_emoji_id = Some(text("custom_emoji_id").ok_or("Can't find field \"custom_emoji_id\"")?);
        }
        "text_mention" | "mention" | "hashtag" | "cashtag" | "bot_command" | "url" | "email" | "phone_number"
        | "bank_card_number" => return Ok(None),
        _ => return Err("Unsupported type specified".to_owned()),
    }
    Ok(Some((offset, length, entity)))
}

/// Checks that an entity lies on the text without cutting a character in two.
fn fit(text: &str, offset: i64, length: i64) -> Result<(usize, usize), ApiError> {
    let (Ok(start), Ok(size)) = (usize::try_from(offset), usize::try_from(length)) else {
        let (what, number) = if offset < 0 { ("offset", offset) } else { ("length", length) };
        return Err(ApiError::bad(format!("receive an entity with incorrect {what} {number}")));
    };
    let (end, total) = (start + size, utf16_len(text));
    if start > total {
        return Err(ApiError::bad(format!("entity begins after the end of the text at UTF-16 offset {start}")));
    }
    if end > total {
        return Err(ApiError::bad(format!(
            "entity beginning at UTF-16 offset {start} ends after the end of the text at UTF-16 offset {end}"
        )));
    }
    if let Some(byte) = inside_character(text, start) {
        return Err(ApiError::bad(format!("entity begins in a middle of a UTF-16 symbol at byte offset {byte}")));
    }
    if let Some(byte) = inside_character(text, end) {
        return Err(ApiError::bad(format!(
            "entity beginning at UTF-16 offset {start} ends in a middle of a UTF-16 symbol at byte offset {byte}"
        )));
    }
    Ok((start, end))
}

/// The byte after the character that a UTF-16 offset falls into the middle of.
fn inside_character(text: &str, offset: usize) -> Option<usize> {
    let mut at = 0;
    for (byte, c) in text.char_indices() {
        if at >= offset {
            break;
        }
        at += c.len_utf16();
        if at > offset {
            return Some(byte + c.len_utf8());
        }
    }
    None
}

/// Takes spaces and empty lines from both ends; entities follow.
fn trim(formatted: Formatted) -> Formatted {
    let blank = |c: char| c == ' ' || c == '\n';
    let right = formatted.text.trim_end_matches(blank);
    let kept = right.trim_start_matches(blank);
    // What is taken from the left is one unit a character.
    let gone = right.len() - kept.len();
    let total = utf16_len(kept);
    let entities = formatted
        .entities
        .into_iter()
        .filter_map(|entity| {
            let start = entity.offset.saturating_sub(gone).min(total);
            let end = (entity.offset + entity.length).saturating_sub(gone).min(total);
            (end > start).then_some(Entity { offset: start, length: end - start, ..entity })
        })
        .collect();
    Formatted { text: kept.to_owned(), entities }
}

/// Text under construction by one of the parsers, with its length kept in UTF-16 units.
#[derive(Default)]
struct Draft {
    done: Formatted,
    units: usize,
}

impl Draft {
    fn push(&mut self, c: char) {
        self.done.text.push(c);
        self.units += c.len_utf16();
    }

    fn push_str(&mut self, text: &str) {
        text.chars().for_each(|c| self.push(c));
    }

    /// Closes an entity that began at `offset`; one without a single character is forgotten.
    fn close(&mut self, entity: Entity, offset: usize) {
        if self.units > offset {
            self.done.entities.push(Entity { offset, length: self.units - offset, ..entity });
        }
    }

    fn finish(mut self) -> Formatted {
        self.done.entities.sort_by_key(|entity| (entity.offset, std::cmp::Reverse(entity.length)));
        self.done
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn entities(text: &str, json: &str) -> Result<Formatted, ApiError> {
        let (cleaned, vanished) = clean(text);
        explicit(text, &cleaned, &vanished, json).and_then(finish)
    }

    #[test]
    fn explicit_entities_follow_what_is_cut_off() {
        let got = entities("  👋\r\nbold ", r#"[{"type":"bold","offset":6,"length":5}]"#).unwrap();
        assert_eq!(got, Formatted { text: "👋\nbold".into(), entities: vec![Entity::plain("bold", 3, 4)] });
    }

    #[test]
    fn explicit_entities_must_lie_on_whole_characters() {
        let refused = |offset, length| {
            let json = format!(r#"[{{"type":"bold","offset":{offset},"length":{length}}}]"#);
            entities("👋a", &json).unwrap_err().description
        };
        assert!(refused(1, 1).contains("begins in a middle of a UTF-16 symbol at byte offset 4"));
        assert!(refused(0, 1).contains("ends in a middle of a UTF-16 symbol at byte offset 4"));
        assert!(refused(0, 4).contains("ends after the end of the text at UTF-16 offset 4"));
        assert!(refused(9, 1).contains("begins after the end"));
        assert!(refused(-1, 1).contains("incorrect offset -1"));
        assert!(entities("a", r#"[{"type":"loud","offset":0,"length":1}]"#).is_err());
        assert_eq!(entities("a", "nonsense").unwrap().entities, []);
    }

    #[test]
    fn length_is_counted_in_utf16_units_after_trimming() {
        assert!(entities(&format!(" {} ", "👋".repeat(2048)), "").is_ok());
        assert_eq!(entities(&"👋".repeat(2049), "").unwrap_err(), ApiError::bad("message is too long"));
        assert_eq!(entities(" \n\t ", "").unwrap_err(), ApiError::bad("text must be non-empty"));
    }
}
