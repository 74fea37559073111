//! Webhooks: whatever dies, is doubled, forged or slow, a request is answered well only when its update is stored.

use std::time::Duration;

use serde_json::{Value, json};
use switchboard_tests::agent::{Agent, View};
use switchboard_tests::checker::Report;
use switchboard_tests::harness::{Fleet, FleetOptions, StopMode, customer, until};
use switchboard_tests::observer::boottime_ns;

/// The webhook's secret after it was renewed.
pub const SECOND_SECRET: &str = "another-secret-of-the-tests";

/// An update that cannot be read. It is kept once, however often it comes, so its answer tells who is believed.
pub const UNREADABLE: &str = "{\"hologram\":{\"id\":1}}";

/// What the simulator wrote about each request to a webhook: key, status.
pub fn deliveries(fleet: &Fleet) -> Vec<(String, Option<i64>)> {
    let log = std::fs::read_to_string(fleet.dir.join("mock.jsonl")).unwrap();
    let lines = log.lines().filter(|line| line.contains("\"delivery\""));
    let events = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.map(|event| (event["key"].as_str().unwrap().to_owned(), event["status"].as_i64())).collect()
}

/// How many calls of a method took effect.
pub fn calls(fleet: &Fleet, method: &str) -> usize {
    let log = std::fs::read_to_string(fleet.dir.join("mock.jsonl")).unwrap();
    let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events.filter(|event| event["ev"] == "call" && event["method"] == method && event["applied"] == true).count()
}

/// Waits until the platform delivers to an address.
pub async fn registered(fleet: &Fleet, address: &str) {
    until("the webhook to be registered", 20, async || {
        (fleet.platform.state().await["webhook"].as_str()? == address).then_some(())
    })
    .await;
}

