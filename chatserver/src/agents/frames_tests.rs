#![allow(clippy::unwrap_used)]

use chrono::DateTime;
use serde_json::json;
use switchboard_common::model::{ChatId, Lane};
use switchboard_common::store::OutcomeItem;

use super::*;

fn frame(author: Author, body: EntryBody) -> serde_json::Value {
    let at = DateTime::from_timestamp_micros(1_795_252_800_123_456).unwrap();
    let entry = Entry { chat: ChatId(17), account: "support".to_owned(), seq: 5, at, author, body };
    let frame: serde_json::Value = serde_json::from_str(&entry_frame("agent:12", 56, &entry)).unwrap();
    assert_eq!((&frame["type"], &frame["feed"], &frame["seq"]), (&json!("entry"), &json!("agent:12"), &json!(56)));
    let mut entry = frame["entry"].clone();
    let common = ["chat", "account", "seq", "at"].map(|key| entry.as_object_mut().unwrap().remove(key).unwrap());
    assert_eq!(common, [json!("17"), json!("support"), json!(5), json!("2026-11-21T09:20:00.123Z")]);
    entry
}

#[test]
fn every_kind_is_as_the_protocol_says() {
    let olga = || Author::Customer { id: 9, name: Some("Olga P.".to_owned()) };
    let customer = json!({"kind": "customer", "id": "9", "name": "Olga P."});
    let anna = || Author::Agent { id: 3, name: Some("Anna".to_owned()) };
    let agent = json!({"kind": "agent", "id": "3", "name": "Anna"});
    let system = json!({"kind": "system"});
    let text = || "hello".to_owned();
    let item = OutcomeItem { of: 4, part: 0, parts: 2, state: "sent".to_owned(), reason: None, agent_id: 3, by: None };
    for (author, body, want) in [
        (
            olga(),
            EntryBody::CustomerMessage { text: text(), unsupported: None },
            json!({"kind": "message", "author": customer, "text": "hello"}),
        ),
        (
            olga(),
            EntryBody::CustomerMessage { text: text(), unsupported: Some("photo".to_owned()) },
            json!({"kind": "message", "author": customer, "text": "hello", "content": {"type": "unsupported", "of": "photo"}}),
        ),
        (
            anna(),
            EntryBody::AgentMessage { text: text(), client_key: "k".to_owned(), parts: 2, lane: Lane::Interactive },
            json!({"kind": "message", "author": agent, "text": "hello", "client_key": "k", "parts": 2}),
        ),
        (
            anna(),
            EntryBody::AgentMessage { text: text(), client_key: "k".to_owned(), parts: 1, lane: Lane::Bulk },
            json!({"kind": "message", "author": agent, "text": "hello", "client_key": "k", "parts": 1, "lane": "bulk"}),
        ),
        (
            olga(),
            EntryBody::Edited { text: text(), of: None },
            json!({"kind": "edited", "author": customer, "text": "hello", "of": null}),
        ),
        (
            Author::System,
            EntryBody::Opened { interaction: 7, queue: "support".to_owned() },
            json!({"kind": "opened", "author": system, "interaction": "7", "queue": "support"}),
        ),
        (
            anna(),
            EntryBody::Taken { interaction: 7, agent: "anna".to_owned() },
            json!({"kind": "taken", "author": agent, "interaction": "7", "agent": "anna"}),
        ),
        (
            anna(),
            EntryBody::Closed { interaction: 7, outcome: None },
            json!({"kind": "closed", "author": agent, "interaction": "7", "outcome": null}),
        ),
        (
            Author::System,
            EntryBody::Outcome { item, by: None },
            json!({"kind": "outcome", "author": system, "of": 4, "part": 0, "parts": 2, "state": "sent", "reason": null, "by": null}),
        ),
        (
            olga(),
            EntryBody::Membership { left: true },
            json!({"kind": "membership", "author": customer, "state": "left"}),
        ),
        (Author::System, EntryBody::Unknown, json!({"kind": "unknown", "author": system})),
    ] {
        assert_eq!(frame(author, body), want);
    }
}
