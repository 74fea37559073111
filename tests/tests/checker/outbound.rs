//! OUT-1 to OUT-7, OUT-9, OUT-14 and RC-1, broken one by one.

use super::*;

/// A millisecond.
pub const MS: i64 = 1_000_000;

pub const OUTBOUND: &[Case] = &[
    (
        "accepted, not in the outbox",
        |run| {
            let base = json!({"t": LATE, "agent": "bob", "client_key": "b1", "chat": "11", "tag": null, "hash": "x",
                              "seq": 2, "parts": 1, "repeated": false});
            for event in ["submit", "accepted"] {
                let mut line = base.clone();
                line["ev"] = event.into();
                run.add("agent", line);
            }
        },
        &["OUT-1"],
    ),
    (
        "the log has another text than was accepted",
        |run| run.set("agent", json!({"ev": "submit", "client_key": "a5"}), json!({"hash": sha256_hex(b"other")})),
        &["OUT-1"],
    ),
    ("a row that nobody submitted", |run| run.remove("agent", json!({"ev": "submit", "client_key": "a5"})), &["OUT-1"]),
    ("a part is missing", |run| run.remove("dump/outbox", json!({"client_key": "a5"})), &["OUT-1", "RC-1"]),
    ("the second answer names another message", |run| run.set("agent", repeated(), json!({"seq": 3})), &["OUT-2"]),
    ("a repeat that does not say so", |run| run.set("agent", repeated(), json!({"repeated": false})), &["OUT-2"]),
    (
        "one client key, two messages",
        |run| run.repeat("dump/outbox", json!({"client_key": "a5"}), json!({"id": 999, "chat_seq": 90})),
        &["OUT-2", "OUT-5", "OUT-14"],
    ),
    ("applied twice", |run| again(run, call("a1"), json!({})), &["OUT-3"]),
    (
        "applied twice, without a tag",
        |run| again(run, json!({"ev": "call", "hash": sha256_hex(b"ok")}), json!({})),
        &["OUT-3"],
    ),
    ("a text that is nobody's", |run| again(run, call("a1"), json!({"tag": "zz"})), &["OUT-3"]),
    ("hung and applied, then resent on request", hung_but_applied, &[]),
    (
        "hung and applied, then resent by itself",
        |run| {
            hung_but_applied(run);
            run.remove("agent", resend());
        },
        &["OUT-3"],
    ),
    (
        "resent before anybody was shown unconfirmed",
        |run| {
            hung_but_applied(run);
            run.set("agent", resend(), json!({"t": 1}));
        },
        &["OUT-3"],
    ),
    (
        "resent by a decision that was refused",
        |run| {
            hung_but_applied(run);
            run.set("agent", resend(), json!({"ok": false, "code": "too_late"}));
        },
        &["OUT-3"],
    ),
    (
        "resent by a decision whose answer was lost",
        |run| {
            hung_but_applied(run);
            run.set("agent", resend(), json!({"ok": false}));
        },
        &[],
    ),
    (
        "two decisions, unconfirmed once, applied three times",
        |run| {
            hung_but_applied(run);
            run.repeat("agent", resend(), json!({}));
            again(run, json!({"ev": "call", "tag": "a2", "reply": "200"}), json!({}));
        },
        &["OUT-3"],
    ),
    ("sent, never applied", |run| run.set("mock", call("a1"), json!({"applied": false})), &["OUT-4"]),
    (
        "sent, its second part never applied",
        |run| {
            let second = json!({"ev": "call", "hash": sha256_hex(b"and its second part")});
            run.set("mock", second, json!({"applied": false}));
        },
        &["OUT-4"],
    ),
    ("failed, but applied", |run| run.set("mock", call("a4"), json!({"applied": true})), &["OUT-4", "OUT-5"]),
    (
        "cancelled, but applied",
        |run| {
            let a5 = json!({"chat": "-502", "tag": "a5", "hash": sha256_hex(b"fifth [[a5]]"), "idem": "a5-0"});
            again(run, call("a1"), a5);
        },
        &["OUT-4", "OUT-8"],
    ),
    ("the platform got other words", |run| run.set("mock", call("a1"), json!({"hash": sha256_hex(b"x")})), &["OUT-4"]),
    ("an id the platform never gave", |run| row(run, "a1", json!({"platform_id": "x"})), &["OUT-4"]),
    ("called failed where it is unknown", |run| row(run, "a3", json!({"state": 4})), &["OUT-4", "OUT-5", "OUT-14"]),
    ("failed after a pause was asked for", |run| run.set("mock", call("a4"), json!({"reply": "429"})), &["OUT-5"]),
    ("failed after a server's error", |run| run.set("mock", call("a4"), json!({"reply": "502"})), &["OUT-5"]),
    ("failed without a call", |run| run.remove("mock", call("a4")), &["OUT-5"]),
    ("failed without a reason", |run| row(run, "a4", json!({"reason": null})), &["OUT-5"]),
    ("nobody asked for it to be cancelled", |run| run.remove("agent", json!({"action": "cancel"})), &["OUT-5"]),
    ("unconfirmed after a clear answer", |run| answered(run, "200"), &["OUT-5"]),
    ("unconfirmed after a clear refusal", |run| answered(run, "400"), &["OUT-5"]),
    ("unconfirmed after a server's error", |run| answered(run, "502"), &[]),
    ("unconfirmed after garbage", |run| answered(run, "garbage"), &[]),
    ("unconfirmed without a call or a fault", |run| run.remove("nemesis", json!({"ev": "fault"})), &["OUT-5", "LD-3"]),
    ("the fault was elsewhere", |run| fault(run, json!({"target": "zookeeper:1"})), &["OUT-5", "LD-3"]),
    ("the fault was another account's", |run| fault(run, json!({"target": "connector:sales:1"})), &["OUT-5", "LD-3"]),
    ("the fault was over before", |run| fault(run, json!({"t0": 1, "t1": 2})), &["OUT-5", "LD-3"]),
    ("the fault has a name nobody knows", |run| fault(run, json!({"target": "banana"})), &["OUT-5", "LD-3"]),
    ("the database was away", |run| fault(run, json!({"kind": "cut", "target": "postgres"})), &[]),
    (
        "a crash point in place of the kill",
        |run| {
            let killed = run.like("nemesis", &json!({"ev": "fault"}))[0]["t0"].clone();
            run.remove("nemesis", json!({"ev": "fault"}));
            let crash =
                json!({"t": killed, "ev": "crash_point", "proc": "connector:support:1", "name": "S2", "hit": 1});
            run.add("nemesis", crash);
        },
        &[],
    ),
    ("one kill, two parts without a call", two_silent_parts, &["OUT-5"]),
    (
        "sending for ever, nothing shown",
        |run| {
            let of = run.like("dump/outbox", &json!({"client_key": "a9"}))[0]["chat_seq"].clone();
            run.remove("agent", json!({"ev": "status", "chat": "12", "of": of}));
            row(run, "a9", json!({"state": 1}));
        },
        &["OUT-6"],
    ),
    ("sending for ever", |run| row(run, "a9", json!({"state": 1})), &["OUT-6", "OUT-14"]),
    ("queued for ever", |run| row(run, "a5", json!({"state": 0})), &["OUT-6", "OUT-14"]),
    (
        "queued until tomorrow",
        |run| row(run, "a5", json!({"state": 0, "retry_at": "2026-11-22T09:00:00Z"})),
        &["OUT-14"],
    ),
    ("parts changed places", |run| later(run, "a6"), &["OUT-7"]),
    ("messages changed places", |run| later(run, "a1"), &["OUT-7"]),
    (
        "two calls in flight in a chat",
        |run| {
            let a4 = run.like("mock", &call("a4"))[0].clone();
            let beside = json!({"call": 999, "t_first": a4["t_last"], "t_last": a4["t_reply"]});
            run.repeat("mock", call("a4"), beside);
        },
        &["OUT-9"],
    ),
    (
        "the sender was never shown the end",
        |run| run.remove("agent", json!({"ev": "status", "of": 5, "chat": "11"})),
        &["OUT-14"],
    ),
    ("the sender was shown another end", |run| row(run, "a4", json!({"state": 5})), &["OUT-5", "OUT-14"]),
    ("a final state moved", |run| run.repeat("agent", shown_sent(), json!({"state": "failed", "seq": 0})), &["RC-1"]),
    ("a state shown twice", |run| run.repeat("agent", shown_sent(), json!({"seq": 0})), &["RC-1"]),
    (
        "a failed part waits again, and nobody decided it",
        |run| run.repeat("agent", json!({"ev": "status", "state": "failed"}), json!({"state": "queued", "seq": 999})),
        &["OUT-14", "RC-1"],
    ),
    ("an outcome of nothing", |run| run.repeat("agent", shown_sent(), json!({"of": 88})), &["RC-1"]),
];

