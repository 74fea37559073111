//! OUT-10 to OUT-13, broken one by one.

use super::outbound::{MS, again, call};
use super::*;

pub const LIMITS: &[Case] = &[
    ("two calls of a chat in a second", |run| again_after(run, "a1", 999), &["OUT-10"]),
    ("two calls of a chat, a second apart", |run| again_after(run, "a1", 1_000), &[]),
    (
        "the answer of the first came late",
        |run| {
            again_after(run, "a1", 1_500);
            let last = run.like("mock", &call("a1"))[0]["t_last"].as_i64().unwrap();
            run.set("mock", json!({"ev": "call", "call": first_call(run)}), json!({"t_reply": last + 600 * MS}));
        },
        &["OUT-10"],
    ),
    ("the first was never answered", |run| again(run, call("a2"), json!({})), &[]),
    (
        "the first was never answered, and counted late",
        |run| {
            again(run, call("a2"), json!({}));
            let last = run.like("mock", &call("a2"))[0]["t_last"].as_i64().unwrap();
            run.set("mock", json!({"ev": "call", "tag": "a2", "reply": "hang"}), json!({"t_counted": last + 101 * MS}));
        },
        &["OUT-10"],
    ),
    ("twenty calls of a group in a minute", |run| many(run, 18, |_| json!({})), &[]),
    ("more than twenty calls of a group in a minute", |run| many(run, 19, |_| json!({})), &["OUT-10"]),
    ("thirty calls of the account in a second", |run| many(run, 29, elsewhere), &[]),
    ("more than thirty calls of the account in a second", |run| many(run, 30, elsewhere), &["OUT-10"]),
    (
        "calls of every kind count",
        |run| {
            many(run, 29, elsewhere);
            let a4 = run.like("mock", &call("a4"))[0].clone();
            let action =
                json!({"call": 555, "method": "getMe", "chat": null, "tag": null, "hash": null, "epoch": null});
            run.repeat("mock", json!({"call": a4["call"], "ev": "call"}), action);
        },
        &["OUT-10"],
    ),
    ("told to wait for long, called soon", |run| told(run, json!({"retry_after": 30})), &["OUT-11"]),
    ("told to wait without a time", |run| told(run, json!({"retry_after": null})), &[]),
    ("another chat was told to wait meanwhile", |run| told_another(run, 100, json!({"retry_after": 10})), &["OUT-11"]),
    ("another chat was told to wait later", |run| told_another(run, 3_100, json!({"retry_after": 10})), &[]),
    (
        "both were told to wait, a third was called before the later end",
        |run| {
            told_another(run, 100, json!({"retry_after": 1}));
            beside(run, 2_000);
        },
        &["OUT-11"],
    ),
    ("only one was told to wait, another was called", |run| beside(run, 2_000), &[]),
    (
        "both were told to wait, a third call was on its way",
        |run| {
            told_another(run, 100, json!({"retry_after": 1}));
            beside(run, 99);
        },
        &[],
    ),
    ("both were told to wait, a call claimed before began late", |run| told_between_claim_and_call(run, 0), &[]),
    ("both were told to wait, a call was claimed after that", |run| told_between_claim_and_call(run, 600), &["OUT-11"]),
    (
        "a call that names no chat was told to wait",
        |run| told_another(run, 100, json!({"retry_after": 10, "chat": null, "method": "getMe"})),
        &["OUT-11"],
    ),
    (
        "told to wait by the epoch before",
        |run| {
            // The last call of epoch 1 is long before: its pause must be too.
            run.set("mock", call("a4"), json!({"reply": "429", "retry_after": 600}));
            run.set("mock", call("a10"), json!({"chat": "-502"}));
        },
        &["OUT-3", "OUT-4", "OUT-5", "OUT-11"],
    ),
    (
        "another key at the second try",
        |run| run.set("mock", json!({"ev": "call", "tag": "a10", "reply": "200"}), json!({"idem": "x"})),
        &["OUT-12"],
    ),
    (
        "no key at the second try",
        |run| run.set("mock", json!({"ev": "call", "tag": "a10", "reply": "200"}), json!({"idem": null})),
        &["OUT-12"],
    ),
    ("one key for two messages of a chat", |run| run.set("mock", call("a2"), json!({"idem": "a1-0"})), &["OUT-12"]),
    ("one key in two chats", |run| run.set("mock", call("a4"), json!({"idem": "a1-0"})), &[]),
    (
        "another key at a resend that was asked for",
        |run| run.set("mock", json!({"ev": "call", "tag": "a2", "reply": "200"}), json!({"idem": "x"})),
        &[],
    ),
    ("a platform without keys", |run| run.set("mock", json!({"ev": "call"}), json!({"idem": null})), &[]),
    (
        "a message hours after the others",
        |run| {
            let alone = json!({"t": LATE, "ev": "call", "acct": "support", "call": 999, "method": "sendMessage", "chat": "777",
                               "tag": null, "hash": null, "idem": null, "epoch": null, "t_first": LATE, "t_last": LATE,
                               "t_reply": LATE, "reply": "200", "applied": true, "pmid": "1", "retry_after": null});
            run.add("mock", alone);
        },
        &["OUT-13"],
    ),
];

