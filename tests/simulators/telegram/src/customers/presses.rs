//! Inline buttons.

use serde_json::json;

use super::Saying;
use crate::{
    bot::{Deed, NewUpdate, QUERY_S, State},
    keyboard,
};

/// One press of an inline button.
#[derive(Clone, Debug)]
pub struct Press {
    /// Where.
    pub chat: i64,
    /// By whom.
    pub from: i64,
    /// Under which message.
    pub message_id: i64,
    /// The button, by its data.
    pub data: String,
    /// The platform no longer shows the bot that message.
    pub inaccessible: bool,
    /// What the same person said before, which reaches the bot only after the press.
    pub overtakes: Option<String>,
}

impl State {
    /// A customer presses an inline button.
    pub fn press(&mut self, press: Press) -> Result<Deed, String> {
        let Press { chat, from, message_id, data, inaccessible, overtakes } = press;
        let entry = self.chats.chats.get(&chat).ok_or_else(|| format!("no chat {chat}"))?;
        let mut message = entry.quoted(message_id).ok_or_else(|| format!("no message {message_id} in chat {chat}"))?;
        if !keyboard::has_callback(message.get("reply_markup"), &data) {
            return Err(format!("message {message_id} has no button with the data {data}"));
        }
        if inaccessible {
            message = json!({ "chat": message["chat"], "message_id": message_id, "date": 0 });
        }
        let user = self.chats.people.get(&from).ok_or_else(|| format!("nobody has the id {from}"))?.user();
        let said = match overtakes {
            Some(text) => Some(self.write(chat, from, Saying { text: Some(text), ..Saying::default() })?),
            None => None,
        };
        self.press_count += 1;
        let id = (self.bot_id * 1_000_000 + self.press_count).to_string();
        let body = json!({
            "id": id, "from": user, "message": message, "chat_instance": (-chat).to_string(), "data": data,
        });
        self.presses.insert(id.clone(), self.now());
        let deed = self.enqueue(NewUpdate {
            kind: "callback_query",
            body: &body,
            chat,
            message_id: Some(message_id),
            key: None,
            text: None,
            file: None,
            lives_s: QUERY_S,
        });
        if let Some(said) = said {
            self.tell_bot(chat, &said);
        }
        Ok(Deed { query_id: Some(id), ..deed })
    }
}
