//! The checker itself is tested: a correct run is green, and every promise broken by hand turns exactly
//! its own invariant red, with the companions that cannot stay green.

#![allow(clippy::unwrap_used)]

mod files;
mod inbound;
mod leadership;
mod limits;
mod one_sender;
mod outbound;
mod socket;

use files::FILES;
use inbound::INBOUND;
use leadership::LEADERSHIP;
use limits::LIMITS;
use one_sender::{FROZEN, ONE_SENDER};
use outbound::OUTBOUND;
use serde_json::{Value, json};
use socket::SOCKET;
use switchboard_tests::checker::history::{correct, frozen};
use switchboard_tests::checker::rundir::Lines;
use switchboard_tests::checker::{Expectations, INVARIANTS, RateLimit, RateScope};
use switchboard_tests::observer::sha256_hex;

/// Later than anything in the story.
const LATE: i64 = 9_000_000_000_000_000;

/// A name that says what broke, how, and the invariants that must turn red for it.
type Case = (&'static str, fn(&mut Lines), &'static [&'static str]);

const LOGS: &[Case] = &[
    ("a line of an unknown event", |run| run.add("mock", json!({"t": 1, "ev": "nonsense"})), &["LOG"]),
    ("a line without its fields", |run| run.add("agent", json!({"t": 1, "ev": "submit"})), &["LOG"]),
    ("a table is missing", |run| run.lose("dump/pending"), &["LOG"]),
    ("an account nobody made", |run| run.repeat("mock", json!({"ev": "ack"}), json!({"acct": "nowhere"})), &["LOG"]),
    (
        "a kind nobody defined",
        |run| run.set("dump/history", json!({"kind": 9, "seq": 6, "chat_id": 11}), json!({"kind": 77})),
        &["LOG", "WS-2"],
    ),
    ("no clock", |run| run.remove("nemesis", json!({"ev": "clock"})), &["LOG", "OUT-5"]),
];

#[test]
fn a_correct_run_is_clean_and_everything_was_checked() {
    let all: Vec<&str> = INVARIANTS.iter().map(|(id, _)| *id).collect();
    let report = correct().check(&expectations().require(&all));
    report.assert_clean();
    let figures = serde_json::to_value(&report).unwrap()["figures"].clone();
    let want = json!({"in": 10, "out": 12, "lost": 0, "duplicated": 0, "quarantined": 1, "unconfirmed": 3,
        "unconfirmed_applied": 1, "unconfirmed_absent": 1, "unexplained": 0, "sessions": 3, "resyncs": 2});
    for (name, value) in want.as_object().unwrap() {
        assert_eq!(&figures[name], value, "{name} in {report}");
    }
}

#[test]
fn inbound_promises_broken() {
    prove(correct, INBOUND);
}

#[test]
fn socket_promises_broken() {
    prove(correct, SOCKET);
}

#[test]
fn outbound_promises_broken() {
    prove(correct, OUTBOUND);
}

#[test]
fn one_sender_broken() {
    prove(correct, ONE_SENDER);
    prove(frozen, FROZEN);
}

#[test]
fn limits_broken() {
    prove(correct, LIMITS);
}

#[test]
fn leadership_broken() {
    prove(correct, LEADERSHIP);
}

#[test]
fn files_broken() {
    prove(correct, FILES);
}

#[test]
fn logs_broken() {
    prove(correct, LOGS);
}

#[test]
fn every_invariant_was_seen_to_fail_alone() {
    let cases = [INBOUND, SOCKET, OUTBOUND, ONE_SENDER, LIMITS, LEADERSHIP, FILES, LOGS].concat();
    for (id, title) in INVARIANTS {
        let alone = cases.iter().any(|(_, _, red)| *red == [*id]);
        assert!(alone, "no case breaks only {id} ({title})");
    }
}

fn red(expectations: Expectations, spoil: fn(&mut Lines)) -> Vec<&'static str> {
    let mut run = correct();
    spoil(&mut run);
    run.check(&expectations).red()
}

#[test]
fn inbound_expectations_move_the_line() {
    let swapped: fn(&mut Lines) = |run| run.set("mock", json!({"ev": "typed", "key": "m:501:1"}), json!({"pseq": 8}));
    let disordered = Expectations { disordered: ["support".to_owned()].into(), ..Expectations::default() };
    assert_eq!(red(Expectations::default(), swapped), ["IN-7"]);
    assert!(red(disordered, swapped).is_empty());
    let stranger = Expectations { accounts: ["sales".to_owned()].into(), ..Expectations::default() };
    assert_eq!(red(stranger, |_| {}), ["LOG"]);
    let backwards: fn(&mut Lines) = |run| {
        let first = run.like("dump/history", &json!({"chat_id": 11, "seq": 1}))[0]["at"].clone();
        let at: chrono::DateTime<chrono::Utc> = first.as_str().unwrap().parse().unwrap();
        let at = (at - chrono::Duration::milliseconds(3)).to_rfc3339();
        run.set("dump/history", json!({"chat_id": 11, "seq": 2}), json!({"at": at}));
    };
    assert_eq!(red(Expectations::default(), backwards), ["IN-6"]);
    assert!(red(Expectations { at_slack_ms: 5, ..Expectations::default() }, backwards).is_empty());
}

#[test]
fn outbound_expectations_move_the_line() {
    let strict = Expectations { max_unconfirmed: Some(2), ..Expectations::default() };
    assert_eq!(red(strict, |_| {}), ["OUT-5"]);
    let in_flight = |most| Expectations { in_flight: Some(most), ..Expectations::default() };
    assert!(red(in_flight(2), outbound::two_silent_parts).is_empty());
    let crowded: fn(&mut Lines) = |run| {
        let a1 = run.like("mock", &json!({"ev": "call", "tag": "a1"}))[0].clone();
        for n in 0..2 {
            let more = json!({"call": 900 + n, "chat": format!("70{n}"), "applied": false, "t_first": a1["t_last"]});
            run.repeat("mock", json!({"ev": "call", "tag": "a1"}), more);
        }
    };
    assert_eq!(red(in_flight(2), crowded), ["OUT-9"]);
    assert!(red(in_flight(3), crowded).is_empty());
}

#[test]
fn a_check_that_never_ran_is_no_pass() {
    let mut run = correct();
    for event in ["frame", "open", "resync", "close"] {
        run.remove("agent", json!({"ev": event}));
    }
    run.set("dump/feed", json!({}), json!({"pruned_seq": 1}));
    let report = run.check(&Expectations::default());
    assert_eq!(report.finding("WS-3").checked, 0);
    assert!(report.unchecked.is_empty());
    let report = run.check(&Expectations::default().require(&["WS-3", "IN-1"]));
    assert_eq!(report.unchecked, ["WS-3"]);
    assert!(!report.is_clean());
}

#[test]
#[should_panic(expected = "was acknowledged at")]
fn a_red_run_says_what_broke() {
    let mut run = correct();
    typed(&mut run, "m:501:9");
    run.check(&Expectations::default()).assert_clean();
}

/// What the told runs are held to.
fn expectations() -> Expectations {
    let (least_used, session_timeout_ms, webhook_answer_ms) = (Some(0.001), Some(2_000), Some(2_000));
    Expectations { least_used, session_timeout_ms, webhook_answer_ms, ..Expectations::default() }
}

/// Spoils a copy of the told run by each case and compares what turned red.
fn prove(told: fn() -> Lines, cases: &[Case]) {
    let mut wrong = Vec::new();
    for (name, spoil, want) in cases {
        let mut run = told();
        spoil(&mut run);
        let report = run.check(&expectations());
        let (mut red, mut want) = (report.red(), want.to_vec());
        red.sort_unstable();
        want.sort_unstable();
        if red != want {
            wrong.push(format!("## {name}: red {red:?}, wanted {want:?}\n{report}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases are wrong\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// One more update, typed, fetched and acknowledged.
fn typed(run: &mut Lines, key: &str) {
    let base = json!({"t": LATE, "acct": "support", "key": key, "chat": "501", "pseq": 9, "tag": null, "hash": null,
                      "update_id": 99, "try": 1, "how": "offset"});
    for event in ["typed", "push", "ack"] {
        let mut line = base.clone();
        line["ev"] = event.into();
        run.add("mock", line);
    }
}

fn last_seq(run: &Lines, chat: i64) -> i64 {
    run.like("dump/chat", &json!({"id": chat}))[0]["last_seq"].as_i64().unwrap()
}