#[test]
fn the_fullest_window_of_each_limit_is_told() {
    let mut run = correct();
    many(&mut run, 29, elsewhere);
    let report = run.check(&expectations());
    let told: Vec<String> = report.figures.worst_windows.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["30/30 (1 s, account)", "1/1 (1 s, chat)", "2/20 (60 s, group)"]);
    assert_eq!(report.figures.throttled, 1);
    assert!(report.to_string().contains("worst_window=30/30 (1 s, account)"), "{report}");
}

#[test]
fn narrower_limits_are_the_runs_own() {
    let limits = vec![RateLimit { count: 1, window_ms: 2_500, scope: RateScope::Account }];
    let report = correct().check(&Expectations { limits: limits.clone(), ..expectations() });
    assert!(report.red().is_empty(), "{report}");
    let mut run = correct();
    again(&mut run, call("a4"), json!({"applied": false}));
    assert_eq!(run.check(&Expectations { limits, ..expectations() }).red(), ["OUT-10"]);
    let text = r#"[{"count":30,"window_ms":1000,"scope":"account"},{"count":20,"window_ms":60000,"scope":"group"}]"#;
    let read: Vec<RateLimit> = serde_json::from_str(text).unwrap();
    assert_eq!(read, [RateLimit::TELEGRAM[0], RateLimit::TELEGRAM[2]]);
}

#[test]
fn the_used_share_is_of_the_accounts_allowance() {
    let mut run = Lines::default();
    for file in ["mock", "agent", "nemesis"] {
        run.of(file);
    }
    for n in 0..31_i64 {
        let t = n * 40 * MS;
        run.add(
            "mock",
            json!({"t": t, "ev": "call", "acct": "support", "call": n, "method": "sendMessage", "chat": n.to_string(), "tag": null,
                   "hash": null, "epoch": null, "t_first": t, "t_last": t, "t_reply": t, "reply": "200", "applied": true, "pmid": "1"}),
        );
    }
    let used = |least| run.check(&Expectations { least_used: Some(least), ..Expectations::default() });
    // 30 messages in 1.2 s, where 36 are allowed.
    let share = used(0.8).figures.used.unwrap();
    assert!((share - 30.0 / 36.0).abs() < 1e-9, "{share}");
    assert_eq!(used(0.83).finding("OUT-13").violated, 0);
    assert_eq!(used(0.84).finding("OUT-13").violated, 1);
    assert_eq!(run.check(&Expectations::default()).finding("OUT-13").checked, 0);
}

