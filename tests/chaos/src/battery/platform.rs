//! The platform misbehaves: it throttles, fails, hangs, cuts off, and answers what nobody can read.

use serde_json::json;
use switchboard_tests::harness::until;

use super::{Scenario, comes_in, epoch, goes_on, usual, world};
use crate::run::Run;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        id: "F28",
        name: "platform_answers_badly",
        about: "429, 5xx, hang, drop, half an answer, garbage, ok:false, late: each send ends as what is known of it",
        quick: true,
        options: world,
        load: usual,
        breaking: |run| Box::pin(bad_answers(run)),
    },
    Scenario {
        id: "F28",
        name: "platform_gives_badly",
        about: "polls that hang, are dropped, answered by garbage or 5xx, downloads that break: nothing is skipped",
        quick: false,
        options: world,
        load: usual,
        breaking: |run| Box::pin(bad_polls(run)),
    },
];

/// What becomes of a call, and whether the part is unconfirmed then.
const SENDS: [(&str, bool); 12] = [
    ("429", false),
    ("500_before", true),
    ("500_after", true),
    ("502_html_after", true),
    ("drop_before", true),
    ("drop_after", true),
    ("half_after", true),
    ("garbage_after", true),
    ("ok_false_before", false),
    ("slow", false),
    ("hang_before", true),
    ("hang_after", true),
];

async fn bad_answers(run: &mut Run) {
    let before = epoch(&run.fleet).await;
    let mut unclear = 0;
    for (mode, ambiguous) in SENDS {
        let count = run.tier.pick(1, 4);
        let delay = if mode == "slow" { 800 } else { 0 };
        let order = json!({"method": "sendMessage", "mode": mode, "count": count, "delay_ms": delay, "retry_after": 1});
        strike(run, mode, order).await;
        unclear += if ambiguous { count } else { 0 };
    }
    let order = json!({"method": "sendMessage", "mode": "429", "retry_after": 2, "whole_bot": true});
    strike(run, "429 for the account", order).await;
    assert_eq!(epoch(&run.fleet).await, before, "no takeover");
    run.settle().await;
    run.notes.push(format!("{unclear} answers were unclear"));
    run.expected.max_unconfirmed = Some(unclear);
}

/// Orders a fault and waits until the platform has done it.
async fn strike(run: &mut Run, what: &str, order: serde_json::Value) {
    run.injected(what);
    run.fleet.platform.order("fault", order).await;
    until("the platform to have done it", 60, async || {
        let state = run.fleet.platform.state().await;
        (state["faults"].as_array()?.is_empty() && state["calls"]["open"].as_u64()? < 8).then_some(())
    })
    .await;
    goes_on(&run.fleet, 3).await;
    run.witnessed(format!("the platform answered by {what}"));
}

async fn bad_polls(run: &mut Run) {
    let modes = ["hang_before", "hang_after", "drop_before", "drop_after", "half_after", "500_before", "500_after"];
    let more = ["502_html_after", "garbage_after", "ok_false_before", "429"];
    for mode in modes.iter().chain(&more) {
        strike(run, &format!("getUpdates {mode}"), json!({"method": "getUpdates", "mode": mode, "count": 2})).await;
        comes_in(&run.fleet, 10).await;
    }
    for mode in ["drop_before", "half_after", "500_before"] {
        strike(run, &format!("download {mode}"), json!({"method": "download", "mode": mode, "count": 2})).await;
    }
    for mode in ["500_before", "drop_after", "429"] {
        strike(run, &format!("getFile {mode}"), json!({"method": "getFile", "mode": mode, "count": 1})).await;
    }
    assert_eq!(epoch(&run.fleet).await, 1, "no takeover");
    // A poll that hangs is given up after half a minute, and whatever it was given waits for the next.
    run.expected.media_delay_ms = 60_000;
    run.expected.max_unconfirmed = Some(0);
}
