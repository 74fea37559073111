//! What customers send beside words and files: cards, places, polls, keys of a keyboard.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Saying;
use crate::{
    bot::{Deed, State},
    keyboard,
};

/// A place on the map.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Place {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
}

impl Place {
    /// The `Location` object.
    pub fn describe(&self) -> Result<Value, String> {
        if self.latitude.abs() > 90.0 || self.longitude.abs() > 180.0 {
            return Err("there is no such place".to_owned());
        }
        Ok(json!({ "latitude": self.latitude, "longitude": self.longitude }))
    }
}

/// A poll as a customer makes it.
#[derive(Clone, Debug, Deserialize)]
pub struct Vote {
    /// What is asked.
    pub question: String,
    /// What may be chosen.
    pub options: Vec<String>,
}

impl State {
    /// A contact card: the customer's own, as after the request button, or somebody else's.
    pub fn contact(&mut self, chat: i64, from: i64, own: bool) -> Result<Deed, String> {
        let card = self.card(from, own);
        self.say(chat, from, Saying::of(vec![("contact", card)]))
    }

    fn card(&mut self, from: i64, own: bool) -> Value {
        self.introduce(from, None, None, None);
        let person = &self.chats.people[&from];
        match own {
            true => json!({
                "phone_number": format!("+1555{:07}", from.unsigned_abs() % 10_000_000),
                "first_name": person.first_name, "user_id": from,
            }),
            false => json!({ "phone_number": "+15550000001", "first_name": "Somebody else", "user_id": from + 1 }),
        }
    }

    /// A place, for so many seconds a live one, or with a name.
    pub fn place(
        &mut self,
        chat: i64,
        from: i64,
        place: &Place,
        live_s: Option<i64>,
        named: Option<(String, String)>,
    ) -> Result<Deed, String> {
        let mut location = place.describe()?;
        if let Some(seconds) = live_s {
            location["live_period"] = json!(seconds);
        }
        let mut extra = vec![("location", location.clone())];
        if let Some((title, address)) = named {
            extra.push(("venue", json!({ "location": location, "title": title, "address": address })));
        }
        self.say(chat, from, Saying::of(extra))
    }

    /// A poll, which nobody has answered yet.
    pub fn poll(&mut self, chat: i64, from: i64, vote: &Vote) -> Result<Deed, String> {
        if !(1..=12).contains(&vote.options.len()) {
            return Err("a poll has 1 to 12 options".to_owned());
        }
        let option =
            |(n, text): (usize, &String)| json!({ "persistent_id": n.to_string(), "text": text, "voter_count": 0 });
        let options: Vec<_> = vote.options.iter().enumerate().map(option).collect();
        let id = (self.bot_id * 1_000_000 + self.queue.next_id()).to_string();
        let poll = json!({
            "id": id, "question": vote.question, "options": options, "total_voter_count": 0, "is_closed": false,
            "is_anonymous": true, "type": "regular", "allows_multiple_answers": false, "allows_revoting": true,
            "members_only": false,
        });
        self.say(chat, from, Saying::of(vec![("poll", poll)]))
    }

    /// Presses a key of the reply keyboard that is shown: its text is said, or what it asks for is sent.
    pub fn press_key(&mut self, chat: i64, from: i64, text: &str, place: &Place) -> Result<Deed, String> {
        let shown = self.chats.chats.get(&chat).and_then(|chat| chat.keys.clone());
        let (with, below) = shown.ok_or_else(|| format!("no keyboard is shown in chat {chat}"))?;
        let key = keyboard::key(&below, text).ok_or_else(|| format!("the keyboard has no key {text}"))?;
        let asks = |what: &str| key[what] == true;
        let saying = if asks("request_contact") {
            // Apps send what was asked for as an answer to the message that asked.
            Saying { reply_to: Some(with), ..Saying::of(vec![("contact", self.card(from, true))]) }
        } else if asks("request_location") {
            Saying { reply_to: Some(with), ..Saying::of(vec![("location", place.describe()?)]) }
        } else {
            Saying { text: Some(text.to_owned()), ..Saying::default() }
        };
        let deed = self.say(chat, from, saying)?;
        if below["one_time_keyboard"] == true
            && let Some(chat) = self.chats.chats.get_mut(&chat)
        {
            chat.keys = None;
        }
        Ok(deed)
    }
}