#[test]
fn a_stale_call_counts_against_nobody_else() {
    let mut run = frozen();
    // The new sender calls the same group at the same moment, and one call a second is all that is allowed.
    again(&mut run, call("a10"), json!({"chat": "-502", "tag": "zz", "applied": false, "epoch": 2}));
    let stale = run.like("mock", &call("a9"))[0]["t_first"].as_i64().unwrap();
    let beside = json!({"t_first": stale, "t_last": stale + MS, "t_reply": stale + 2 * MS});
    run.set("mock", json!({"call": 999}), beside);
    let limits = vec![RateLimit { count: 1, window_ms: 1_000, scope: RateScope::Group }];
    let report = run.check(&Expectations { limits, ..expectations() });
    assert!(report.red().is_empty(), "{report}");
    assert_eq!(report.figures.worst_windows[0].most, 2, "{report}");
}

fn first_call(run: &Lines) -> Value {
    run.like("mock", &call("a1"))[0]["call"].clone()
}

/// The message's call once more, so long after the first was answered; it takes no effect.
fn again_after(run: &mut Lines, tag: &str, after_ms: i64) {
    let from = run.like("mock", &call(tag))[0]["t_reply"].as_i64().unwrap() + after_ms * MS;
    let more = json!({"call": 999, "t_first": from, "t_last": from + 1, "t_reply": from + 2, "applied": false});
    run.repeat("mock", call(tag), more);
}

/// So many calls like `a4`'s right after it, which is the second of its group in that minute.
fn many(run: &mut Lines, count: i64, change: fn(i64) -> Value) {
    let from = run.like("mock", &call("a4"))[0]["t_reply"].as_i64().unwrap();
    for n in 0..count {
        let at = from + n * 10 * MS;
        let mut more = json!({"call": 600 + n, "t_first": at + 1, "t_last": at + 2, "t_reply": at + 3});
        more.as_object_mut().unwrap().extend(change(n).as_object().unwrap().clone());
        run.repeat("mock", json!({"ev": "call", "tag": "a4", "call": first_a4(run)}), more);
    }
}

fn first_a4(run: &Lines) -> Value {
    run.like("mock", &json!({"ev": "call_open", "tag": "a4"}))[0]["call"].clone()
}

fn elsewhere(n: i64) -> Value {
    json!({"chat": (7_000 + n).to_string()})
}

/// Changes the call that is told to wait, 4 s before `a10` is called again.
fn told(run: &mut Lines, change: Value) {
    run.set("mock", json!({"ev": "call", "reply": "429"}), change);
}

/// A call to another chat is told to wait, so many ms after `a10`'s.
fn told_another(run: &mut Lines, after_ms: i64, change: Value) {
    call_beside(run, 998, "777", after_ms, change);
}

/// Two other chats are told to wait right before `a4` is called, `a4`'s call begins 200 ms later than it did; its claim was made
/// before both, or with `earlier` they were told so many ms before.
fn told_between_claim_and_call(run: &mut Lines, earlier: i64) {
    let at = run.like("mock", &call("a4"))[0]["t_first"].as_i64().unwrap();
    for (number, chat) in [(995, "777"), (996, "888")] {
        let told = at - earlier * MS;
        let wait = json!({"call": number, "chat": chat, "tag": "zz", "t_first": told - 2, "t_last": told - 1, "t_reply": told,
                          "reply": "429", "retry_after": 2, "applied": false});
        run.repeat("mock", json!({"ev": "call", "tag": "a4", "call": first_a4(run)}), wait);
    }
    let late = at + 200 * MS;
    run.set("mock", call("a4"), json!({"t_first": late, "t_last": late + 1, "t_reply": late + 2}));
}

/// A call to a third chat, so many ms after `a10`'s was told to wait.
fn beside(run: &mut Lines, after_ms: i64) {
    call_beside(run, 997, "888", after_ms, json!({"reply": "400", "retry_after": null}));
}

fn call_beside(run: &mut Lines, number: i64, chat: &str, after_ms: i64, change: Value) {
    let told = run.like("mock", &json!({"ev": "call", "reply": "429", "tag": "a10"}))[0]["t_reply"].as_i64().unwrap();
    let at = told + after_ms * MS;
    let mut more =
        json!({"call": number, "chat": chat, "tag": "zz", "t_first": at - 2, "t_last": at - 1, "t_reply": at});
    more.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    run.repeat("mock", json!({"ev": "call", "reply": "429", "tag": "a10"}), more);
}
