//! The platform's own memory: people, chats, and every message of both directions.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{formatting::Formatted, reply::ApiError};

/// A person, as every update about them shows.
#[derive(Clone, Debug)]
pub struct Person {
    /// Id, which is also the id of the private chat with them.
    pub id: i64,
    /// First name; everybody has one.
    pub first_name: String,
    /// Last name.
    pub last_name: Option<String>,
    /// Name without the `@`.
    pub username: Option<String>,
    /// Language of their app.
    pub language_code: Option<String>,
    /// Profile photos that the bot may see, the newest first, each in its sizes.
    pub photos: Vec<Value>,
}

impl Person {
    /// The `User` object.
    pub fn user(&self) -> Value {
        let mut user = json!({ "id": self.id, "is_bot": false, "first_name": self.first_name });
        self.add_names(&mut user);
        if let Some(language) = &self.language_code {
            user["language_code"] = json!(language);
        }
        user
    }

    fn add_names(&self, object: &mut Value) {
        if let Some(name) = &self.last_name {
            object["last_name"] = json!(name);
        }
        if let Some(name) = &self.username {
            object["username"] = json!(name);
        }
    }
}

/// What a chat is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChatKind {
    /// With one person.
    Private,
    /// A basic group.
    Group {
        /// Its name.
        title: String,
    },
    /// A supergroup; numbers its messages by itself.
    Supergroup {
        /// Its name.
        title: String,
    },
}

/// Whether the bot may write to a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may.
    Open,
    /// The person never started the bot.
    NeverStarted,
    /// The person blocked the bot.
    Blocked,
    /// The person's account is gone.
    Deactivated,
    /// The group threw the bot out.
    Kicked,
    /// The group goes on as another chat.
    Migrated(i64),
}

/// One message as the platform keeps it.
#[derive(Clone, Debug)]
pub struct Message {
    /// The `Message` object; `None` once it was deleted.
    pub body: Option<Value>,
    /// Who wrote it; `None` is the bot.
    pub author: Option<i64>,
    /// Unix time it was written.
    pub date: i64,
    /// Who reacted how; the bot is 0.
    pub reactions: BTreeMap<i64, Vec<Value>>,
}

/// One chat.
#[derive(Clone, Debug)]
pub struct Chat {
    /// Id.
    pub id: i64,
    /// What it is.
    pub kind: ChatKind,
    /// Whether the bot may write.
    pub standing: Standing,
    /// All messages by id.
    pub messages: BTreeMap<i64, Message>,
    /// How many deeds of customers it has seen.
    pub pseq: u64,
    /// The last chat action and when it stops showing, as Unix time.
    pub action: Option<(String, i64)>,
    /// What lies under the customer's text field: a reply keyboard or a wish for an answer, and the message it came with.
    pub keys: Option<(i64, Value)>,
    /// Whether the bot is an administrator of it.
    pub admin: bool,
    last_own_id: i64,
}

/// Everything a bot's chats consist of.
#[derive(Clone, Debug, Default)]
pub struct Chats {
    /// People by id.
    pub people: BTreeMap<i64, Person>,
    /// Chats by id.
    pub chats: BTreeMap<i64, Chat>,
    last_shared_id: i64,
    albums: i64,
}

impl Chats {
    /// A chat, made when it is new.
    pub fn open(&mut self, id: i64, kind: ChatKind, standing: Standing) -> &mut Chat {
        self.chats.entry(id).or_insert_with(|| Chat {
            id,
            kind,
            standing,
            messages: BTreeMap::new(),
            pseq: 0,
            action: None,
            keys: None,
            admin: false,
            last_own_id: 0,
        })
    }

    /// The next message id of a chat: private chats and basic groups share one counter, a supergroup has its own.
    pub fn next_message_id(&mut self, chat: i64) -> i64 {
        let own = self.chats.get_mut(&chat).filter(|chat| matches!(chat.kind, ChatKind::Supergroup { .. }));
        let counter = own.map_or(&mut self.last_shared_id, |chat| &mut chat.last_own_id);
        *counter += 1;
        *counter
    }

    /// The next number of an album of the bot's.
    pub fn next_group(&mut self) -> i64 {
        self.albums += 1;
        self.albums
    }

    /// Numbers go on where they were in another state of the same chats.
    pub fn number_on_from(&mut self, other: &Self) {
        (self.last_shared_id, self.albums) = (other.last_shared_id, other.albums);
        for (id, chat) in &other.chats {
            if let Some(own) = self.chats.get_mut(id) {
                own.last_own_id = chat.last_own_id;
            }
        }
    }

