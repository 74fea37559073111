//! The active connector dies, and the standby takes over: 30 times under traffic, some of them together with the
//! leader of ZooKeeper's servers; and without ZooKeeper at all.

use switchboard_tests::harness::{Dice, Fleet, FleetOptions, Load, Ran, SESSION_TIMEOUT_MS, lasting, until};
use switchboard_tests::observer::boottime_ns;

/// Kills under traffic. Each fifth takes ZooKeeper's leader along.
const KILLS: u64 = 30;
/// Kills with nothing in flight.
const QUIET: usize = 5;
const SEED: u64 = 20_261_121;

#[tokio::test(flavor = "multi_thread")]
async fn kill_the_active_thirty_times() {
    let options = FleetOptions { zookeepers: 3, reply_delay_ms: 20, ..FleetOptions::pair("takeover") };
    let load = Load { chats: 200, messages: 2500, pause_ms: 48, replies: 800, reply_each: 2, file_each: 0, seed: SEED };
    let mut ran = load
        .run(options, async |fleet, traffic| {
            let mut dice = Dice::new(SEED);
            for n in 1..=KILLS {
                kill_the_active(fleet, &mut dice, n % 5 == 0).await;
            }
            assert!(!traffic.is_finished(), "all kills lie inside the traffic");
        })
        .await;
    let mut took = Vec::new();
    for n in 0..QUIET {
        took.push(quiet_takeover(&mut ran, n).await);
    }
    ran.rest().await;
    ran.held(QUIET).await;
    took.sort_unstable();
    println!("kill → first call with nothing in flight: {took:?} ms");
    assert!(took[QUIET / 2] <= SESSION_TIMEOUT_MS + 500, "p50 of {took:?} ms");
    assert!(took[QUIET - 1] <= SESSION_TIMEOUT_MS + 1500, "most of {took:?} ms");
}

/// kill -9 in an open moment. The dead one is started again and is the standby then.
async fn kill_the_active(fleet: &mut Fleet, dice: &mut Dice, with_leader: bool) {
    let mut witness = fleet.witness();
    let active = fleet.paired().await;
    let goal = witness.sent() + 2 + dice.below(10);
    until("some replies to go out", 60, async || (witness.sent() >= goal).then_some(())).await;
    let leader = if with_leader { Some(fleet.zookeeper.leader().await) } else { None };
    // Alternately with a call open, and with a call open or a batch given out but not acknowledged.
    match dice.below(2) {
        0 => witness.open_call(30).await,
        _ => witness.open_moment(30).await,
    }
    let begun = boottime_ns();
    if let Some(leader) = leader {
        fleet.zookeeper.kill_server(leader);
    }
    fleet.kill_connector(active);
    fleet.start_connector(active, &[]).await;
    if let Some(leader) = leader {
        fleet.zookeeper.begin_server(leader).await;
        fleet.fault("kill", &format!("zookeeper:{leader}"), begun);
    }
}

/// kill -9 with nothing in flight, and a reply at once: how long it takes to be called, milliseconds.
async fn quiet_takeover(ran: &mut Ran, n: usize) -> u64 {
    let active = ran.fleet.paired().await;
    let mut witness = ran.fleet.witness();
    let (agent, before) = (&ran.agents[0], witness.sent());
    let chat = agent.view().own().next().expect("a desk has chats").to_owned();
    let killed = ran.fleet.kill_connector(active);
    agent.send(&chat, &format!("quiet-{n}"), &format!("still there [[quiet-{n}]]")).await.unwrap();
    until("the reply to go out", 30, async || (witness.sent() > before).then_some(())).await;
    ran.fleet.start_connector(active, &[]).await;
    witness.first_call_after(killed).map(|at| (at - killed) as u64 / 1_000_000).expect("it went out")
}

#[tokio::test(flavor = "multi_thread")]
async fn zookeeper_is_gone_and_the_active_dies() {
    let options = FleetOptions { reply_delay_ms: 20, ..FleetOptions::pair("takeover-without-zookeeper") };
    let load = Load { chats: 100, messages: 900, pause_ms: 30, replies: 400, reply_each: 2, file_each: 0, seed: SEED };
    let ran = load.run(options, async |fleet, traffic| {
        let mut witness = fleet.witness();
        let active = fleet.paired().await;
        until("some replies to go out", 60, async || (witness.sent() >= 20).then_some(())).await;
        let (before, lease) = (witness.sent(), fleet.onlooker.lease().await.unwrap());
        let gone = boottime_ns();
        fleet.zookeeper.kill();
        lasting(3 * SESSION_TIMEOUT_MS).await;
        assert!(witness.sent() > before + 30, "everything goes on without ZooKeeper");
        let unconfirmed = fleet.onlooker.number("SELECT count(*) FROM outbox WHERE state = 3").await;
        assert_eq!(unconfirmed, Some(0), "ZooKeeper is on no message's way");
        let same = fleet.onlooker.lease().await.unwrap().epoch;
        assert_eq!(same, lease.epoch, "the incumbent lives");

        let killed = fleet.kill_connector(active);
        assert_ne!(fleet.active().await, active);
        let took = (boottime_ns() - killed) / 1_000_000;
        println!("kill → the standby is active, without ZooKeeper: {took} ms");
        assert!(took <= 2 * SESSION_TIMEOUT_MS as i64 + 500, "by the stale lease alone, after 2T: {took} ms");
        let taken = fleet.onlooker.lease().await.unwrap().epoch;
        assert_eq!(taken, lease.epoch + 1);
        fleet.start_connector(active, &[]).await;
        until("20 s to pass", 30, async || (boottime_ns() - gone > 20_000_000_000).then_some(())).await;
        assert!(!traffic.is_finished(), "the outage lies inside the traffic");
        fleet.zookeeper.begin().await;
        fleet.fault("zookeeper_outage", "zookeeper", gone);
        fleet.paired().await;
        assert_eq!(fleet.onlooker.lease().await.unwrap().epoch, taken, "its return changes nothing");
    });
    ran.await.held(0).await;
}
