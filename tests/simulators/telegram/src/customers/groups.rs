//! Where the bot stands in chats, what becomes of groups, and what of them the bot may see.

use serde_json::{Value, json};

use super::{Saying, members::member};
use crate::{
    bot::{DAY_S, Deed, NewUpdate, State},
    chats::{ChatKind, Person, Standing, is_content},
};

impl State {
    /// The bot's place in a chat changes: blocked, unblocked, added, thrown out.
    pub fn move_bot(&mut self, chat: i64, by: i64, to: Standing) -> Result<Deed, String> {
        let by = self.chats.people.get(&by).map(Person::user).ok_or_else(|| format!("nobody has the id {by}"))?;
        let user = self.bot_user();
        let entry = self.chats.chats.get_mut(&chat).ok_or_else(|| format!("no chat {chat}"))?;
        let (old, admin) = (entry.standing, entry.admin);
        if old == to {
            return Err(format!("chat {chat} is {to:?} already"));
        }
        entry.standing = to;
        entry.admin &= to == Standing::Open;
        let admin_now = entry.admin;
        Ok(self.membership(chat, by, member(old, admin, &user), member(to, admin_now, &user)))
    }

    /// Tells the bot of its place.
    pub(super) fn membership(&mut self, chat: i64, by: Value, old: Value, new: Value) -> Deed {
        let body = json!({
            "chat": self.chats.describe(chat), "from": by, "date": self.now(),
            "old_chat_member": old, "new_chat_member": new,
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
        deed
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
        let admin = self.chats.chats[&chat].admin;
        self.chats.open(to, ChatKind::Supergroup { title }, Standing::Open).admin = admin;
        let deeds = vec![
            self.say(chat, by, Saying::of(vec![("migrate_to_chat_id", json!(to))]))?,
            self.say(to, by, Saying::of(vec![("migrate_from_chat_id", json!(chat))]))?,
        ];
        if let Some(old) = self.chats.chats.get_mut(&chat) {
            old.standing = Standing::Migrated(to);
        }
        self.changed(Some(chat), "standing");
        Ok(deeds)
    }

    /// Whether the bot is shown a message: with privacy on, in a group where it is no administrator, only commands that are
    /// not for another bot, replies to its own messages, and service messages.
    pub(super) fn is_shown(&self, chat: i64, body: &Value) -> bool {
        let Some(entry) = self.chats.chats.get(&chat) else { return true };
        if !self.privacy || entry.kind == ChatKind::Private || entry.admin || !is_content(body) {
            return true;
        }
        let to_bot = body["reply_to_message"]["from"]["id"].as_i64() == Some(self.bot_id);
        let text = body["text"].as_str().unwrap_or_default();
        let command = text.split_whitespace().next().and_then(|word| word.strip_prefix('/'));
        let own_name = format!("{}_bot", self.acct);
        let for_bot = command.is_some_and(|command| command.split_once('@').is_none_or(|(_, name)| name == own_name));
        to_bot || for_bot
    }
}
