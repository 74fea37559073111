//! Updates → facts, pure. Types are teloxide's; what they cannot read is a [`ParseError`], never a loss.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::de::IgnoredAny;
use serde_json::Value;
use sha2::{Digest, Sha256};
use switchboard_common::model::{Author, ChatKind, ChatRef, Inbound, InboundItem, RawUpdate, message_key, text};
use teloxide::types::{ChatMemberKind, ChatMemberUpdated, Message, MessageKind, Update, UpdateKind, User};

use super::content::{Carried, carried};
use crate::platform::ParseError;

pub(super) fn update(raw: &RawUpdate) -> Result<Vec<Inbound>, ParseError> {
    let text = std::str::from_utf8(&raw.0).map_err(|_| ParseError("not UTF-8".to_owned()))?;
    let json = mended(text);
    let update: Update = serde_json::from_str(&json)
        .map_err(|error| ParseError(format!("no update: line {}, column {}", error.line(), error.column())))?;
    let fact = match &update.kind {
        UpdateKind::Message(message) => written(message, &raw_message(&json, "message")?)?,
        UpdateKind::EditedMessage(message) => edited(message, &raw_message(&json, "edited_message")?),
        UpdateKind::MyChatMember(change) => membership(change),
        UpdateKind::Error(_) => return Err(ParseError(unknown(text))),
        _ => ignored(format!("u:{}", hash(&raw.0)), chat_of(&update), update.from()),
    };
    Ok(vec![fact])
}

/// Names the kind of an update we cannot read, and nothing of what it holds.
fn unknown(text: &str) -> String {
    let plain = |key: &String| key.len() <= 64 && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let fields: HashMap<String, IgnoredAny> = serde_json::from_str(text).unwrap_or_default();
    let kinds: Vec<&str> =
        fields.keys().filter(|key| *key != "update_id").map(|key| if plain(key) { key } else { "?" }).collect();
    format!("unknown or malformed update: {}", kinds.join(", "))
}

/// The message as the platform spells it.
fn raw_message(json: &str, field: &str) -> Result<Value, ParseError> {
    let mut update: HashMap<String, Value> =
        serde_json::from_str(json).map_err(|_| ParseError("no update".to_owned()))?;
    update.remove(field).ok_or_else(|| ParseError(format!("no {field}")))
}

fn written(message: &Message, raw: &Value) -> Result<Inbound, ParseError> {
    let key = key_of(message);
    let item = match &message.kind {
        // teloxide's word for a message whose content it cannot read.
        MessageKind::Empty {} if raw.get("text").is_some_and(|text| !text.is_string()) => {
            return Err(ParseError("malformed message: text".to_owned()));
        }
        MessageKind::Common(_) | MessageKind::Empty {} => {
            let Carried { text, attachments, content } = carried(raw);
            InboundItem::Message { text, attachments, content }
        }
        _ => InboundItem::Ignored,
    };
    let author = author(message.from.as_ref(), &message.chat);
    Ok(Inbound { dedupe_key: key, chat: chat(message), author, item })
}

fn key_of(message: &Message) -> String {
    message_key(&message.chat.id.to_string(), message.id)
}

/// A caption that was changed, or a file: the text is told, the file stays the one that was sent first.
fn edited(message: &Message, raw: &Value) -> Inbound {
    let text = carried(raw).text;
    // `edit_date` has a resolution of one second, so the content tells two edits apart; and the date tells an edit back to
    // an earlier text from that earlier edit.
    let date = message.edit_date().map_or(0, |date| date.timestamp());
    let key = format!("e:{}:{}:{date}:{}", message.chat.id, message.id, &hash(text.as_bytes())[..16]);
    let of_key = key_of(message);
    let item = InboundItem::Edit { of_key, text };
    Inbound { dedupe_key: key, chat: chat(message), author: author(message.from.as_ref(), &message.chat), item }
}

/// A customer blocked us or came back; in groups this is about us and of no interest yet.
fn membership(change: &ChatMemberUpdated) -> Inbound {
    let left = matches!(change.new_chat_member.kind, ChatMemberKind::Banned(_) | ChatMemberKind::Left);
    let word = if left { "left" } else { "returned" };
    let key = format!("b:{}:{}:{word}", change.chat.id, change.date.timestamp());
    match change.chat.is_private() {
        true => Inbound {
            dedupe_key: key,
            chat: chat_ref(&change.chat),
            author: author(Some(&change.from), &change.chat),
            item: InboundItem::Membership { left },
        },
        false => ignored(key, Some(chat_ref(&change.chat)), Some(&change.from)),
    }
}