/// The calls of `a3` vanish, and one kill is all that could explain it and `a9`.
pub fn two_silent_parts(run: &mut Lines) {
    let a3 = run.like("mock", &call("a3"))[0]["t_first"].clone();
    run.remove("mock", json!({"tag": "a3"}));
    fault(run, json!({"t0": a3}));
}

pub fn call(tag: &str) -> Value {
    json!({"ev": "call", "tag": tag})
}

fn resend() -> Value {
    json!({"ev": "decision", "action": "resend"})
}

fn repeated() -> Value {
    json!({"ev": "accepted", "client_key": "a1", "repeated": true})
}

fn shown_sent() -> Value {
    json!({"ev": "status", "state": "sent"})
}

pub fn row(run: &mut Lines, client_key: &str, change: Value) {
    run.set("dump/outbox", json!({"client_key": client_key}), change);
}

pub fn fault(run: &mut Lines, change: Value) {
    run.set("nemesis", json!({"ev": "fault"}), change);
}

/// The first such call once more, as its claim and the chat's limit allow.
pub fn again(run: &mut Lines, want: Value, change: Value) {
    let last = run.like("mock", &want)[0]["t_last"].as_i64().unwrap();
    let [t_first, t_last, t_reply] = [1_100, 1_101, 1_102].map(|after_ms| last + after_ms * MS);
    let mut more = json!({"call": 999, "t_first": t_first, "t_last": t_last, "t_reply": t_reply});
    more.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    run.repeat("mock", want, more);
}

