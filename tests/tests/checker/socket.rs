//! WS-1 to WS-4, broken one by one.

use super::*;

pub const SOCKET: &[Case] = &[
    ("a frame twice", |run| run.repeat("agent", frame("s2", "queue:1", 2), json!({})), &["WS-1"]),
    ("a frame skipped", |run| run.remove("agent", frame("s2", "queue:1", 2)), &["WS-1", "WS-2"]),
    (
        "a frame of somebody else's feed",
        |run| run.repeat("agent", frame("s1", "agent:1", 1), json!({"sess": "s2", "agent": "bob"})),
        &["WS-1"],
    ),
    (
        "a frame of no session",
        |run| run.repeat("agent", frame("s2", "queue:1", 1), json!({"sess": "ghost"})),
        &["WS-1"],
    ),
    (
        "frames that changed places",
        |run| {
            let lines = run.of("agent");
            let place = |seq: i64| lines.iter().position(|line| line["sess"] == "s2" && line["seq"] == seq).unwrap();
            let (one, two) = (place(1), place(2));
            lines.swap(one, two);
        },
        &["WS-1"],
    ),
    ("the last frame never came", |run| run.remove("agent", frame("s2", "queue:1", 4)), &["WS-2"]),
    ("skipped in a session that ended", |run| run.remove("agent", frame("s1", "agent:1", 3)), &["WS-1", "WS-2"]),
    (
        "skipped where two sessions met",
        |run| {
            let cursors = run.like("agent", &json!({"ev": "open", "sess": "s3"}))[0]["cursors"].clone();
            run.remove("agent", frame("s1", "agent:1", cursors["agent:1"].as_i64().unwrap()));
        },
        &["WS-2"],
    ),
    (
        "a frame shows another entry",
        |run| run.set("agent", frame("s2", "queue:1", 2), json!({"chat_seq": 1})),
        &["WS-2"],
    ),
    (
        "a frame shows another kind",
        |run| run.set("agent", frame("s2", "queue:1", 2), json!({"kind": "edited"})),
        &["WS-2"],
    ),
    (
        "a message in nobody's feed",
        |run| {
            let last = last_seq(run, 12);
            let lost = json!({"account_id": 1, "chat_id": 12, "seq": last + 1, "at": "2026-11-22T00:00:00Z", "kind": 1,
                              "author_kind": 2, "author_id": 1, "ref": null, "body": "lost", "item": null});
            run.add("dump/history", lost);
            run.set("dump/chat", json!({"id": 12}), json!({"last_seq": last + 1}));
        },
        &["WS-2"],
    ),
    (
        "the same number, another entry",
        |run| run.set("agent", frame("s2", "queue:1", 2), json!({"hash": sha256_hex(b"x")})),
        &["WS-3"],
    ),
    (
        "a resync in place of a replay",
        |run| run.repeat("agent", json!({"ev": "resync", "sess": "s2"}), json!({})),
        &["WS-4"],
    ),
    (
        "recovered from cursors ahead of the head",
        |run| run.set("agent", opened("s3"), json!({"heads": {"agent:1": 1, "queue:1": 4}})),
        &["WS-4"],
    ),
    (
        "recovered from another epoch's cursors",
        |run| run.set("agent", opened("s3"), json!({"cursor_epoch": 7})),
        &["WS-4"],
    ),
    (
        "recovered although a feed is new",
        |run| run.set("agent", opened("s3"), json!({"heads": {"agent:1": 99, "queue:1": 4, "queue:2": 0}})),
        &["WS-4"],
    ),
    (
        "usable cursors refused",
        |run| {
            run.add("agent", open("s9", json!({"agent:2": 0, "queue:1": 4})));
            run.add("agent", resync("s9"));
        },
        &["WS-4"],
    ),
    (
        "cursors of another epoch refused",
        |run| {
            let mut open = open("s9", json!({"agent:2": 0, "queue:1": 4}));
            open["cursor_epoch"] = 7.into();
            run.add("agent", open);
            run.add("agent", resync("s9"));
        },
        &[],
    ),
    ("the resync never came", |run| run.add("agent", open("s9", Value::Null)), &["WS-4"]),
    (
        "the session broke before its resync",
        |run| {
            run.add("agent", open("s9", Value::Null));
            run.add("agent", json!({"t": LATE, "ev": "close", "sess": "s9", "code": null}));
        },
        &[],
    ),
    (
        "a feed's pointer is missing",
        |run| run.remove("dump/feed_entry", json!({"feed_id": 3, "seq": 1})),
        &["WS-2", "WS-4"],
    ),
    (
        "a feed's pointer was pruned",
        |run| {
            run.remove("dump/feed_entry", json!({"feed_id": 3, "seq": 1}));
            run.set("dump/feed", json!({"id": 3}), json!({"pruned_seq": 1}));
        },
        &[],
    ),
    ("a pointer twice", |run| run.repeat("dump/feed_entry", json!({"feed_id": 3, "seq": 1}), json!({})), &["WS-4"]),
    (
        "a feed claims more than it holds",
        |run| run.set("dump/feed", json!({"id": 2}), json!({"last_seq": 1})),
        &["WS-2", "WS-4"],
    ),
];

fn frame(sess: &str, feed: &str, seq: i64) -> Value {
    json!({"ev": "frame", "sess": sess, "feed": feed, "seq": seq})
}

fn opened(sess: &str) -> Value {
    json!({"ev": "open", "sess": sess})
}

/// A session of bob that was not given the entries after its cursors.
fn open(sess: &str, cursors: Value) -> Value {
    json!({"t": LATE, "ev": "open", "agent": "bob", "sess": sess, "server": "chat-2", "feed_epoch": 1, "cursors": cursors,
           "cursor_epoch": 1, "heads": {"agent:2": 0, "queue:1": 4}, "recovered": false})
}

fn resync(sess: &str) -> Value {
    json!({"t": LATE, "ev": "resync", "sess": sess, "feed_epoch": 1, "feeds": {"agent:2": 0, "queue:1": 4}})
}
