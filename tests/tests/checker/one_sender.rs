//! OUT-8 and its one class of exceptions, broken one by one.

use super::outbound::{MS, again, call, fault, row};
use super::*;

/// On the correct run.
pub const ONE_SENDER: &[Case] = &[
    ("an older epoch called later", |run| run.set("mock", call("a1"), json!({"epoch": 2})), &["OUT-8"]),
    (
        "two epochs wrote at once",
        |run| {
            let a4 = run.like("mock", &call("a4"))[0].clone();
            run.set("mock", json!({"ev": "call"}), json!({"epoch": null}));
            run.set("mock", call("a4"), json!({"epoch": 1}));
            let beside = json!({"call": 999, "chat": "777", "applied": false, "epoch": 2, "t_first": a4["t_last"],
                                "t_last": a4["t_reply"]});
            run.repeat("mock", call("a4"), beside);
        },
        &["OUT-8"],
    ),
    ("nobody says under which epoch", |run| run.set("mock", json!({"ev": "call"}), json!({"epoch": null})), &[]),
    (
        "an older epoch called after the newer had opened, before its first call",
        |run| {
            run.set("mock", call("a10"), json!({"epoch": null}));
            again(run, call("a4"), json!({"chat": "777", "tag": "zz", "applied": false}));
            let opened = fault_began(run) + 5_000 * MS;
            run.set("mock", json!({"call": 999}), times(opened));
        },
        &["OUT-8"],
    ),
    (
        "written past its write_by",
        |run| {
            let first = run.like("mock", &call("a4"))[0]["t_first"].as_i64().unwrap();
            run.set("mock", call("a4"), json!({"t_last": first + 3_100 * MS, "t_reply": first + 3_101 * MS}));
        },
        &["OUT-8"],
    ),
    (
        "written at its write_by, as far as two clocks can tell",
        |run| {
            let first = run.like("mock", &call("a4"))[0]["t_first"].as_i64().unwrap();
            run.set("mock", call("a4"), json!({"t_last": first + 3_040 * MS, "t_reply": first + 3_041 * MS}));
        },
        &[],
    ),
    (
        "answered after its write_by",
        |run| {
            let first = run.like("mock", &call("a3"))[0]["t_first"].as_i64().unwrap();
            run.set("mock", call("a3"), json!({"reply": "502", "t_reply": first + 3_900 * MS}));
        },
        &[],
    ),
    (
        "called without a claim",
        |run| {
            let id = outbox_id(run, "a4");
            run.remove("dump/attempt", json!({"outbox_id": id}));
        },
        &["OUT-8"],
    ),
    (
        "called before its claim",
        |run| {
            let first = run.like("mock", &call("a10"))[0]["t_first"].as_i64().unwrap() - 100 * MS;
            run.set("mock", json!({"ev": "call", "tag": "a10", "reply": "429"}), times(first));
        },
        &["OUT-8"],
    ),
    (
        "called under another epoch than it was claimed under",
        |run| run.set("mock", json!({"ev": "call", "tag": "a10", "reply": "200"}), json!({"epoch": 3})),
        &["OUT-8"],
    ),
    (
        "claimed before its tenure opened",
        |run| run.set("dump/tenure", json!({"epoch": 2}), json!({"opened_at": "2026-11-21T12:00:00Z"})),
        &["OUT-8"],
    ),
    (
        "claimed under a tenure that never opened",
        |run| run.set("dump/tenure", json!({"epoch": 2}), json!({"opened_at": null})),
        &["OUT-8"],
    ),
    (
        "a tenure opened while an earlier claim could be written",
        |run| {
            let begun = run.like("dump/tenure", &json!({"epoch": 2}))[0]["begun_at"].clone();
            run.set("dump/tenure", json!({"epoch": 2}), json!({"opened_at": begun}));
        },
        &["OUT-8"],
    ),
    (
        "a tenure opened at once, what was claimed had ended",
        |run| {
            let begun = run.like("dump/tenure", &json!({"epoch": 2}))[0]["begun_at"].clone();
            let id = outbox_id(run, "a9");
            run.set("dump/attempt", json!({"outbox_id": id}), json!({"ended_at": begun}));
            run.set("dump/tenure", json!({"epoch": 2}), json!({"opened_at": begun}));
        },
        &[],
    ),
    (
        "claimed when the next tenure had begun",
        |run| {
            let id = outbox_id(run, "a9");
            let begun = run.like("dump/tenure", &json!({"epoch": 2}))[0]["begun_at"].clone();
            let begun: chrono::DateTime<chrono::Utc> = begun.as_str().unwrap().parse().unwrap();
            let late = (begun + chrono::Duration::milliseconds(51)).to_rfc3339();
            run.set("dump/attempt", json!({"outbox_id": id}), json!({"claimed_at": late}));
        },
        &["OUT-8"],
    ),
];

