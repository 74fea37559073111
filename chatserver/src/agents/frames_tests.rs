#![allow(clippy::unwrap_used)]

use chrono::DateTime;
use serde_json::json;
use switchboard_common::model::{ChatId, Lane};
use switchboard_common::store::{ChatPlace, FileEndItem, FileItem, OutcomeItem};

use super::*;

fn frame(author: Author, body: EntryBody) -> serde_json::Value {
    let at = DateTime::from_timestamp_micros(1_795_252_800_123_456).unwrap();
    let entry = Entry { chat: ChatId(17), account: "support".to_owned(), seq: 5, at, author, body };
    let frame: serde_json::Value = serde_json::from_str(&entry_frame("agent:12", 56, &entry, None)).unwrap();
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
    const ID: &str = "0123456789abcdef0123456789abcdef";
    let photo = || FileItem {
        file: ID.to_owned(),
        kind: "photo".to_owned(),
        name: None,
        mime: Some("image/jpeg".to_owned()),
        size_bytes: Some(1200),
    };
    let photo_json = json!({"file": ID, "kind": "photo", "name": null, "mime": "image/jpeg", "size_bytes": 1200});
    let act = FileItem { kind: "document".to_owned(), name: Some("act.pdf".to_owned()), mime: None, ..photo() };
    let act_json = json!({"file": ID, "kind": "document", "name": "act.pdf", "mime": null, "size_bytes": 1200});
    let ready = FileEndItem {
        file: ID.to_owned(),
        of: Some(4),
        state: "ready".to_owned(),
        size_bytes: Some(1200),
        mime: Some("image/png".to_owned()),
        sha256: Some("5f".to_owned()),
        reason: None,
    };
    let failed = FileEndItem {
        file: ID.to_owned(),
        of: None,
        state: "failed".to_owned(),
        size_bytes: None,
        mime: None,
        sha256: None,
        reason: Some("it is too big".to_owned()),
    };
    let later_json = json!([
        {"type": "unsupported", "of": "poll"},
        {"type": "hologram", "metres": 1.5, "of": {"whom": ["anna", null]}},
    ]);
    let of_a_later_version: Vec<ContentItem> = serde_json::from_value(later_json.clone()).unwrap();
    for (author, body, want) in [
        (
            olga(),
            EntryBody::CustomerMessage { text: text(), files: vec![], content: vec![] },
            json!({"kind": "message", "author": customer, "text": "hello"}),
        ),
        (
            olga(),
            EntryBody::CustomerMessage { text: text(), files: vec![], content: of_a_later_version },
            json!({"kind": "message", "author": customer, "text": "hello", "content": later_json}),
        ),
        (
            anna(),
            EntryBody::AgentMessage {
                text: text(),
                files: vec![],
                content: vec![],
                client_key: "k".to_owned(),
                parts: 2,
                lane: Lane::Interactive,
            },
            json!({"kind": "message", "author": agent, "text": "hello", "client_key": "k", "parts": 2}),
        ),
        (
            anna(),
            EntryBody::AgentMessage {
                text: text(),
                files: vec![photo()],
                content: vec![],
                client_key: "k".to_owned(),
                parts: 1,
                lane: Lane::Bulk,
            },
            json!({"kind": "message", "author": agent, "text": "hello", "files": [photo_json], "client_key": "k", "parts": 1, "lane": "bulk"}),
        ),
        (
            olga(),
            EntryBody::CustomerMessage { text: String::new(), files: vec![photo(), act], content: vec![] },
            json!({"kind": "message", "author": customer, "text": "", "files": [photo_json, act_json]}),
        ),
        (
            Author::System,
            EntryBody::File(ready),
            json!({"kind": "file", "author": system, "file": ID, "of": 4, "state": "ready", "size_bytes": 1200, "mime": "image/png",
                   "sha256": "5f", "reason": null}),
        ),
        (
            Author::System,
            EntryBody::File(failed),
            json!({"kind": "file", "author": system, "file": ID, "of": null, "state": "failed", "size_bytes": null, "mime": null,
                   "sha256": null, "reason": "it is too big"}),
        ),
        (
            olga(),
            EntryBody::Edited { text: text(), of: None },
            json!({"kind": "edited", "author": customer, "text": "hello", "of": null}),
        ),
        (
            Author::System,
            EntryBody::Opened { interaction: 7, queue: "support".to_owned(), by: None },
            json!({"kind": "opened", "author": system, "interaction": "7", "queue": "support"}),
        ),
        (
            anna(),
            EntryBody::Opened { interaction: 7, queue: "support".to_owned(), by: Some("anna".to_owned()) },
            json!({"kind": "opened", "author": agent, "interaction": "7", "queue": "support", "by": "anna"}),
        ),
        (
            anna(),
            EntryBody::Released { interaction: 7, queue: "support".to_owned() },
            json!({"kind": "released", "author": agent, "interaction": "7", "queue": "support"}),
        ),
        (
            anna(),
            EntryBody::Transferred {
                interaction: 7,
                from: ChatPlace::Agent("anna".to_owned()),
                to: ChatPlace::Queue("billing".to_owned()),
                note: Some("wants an invoice".to_owned()),
            },
            json!({"kind": "transferred", "author": agent, "interaction": "7", "from": {"agent": "anna"}, "to": {"queue": "billing"},
                   "note": "wants an invoice"}),
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
