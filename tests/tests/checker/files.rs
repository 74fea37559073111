//! FI-1 to FI-5, IN-4 for files, and IN-9, broken one by one.

use super::*;

pub const FILES: &[Case] = &[
    (
        "an agent got other bytes",
        |run| {
            run.set("file", json!({"ev": "get", "file": "in1", "status": 200}), json!({"sha256": sha256_hex(b"other")}))
        },
        &["FI-1"],
    ),
    (
        "a range of other bytes",
        |run| {
            run.set("file", json!({"ev": "get", "file": "out1", "status": 206}), json!({"sha256": sha256_hex(b"teh")}))
        },
        &["FI-1"],
    ),
    (
        "a range of a file that the client does not know",
        |run| run.set("file", json!({"ev": "get", "file": "in1", "status": 206}), json!({"want": null})),
        &[],
    ),
    ("a refused download", |run| run.set("file", get("in1"), json!({"status": 403, "sha256": null})), &[]),
    (
        "an upload was stored as something else",
        |run| run.set("dump/file", json!({"id": "out3"}), json!({"sha256": format!("\\x{}", sha256_hex(b"other"))})),
        &["FI-1"],
    ),
    ("an upload that was lost", |run| lost(run, "out3"), &["FI-1"]),
    (
        "a refused upload",
        |run| {
            run.repeat(
                "file",
                json!({"ev": "put", "file": "out3"}),
                json!({"status": 409, "file": null, "client_key": "k"}),
            );
        },
        &[],
    ),
    ("the platform got another file", |run| run.set("mock", call("a11"), json!({"file": seen("other")})), &["FI-1"]),
    ("the file was left out", |run| run.set("mock", call("a11"), json!({"file": null})), &["FI-1"]),
    ("a text went out with a file", |run| run.set("mock", call("a1"), json!({"file": seen("other")})), &["FI-1"]),
    (
        "a file without words that is nobody's",
        |run| {
            run.set(
                "mock",
                json!({"ev": "call", "method": "sendDocument", "tag": null}),
                json!({"file": seen("other")}),
            )
        },
        &["OUT-3", "OUT-4"],
    ),
    (
        "another picture stored than was sent",
        |run| run.set("dump/file", json!({"id": "in1"}), json!({"sha256": format!("\\x{}", sha256_hex(b"thumbnail"))})),
        &["IN-4"],
    ),
    (
        "a photo stored as a document",
        |run| run.set("dump/file", json!({"id": "in1"}), json!({"kind": "document"})),
        &["IN-4"],
    ),
    (
        "a message without its file",
        |run| run.set("dump/history", json!({"ref": "m:501:4"}), json!({"item": null})),
        &["IN-4"],
    ),
    (
        "a message with another one's file",
        |run| {
            let item = json!({"files": [{"file": "out1"}]});
            run.set("dump/history", json!({"ref": "m:501:4"}), json!({"item": item}));
        },
        &["IN-4"],
    ),
    (
        "ready before all of it was there",
        |run| run.set("dump/file_chunk", json!({"file_id": "out3"}), json!({"bytes": 5})),
        &["FI-2"],
    ),
    (
        "accepted before its file was ready",
        |run| run.set("dump/file", json!({"id": "out2"}), json!({"ready_at": "2026-11-22T00:00:00Z"})),
        &["FI-2"],
    ),
    (
        "downloaded before it was ready",
        |run| run.set("dump/file", json!({"id": "in1"}), json!({"ready_at": "2026-11-22T00:00:00Z"})),
        &["FI-2"],
    ),
    (
        "a message with a file of another account",
        |run| run.set("dump/file", json!({"id": "out2"}), json!({"account_id": 2})),
        &["FI-1", "FI-2", "FI-5", "OUT-3", "OUT-4"],
    ),
    (
        "whoever sees the message may not see the file",
        |run| run.remove("dump/file_use", json!({"file_id": "in2"})),
        &["FI-2"],
    ),
    (
        "a chat shows what is no file",
        |run| run.repeat("dump/file_use", json!({"file_id": "in2"}), json!({"file_id": "gone"})),
        &["FI-2"],
    ),
    (
        "a photo was acknowledged only when it had come",
        |run| {
            let t = run.like("mock", &json!({"ev": "push", "key": "m:501:4"}))[0]["t"].as_i64().unwrap();
            run.set("mock", json!({"ev": "ack", "key": "m:501:4"}), json!({"t": t + 11_000_000_000_i64}));
        },
        &["FI-3"],
    ),
    (
        "the message behind a failed photo was held up",
        |run| {
            let t = run.like("mock", &json!({"ev": "push", "key": "m:-502:4"}))[0]["t"].as_i64().unwrap();
            run.set("mock", json!({"ev": "ack", "key": "m:-502:4"}), json!({"t": t + 11_000_000_000_i64}));
        },
        &["FI-3"],
    ),
    (
        "held up by a takeover",
        |run| {
            let t = run.like("mock", &json!({"ev": "push", "key": "m:501:4"}))[0]["t"].as_i64().unwrap();
            run.set("mock", json!({"ev": "ack", "key": "m:501:4"}), json!({"t": t + 11_000_000_000_i64}));
            let fault = json!({"t": t, "ev": "fault", "id": 7, "kind": "kill", "target": "chatserver:cs0", "t0": t, "t1": t + 1});
            run.add("nemesis", fault);
        },
        &[],
    ),
    (
        "nobody was told that a file had come",
        |run| run.set("dump/history", json!({"ref": "f:in1"}), json!({"ref": "f:in9"})),
        &["FI-3"],
    ),
    ("its end was told before its message", ends_first, &["FI-3", "WS-2"]),
    ("pending for ever", |run| run.set("dump/file", json!({"id": "in2"}), json!({"state": 0})), &["FI-5"]),
    ("failed without a reason", |run| run.set("dump/file", json!({"id": "in2"}), json!({"reason": null})), &["FI-5"]),
    (
        "failed, and its bytes are still there",
        |run| run.repeat("dump/file_chunk", json!({"file_id": "in1"}), json!({"file_id": "in2"})),
        &["FI-5"],
    ),
    (
        "an old upload that nobody ever sent",
        |run| run.set("dump/file", json!({"id": "out3"}), json!({"created_at": "2026-11-19T09:00:00Z"})),
        &["FI-5"],
    ),
    (
        "an old upload that broke off",
        |run| run.set("dump/file", json!({"id": "out4"}), json!({"created_at": "2026-11-19T09:00:00Z"})),
        &["FI-5"],
    ),
    (
        "an old upload that was sent",
        |run| run.set("dump/file", json!({"id": "out1"}), json!({"created_at": "2026-11-19T09:00:00Z"})),
        &[],
    ),
    (
        "bytes of no file",
        |run| run.repeat("dump/file_chunk", json!({"file_id": "in1"}), json!({"file_id": "gone"})),
        &["FI-5"],
    ),
    ("a webhook that took a minute", |run| run.set("mock", delivery(), json!({"took_ms": 60_000})), &["IN-9"]),
    ("a webhook that took three seconds", |run| run.set("mock", delivery(), json!({"took_ms": 3_000})), &["IN-9"]),
    (
        "a webhook that never answered",
        |run| run.set("mock", delivery(), json!({"took_ms": 61_000, "status": null})),
        &[],
    ),
];

