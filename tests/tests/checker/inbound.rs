//! IN-1 to IN-7, broken one by one.

use super::*;

pub const INBOUND: &[Case] = &[
    ("acknowledged, stored nowhere", |run| typed(run, "m:501:9"), &["IN-1"]),
    (
        "in the inbox, drained into nothing",
        |run| {
            typed(run, "m:501:9");
            run.add("dump/inbox", inbox("m:501:9", 1));
        },
        &["IN-1"],
    ),
    (
        "in the inbox as ignored",
        |run| {
            typed(run, "m:501:9");
            run.add("dump/inbox", inbox("m:501:9", 0));
        },
        &[],
    ),
    ("a key that the contract does not spell", |run| typed(run, "c:501:9"), &[]),
    ("a log entry without its inbox row", |run| run.remove("dump/inbox", json!({"dedupe_key": "m:501:1"})), &["IN-1"]),
    ("an unreadable update is not in quarantine", |run| run.remove("dump/quarantine", json!({})), &["IN-1"]),
    ("an inbox row twice", |run| run.repeat("dump/inbox", json!({"dedupe_key": "m:501:1"}), json!({})), &["IN-2"]),
    ("a quarantine row twice", |run| run.repeat("dump/quarantine", json!({}), json!({})), &["IN-2"]),
    (
        "a message said twice",
        |run| {
            let last = last_seq(run, 11);
            let again = json!({"seq": last + 1, "at": "2026-11-22T00:00:00Z"});
            run.repeat("dump/history", json!({"ref": "m:501:3"}), again);
            run.set("dump/chat", json!({"id": 11}), json!({"last_seq": last + 1}));
        },
        &["IN-2", "IN-7", "WS-2"],
    ),
    ("an inbox row that nobody typed", |run| run.add("dump/inbox", inbox("m:501:99", 1)), &["IN-3"]),
    ("an outcome's inbox row is the product's own", |run| run.add("dump/inbox", inbox("o:1:1", 9)), &[]),
    (
        "a message that nobody typed",
        |run| run.set("dump/history", json!({"ref": "m:-502:2"}), json!({"ref": "m:-502:77"})),
        &["IN-1", "IN-3"],
    ),
    (
        "a customer's message without a key",
        |run| run.set("dump/history", json!({"ref": "m:-502:2"}), json!({"ref": null})),
        &["IN-1", "IN-3"],
    ),
    (
        "quarantined, but nobody typed it",
        |run| {
            let key = format!("q:{}", sha256_hex(b"x"));
            run.add("dump/quarantine", json!({"account_id": 1, "dedupe_key": key, "raw": "\\x78"}));
        },
        &["IN-3"],
    ),
    (
        "another text stored",
        |run| run.set("dump/history", json!({"ref": "m:501:1"}), json!({"body": "hello [[c1]]!"})),
        &["IN-4"],
    ),
    ("an edit with another text", |run| run.set("dump/history", json!({"kind": 2}), json!({"body": "hm"})), &["IN-4"]),
    ("other bytes in quarantine", |run| run.set("dump/quarantine", json!({}), json!({"raw": "\\x7b"})), &["IN-4"]),
    ("a NUL became U+FFFD", |run| sanitised(run, "a\0b\u{FFFD} [[c1]]", "a\u{FFFD}b\u{FFFD} [[c1]]"), &[]),
    ("a lone surrogate became U+FFFD", |run| sanitised(run, "no UTF-8", "a\u{FFFD}b [[c1]]"), &[]),
    ("U+FFFD in a text that is another's", |run| sanitised(run, "no UTF-8", "a\u{FFFD}b [[c2]]"), &["IN-4"]),
    ("never acknowledged", |run| run.remove("mock", json!({"ev": "ack", "key": "m:-502:1"})), &["IN-5"]),
    ("left pending", |run| run.add("dump/pending", json!({"account_id": 1, "dedupe_key": "m:-502:1"})), &["IN-5"]),
    (
        "typed, stored and pending only",
        |run| {
            typed(run, "m:501:9");
            run.add("dump/inbox", inbox("m:501:9", 1));
            run.add("dump/pending", json!({"account_id": 1, "dedupe_key": "m:501:9"}));
        },
        &["IN-5"],
    ),
    (
        "the chat claims more than its log has",
        |run| run.set("dump/chat", json!({"id": 11}), json!({"last_seq": 99})),
        &["IN-6"],
    ),
    (
        "an entry gone from the log",
        |run| run.remove("dump/history", json!({"ref": "m:-502:2"})),
        &["IN-1", "IN-6", "WS-2", "WS-4"],
    ),
    (
        "time runs backwards in a chat",
        |run| run.set("dump/history", json!({"ref": "m:-502:2"}), json!({"at": "2026-11-21T08:00:00Z"})),
        &["IN-6"],
    ),
    (
        "messages changed places",
        |run| run.set("mock", json!({"ev": "typed", "key": "m:501:1"}), json!({"pseq": 8})),
        &["IN-7"],
    ),
    (
        "a message in another customer's chat",
        |run| run.set("mock", json!({"ev": "typed", "key": "m:501:3"}), json!({"chat": "-502"})),
        &["IN-7"],
    ),
];

fn inbox(key: &str, kind: i64) -> Value {
    json!({"account_id": 1, "dedupe_key": key, "kind": kind, "raw": null})
}

fn sanitised(run: &mut Lines, sent: &str, stored: &str) {
    run.set("mock", json!({"ev": "typed", "key": "m:501:1"}), json!({"hash": sha256_hex(sent.as_bytes())}));
    run.set("dump/history", json!({"ref": "m:501:1"}), json!({"body": stored}));
}
