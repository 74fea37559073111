//! Links are cut one at a time: which of them makes a takeover, and that none makes a second sender.

use switchboard_tests::harness::{Fleet, FleetOptions, Link, Load, Passage, SESSION_TIMEOUT_MS as T, lasting, until};
use switchboard_tests::observer::boottime_ns;

#[tokio::test(flavor = "multi_thread")]
async fn cut_the_active_from_one_thing_at_a_time() {
    let options = FleetOptions { zookeepers: 3, cuts: true, reply_delay_ms: 20, ..FleetOptions::pair("cuts") };
    let load =
        Load { chats: 100, messages: 1300, pause_ms: 35, replies: 600, reply_each: 2, file_each: 0, seed: 20_261_123 };
    let ran = load.run(options, async |fleet, traffic| {
        // First of all: a cut from ZooKeeper leaves the active one at the end of the line.
        from_postgres(fleet).await;
        from_zookeepers_leader(fleet).await;
        from_zookeeper(fleet).await;
        from_the_platform(fleet).await;
        assert!(!traffic.is_finished(), "all cuts lie inside the traffic");
    });
    ran.await.held(0).await;
}

async fn epoch(fleet: &Fleet) -> i64 {
    fleet.onlooker.lease().await.expect("the database answers").epoch
}

/// Waits until replies go out.
async fn goes_on(fleet: &Fleet) {
    let mut witness = fleet.witness();
    let goal = witness.sent() + 10;
    until("replies to go out", 30, async || (witness.sent() >= goal).then_some(())).await;
}

/// Its node goes and the standby stands first in line; but the lease is renewed, and that is what counts.
async fn from_zookeeper(fleet: &mut Fleet) {
    let active = fleet.paired().await;
    let before = epoch(fleet).await;
    let cut = fleet.cut(Link::ZooKeeper(active), Passage::Silent).await;
    lasting(3 * T).await;
    goes_on(fleet).await;
    fleet.heal(Link::ZooKeeper(active), cut).await;
    assert_eq!(fleet.paired().await, active);
    assert_eq!(epoch(fleet).await, before, "no takeover, neither then nor afterwards");
}

/// The active's ZooKeeper server is cut off from the others: its node has long gone while it is still told that it
/// stands first in line.
async fn from_zookeepers_leader(fleet: &mut Fleet) {
    let active = fleet.paired().await;
    if fleet.zookeeper.leader().await == active {
        // Each connector talks to the server of its own number.
        fleet.zookeeper.kill_server(active);
        fleet.zookeeper.begin_server(active).await;
        fleet.paired().await;
    }
    // A server that has just joined, or has lost its leader, says nothing while it looks for one.
    let follows = async || fleet.zookeeper.mode(active).filter(|mode| mode == "follower");
    until("the active's server to follow", 30, follows).await;
    let (before, begun) = (epoch(fleet).await, boottime_ns());
    fleet.zookeeper.isolate(active, Passage::Silent).await;
    lasting(3 * T).await;
    let follows = async || fleet.zookeeper.mode(active).filter(|mode| mode == "follower");
    until("the cut-off server to say that it still follows its leader", 2, follows).await;
    goes_on(fleet).await;
    fleet.zookeeper.isolate(active, Passage::Open).await;
    let others: Vec<String> = (0..3).filter(|other| *other != active).map(|other| other.to_string()).collect();
    fleet.fault("cut", &format!("zookeeper:{active}-{}", others.join("-")), begun);
    assert_eq!(fleet.paired().await, active);
    assert_eq!(epoch(fleet).await, before, "no takeover, neither then nor afterwards");
}

/// Nobody could do better: messages wait.
async fn from_the_platform(fleet: &mut Fleet) {
    fleet.paired().await;
    let before = epoch(fleet).await;
    let mut witness = fleet.witness();
    let cut = fleet.cut(Link::Platform, Passage::Refused).await;
    let sent = witness.sent();
    lasting(2 * T).await;
    assert_eq!(witness.sent(), sent, "nothing gets through");
    fleet.heal(Link::Platform, cut).await;
    goes_on(fleet).await;
    assert_eq!(epoch(fleet).await, before, "no takeover");
}

/// The standby takes over; the cut one polls no more, and stands by when the link is there again.
async fn from_postgres(fleet: &mut Fleet) {
    let active = fleet.paired().await;
    let before = epoch(fleet).await;
    let cut = fleet.cut(Link::Postgres(active), Passage::Silent).await;
    let other =
        until("the standby to take over", 30, async || fleet.active_now().await.filter(|now| *now != active)).await;
    let took = (boottime_ns() - cut) / 1_000_000;
    println!("cut from Postgres → the standby is active: {took} ms");
    assert!(took <= 2 * T as i64 + 500, "a transaction that the cut interrupted holds nobody up: {took} ms");
    goes_on(fleet).await;
    let conflicts = async || fleet.platform.state().await["polls"]["conflicts"].as_u64().unwrap();
    let known = conflicts().await;
    lasting(2 * T).await;
    assert_eq!(conflicts().await, known, "only one polls");
    fleet.heal(Link::Postgres(active), cut).await;
    assert_eq!(fleet.paired().await, other, "the cut one stands by");
    goes_on(fleet).await;
    assert_eq!(epoch(fleet).await, before + 1, "one takeover");
}