fn clean(report: &Report) {
    report.assert_clean();
    assert_eq!((report.figures.lost, report.figures.duplicated), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_doubled_and_disordered_at_both_is_stored_once() {
    let options = FleetOptions { webhook: true, ..FleetOptions::pair("webhook-disorder") };
    let mut fleet = Fleet::start(options).await;
    let own = Fleet::webhook_at(&fleet.public_base());
    registered(&fleet, &own).await;
    let agent = fleet.agent_online("anna").await;
    let both: Vec<String> = fleet.connector_bases().iter().map(|base| Fleet::webhook_at(base)).collect();
    let disorder = json!({"copies": 5, "to": both, "reorder": true, "hold": true});
    fleet.platform.order("webhook", disorder).await;
    for n in 0..60 {
        fleet.platform.message(customer(n % 12), &format!("disordered [[d{n}]]")).await;
        if n == 30 {
            fleet.platform.order("update", json!({"text_raw": UNREADABLE, "keep_id": true})).await;
        }
    }
    fleet.platform.order("webhook", json!({"hold": false})).await;
    shown(&agent, 60).await;
    fleet.rest(&[&agent], 30).await;
    assert!(deliveries(&fleet).len() >= 61 * 10, "{}", deliveries(&fleet).len());
    fleet.platform.order("webhook", json!({"copies": 1, "to": [], "reorder": false})).await;

    assert_eq!(brought_while_the_database_is_away(&mut fleet).await, Some(503));
    shown(&agent, 61).await;
    secrets_are_renewed(&fleet, &agent).await;
    strangers_are_sent_away(&mut fleet, &agent, &own).await;
    fleet.rest(&[&agent], 30).await;
    let mut expected = fleet.expectations().require(&["IN-1", "IN-2", "IN-3", "IN-4", "IN-5", "IN-6", "IN-9"]);
    expected.disordered.insert("support".to_owned());
    clean(&fleet.verdict(&expected).await);
    fleet.no_secret_was_written();
    crate::webhook_floods::odd_bodies_are_bounded_and_kept(&mut fleet, &agent).await;
    crate::webhook_floods::slow_ones_do_not_keep_good_ones_out(&mut fleet).await;
}

/// A customer writes while nothing can be stored; what the platform's first request was answered.
async fn brought_while_the_database_is_away(fleet: &mut Fleet) -> Option<i64> {
    let begun = boottime_ns();
    fleet.postgres.end(StopMode::Fast);
    let typed = fleet.platform.message(customer(4), "nowhere to put it [[p1]]").await;
    let key = typed["key"].as_str().unwrap();
    let answer = until("the platform to bring it", 20, async || {
        deliveries(fleet).into_iter().find_map(|(brought, status)| (brought == key).then_some(status))
    })
    .await;
    fleet.postgres.begin();
    fleet.fault("postgres_restart", "postgres", begun);
    answer
}

/// Waits until an agent was shown so many messages of customers.
pub async fn shown(agent: &Agent, count: usize) {
    let all = |view: &View| view.customer_messages(0).count() >= count;
    agent.wait_until("the messages", Duration::from_secs(20), all).await.unwrap();
}

/// The secret is replaced without a restart, a lost update or a moment in which the old one no longer and the new one
/// not yet is good.
async fn secrets_are_renewed(fleet: &Fleet, agent: &Agent) {
    let before = agent.view().customer_messages(0).count();
    let (path, new) = (fleet.dir.join("webhook-secret"), SECOND_SECRET);
    let old = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{new}\n{old}")).unwrap();
    let bases = fleet.connector_bases();
    let status = async |base: &String, secret: &str| {
        let request = reqwest::Client::new().post(Fleet::webhook_at(base)).body(UNREADABLE);
        request.header("x-telegram-bot-api-secret-token", secret).send().await.unwrap().status().as_u16()
    };
    for base in &bases {
        until("the new secret to be believed", 10, async || (status(base, new).await == 200).then_some(())).await;
        assert_eq!(status(base, old.trim()).await, 200, "the old one is still good");
    }
    fleet.platform.message(customer(1), "while there are two [[s1]]").await;
    shown(agent, before + 1).await;
    // Whoever is active tells the platform the new one; nothing that waits is dropped.
    until("the platform to have the new secret", 10, async || (calls(fleet, "setWebhook") == 2).then_some(())).await;
    std::fs::write(&path, new).unwrap();
    for base in &bases {
        until("the old secret to be forgotten", 10, async || (status(base, old.trim()).await == 401).then_some(()))
            .await;
    }
    fleet.platform.message(customer(2), "with the new one alone [[s2]]").await;
    shown(agent, before + 2).await;
}

/// A stranger who has the token sets a webhook: while we poll it is removed, while we have our own it is set again.
async fn strangers_are_sent_away(fleet: &mut Fleet, agent: &Agent, own: &str) {
    let before = agent.view().customer_messages(0).count();
    let elsewhere = "https://elsewhere.example/hook";
    fleet.platform.order("webhook", json!({"backoff_scale": 0.1})).await;
    fleet.platform.order("set_webhook", json!({"url": elsewhere})).await;
    fleet.platform.message(customer(3), "meant for a stranger [[x1]]").await;
    fleet.operate(&["handover", "support"]);
    registered(fleet, own).await;
    shown(agent, before + 1).await;

    fleet.operate(&["account", "set", "support", "receive=poll"]);
    registered_nowhere(fleet).await;
    fleet.platform.message(customer(3), "polled [[x2]]").await;
    shown(agent, before + 2).await;
    fleet.platform.order("set_webhook", json!({"url": elsewhere})).await;
    fleet.platform.message(customer(3), "and again [[x3]]").await;
    registered_nowhere(fleet).await;
    shown(agent, before + 3).await;
    // The numbers begin anew, lower: a new message is still a new message.
    until("nothing to wait", 10, async || (fleet.platform.state().await["queue"]["waiting"] == 0).then_some(())).await;
    fleet.platform.order("reset_update_ids", json!({"next": 7})).await;
    fleet.platform.message(customer(3), "numbered lower [[x4]]").await;
    shown(agent, before + 4).await;
    let polls = fleet.platform.state().await["polls"].clone();
    assert!(polls["count"].as_u64().unwrap() < 100, "no hot loop: {polls}");

    fleet.operate(&["account", "set", "support", "receive=webhook"]);
    registered(fleet, own).await;
    fleet.platform.message(customer(3), "brought [[x5]]").await;
    shown(agent, before + 5).await;
}

async fn registered_nowhere(fleet: &Fleet) {
    until("the webhook to be removed", 20, async || fleet.platform.state().await["webhook"].is_null().then_some(()))
        .await;
}
