//! Bad input: a clear error or quarantine, nothing lost, nothing stuck.

use std::time::Duration;

use serde_json::json;
use switchboard_tests::agent::View;
use switchboard_tests::harness::{Fleet, FleetOptions, customer, until};

use crate::taken_chat;

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_kept_and_blocks_nobody() {
    let fleet = Fleet::start(FleetOptions::new("bad-input")).await;
    let agent = fleet.agent_online("anna").await;
    let platform = &fleet.platform;
    platform.message(customer(1), "before [[q1]]").await;
    platform.order("update", json!({"body": {"hologram": {"id": 1}}})).await;
    platform.order("update", json!({"body": {"message": {"message_id": 1, "date": 1, "text": "no chat"}}})).await;
    platform.order("update", json!({"body": {"message": "not even an object"}})).await;
    let from = json!({"id": customer(2), "is_bot": false, "first_name": "Two"});
    let chat = json!({"id": customer(2), "type": "private", "first_name": "Two"});
    let wrong =
        json!({"message_id": 900, "date": 1_780_000_000, "from": from, "chat": chat, "text": {"not": "a text"}});
    platform.order("update", json!({"body": {"message": wrong}})).await;
    // Characters that Postgres, or no text at all, can hold: shown with a replacement.
    platform.message(customer(3), "a\u{0}b [[q2]]").await;
    let half = format!(
        r#"{{"message":{{"message_id":901,"date":1780000000,"from":{from},"chat":{chat},"text":"half \ud83d pair [[q3]]"}}}}"#
    );
    platform.order("update", json!({ "text_raw": half })).await;
    platform.message(customer(1), "after [[q4]]").await;
    let all = |view: &View| {
        ["q1", "q2", "q3", "q4"].iter().all(|tag| {
            view.customer_messages(0).any(|seen| seen.text.as_deref().is_some_and(|text| text.contains(tag)))
        })
    };
    agent.wait_until("the readable ones", Duration::from_secs(20), all).await.unwrap();
    let shown: Vec<String> = agent.view().customer_messages(0).filter_map(|seen| seen.text.clone()).collect();
    assert!(shown.iter().any(|text| text == "a\u{fffd}b [[q2]]"), "{shown:?}");
    assert!(shown.iter().any(|text| text == "half \u{fffd} pair [[q3]]"), "{shown:?}");

    let listed = fleet.operate(&["inbox", "list", "support"]);
    assert_eq!(listed.lines().count(), 4, "{listed}");
    assert!(listed.contains("hologram") && !listed.contains("no chat"), "kinds are named, contents are not: {listed}");
    assert_eq!(fleet.operate(&["inbox", "replay", "support"]), "0 read, 4 still unreadable");

    // A later version that can read one: played by mending the row as that version's parser would see it.
    let repaired = json!({"update_id": 1, "message": {"message_id": 900, "date": 1_780_000_000, "from": from, "chat": chat, "text": "mended [[q5]]"}});
    let database = tokio_postgres::connect(&fleet.postgres.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(database.1);
    let changed = database
        .0
        .execute(
            "UPDATE quarantine SET raw = convert_to($1, 'UTF8') WHERE convert_from(raw, 'UTF8') LIKE '%not%a text%'",
            &[&repaired.to_string()],
        )
        .await
        .unwrap();
    assert_eq!(changed, 1);
    assert_eq!(fleet.operate(&["inbox", "replay", "support"]), "1 read, 3 still unreadable");
    let mended = |view: &View| view.customer_messages(0).any(|seen| seen.text.as_deref() == Some("mended [[q5]]"));
    agent.wait_until("the replayed one", Duration::from_secs(20), mended).await.unwrap();
    assert_eq!(fleet.operate(&["inbox", "list", "support"]).lines().count(), 3);
    assert_eq!(fleet.operate(&["inbox", "list", "support", "--all"]).lines().count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_of_the_platform_ends_in_one_state() {
    let fleet = Fleet::start(FleetOptions { answer_by_ms: 2000, ..FleetOptions::new("platform-answers") }).await;
    let agent = fleet.agent("anna", 1);
    let cases = [
        ("hang_before", "unconfirmed"),
        ("hang_after", "unconfirmed"),
        ("drop_before", "unconfirmed"),
        ("drop_after", "unconfirmed"),
        ("500_before", "unconfirmed"),
        ("500_after", "unconfirmed"),
        ("502_html_after", "unconfirmed"),
        ("garbage_after", "unconfirmed"),
        ("half_after", "unconfirmed"),
        ("429", "sent"),
        ("slow", "sent"),
    ];
    for (n, (mode, state)) in cases.iter().enumerate() {
        platform_case(&fleet, &agent, n + 10, mode, state).await;
    }
    fleet.rest(&[&agent], 60).await;
    let report = fleet.verdict(&fleet.expectations().require(&["OUT-3", "OUT-4", "OUT-5", "OUT-14", "RC-1"])).await;
    report.assert_clean();
    assert_eq!(report.figures.unconfirmed, 9);
    fleet.no_secret_was_written();
}

async fn platform_case(fleet: &Fleet, agent: &switchboard_tests::agent::Agent, n: usize, mode: &str, state: &str) {
    let chat = taken_chat(fleet, agent, customer(n), &format!("hello [[q{n}]]")).await;
    let order = json!({"method": "sendMessage", "chat": customer(n), "mode": mode, "count": 1, "retry_after": 2, "delay_ms": 500});
    fleet.platform.order("fault", order).await;
    let sent = agent.send(&chat, &format!("k{n}"), &format!("reply [[r{n}]]")).await.unwrap();
    let seq = sent["seq"].as_i64().unwrap();
    let there = |view: &View| view.part(&chat, seq, 0).is_some_and(|part| part.state == state);
    agent.wait_until(&format!("{mode} to end as {state}"), Duration::from_secs(20), there).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_message_can_be_cancelled_and_an_unconfirmed_one_dropped() {
    let fleet = Fleet::start(FleetOptions { answer_by_ms: 2000, ..FleetOptions::new("cancel-and-drop") }).await;
    let agent = fleet.agent("anna", 1);
    let chat = taken_chat(&fleet, &agent, customer(1), "hello [[q1]]").await;
    fleet.platform.fault("hang_before", 1).await;
    let first = agent.send(&chat, "k1", "lost on the way [[r1]]").await.unwrap()["seq"].as_i64().unwrap();
    until("the call to hang", 20, async || (fleet.platform.state().await["calls"]["open"] == 1).then_some(())).await;
    // The first call is open, so its chat's second message still waits.
    let second = agent.send(&chat, "k2", "taken back [[r2]]").await.unwrap()["seq"].as_i64().unwrap();
    assert_eq!(agent.cancel(&chat, second).await.unwrap(), [0]);
    let again = agent.cancel(&chat, second).await.unwrap_err();
    assert_eq!(again.code(), Some("too_late"));
    let unconfirmed = |view: &View| view.part(&chat, first, 0).is_some_and(|part| part.state == "unconfirmed");
    agent.wait_until("the first to be unconfirmed", Duration::from_secs(20), unconfirmed).await.unwrap();
    use switchboard_tests::agent::Decision;
    agent.decide(Decision::Drop, &chat, first, 0).await.unwrap();
    let twice = agent.decide(Decision::Resend, &chat, first, 0).await.unwrap_err();
    assert_eq!(twice.code(), Some("too_late"));
    fleet.rest(&[&agent], 60).await;
    fleet.verdict(&fleet.expectations().require(&["OUT-3", "OUT-4", "OUT-14"])).await.assert_clean();
    assert_eq!(fleet.witness().sent(), 0);
}
