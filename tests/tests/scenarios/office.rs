//! Operators look into the outbox and decide, and agents see what was decided.

use std::time::Duration;

use serde_json::{Value, json};
use switchboard_tests::agent::View;
use switchboard_tests::harness::{ALL, Fleet, FleetOptions, customer, until};

use crate::taken_chat;

fn listed(fleet: &Fleet, arguments: &[&str]) -> Vec<Value> {
    let said = fleet.operate(&[&["outbox", "list", "support", "--json"], arguments].concat());
    assert!(!said.contains("[["), "no text of a message: {said}");
    serde_json::from_str(&said).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_take_parts_back_and_send_them_again() {
    let fleet = Fleet::start(FleetOptions { chatservers: 1, ..FleetOptions::new("office") }).await;
    let agent = fleet.agent_online("anna").await;
    let chat = taken_chat(&fleet, &agent, customer(1), "hello [[q1]]").await;
    let shown = async |seq: i64, state: &str| {
        let state = state.to_owned();
        let is = |view: &View| view.part(&chat, seq, 0).is_some_and(|part| part.state == state);
        agent.wait_until(&format!("{seq} to be {state}"), Duration::from_secs(20), is).await.unwrap();
    };
    let send = async |key: &str| {
        let sent = agent.send(&chat, key, &format!("answer [[{key}]]")).await.unwrap();
        sent["seq"].as_i64().unwrap()
    };

    fleet.operate(&["account", "disable", "support"]);
    until("nobody to serve", 15, async || fleet.onlooker.lease().await?.released.then_some(())).await;
    let (first, second) = (send("r1").await, send("r2").await);
    let waiting = listed(&fleet, &[]);
    assert_eq!(waiting.len(), 2, "{waiting:?}");
    let id = waiting[0]["id"].to_string();
    let would = fleet.operate(&["outbox", "cancel", "support", &id, "--dry-run"]);
    assert!(would.ends_with("1 would be cancelled") && listed(&fleet, &["--state", "queued"]).len() == 2, "{would}");
    fleet.agents_log.write(
        "decision",
        json!({"agent": "an operator", "chat": chat, "of": first, "part": null, "action": "cancel", "ok": true, "code": null}),
    );
    fleet.operate(&["outbox", "cancel", "support", &id]);
    shown(first, "cancelled").await;
    fleet.operate(&["account", "enable", "support"]);
    shown(second, "sent").await;

    fleet.platform.order("block", json!({"chat": customer(1)})).await;
    let third = send("r3").await;
    shown(third, "failed").await;
    fleet.platform.order("unblock", json!({"chat": customer(1)})).await;
    let failed = listed(&fleet, &["--state", "failed"]);
    assert_eq!((failed.len(), failed[0]["seq"].as_i64()), (1, Some(third)), "{failed:?}");
    let tries = fleet.operate(&["outbox", "show", "support", &failed[0]["id"].to_string()]);
    assert!(tries.contains("refused") && tries.contains("blocked"), "{tries}");
    fleet.agents_log.write(
        "decision",
        json!({"agent": "an operator", "chat": chat, "of": third, "part": 0, "action": "requeue", "ok": true, "code": null}),
    );
    fleet.operate(&["outbox", "requeue", "support", "--state", "failed"]);
    shown(third, "sent").await;
    assert!(listed(&fleet, &[]).is_empty());

    fleet.rest(&[&agent], 30).await;
    fleet.verdict(&fleet.expectations().require(ALL)).await.assert_clean();
    fleet.no_secret_was_written();
}
