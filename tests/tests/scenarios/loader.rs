//! R16, R90: loaders answer while no chatserver, no ZooKeeper and, from a replica, no primary is there.

use std::time::Duration;

use serde_json::Value;
use switchboard_tests::harness::{Fleet, FleetOptions, Loader, StopMode, customer, until};

use crate::taken_chat;

/// The ids of today's chats.
async fn chats(loader: &Loader, token: &str) -> Vec<Value> {
    let day = chrono::Utc::now().date_naive();
    let (from, to) = (day - chrono::Days::new(1), day + chrono::Days::new(2));
    let (status, page) = loader.get(&format!("/v1/chats?from={from}T00:00:00Z&to={to}T00:00:00Z"), token).await;
    assert_eq!(status, 200, "{page}");
    page["items"].as_array().unwrap().iter().map(|item| item["chat"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loader_needs_nothing_but_a_database() {
    let mut fleet = Fleet::start(FleetOptions::new("loader")).await;
    let agent = fleet.agent("anna", 1);
    let chat = taken_chat(&fleet, &agent, customer(1), "hello [[q1]]").await;
    let seq = agent.send(&chat, "k1", "good morning [[r1]]").await.unwrap()["seq"].as_i64().unwrap();
    let sent =
        |view: &switchboard_tests::agent::View| view.part(&chat, seq, 0).is_some_and(|part| part.state == "sent");
    agent.wait_until("the reply to be sent", Duration::from_secs(20), sent).await.unwrap();
    let shown = agent.history(&chat, None, 50).await.unwrap();
    fleet.rest(&[&agent], 20).await;

    let replica = fleet.postgres.replica(&fleet.dir.join("replica"));
    let near = fleet.loader("loader0", &[]).await;
    let far = fleet.loader("loader1", &[("SWITCHBOARD_LOADER__REPLICA_URL", replica.url().as_str())]).await;
    assert!(near.ready().await.1.contains("\"reads_from\":\"postgres.url\""));
    assert!(far.ready().await.1.contains("\"reads_from\":\"loader.replica_url\""));

    // No chatserver and no ZooKeeper any more.
    for number in 0..2 {
        fleet.chatserver(number).kill();
    }
    fleet.zookeeper.kill();
    let token = fleet.operate(&["token", "--agent", "anna"]);
    let path = format!("/v1/chats/{chat}/history");
    let want = vec![Value::from(chat.as_str())];
    assert_eq!(chats(&near, &token).await, want);
    let (status, page) = near.get(&path, &token).await;
    assert_eq!((status, &page["entries"]), (200, &shown["entries"]), "as the websocket says it");
    until("the replica to have it all", 20, async || (far.get(&path, &token).await.1 == page).then_some(())).await;
    assert_eq!(chats(&far, &token).await, want);

    // No primary: the one says so, the other goes on.
    fleet.postgres.end(StopMode::Immediate);
    assert_eq!(near.get(&path, &token).await.0, 503);
    assert_eq!(far.get(&path, &token).await, (200, page));
    assert_eq!(chats(&far, &token).await, want);
}
