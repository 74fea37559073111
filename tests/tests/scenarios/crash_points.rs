//! The process dies exactly at a step; what must hold afterwards depends on the step.
//!
//! Names are those of the battery: W5 after the commit and before the doorbell, P4 after the commit and before
//! the next poll, S5 the whole request written and no reply, S6 reply read and not recorded, C4 committed and
//! not answered.

use std::time::Duration;

use serde_json::json;
use switchboard_tests::agent::{Agent, View};
use switchboard_tests::checker::Report;
use switchboard_tests::harness::{Fleet, FleetOptions, customer, until};

use crate::taken_chat;

/// One reply is no order to check.
const CHECKED: &[&str] =
    &["LOG", "IN-1", "IN-2", "IN-5", "IN-6", "WS-1", "WS-2", "OUT-1", "OUT-3", "OUT-4", "OUT-6", "OUT-8", "OUT-14"];

/// A fleet with one chat taken by `anna`.
async fn chat(name: &'static str, chatservers: usize) -> (Fleet, Agent, String) {
    let fleet = Fleet::start(FleetOptions { chatservers, ..FleetOptions::new(name) }).await;
    let agent = fleet.agent("anna", 1);
    let chat = taken_chat(&fleet, &agent, customer(1), "hello [[q1]]").await;
    (fleet, agent, chat)
}

/// A reply that is sent and recorded before anything breaks.
async fn replied(agent: &Agent, chat: &str) {
    let sent = agent.send(chat, "k1", "reply [[r1]]").await.unwrap();
    let seq = sent["seq"].as_i64().unwrap();
    agent.wait_until("the reply to be sent", Duration::from_secs(20), shows(chat, seq, "sent")).await.unwrap();
}

/// Restarts the connector so that it dies at `point`.
async fn arm_connector(fleet: &mut Fleet, point: &str) {
    fleet.arm_connector(0, point, "kill").await;
    fleet.active().await;
}

/// Waits for the death and starts the connector again.
async fn died_at(fleet: &mut Fleet, point: &str) {
    fleet.died_at(0, point).await;
    fleet.start_connector(0, &[]).await;
}

async fn verdict(fleet: &Fleet, agent: &Agent) -> Report {
    fleet.rest(&[agent], 60).await;
    let report = fleet.verdict(&fleet.expectations().require(CHECKED)).await;
    report.assert_clean();
    report
}

fn shows<'a>(chat: &'a str, seq: i64, state: &'a str) -> impl Fn(&View) -> bool + 'a {
    move |view| view.part(chat, seq, 0).is_some_and(|part| part.state == state)
}

#[tokio::test(flavor = "multi_thread")]
async fn w5_committed_and_not_rung_is_found_by_the_sweep() {
    let (mut fleet, agent, chat) = chat("crash-w5", 2).await;
    replied(&agent, &chat).await;
    arm_connector(&mut fleet, "W5:1").await;
    fleet.platform.message(customer(1), "nobody rings for this [[q2]]").await;
    died_at(&mut fleet, "W5:1").await;
    let report = verdict(&fleet, &agent).await;
    assert_eq!(report.figures.inbound, 2);
    let found =
        |view: &View| view.customer_messages(0).any(|seen| seen.text.as_deref().is_some_and(|t| t.contains("q2")));
    assert!(found(&agent.view()), "the sweep finds it");
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_committed_and_not_acknowledged_comes_again_and_is_stored_once() {
    let (mut fleet, agent, chat) = chat("crash-p4", 2).await;
    replied(&agent, &chat).await;
    arm_connector(&mut fleet, "P4:1").await;
    fleet.platform.message(customer(1), "given twice [[q2]]").await;
    died_at(&mut fleet, "P4:1").await;
    let report = verdict(&fleet, &agent).await;
    assert_eq!(report.figures.inbound, 2);
    // The committed position is what the next one polls with: nothing is even given again.
    let log = std::fs::read_to_string(fleet.dir.join("mock.jsonl")).unwrap();
    assert!(log.contains("q2"), "it was typed");
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_written_and_never_answered_is_unconfirmed_and_not_sent_again() {
    let (mut fleet, agent, chat) = chat("crash-s5", 2).await;
    arm_connector(&mut fleet, "S5:1").await;
    fleet.platform.fault("hang_after", 1).await;
    let sent = agent.send(&chat, "k1", "did it arrive? [[r1]]").await.unwrap();
    died_at(&mut fleet, "S5:1").await;
    let seq = sent["seq"].as_i64().unwrap();
    agent.wait_until("it to be unconfirmed", Duration::from_secs(30), shows(&chat, seq, "unconfirmed")).await.unwrap();
    let report = verdict(&fleet, &agent).await;
    assert_eq!((report.figures.unconfirmed, report.figures.unconfirmed_applied), (1, 1));

    // A person decides: it goes out once more, and that is on record.
    use switchboard_tests::agent::Decision;
    agent.decide(Decision::Resend, &chat, seq, 0).await.unwrap();
    agent.wait_until("the resend", Duration::from_secs(30), shows(&chat, seq, "sent")).await.unwrap();
    let mut simulator = fleet.witness();
    assert_eq!(simulator.sent(), 2, "once before the crash, once as decided");
    verdict(&fleet, &agent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s6_answered_and_not_recorded_is_unconfirmed_and_not_sent_again() {
    let (mut fleet, agent, chat) = chat("crash-s6", 2).await;
    arm_connector(&mut fleet, "S6:1").await;
    let sent = agent.send(&chat, "k1", "it did arrive [[r1]]").await.unwrap();
    died_at(&mut fleet, "S6:1").await;
    let seq = sent["seq"].as_i64().unwrap();
    agent.wait_until("it to be unconfirmed", Duration::from_secs(30), shows(&chat, seq, "unconfirmed")).await.unwrap();
    use switchboard_tests::agent::Decision;
    agent.decide(Decision::MarkSent, &chat, seq, 0).await.unwrap();
    agent.wait_until("the decision", Duration::from_secs(30), shows(&chat, seq, "closed")).await.unwrap();
    let report = verdict(&fleet, &agent).await;
    assert_eq!(report.figures.unconfirmed_applied, 1);
    let mut simulator = fleet.witness();
    assert_eq!(simulator.sent(), 1, "never sent again by itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn c4_committed_and_not_answered_is_one_message() {
    let (mut fleet, agent, chat) = chat("crash-c4", 1).await;
    let witness = fleet.dir.join("crash-witness").to_string_lossy().into_owned();
    fleet.chatserver(0).stop(15).await;
    fleet.start_chatserver(0, &[("SWITCHBOARD_CRASH_AT", "C4:1"), ("SWITCHBOARD_CRASH_WITNESS", &witness)]).await;
    let (answer, ()) = tokio::join!(agent.send(&chat, "k1", "once [[r1]]"), async {
        fleet.chatserver(0).ended(30).await;
        assert_eq!(std::fs::read_to_string(&witness).unwrap().trim(), "C4:1");
        fleet.nemesis.write("crash_point", json!({"proc": "chatserver:cs0", "name": "C4", "hit": 1}));
        fleet.start_chatserver(0, &[]).await;
    });
    let answer = answer.unwrap();
    assert_eq!(answer["repeated"], true, "the first try was committed: {answer}");
    let mut simulator = fleet.witness();
    until("the reply", 20, async || (simulator.sent() == 1).then_some(())).await;
    let report = verdict(&fleet, &agent).await;
    assert_eq!((report.figures.out, report.figures.duplicated), (1, 0));
}
