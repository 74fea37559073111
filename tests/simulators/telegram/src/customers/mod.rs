//! What customers do, each deed one update: the other side of the Bot API.

mod edits;
mod groups;
mod kinds;
mod members;
mod origin;
mod presses;
mod reactions;

use serde_json::{Value, json};

pub use kinds::{Place, Vote};
pub use members::Event;
pub use origin::Origin;
pub use presses::Press;

use crate::{
    bot::{DAY_S, Deed, NewUpdate, State},
    chats::{ChatKind, Person, Standing, set_or_remove},
    files::{NewFile, Stored, file_id_of},
    formatting::{Entity, detect},
    text::utf16_len,
};

/// What a customer says.
#[derive(Clone, Debug, Default)]
pub struct Saying {
    /// Text, or caption of a photo.
    pub text: Option<String>,
    /// Formatting of the text, by the customer's own hand; links are found beside it.
    pub entities: Vec<Entity>,
    /// Message it replies to.
    pub reply_to: Option<i64>,
    /// The part of that message that is quoted.
    pub quote: Option<String>,
    /// Instead of a message of this chat: where the message is from that it replies to.
    pub reply_from: Option<Origin>,
    /// Where it is from, when it is not the customer's own.
    pub forward: Option<Origin>,
    /// Fields beside the text: photo, contact.
    pub extra: Vec<(&'static str, Value)>,
}

impl Saying {
    /// Something without words.
    pub fn of(extra: Vec<(&'static str, Value)>) -> Self {
        Self { extra, ..Self::default() }
    }

    fn words(&self) -> Option<&str> {
        self.text.as_deref().filter(|text| !text.is_empty())
    }
}

impl State {
    /// Makes a person known, or changes what is told about them, without their having started the bot.
    pub fn introduce(
        &mut self,
        id: i64,
        first_name: Option<String>,
        username: Option<String>,
        language: Option<String>,
    ) {
        let person = self.chats.people.entry(id).or_insert_with(|| Person {
            id,
            first_name: format!("Customer {id}"),
            last_name: None,
            username: None,
            language_code: None,
            photos: Vec::new(),
        });
        person.first_name = first_name.unwrap_or_else(|| person.first_name.clone());
        person.username = username.or_else(|| person.username.take());
        person.language_code = language.or_else(|| person.language_code.take());
    }

    /// The person becomes somebody the bot may write to. Somebody who blocked it has to unblock it first.
    pub fn start(&mut self, id: i64) -> Result<(), String> {
        self.introduce(id, None, None, None);
        let chat = self.chats.open(id, ChatKind::Private, Standing::NeverStarted);
        match chat.standing {
            Standing::Open => Ok(()),
            Standing::NeverStarted => {
                chat.standing = Standing::Open;
                Ok(())
            }
            other => Err(format!("chat {id} is {other:?}: nobody can write there")),
        }
    }

    /// A message from a customer.
    pub fn say(&mut self, chat: i64, from: i64, saying: Saying) -> Result<Deed, String> {
        let body = self.write(chat, from, saying)?;
        Ok(self.tell_bot(chat, &body))
    }

