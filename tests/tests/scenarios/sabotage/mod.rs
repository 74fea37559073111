//! A checker that was never seen to fail proves nothing: known bugs, each caught, and the same scenario clean
//! without the bug.

mod limits;
mod senders;

use std::time::Duration;

use switchboard_tests::agent::View;
use switchboard_tests::checker::Report;
use switchboard_tests::harness::{Fleet, FleetOptions, customer, until};

use crate::taken_chat;

fn options(name: &'static str, sabotage: Option<&'static str>) -> FleetOptions {
    FleetOptions { sabotage, sweep_ms: 1000, ..FleetOptions::new(name) }
}

/// Kills the connector with a batch given out and not committed.
async fn killed_before_the_commit(name: &'static str, sabotage: Option<&'static str>) -> Report {
    let mut fleet = Fleet::start(options(name, sabotage)).await;
    fleet.arm_connector(0, "P3:1", "kill").await;
    fleet.platform.message(customer(1), "hello [[q1]]").await;
    fleet.died_at(0, "P3:1").await;
    fleet.start_connector(0, &[]).await;
    fleet.active().await;
    fleet.platform.message(customer(2), "and hello [[q2]]").await;
    fleet.rest(&[], 30).await;
    fleet.verdict(&fleet.expectations().require(&["IN-1", "IN-5"])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledging_before_the_commit_is_caught() {
    killed_before_the_commit("sabotage-ack-clean", None).await.assert_clean();
    let red = killed_before_the_commit("sabotage-ack", Some("ack_before_commit")).await.red();
    assert!(red.contains(&"IN-1"), "acknowledged and lost, and the checker says {red:?}");
}

/// The platform takes a message and never answers.
async fn never_answered(name: &'static str, sabotage: Option<&'static str>) -> Report {
    let fleet = Fleet::start(options(name, sabotage)).await;
    let agent = fleet.agent("anna", 1);
    let chat = taken_chat(&fleet, &agent, customer(1), "hello [[q1]]").await;
    fleet.platform.fault("hang_after", 1).await;
    let sent = agent.send(&chat, "k1", "once [[r1]]").await.unwrap();
    let seq = sent["seq"].as_i64().unwrap();
    let decided = |view: &View| view.part(&chat, seq, 0).is_some();
    agent.wait_until("an outcome", Duration::from_secs(30), decided).await.unwrap();
    fleet.rest(&[&agent], 30).await;
    fleet.verdict(&fleet.expectations().require(&["OUT-3", "OUT-4"])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn sending_again_after_a_timeout_is_caught() {
    let clean = never_answered("sabotage-resend-clean", None).await;
    clean.assert_clean();
    assert_eq!(clean.figures.unconfirmed, 1);
    let red = never_answered("sabotage-resend", Some("resend_on_timeout")).await.red();
    assert!(red.contains(&"OUT-3"), "sent twice, and the checker says {red:?}");
}

/// The connector dies between its commit and the ring, and nothing else happens.
async fn never_rung(name: &'static str, sabotage: Option<&'static str>) -> Report {
    let mut fleet = Fleet::start(options(name, sabotage)).await;
    let agent = fleet.agent("anna", 1);
    fleet.platform.message(customer(1), "hello [[q1]]").await;
    agent
        .wait_until("the chat to wait", Duration::from_secs(20), |view| view.waiting().next().is_some())
        .await
        .unwrap();
    fleet.arm_connector(0, "W5:1", "kill").await;
    fleet.platform.message(customer(1), "is anybody there? [[q2]]").await;
    fleet.died_at(0, "W5:1").await;
    // The database knows it; whether the agent hears of it within three sweeps is the question.
    let seen = |view: &View| view.customer_messages(0).count() == 2;
    let _ = agent.wait_until("the second message", Duration::from_secs(4), seen).await;
    fleet.start_connector(0, &[]).await;
    until("everything to be acknowledged", 30, async || {
        (fleet.platform.state().await["queue"]["waiting"].as_u64()? == 0).then_some(())
    })
    .await;
    fleet.verdict(&fleet.expectations().require(&["IN-1", "IN-5", "WS-2"])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn having_no_sweep_is_caught() {
    never_rung("sabotage-sweep-clean", None).await.assert_clean();
    let red = never_rung("sabotage-sweep", Some("no_sweep")).await.red();
    assert!(red.contains(&"IN-5") || red.contains(&"WS-2"), "stored and never shown, and the checker says {red:?}");
}
