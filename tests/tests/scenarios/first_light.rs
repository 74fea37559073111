//! The thin path, unbroken: a customer writes, an agent takes the chat and answers, both see it.

use std::time::Duration;

use switchboard_tests::harness::{ALL, Fleet, FleetOptions, customer, until};

use crate::taken_chat;

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_writes_and_an_agent_answers() {
    let fleet = Fleet::start(FleetOptions::new("first-light")).await;
    let agent = fleet.agent("anna", 1);
    let chat = taken_chat(&fleet, &agent, customer(1), "hello [[q1]] 👩‍👩‍👧‍👦").await;
    let result = agent.send(&chat, "k1", "good morning [[r1]] 👍🏽").await.unwrap();
    assert_eq!(result["parts"], 1);
    let seq = result["seq"].as_i64().unwrap();
    let sent =
        |view: &switchboard_tests::agent::View| view.part(&chat, seq, 0).is_some_and(|part| part.state == "sent");
    agent.wait_until("the reply to be sent", Duration::from_secs(20), sent).await.unwrap();
    let conversation = fleet.platform.chat(customer(1)).await;
    assert!(conversation.to_string().contains("good morning [[r1]] 👍🏽"), "{conversation}");

    // A text above the platform's limit goes out in parts that are the text.
    let long = format!("[[r2]] {}", "слово ".repeat(1500));
    let result = agent.send(&chat, "k2", &long).await.unwrap();
    assert_eq!(result["parts"], 3);
    let seq = result["seq"].as_i64().unwrap();
    let all = |view: &switchboard_tests::agent::View| {
        (0..3).all(|part| view.part(&chat, seq, part).is_some_and(|part| part.state == "sent"))
    };
    agent.wait_until("all parts to be sent", Duration::from_secs(20), all).await.unwrap();

    // A blocked account: refused with words an agent can read, and the customer's leaving is shown.
    fleet.platform.order("block", serde_json::json!({"chat": customer(1)})).await;
    let result = agent.send(&chat, "k3", "still there? [[r3]]").await.unwrap();
    let seq = result["seq"].as_i64().unwrap();
    let failed = |view: &switchboard_tests::agent::View| {
        view.part(&chat, seq, 0).is_some_and(|part| part.state == "failed" && part.reason.is_some())
    };
    agent.wait_until("the refusal", Duration::from_secs(20), failed).await.unwrap();
    fleet.platform.order("unblock", serde_json::json!({"chat": customer(1)})).await;

    assert_eq!(fleet.admin("/livez").await.0, 200);
    let (status, ready) = fleet.admin("/readyz").await;
    assert!(status == 200 && ready.contains("\"role\":\"active\"") && ready.contains("\"epoch\":\"1\""), "{ready}");
    let (_, metrics) = fleet.admin("/metrics").await;
    for line in [
        "# HELP switchboard_inbox_stored_total ",
        "switchboard_tenure_active{role=\"connector\",account=\"support\"} 1",
        "switchboard_outbox_attempts_total{role=\"connector\",account=\"support\",outcome=\"sent\"} 4",
    ] {
        assert!(metrics.contains(line), "no \"{line}\" in\n{metrics}");
    }

    agent.close(&chat).await.unwrap();
    fleet.platform.message(customer(1), "one more thing [[q2]]").await;
    agent
        .wait_until("a new interaction", Duration::from_secs(20), |view| view.waiting().next().is_some())
        .await
        .unwrap();
    fleet.rest(&[&agent], 30).await;
    let report = fleet.verdict(&fleet.expectations().require(ALL)).await;
    report.assert_clean();
    assert_eq!(report.figures.unconfirmed, 0);
    fleet.no_secret_was_written();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orderly_stop_loses_and_waits_for_nothing() {
    let mut fleet = Fleet::start(FleetOptions::new("orderly-stop")).await;
    let agent = fleet.agent("anna", 1);
    let chat = taken_chat(&fleet, &agent, customer(1), "hello [[q1]]").await;
    for number in 0..2 {
        assert!(fleet.chatserver(number).stop(15).await.success());
        fleet.start_chatserver(number, &[]).await;
    }
    assert!(fleet.connector(0).stop(15).await.success());
    // The lease was released: the next one is active without waiting for a session timeout.
    let begun = std::time::Instant::now();
    fleet.start_connector(0, &[]).await;
    fleet.active().await;
    assert!(begun.elapsed() < Duration::from_secs(2), "a planned handover took {:?}", begun.elapsed());
    agent.send(&chat, "k1", "welcome back [[r1]]").await.unwrap();
    let mut witness = fleet.witness();
    until("the reply", 20, async || (witness.sent() == 1).then_some(())).await;
    fleet.rest(&[&agent], 30).await;
    fleet.verdict(&fleet.expectations().require(ALL)).await.assert_clean();
}