    /// Puts a message of a customer into its chat; the bot is not told yet.
    fn write(&mut self, chat: i64, from: i64, saying: Saying) -> Result<Value, String> {
        if saying.words().is_none() && saying.extra.is_empty() {
            return Err("a message has text or something else in it".to_owned());
        }
        if chat == from {
            self.start(from)?;
        } else {
            self.introduce(from, None, None, None);
            let group = self.chats.chats.get(&chat).ok_or_else(|| format!("no group {chat}: make it first"))?;
            if group.standing != Standing::Open {
                return Err(format!("chat {chat} is {:?}: nobody can write there", group.standing));
            }
        }
        let replied = self.replied(chat, &saying)?;
        let id = self.chats.next_message_id(chat);
        let now = self.now();
        let from_user = self.chats.people[&from].user();
        let mut body = json!({ "message_id": id, "from": from_user, "chat": self.chats.describe(chat), "date": now });
        let (text_field, entities_field) = match saying.extra.is_empty() {
            true => ("text", "entities"),
            false => ("caption", "caption_entities"),
        };
        for (field, value) in replied.into_iter().chain(saying.extra.iter().cloned()) {
            body[field] = value;
        }
        if let Some(text) = saying.words() {
            body[text_field] = json!(text);
            let found = formatted(text, &saying.entities)?;
            set_or_remove(&mut body, entities_field, (!found.is_empty()).then(|| json!(found)));
        }
        if let Some(origin) = &saying.forward {
            body["forward_origin"] = origin.describe(now);
        }
        let entry = self.chats.chats.get_mut(&chat).expect("the chat was looked up above");
        entry.keep(id, Some(from), now, body.clone());
        self.changed(Some(chat), "message");
        Ok(body)
    }

    /// What a message says of the one it replies to.
    fn replied(&self, chat: i64, saying: &Saying) -> Result<Vec<(&'static str, Value)>, String> {
        let mut fields = Vec::new();
        if let Some(origin) = &saying.reply_from {
            fields.push(("external_reply", json!({ "origin": origin.describe(self.now()) })));
        }
        if let Some(reply_to) = saying.reply_to {
            let quoted = self.chats.chats.get(&chat).and_then(|chat| chat.quoted(reply_to));
            let quoted = quoted.ok_or_else(|| format!("no message {reply_to} in chat {chat}"))?;
            if let Some(quote) = &saying.quote {
                let text = quoted["text"].as_str().or_else(|| quoted["caption"].as_str()).unwrap_or_default();
                let at = text.find(quote.as_str()).ok_or_else(|| format!("message {reply_to} does not say that"))?;
                let position = utf16_len(&text[..at]);
                fields.push(("quote", json!({ "text": quote, "position": position, "is_manual": true })));
            }
            fields.push(("reply_to_message", quoted));
        }
        Ok(fields)
    }

    /// Queues a message that lies in its chat, when the bot may see it.
    fn tell_bot(&mut self, chat: i64, body: &Value) -> Deed {
        let message_id = body["message_id"].as_i64();
        let key = format!("m:{chat}:{}", body["message_id"]);
        if !self.is_shown(chat, body) {
            let pseq = self.chats.chats.get(&chat).map_or(0, |chat| chat.pseq);
            return Deed { update_id: None, message_id, key, pseq, query_id: None };
        }
        self.enqueue(NewUpdate {
            kind: "message",
            body,
            chat,
            message_id,
            key: Some(key),
            text: body["text"].as_str().or_else(|| body["caption"].as_str()),
            file: file_id_of(body).and_then(|id| self.files.get(id)).map(Stored::seen),
            lives_s: DAY_S,
        })
    }

    /// A file, with or without words under it. Those of one album name the same one, and come each for itself.
    pub fn send_file(
        &mut self,
        chat: i64,
        from: i64,
        new: NewFile,
        album: Option<String>,
        saying: Saying,
    ) -> Result<Deed, String> {
        let mut extra = self.files.keep(self.bot_id, new);
        extra.extend(album.map(|album| ("media_group_id", json!(album))));
        self.say(chat, from, Saying { extra, ..saying })
    }
}

/// The customer's own formatting and the links in a text, in their order.
fn formatted(text: &str, own: &[Entity]) -> Result<Vec<Entity>, String> {
    let total = utf16_len(text);
    if own.iter().any(|entity| entity.length == 0 || entity.offset + entity.length > total) {
        return Err("an entity lies on the text: offsets count UTF-16 units".to_owned());
    }
    let mut all = own.to_vec();
    all.extend(detect(text));
    all.sort_by_key(|entity| (entity.offset, std::cmp::Reverse(entity.length)));
    Ok(all)
}
