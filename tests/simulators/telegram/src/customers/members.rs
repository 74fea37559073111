//! Service messages of groups.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Saying;
use crate::{
    bot::{Deed, State},
    chats::{ChatKind, Person, Standing},
};

/// What happens in a group.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// People are added.
    NewChatMembers {
        /// Who.
        members: Vec<i64>,
    },
    /// Somebody leaves, or is sent away.
    LeftChatMember {
        /// Who.
        member: i64,
    },
    /// The group has another name.
    NewChatTitle {
        /// Which.
        title: String,
    },
    /// A message is pinned.
    PinnedMessage {
        /// Which.
        message_id: i64,
    },
    /// The picture is gone.
    DeleteChatPhoto,
    /// Messages vanish after a time.
    MessageAutoDeleteTimerChanged,
}

impl State {
    /// Something happens in a group, and a service message says so. Bots see these whatever their privacy.
    pub fn happen(&mut self, chat: i64, from: i64, event: Event) -> Result<Deed, String> {
        let field = match event {
            Event::NewChatMembers { members } => {
                members.iter().for_each(|member| self.introduce(*member, None, None, None));
                let people = members.iter().map(|member| self.chats.people[member].user());
                ("new_chat_members", people.collect())
            }
            Event::LeftChatMember { member } => {
                self.introduce(member, None, None, None);
                ("left_chat_member", self.chats.people[&member].user())
            }
            Event::NewChatTitle { title } => {
                let entry = self.chats.chats.get_mut(&chat).ok_or_else(|| format!("no chat {chat}"))?;
                entry.kind = match entry.kind {
                    ChatKind::Private => return Err(format!("chat {chat} is no group")),
                    ChatKind::Group { .. } => ChatKind::Group { title: title.clone() },
                    ChatKind::Supergroup { .. } => ChatKind::Supergroup { title: title.clone() },
                };
                ("new_chat_title", json!(title))
            }
            Event::PinnedMessage { message_id } => {
                let pinned = self.chats.chats.get(&chat).and_then(|chat| chat.quoted(message_id));
                ("pinned_message", pinned.ok_or_else(|| format!("no message {message_id} in chat {chat}"))?)
            }
            Event::DeleteChatPhoto => ("delete_chat_photo", json!(true)),
            Event::MessageAutoDeleteTimerChanged => {
                ("message_auto_delete_timer_changed", json!({ "message_auto_delete_time": 86_400 }))
            }
        };
        self.say(chat, from, Saying::of(vec![field]))
    }

    /// Somebody adds the bot to a group: a change of its membership, and the service message that the others see.
    pub fn invite(&mut self, chat: i64, title: &str, by: i64) -> Result<Vec<Deed>, String> {
        self.introduce(by, None, None, None);
        let kind = ChatKind::Group { title: title.to_owned() };
        let entry = self.chats.open(chat, kind, Standing::NeverStarted);
        entry.admin = false;
        let joined = self.move_bot(chat, by, Standing::Open)?;
        let bot = self.bot_user();
        let seen = self.say(chat, by, Saying::of(vec![("new_chat_members", json!([bot]))]))?;
        Ok(vec![joined, seen])
    }

    /// The bot becomes an administrator of a group, or no longer is one.
    pub fn promote(&mut self, chat: i64, by: i64, admin: bool) -> Result<Deed, String> {
        self.introduce(by, None, None, None);
        let entry = self.chats.chats.get_mut(&chat).ok_or_else(|| format!("no chat {chat}"))?;
        if entry.kind == ChatKind::Private || entry.standing != Standing::Open || entry.admin == admin {
            return Err(format!("chat {chat} is no group where that would change anything"));
        }
        let before = member(entry.standing, entry.admin, &self.bot_user());
        if let Some(entry) = self.chats.chats.get_mut(&chat) {
            entry.admin = admin;
        }
        let by = self.chats.people.get(&by).map(Person::user).unwrap_or_default();
        Ok(self.membership(chat, by, before, member(Standing::Open, admin, &self.bot_user())))
    }
}

/// The `ChatMember` object of the bot.
pub fn member(standing: Standing, admin: bool, user: &Value) -> Value {
    match standing {
        Standing::Open if admin => {
            let mut member =
                json!({ "status": "administrator", "user": user, "can_be_edited": false, "is_anonymous": false });
            for right in [
                "manage_chat",
                "delete_messages",
                "manage_video_chats",
                "restrict_members",
                "promote_members",
                "change_info",
                "invite_users",
                "post_stories",
                "edit_stories",
                "delete_stories",
            ] {
                member[format!("can_{right}")] = json!(right != "promote_members");
            }
            member
        }
        Standing::Open => json!({ "status": "member", "user": user }),
        Standing::NeverStarted => json!({ "status": "left", "user": user }),
        _ => json!({ "status": "kicked", "user": user, "until_date": 0 }),
    }
}