#[test]
fn few_of_many_answers_may_be_slow() {
    let answers = |slow: usize| {
        let mut run = correct();
        for n in 1..1000 + slow {
            run.repeat("mock", delivery(), json!({"took_ms": if n < slow { 5_000 } else { 20 }}));
        }
        run.set(
            "mock",
            json!({"ev": "delivery", "took_ms": 12}),
            json!({"took_ms": if slow > 0 { 5_000 } else { 20 }}),
        );
        run.check(&expectations()).red()
    };
    assert!(answers(1).is_empty());
    assert_eq!(answers(2), ["IN-9"]);
}

fn get(file: &str) -> Value {
    json!({"ev": "get", "file": file, "status": 200})
}

fn delivery() -> Value {
    json!({"ev": "delivery"})
}

fn call(tag: &str) -> Value {
    json!({"ev": "call", "tag": tag})
}

fn seen(content: &str) -> Value {
    json!({"field": "document", "name": null, "bytes": content.len(), "sha256": sha256_hex(content.as_bytes())})
}

fn lost(run: &mut Lines, id: &str) {
    run.remove("dump/file", json!({"id": id}));
    run.remove("dump/file_chunk", json!({"file_id": id}));
}

/// The message and the end of its file change places in what the rows say of themselves.
fn ends_first(run: &mut Lines) {
    let [message, end] = ["m:501:4", "f:in1"].map(|key| run.like("dump/history", &json!({"ref": key}))[0].clone());
    for (key, other) in [("m:501:4", &end), ("f:in1", &message)] {
        run.set(
            "dump/history",
            json!({"ref": key}),
            json!({"ref": format!("{key}!"), "seq": other["seq"], "at": other["at"]}),
        );
    }
    for key in ["m:501:4", "f:in1"] {
        run.set("dump/history", json!({"ref": format!("{key}!")}), json!({"ref": key}));
    }
}