    /// The `Chat` object.
    pub fn describe(&self, id: i64) -> Value {
        let Some(chat) = self.chats.get(&id) else { return json!({ "id": id, "type": "private" }) };
        match &chat.kind {
            ChatKind::Private => {
                let mut object = json!({ "id": id, "type": "private" });
                if let Some(person) = self.people.get(&id) {
                    object["first_name"] = json!(person.first_name);
                    person.add_names(&mut object);
                }
                object
            }
            ChatKind::Group { title } => json!({ "id": id, "type": "group", "title": title }),
            ChatKind::Supergroup { title } => json!({ "id": id, "type": "supergroup", "title": title }),
        }
    }

    /// The chat that a request names, when the bot may write to it.
    pub fn writable(&mut self, chat_id: &str) -> Result<&mut Chat, ApiError> {
        let chat = self.find(chat_id)?;
        match chat.standing {
            Standing::Open => Ok(chat),
            Standing::NeverStarted => Err(ApiError::forbidden("bot can't initiate conversation with a user")),
            Standing::Blocked => Err(ApiError::forbidden("bot was blocked by the user")),
            Standing::Deactivated => Err(ApiError::forbidden("user is deactivated")),
            Standing::Kicked => Err(ApiError::forbidden(match chat.kind {
                ChatKind::Supergroup { .. } => "bot was kicked from the supergroup chat",
                ChatKind::Private | ChatKind::Group { .. } => "bot was kicked from the group chat",
            })),
            Standing::Migrated(to) => Err(ApiError::migrated(to)),
        }
    }

    /// The chat that a request names, whether or not the bot may write to it.
    pub fn find(&mut self, chat_id: &str) -> Result<&mut Chat, ApiError> {
        let chat_id = chat_id.trim();
        if chat_id.is_empty() {
            return Err(ApiError::bad("chat_id is empty"));
        }
        let known = chat_id.parse::<i64>().ok().and_then(|id| self.chats.get_mut(&id));
        known.ok_or_else(|| ApiError::bad("chat not found"))
    }
}

impl Chat {
    /// A message that exists.
    pub fn message(&self, id: i64) -> Option<&Value> {
        self.messages.get(&id)?.body.as_ref()
    }

    /// A message as another one quotes it: without what it replied to itself.
    pub fn quoted(&self, id: i64) -> Option<Value> {
        let mut body = self.message(id)?.clone();
        if let Some(object) = body.as_object_mut() {
            for deeper in ["reply_to_message", "external_reply", "quote"] {
                object.remove(deeper);
            }
        }
        Some(body)
    }

    /// Takes a message away, for both sides.
    pub fn forget(&mut self, id: i64) {
        if let Some(message) = self.messages.get_mut(&id) {
            message.body = None;
            message.reactions.clear();
        }
        if self.keys.as_ref().is_some_and(|(with, _)| *with == id) {
            self.keys = None;
        }
    }

    /// Keeps a message.
    pub fn keep(&mut self, id: i64, author: Option<i64>, date: i64, body: Value) {
        self.messages.insert(id, Message { body: Some(body), author, date, reactions: BTreeMap::new() });
        if author.is_none() {
            self.action = None;
        }
    }
}

/// The fields that are a message's content, as forwarding takes them along.
pub const CONTENT: [&str; 18] = [
    "text",
    "entities",
    "photo",
    "video",
    "audio",
    "voice",
    "video_note",
    "animation",
    "document",
    "sticker",
    "caption",
    "caption_entities",
    "has_media_spoiler",
    "show_caption_above_media",
    "contact",
    "location",
    "venue",
    "poll",
];

/// Whether somebody said something with a message: service messages say nothing.
pub fn is_content(message: &Value) -> bool {
    CONTENT.iter().any(|field| message.get(field).is_some())
}

/// Writes a text and its entities into a `Message` object.
pub fn set_text(message: &mut Value, formatted: &Formatted) {
    message["text"] = json!(formatted.text);
    set_or_remove(message, "entities", (!formatted.entities.is_empty()).then(|| json!(formatted.entities)));
}

/// Writes a caption and its entities into a `Message` object.
pub fn set_caption(message: &mut Value, formatted: &Formatted) {
    set_or_remove(message, "caption", (!formatted.text.is_empty()).then(|| json!(formatted.text)));
    set_or_remove(message, "caption_entities", (!formatted.entities.is_empty()).then(|| json!(formatted.entities)));
}

/// Sets a field, or takes it away: optional fields of the platform are absent, never null.
pub fn set_or_remove(object: &mut Value, name: &str, value: Option<Value>) {
    let fields: &mut Map<_, _> = object.as_object_mut().expect("a message is an object");
    match value {
        Some(value) => drop(fields.insert(name.to_owned(), value)),
        None => drop(fields.remove(name)),
    }
}
