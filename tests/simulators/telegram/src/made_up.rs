//! Updates that a test made up: any JSON, or any bytes at all.

use crate::{
    bot::{DAY_S, Deed, State},
    delivery::Lane,
    queue::Update,
    text::sha256_hex,
};

/// An update that a test made up.
#[derive(Clone, Debug)]
pub struct RawUpdate {
    /// Its JSON text, sent as it is but for an update number put in front.
    pub text: String,
    /// Its own number, kept.
    pub own_id: Option<i64>,
    /// Send the text untouched even though it has no usable number.
    pub keep_id: bool,
    /// The chat it is about, if it names one.
    pub chat: Option<i64>,
    /// The connector's key of it, where it is not the hash of the bytes.
    pub key: Option<String>,
}

impl State {
    /// Queues bytes that a test made up. Their key is the hash of what is sent, unless the test knows better.
    pub fn enqueue_raw(&mut self, raw: &RawUpdate) -> Deed {
        let next = self.queue.next_id();
        let id = raw.own_id.filter(|id| *id >= next).unwrap_or(next);
        let bytes = match raw.own_id {
            Some(_) => raw.text.clone().into_bytes(),
            None if raw.keep_id => raw.text.clone().into_bytes(),
            None => with_update_id(&raw.text, id),
        };
        let key = raw.key.clone().unwrap_or_else(|| format!("q:{}", sha256_hex(&bytes)));
        let pseq = raw.chat.map_or(0, |chat| self.next_pseq(chat));
        let chat = raw.chat.map(|chat| chat.to_string());
        let expires_at = self.now() + DAY_S;
        let lane = chat.clone().map_or(Lane::Loose(id), Lane::Chat);
        let update = Update { id, bytes, key: key.clone(), chat, pseq, tries: 0, expires_at, lane };
        self.admit(update, None, None, None, None);
        Deed { update_id: Some(id), message_id: None, key, pseq, query_id: None }
    }
}

/// Puts an update number in front of the fields of an object's text; a text that is no object stays as it is.
fn with_update_id(text: &str, id: i64) -> Vec<u8> {
    match text.trim_start().strip_prefix('{') {
        Some(rest) if rest.trim_start().starts_with('}') => format!("{{\"update_id\":{id}{rest}").into_bytes(),
        Some(rest) => format!("{{\"update_id\":{id},{rest}").into_bytes(),
        None => text.as_bytes().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_number_goes_in_front() {
        assert_eq!(with_update_id(r#" {"message":1}"#, 5), br#"{"update_id":5,"message":1}"#);
        assert_eq!(with_update_id("{}", 5), br#"{"update_id":5}"#);
        assert_eq!(with_update_id("null", 5), b"null");
    }
}
