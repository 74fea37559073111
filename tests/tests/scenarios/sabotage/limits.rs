//! Too many calls: a bucket that begins full, and a takeover that begins with empty windows.

use serde_json::json;
use switchboard_tests::checker::Report;
use switchboard_tests::harness::{Backlog, Fleet, FleetOptions, customer, lasting, until};

use crate::limits::{GROUP, to_each};

/// Three seconds' worth, at once.
async fn ninety_at_once(name: &'static str, sabotage: Option<&'static str>) -> Report {
    let fleet = Fleet::start(FleetOptions { sabotage, ..FleetOptions::new(name) }).await;
    let backlog = Backlog::of(&fleet, "daria").await;
    let customers: Vec<i64> = (0..90).map(customer).collect();
    let chats = backlog.chats(&fleet, &customers).await;
    // The platform only counts: how it would punish is not the subject.
    fleet.platform.order("limits", json!({"enforce": false})).await;
    backlog.submit(to_each(&chats, 1, "all")).await;
    fleet.rest(&[], 30).await;
    fleet.verdict(&fleet.expectations().require(&["OUT-3", "OUT-4", "OUT-10"])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_as_large_as_the_limit_is_caught() {
    ninety_at_once("sabotage-burst-clean", None).await.assert_clean();
    let red = ninety_at_once("sabotage-burst", Some("burst_limiter")).await.red();
    assert!(red.contains(&"OUT-10"), "two windows' worth in one, and the checker says {red:?}");
}

/// A handover after a group had all that it may have in a minute.
async fn handed_over_with_a_full_window(name: &'static str, sabotage: Option<&'static str>) -> Report {
    let fleet = Fleet::start(FleetOptions { sabotage, ..FleetOptions::pair(name) }).await;
    let backlog = Backlog::of(&fleet, "daria").await;
    fleet.platform.order("group", json!({"chat": GROUP, "title": "A group"})).await;
    let group = backlog.chats(&fleet, &[GROUP]).await;
    fleet.platform.order("limits", json!({"enforce": false})).await;
    fleet.paired().await;
    backlog.submit(to_each(&group, 25, "group")).await;
    let mut witness = fleet.witness();
    until("the group's minute to be full", 30, async || (witness.sent() == 20).then_some(())).await;
    fleet.operate(&["handover", "support"]);
    // The rest is due in a minute; whoever forgot that sends it now.
    lasting(2000).await;
    fleet.verdict(&fleet.expectations().require(&["OUT-3", "OUT-4", "OUT-10"])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_with_empty_windows_is_caught() {
    handed_over_with_a_full_window("sabotage-restore-clean", None).await.assert_clean();
    let red = handed_over_with_a_full_window("sabotage-restore", Some("limiter_not_restored")).await.red();
    assert!(red.contains(&"OUT-10"), "25 in a group's minute, and the checker says {red:?}");
}