/// On the run whose connector was frozen and then wrote.
pub const FROZEN: &[Case] = &[
    ("one call after one freeze", |_| {}, &[]),
    (
        "half of it written before the freeze",
        |run| {
            let before = fault_began(run) - MS / 2;
            run.set("mock", call("a9"), json!({"t_first": before}));
        },
        &[],
    ),
    ("no freeze is known", |run| run.remove("nemesis", json!({"ev": "fault"})), &["OUT-5", "OUT-8", "LD-3"]),
    ("it was killed", |run| fault(run, json!({"kind": "kill"})), &["OUT-8"]),
    ("another connector was frozen", |run| fault(run, json!({"holder": "host:102"})), &["OUT-5", "OUT-8", "LD-3"]),
    (
        "another account's connector was frozen",
        |run| fault(run, json!({"target": "connector:sales:1"})),
        &["OUT-5", "OUT-8", "LD-3"],
    ),
    ("whichever connector was frozen", |run| fault(run, json!({"target": "connector", "holder": null})), &[]),
    (
        "the freeze ended long before",
        |run| {
            let end = run.like("nemesis", &json!({"ev": "fault"}))[0]["t1"].as_i64().unwrap();
            fault(run, json!({"t1": end - 1_100 * MS}));
        },
        &["OUT-8"],
    ),
    ("the freeze never ended", |run| fault(run, json!({"t1": null})), &["OUT-8"]),
    ("two calls after one freeze", |run| again(run, call("a9"), json!({"applied": false, "reply": "400"})), &["OUT-8"]),
    (
        "two calls after one freeze, written down twice",
        |run| {
            stop_point(run);
            again(run, call("a9"), json!({"applied": false, "reply": "400"}));
        },
        &["OUT-8"],
    ),
    (
        "a crash point that stops, in place of the freeze",
        |run| {
            stop_point(run);
            run.remove("nemesis", json!({"ev": "fault"}));
        },
        &[],
    ),
    (
        "a crash point that stops for ever",
        |run| {
            stop_point(run);
            run.remove("nemesis", json!({"ev": "fault"}));
            run.set("nemesis", json!({"ev": "crash_point"}), json!({"t1": null}));
        },
        &["OUT-8"],
    ),
    (
        "a crash point that kills",
        |run| {
            stop_point(run);
            run.remove("nemesis", json!({"ev": "fault"}));
            run.set("nemesis", json!({"ev": "crash_point"}), json!({"how": "kill"}));
        },
        &["OUT-8"],
    ),
    ("its part was never unconfirmed", |run| run.remove("agent", gave_up(run)), &["OUT-8"]),
    (
        "its part was unconfirmed too late",
        |run| {
            let late = fault_began(run) + 30_000 * MS;
            run.set("agent", gave_up(run), json!({"t": late}));
        },
        &["OUT-8"],
    ),
    ("its part was applied twice", |run| again(run, call("a9"), json!({})), &["OUT-3", "OUT-8"]),
    (
        "it was answered, and its part stayed unconfirmed",
        |run| {
            row(run, "a9", json!({"state": 3}));
            run.remove("agent", json!({"ev": "status", "chat": "12", "of": a9(run), "state": "sent"}));
        },
        &["OUT-8"],
    ),
    (
        "its answer never came",
        |run| {
            row(run, "a9", json!({"state": 3}));
            run.remove("agent", json!({"ev": "status", "chat": "12", "of": a9(run), "state": "sent"}));
            run.set("mock", call("a9"), json!({"reply": "hang", "t_reply": null}));
        },
        &[],
    ),
];

#[test]
fn whoever_must_tell_its_epoch_does() {
    let demanding = || Expectations { epochs_told: true, ..expectations() };
    correct().check(&demanding()).assert_clean();
    let mut run = correct();
    run.set("mock", call("a1"), json!({"epoch": null}));
    assert_eq!(run.check(&demanding()).red(), ["OUT-8"]);
}

#[test]
fn a_stale_call_is_counted() {
    let report = frozen().check(&expectations());
    report.assert_clean();
    assert_eq!(report.figures.stale_sends, 1);
    assert!(report.to_string().contains("stale_sends=1"), "{report}");
    assert_eq!(correct().check(&expectations()).figures.stale_sends, 0);
}

fn times(from: i64) -> Value {
    json!({"t_first": from, "t_last": from + MS, "t_reply": from + 2 * MS})
}

fn fault_began(run: &Lines) -> i64 {
    run.like("nemesis", &json!({"ev": "fault"}))[0]["t0"].as_i64().unwrap()
}

fn outbox_id(run: &Lines, client_key: &str) -> Value {
    run.like("dump/outbox", &json!({"client_key": client_key}))[0]["id"].clone()
}

/// The number of `a9` in its chat.
fn a9(run: &Lines) -> Value {
    run.like("dump/outbox", &json!({"client_key": "a9"}))[0]["chat_seq"].clone()
}

/// The agents were told that `a9` is unconfirmed.
fn gave_up(run: &Lines) -> Value {
    json!({"ev": "status", "chat": "12", "of": a9(run), "state": "unconfirmed"})
}

/// The freeze as a crash point tells it.
fn stop_point(run: &mut Lines) {
    let freeze = run.like("nemesis", &json!({"ev": "fault"}))[0].clone();
    let line = json!({"t": freeze["t0"], "ev": "crash_point", "proc": freeze["target"], "name": "S3", "hit": 1,
                      "how": "stop", "t1": freeze["t1"], "holder": freeze["holder"]});
    run.add("nemesis", line);
}
