//! What customers do, each deed one update: the other side of the Bot API.

use serde_json::{Value, json};

use crate::{
    bot::{DAY_S, Deed, NewUpdate, QUERY_S, State},
    chats::{ChatKind, Person, Standing, set_or_remove},
    files::{NewFile, Stored, file_id_of},
    formatting::detect,
    keyboard,
    text::sha256_hex,
};

/// What a customer says.
#[derive(Clone, Debug, Default)]
pub struct Saying {
    /// Text, or caption of a photo.
    pub text: Option<String>,
    /// Message it replies to.
    pub reply_to: Option<i64>,
    /// Fields beside the text: photo, contact.
    pub extra: Vec<(&'static str, Value)>,
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
        if saying.text.as_deref().is_none_or(str::is_empty) && saying.extra.is_empty() {
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
        let id = self.chats.next_message_id(chat);
        let now = self.now();
        let from_user = self.chats.people[&from].user();
        let mut body = json!({ "message_id": id, "from": from_user, "chat": self.chats.describe(chat), "date": now });
        let (text_field, entities_field) = match saying.extra.is_empty() {
            true => ("text", "entities"),
            false => ("caption", "caption_entities"),
        };
        for (field, value) in &saying.extra {
            body[*field] = value.clone();
        }
        if let Some(text) = saying.text.as_deref().filter(|text| !text.is_empty()) {
            body[text_field] = json!(text);
            let found = detect(text);
            set_or_remove(&mut body, entities_field, (!found.is_empty()).then(|| json!(found)));
        }
        let entry = self.chats.chats.get_mut(&chat).expect("the chat was looked up above");
        if let Some(reply_to) = saying.reply_to {
            let quoted = entry.quoted(reply_to).ok_or_else(|| format!("no message {reply_to} in chat {chat}"))?;
            body["reply_to_message"] = quoted;
        }
        entry.keep(id, Some(from), now, body.clone());
        let deed = self.enqueue(NewUpdate {
            kind: "message",
            body: &body,
            chat,
            message_id: Some(id),
            key: Some(format!("m:{chat}:{id}")),
            text: saying.text.as_deref().filter(|text| !text.is_empty()),
            file: file_id_of(&body).and_then(|id| self.files.get(id)).map(Stored::seen),
            lives_s: DAY_S,
        });
        self.changed(Some(chat), "message");
        Ok(deed)
    }

    /// A customer changes the text of a message of theirs.
    pub fn edit(&mut self, chat: i64, message_id: i64, text: &str) -> Result<Deed, String> {
        let now = self.now();
        let entry = self.chats.chats.get_mut(&chat).ok_or_else(|| format!("no chat {chat}"))?;
        let message = entry
            .messages
            .get_mut(&message_id)
            .filter(|message| message.author.is_some())
            .and_then(|message| message.body.as_mut())
            .ok_or_else(|| format!("no message {message_id} of a customer in chat {chat}"))?;
        let (text_field, entities_field) =
            if message.get("text").is_some() { ("text", "entities") } else { ("caption", "caption_entities") };
        message[text_field] = json!(text);
        message["edit_date"] = json!(now);
        let found = detect(text);
        set_or_remove(message, entities_field, (!found.is_empty()).then(|| json!(found)));
        let body = message.clone();
        let deed = self.enqueue(NewUpdate {
            kind: "edited_message",
            body: &body,
            chat,
            message_id: Some(message_id),
            key: Some(format!("e:{chat}:{message_id}:{now}:{}", &sha256_hex(text.as_bytes())[..16])),
            text: Some(text),
            file: None,
            lives_s: DAY_S,
        });
        self.changed(Some(chat), "edit");
        Ok(deed)
    }

    /// A customer presses an inline button.
    pub fn press(&mut self, chat: i64, from: i64, message_id: i64, data: &str) -> Result<Deed, String> {
        let entry = self.chats.chats.get(&chat).ok_or_else(|| format!("no chat {chat}"))?;
        let message = entry.quoted(message_id).ok_or_else(|| format!("no message {message_id} in chat {chat}"))?;
        if !keyboard::has_callback(message.get("reply_markup"), data) {
            return Err(format!("message {message_id} has no button with the data {data}"));
        }
        let person = self.chats.people.get(&from).ok_or_else(|| format!("nobody has the id {from}"))?;
        self.press_count += 1;
        let id = (self.bot_id * 1_000_000 + self.press_count).to_string();
        let body = json!({
            "id": id, "from": person.user(), "message": message, "chat_instance": (-chat).to_string(), "data": data,
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
        Ok(deed)
    }

    /// The bot's place in a chat changes: blocked, unblocked, added, thrown out.
    pub fn move_bot(&mut self, chat: i64, by: i64, to: Standing) -> Result<Deed, String> {
        let by = self.chats.people.get(&by).map(Person::user).ok_or_else(|| format!("nobody has the id {by}"))?;
        let now = self.now();
        let user = self.bot_user();
        let entry = self.chats.chats.get_mut(&chat).ok_or_else(|| format!("no chat {chat}"))?;
        let old = entry.standing;
        if old == to {
            return Err(format!("chat {chat} is {to:?} already"));
        }
        entry.standing = to;
        let member = |standing: Standing| match standing {
            Standing::Open => json!({ "status": "member", "user": user }),
            Standing::NeverStarted => json!({ "status": "left", "user": user }),
            _ => json!({ "status": "kicked", "user": user, "until_date": 0 }),
        };
        let body = json!({
            "chat": self.chats.describe(chat), "from": by, "date": now,
            "old_chat_member": member(old), "new_chat_member": member(to),
        });
        let deed = self.enqueue(NewUpdate {
            kind: "my_chat_member",
            body: &body,
            chat,
            message_id: None,
            key: None,
            text: None,
            file: None,
            lives_s: DAY_S,
        });
        self.changed(Some(chat), "standing");
        Ok(deed)
    }

    /// A basic group becomes a supergroup: a service message on each side, and the old id leads to the new one.
    pub fn migrate(&mut self, chat: i64, to: i64, by: i64) -> Result<Vec<Deed>, String> {
        let entry = self.chats.chats.get(&chat).ok_or_else(|| format!("no chat {chat}"))?;
        let ChatKind::Group { title } = entry.kind.clone() else {
            return Err(format!("chat {chat} is no basic group"));
        };
        if self.chats.chats.contains_key(&to) {
            return Err(format!("chat {to} exists already"));
        }
        self.introduce(by, None, None, None);
        self.chats.open(to, ChatKind::Supergroup { title }, Standing::Open);
        let told = |field| Saying { extra: vec![field], ..Saying::default() };
        let deeds = vec![
            self.say(chat, by, told(("migrate_to_chat_id", json!(to))))?,
            self.say(to, by, told(("migrate_from_chat_id", json!(chat))))?,
        ];
        if let Some(old) = self.chats.chats.get_mut(&chat) {
            old.standing = Standing::Migrated(to);
        }
        self.changed(Some(chat), "standing");
        Ok(deeds)
    }

    /// A file, with or without words under it. Those of one album name the same one, and come each for itself.
    pub fn send_file(
        &mut self,
        chat: i64,
        from: i64,
        new: NewFile,
        caption: Option<String>,
        album: Option<String>,
    ) -> Result<Deed, String> {
        let mut extra = self.files.keep(self.bot_id, new);
        extra.extend(album.map(|album| ("media_group_id", json!(album))));
        self.say(chat, from, Saying { text: caption, extra, reply_to: None })
    }

    /// A contact card: the customer's own, as after the request button, or somebody else's.
    pub fn contact(&mut self, chat: i64, from: i64, own: bool) -> Result<Deed, String> {
        self.introduce(from, None, None, None);
        let person = &self.chats.people[&from];
        let card = match own {
            true => json!({
                "phone_number": format!("+1555{:07}", from.unsigned_abs() % 10_000_000),
                "first_name": person.first_name, "user_id": from,
            }),
            false => json!({ "phone_number": "+15550000001", "first_name": "Somebody else", "user_id": from + 1 }),
        };
        self.say(chat, from, Saying { extra: vec![("contact", card)], ..Saying::default() })
    }
}
