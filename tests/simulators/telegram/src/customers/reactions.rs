//! Reactions of customers, and their profile photos.

use serde_json::{Value, json};

use crate::{
    bot::{DAY_S, Deed, NewUpdate, State},
    chats::{ChatKind, Person},
    files::NewFile,
};

impl State {
    /// A customer reacts to a message, or with an empty list takes the reaction back. In groups only administrators hear of
    /// it, and every bot only when it asked for such updates.
    pub fn react(&mut self, chat: i64, from: i64, message_id: i64, emoji: &[String]) -> Result<Deed, String> {
        let user = self.chats.people.get(&from).map(Person::user).ok_or_else(|| format!("nobody has the id {from}"))?;
        let now = self.now();
        let entry = self.chats.chats.get_mut(&chat).ok_or_else(|| format!("no chat {chat}"))?;
        let heard = entry.kind == ChatKind::Private || entry.admin;
        let message = entry.messages.get_mut(&message_id).filter(|message| message.body.is_some());
        let message = message.ok_or_else(|| format!("no message {message_id} in chat {chat}"))?;
        let new: Vec<Value> = emoji.iter().map(|emoji| json!({ "type": "emoji", "emoji": emoji })).collect();
        let old = message.reactions.remove(&from).unwrap_or_default();
        if !new.is_empty() {
            message.reactions.insert(from, new.clone());
        }
        let pseq = entry.pseq;
        self.changed(Some(chat), "reaction");
        if !heard {
            let key = String::new();
            return Ok(Deed { update_id: None, message_id: Some(message_id), key, pseq, query_id: None });
        }
        let body = json!({
            "chat": self.chats.describe(chat), "message_id": message_id, "user": user, "date": now,
            "old_reaction": old, "new_reaction": new,
        });
        Ok(self.enqueue(NewUpdate {
            kind: "message_reaction",
            body: &body,
            chat,
            message_id: Some(message_id),
            key: None,
            text: None,
            file: None,
            lives_s: DAY_S,
        }))
    }

    /// Another profile photo, or with none: nobody sees them any more. The bot is not told.
    pub fn show_face(&mut self, person: i64, photo: Option<NewFile>) {
        self.introduce(person, None, None, None);
        let kept = photo.map(|photo| self.files.keep(self.bot_id, photo));
        let sizes = kept.into_iter().flatten().map(|(_, sizes)| sizes).next();
        let person = self.chats.people.get_mut(&person).expect("introduced above");
        match sizes {
            Some(sizes) => person.photos.insert(0, sizes),
            None => person.photos.clear(),
        }
    }
}