/// Part 0 of a message is claimed and called in the quiet time, after everything else of its chat and its epoch.
fn later(run: &mut Lines, client_key: &str) {
    let a9 = run.like("dump/outbox", &json!({"client_key": "a9"}))[0]["id"].clone();
    let a9 = run.like("dump/attempt", &json!({"outbox_id": a9}))[0]["claimed_at"].clone();
    let before = chrono::Duration::seconds(60);
    let at = a9.as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap() - before;
    let [claimed_at, write_by, answer_by] =
        [0, 3, 10].map(|after_s| (at + chrono::Duration::seconds(after_s)).to_rfc3339());
    let own = run.like("dump/outbox", &json!({"client_key": client_key, "part": 0}))[0]["id"].clone();
    let moved = json!({"claimed_at": claimed_at, "write_by": write_by, "answer_by": answer_by});
    run.set("dump/attempt", json!({"outbox_id": own}), moved);
    let killed = run.like("nemesis", &json!({"ev": "fault"}))[0]["t0"].as_i64().unwrap();
    let [t_first, t_last, t_reply] = [1, 2, 3].map(|after_ms| killed + (after_ms - 60_000) * MS);
    run.set("mock", call(client_key), json!({"t_first": t_first, "t_last": t_last, "t_reply": t_reply}));
}

fn hung_but_applied(run: &mut Lines) {
    run.set("mock", json!({"ev": "call", "tag": "a2", "reply": "hang"}), json!({"applied": true}));
}

/// `a3`, whose answer was dropped, had been answered in time after all.
fn answered(run: &mut Lines, reply: &str) {
    let last = run.like("mock", &call("a3"))[0]["t_last"].as_i64().unwrap();
    run.set("mock", call("a3"), json!({"reply": reply, "t_reply": last + 1_000_000}));
}