fn ignored(dedupe_key: String, chat: Option<ChatRef>, from: Option<&User>) -> Inbound {
    let chat = chat.unwrap_or(ChatRef { key: String::new(), kind: ChatKind::Private, title: None });
    let author = Author {
        platform_id: from.map(|user| user.id.to_string()).unwrap_or_default(),
        name: from.map(User::full_name),
    };
    Inbound { dedupe_key, chat, author, item: InboundItem::Ignored }
}

fn chat_of(update: &Update) -> Option<ChatRef> {
    update.chat().map(chat_ref)
}

fn chat(message: &Message) -> ChatRef {
    chat_ref(&message.chat)
}

fn chat_ref(chat: &teloxide::types::Chat) -> ChatRef {
    let kind = if chat.is_private() { ChatKind::Private } else { ChatKind::Group };
    let title = match chat.is_private() {
        true => Some([chat.first_name(), chat.last_name()].into_iter().flatten().collect::<Vec<_>>().join(" ")),
        false => chat.title().map(str::to_owned),
    };
    ChatRef { key: chat.id.to_string(), kind, title: title.filter(|title| !title.is_empty()) }
}

fn author(from: Option<&User>, chat: &teloxide::types::Chat) -> Author {
    match from {
        Some(user) => Author { platform_id: user.id.to_string(), name: Some(user.full_name()) },
        // A channel or an anonymous admin speaks as the chat itself.
        None => Author { platform_id: chat.id.to_string(), name: chat.title().map(str::to_owned) },
    }
}

fn hash(bytes: &[u8]) -> String {
    text::hex(&Sha256::digest(bytes))
}

/// JSON may escape half of a surrogate pair, which no text can hold: such a half becomes U+FFFD, as in the
/// rest of the system. The raw bytes stay as they came.
fn mended(json: &str) -> Cow<'_, str> {
    if !json.contains("\\ud") && !json.contains("\\uD") {
        return Cow::Borrowed(json);
    }
    let bytes = json.as_bytes();
    let unit = |at: usize| -> Option<u16> {
        (bytes.get(at) == Some(&b'\\') && bytes.get(at + 1) == Some(&b'u'))
            .then(|| json.get(at + 2..at + 6).and_then(|hex| u16::from_str_radix(hex, 16).ok()))?
    };
    let mut out = String::with_capacity(json.len());
    let mut at = 0;
    while at < bytes.len() {
        let take = match (bytes[at], unit(at)) {
            (b'\\', Some(0xd800..=0xdbff)) if matches!(unit(at + 6), Some(0xdc00..=0xdfff)) => 12,
            (b'\\', Some(0xd800..=0xdfff)) => {
                out.push('\u{fffd}');
                at += 6;
                continue;
            }
            (b'\\', Some(_)) => 6,
            (b'\\', None) => 2,
            _ => json[at..].chars().next().map_or(1, char::len_utf8),
        };
        let end = (at + take).min(bytes.len());
        out.push_str(json.get(at..end).unwrap_or_default());
        at = end;
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::{InboundItem, RawUpdate, mended, update};

    #[test]
    fn a_photo_of_impossible_size_is_read() {
        let photo = r#"{"file_id":"A","file_unique_id":"a","width":18446744073709551615,"height":2}"#;
        let raw = format!(
            r#"{{"update_id":1,"message":{{"message_id":1,"date":1,"chat":{{"id":5,"type":"private","first_name":"A"}},"photo":[{photo}]}}}}"#
        );
        let facts = update(&RawUpdate(raw.into_bytes())).unwrap_or_default();
        let Some(InboundItem::Message { attachments, .. }) = facts.first().map(|fact| &fact.item) else {
            panic!("it is a message: {facts:?}");
        };
        assert_eq!(attachments.len(), 1);
    }

    #[test]
    fn halves_of_pairs_are_replaced_and_whole_pairs_kept() {
        assert_eq!(mended(r#""\ud83d\ude00""#), r#""\ud83d\ude00""#);
        assert_eq!(mended(r#""a\ud83dz""#), "\"a\u{fffd}z\"");
        assert_eq!(mended(r#""\ude00\ud83d""#), "\"\u{fffd}\u{fffd}\"");
        assert_eq!(mended(r#""\\ud800 stays, é too""#), r#""\\ud800 stays, é too""#);
    }
}
