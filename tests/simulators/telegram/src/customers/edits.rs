//! Customers change their messages, or take them back.

use serde_json::{Value, json};

use super::{formatted, kinds::Place};
use crate::{
    bot::{DAY_S, Deed, NewUpdate, State},
    chats::set_or_remove,
    formatting::Entity,
    text::sha256_hex,
};

impl State {
    /// A customer changes the text of a message of theirs.
    pub fn edit(&mut self, chat: i64, message_id: i64, text: &str, entities: &[Entity]) -> Result<Deed, String> {
        let found = formatted(text, entities)?;
        self.change(chat, message_id, |message| {
            let (text_field, entities_field) =
                if message.get("text").is_some() { ("text", "entities") } else { ("caption", "caption_entities") };
            message[text_field] = json!(text);
            set_or_remove(message, entities_field, (!found.is_empty()).then(|| json!(found)));
            Ok(())
        })
    }

    /// A live place moves, or stops to be live.
    pub fn move_place(&mut self, chat: i64, message_id: i64, place: &Place, stop: bool) -> Result<Deed, String> {
        let place = place.describe()?;
        self.change(chat, message_id, |message| {
            let location = message.get_mut("location").filter(|location| location.get("live_period").is_some());
            let location = location.ok_or_else(|| format!("message {message_id} is no live place"))?;
            (location["latitude"], location["longitude"]) = (place["latitude"].clone(), place["longitude"].clone());
            if stop {
                set_or_remove(location, "live_period", None);
            }
            Ok(())
        })
    }

    fn change(
        &mut self,
        chat: i64,
        message_id: i64,
        change: impl FnOnce(&mut Value) -> Result<(), String>,
    ) -> Result<Deed, String> {
        let now = self.now();
        let entry = self.chats.chats.get_mut(&chat).ok_or_else(|| format!("no chat {chat}"))?;
        let message = entry
            .messages
            .get_mut(&message_id)
            .filter(|message| message.author.is_some())
            .and_then(|message| message.body.as_mut())
            .ok_or_else(|| format!("no message {message_id} of a customer in chat {chat}"))?;
        change(message)?;
        // What has no words is told apart by its date alone: no two changes of it in one second.
        let worded = message.get("text").or_else(|| message.get("caption")).is_some();
        let last = message["edit_date"].as_i64().unwrap_or_default();
        let date = if worded { now } else { now.max(last + 1) };
        message["edit_date"] = json!(date);
        let body = message.clone();
        let text = body["text"].as_str().or_else(|| body["caption"].as_str());
        let hash = sha256_hex(text.unwrap_or_default().as_bytes());
        let deed = self.enqueue(NewUpdate {
            kind: "edited_message",
            body: &body,
            chat,
            message_id: Some(message_id),
            key: Some(format!("e:{chat}:{message_id}:{date}:{}", &hash[..16])),
            text,
            file: None,
            lives_s: DAY_S,
        });
        self.changed(Some(chat), "edit");
        Ok(deed)
    }

    /// A customer takes a message away, for both sides. The bot is never told.
    pub fn take_back(&mut self, chat: i64, message_id: i64) -> Result<(), String> {
        let entry = self.chats.chats.get_mut(&chat).ok_or_else(|| format!("no chat {chat}"))?;
        if entry.message(message_id).is_none() {
            return Err(format!("no message {message_id} in chat {chat}"));
        }
        entry.forget(message_id);
        self.changed(Some(chat), "delete");
        Ok(())
    }
}
