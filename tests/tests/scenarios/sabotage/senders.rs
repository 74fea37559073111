//! Two senders: a fence that locks nothing, and permission by what ZooKeeper says.

use std::time::Duration;

use serde_json::json;
use switchboard_tests::agent::View;
use switchboard_tests::checker::Report;
use switchboard_tests::harness::{
    Backlog, Fleet, FleetOptions, Passage, SESSION_TIMEOUT_MS as T, customer, lasting, until,
};
use switchboard_tests::observer::boottime_ns;

use crate::limits::to_each;
use crate::{armed_active, taken_chat};

fn options(name: &'static str, sabotage: Option<&'static str>) -> FleetOptions {
    FleetOptions { sabotage, ..FleetOptions::pair(name) }
}

/// The active stops right before it claims a reply. Its successor is told to wait with that reply, and the stopped
/// one goes on.
async fn stopped_before_the_claim(name: &'static str, sabotage: Option<&'static str>, point: &str) -> Report {
    // Long enough that only the fence stands between a claim of the stopped one and its call.
    let options = FleetOptions { write_by_ms: 6_000, answer_by_ms: 8_000, ..options(name, sabotage) };
    let mut fleet = Fleet::start(options).await;
    let agent = fleet.agent("anna", 1);
    let chat = taken_chat(&fleet, &agent, customer(1), "hello [[q1]]").await;
    let armed = armed_active(&mut fleet, point, "stop").await;
    let wait = json!({"method": "sendMessage", "mode": "429", "retry_after": 4});
    fleet.platform.order("fault", wait).await;
    let seq = agent.send(&chat, "k1", "once [[r1]]").await.unwrap()["seq"].as_i64().unwrap();
    let stopped = fleet.stopped_at(armed, point).await;
    until("the successor to be told to wait", 30, async || {
        (fleet.platform.state().await["calls"]["by_reply"]["429"].as_u64()? > 0).then_some(())
    })
    .await;
    until("the reply to wait again", 10, async || {
        (fleet.onlooker.number("SELECT count(*) FROM outbox WHERE open AND state = 0").await? == 1).then_some(())
    })
    .await;
    fleet.thaw_at(armed, point, stopped);
    let decided = |view: &View| view.part(&chat, seq, 0).is_some();
    agent.wait_until("an outcome", Duration::from_secs(30), decided).await.unwrap();
    fleet.rest(&[&agent], 30).await;
    fleet.verdict(&fleet.expectations().require(&["OUT-3", "OUT-4", "OUT-8", "OUT-11"])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fence_without_a_lock_is_caught() {
    // Without the bug there is nothing between the check and the claim: it stops before both.
    let clean = stopped_before_the_claim("sabotage-fence-clean", None, "S1:1").await;
    clean.assert_clean();
    assert_eq!(clean.figures.stale_sends, 0);
    let red = stopped_before_the_claim("sabotage-fence", Some("fence_unlocked"), "S0:1").await.red();
    assert!(red.contains(&"OUT-8"), "claimed after its tenure, and the checker says {red:?}");
}

/// The active's ZooKeeper server is cut off from the others: it is told for seconds that it stands first in line,
/// while the standby does.
async fn on_a_cut_off_server(name: &'static str, sabotage: Option<&'static str>) -> Report {
    let mut fleet = Fleet::start(FleetOptions { zookeepers: 3, cuts: true, ..options(name, sabotage) }).await;
    let backlog = Backlog::of(&fleet, "daria").await;
    let customers: Vec<i64> = (0..60).map(customer).collect();
    let chats = backlog.chats(&fleet, &customers).await;
    let active = fleet.paired().await;
    if fleet.zookeeper.leader().await == active {
        fleet.zookeeper.kill_server(active);
        fleet.zookeeper.begin_server(active).await;
    }
    assert_eq!(fleet.paired().await, active);
    let begun = boottime_ns();
    fleet.zookeeper.isolate(active, Passage::Silent).await;
    backlog.submit(to_each(&chats, 3, "all")).await;
    lasting(3 * T).await;
    fleet.zookeeper.isolate(active, Passage::Open).await;
    fleet.fault("cut", &format!("zookeeper:{active}-{}", 1 - active), begun);
    fleet.rest(&[], 60).await;
    fleet.verdict(&fleet.expectations().require(&["OUT-3", "OUT-4", "OUT-8", "OUT-10"])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn permission_by_zookeeper_is_caught() {
    on_a_cut_off_server("sabotage-zookeeper-clean", None).await.assert_clean();
    let red = on_a_cut_off_server("sabotage-zookeeper", Some("permission_by_zookeeper")).await.red();
    assert!(red.contains(&"OUT-8"), "two convinced senders, and the checker says {red:?}");
}
