//! Signals are hints: with every doorbell dropped everything holds, only slower.

use std::collections::HashMap;

use serde_json::Value;
use switchboard_tests::harness::{ALL, Fleet, FleetOptions, Load, Underway, finished};

/// `doorbell.sweep_ms` of this scenario.
const SWEEP_MS: u64 = 2000;

#[tokio::test(flavor = "multi_thread")]
async fn with_every_doorbell_dropped_only_time_is_lost() {
    let options =
        FleetOptions { sweep_ms: SWEEP_MS, sabotage: Some("drop_doorbells"), ..FleetOptions::new("no-doorbells") };
    let fleet = Fleet::start(options).await;
    let load = Load { chats: 20, messages: 400, pause_ms: 50, replies: 100, reply_each: 2, file_each: 0, seed: 3 };
    let Underway { mut traffic, desks, .. } = load.begin(&fleet);
    traffic.finish().await;
    let (agents, _) = finished(desks).await;
    let onlookers: Vec<_> = agents.iter().map(std::convert::AsRef::as_ref).collect();
    fleet.rest(&onlookers, 120).await;
    fleet.verdict(&fleet.expectations().require(ALL)).await.assert_clean();

    let late = latencies_ms(&fleet);
    assert!(late.len() >= 400, "{} latencies", late.len());
    let p99 = late[late.len() * 99 / 100];
    println!(
        "typed → frame without doorbells: p50 {} ms, p99 {p99} ms, most {} ms",
        late[late.len() / 2],
        late[late.len() - 1]
    );
    assert!(p99 <= SWEEP_MS + 500, "p99 {p99} ms with a sweep of {SWEEP_MS} ms");
    assert!(late[late.len() / 2] > 100, "p50 {} ms: the doorbells were not dropped", late[late.len() / 2]);
}

/// From a customer's keystroke to the first frame that shows it, sorted.
fn latencies_ms(fleet: &Fleet) -> Vec<u64> {
    let lines = |name: &str| -> Vec<Value> {
        let text = std::fs::read_to_string(fleet.dir.join(name)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let time = |event: &Value| event["t"].as_u64().unwrap();
    let tag = |event: &Value| event["tag"].as_str().map(str::to_owned);
    let typed: HashMap<String, u64> =
        lines("mock.jsonl").iter().filter(|e| e["ev"] == "typed").filter_map(|e| Some((tag(e)?, time(e)))).collect();
    let mut shown: HashMap<String, u64> = HashMap::new();
    for frame in lines("agent.jsonl").iter().filter(|event| event["ev"] == "frame") {
        if let Some(tag) = tag(frame).filter(|tag| typed.contains_key(tag)) {
            let first = shown.entry(tag).or_insert(u64::MAX);
            *first = time(frame).min(*first);
        }
    }
    let mut late: Vec<u64> = shown.iter().map(|(tag, at)| (at - typed[tag]) / 1_000_000).collect();
    late.sort_unstable();
    late
}
