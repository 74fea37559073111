//! ZooKeeper's servers die, are in the minority, are wiped, are not heard: signals are hints, and elections only make a
//! takeover fast.

use switchboard_tests::harness::{FleetOptions, SESSION_TIMEOUT_MS as T, lasting, until};
use switchboard_tests::observer::boottime_ns;

use super::{Scenario, epoch, goes_on, led_by_another, raised, usual, world};
use crate::observed::shown_after_ms;
use crate::run::Run;

/// `doorbell.sweep_ms` of the run without doorbells.
const SWEEP_MS: u64 = 2000;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        id: "F07",
        name: "kill_zookeeper_leader",
        about: "kill -9 of ZooKeeper's leader, alone and with the active: one takeover for each active killed",
        quick: false,
        options: world,
        load: usual,
        breaking: |run| Box::pin(kill_zookeeper_leader(run)),
    },
    Scenario {
        id: "F08",
        name: "lose_quorum",
        about: "two of three ZooKeeper servers are gone for 20 s: everything goes on under the same epoch",
        quick: false,
        options: world,
        load: usual,
        breaking: |run| Box::pin(lose_quorum(run)),
    },
    Scenario {
        id: "F09",
        name: "lose_quorum_and_active",
        about: "no quorum, and the active dies: the standby takes over by the stale lease alone, after 2 T",
        quick: true,
        options: world,
        load: usual,
        breaking: |run| Box::pin(lose_quorum_and_active(run)),
    },
    Scenario {
        id: "F10",
        name: "wipe_zookeeper",
        about: "ZooKeeper comes back with nothing in it: its nodes are made anew, no tenure changes",
        quick: false,
        options: world,
        load: usual,
        breaking: |run| Box::pin(wipe_zookeeper(run)),
    },
    Scenario {
        id: "DB-1",
        name: "no_doorbells",
        about: "every doorbell is dropped: everything holds, and takes a sweep longer",
        quick: true,
        options: || FleetOptions { sweep_ms: SWEEP_MS, sabotage: Some("drop_doorbells"), ..world() },
        load: usual,
        breaking: |run| Box::pin(no_doorbells(run)),
    },
];

async fn kill_zookeeper_leader(run: &mut Run) {
    for n in 0..run.tier.pick(2, 6) {
        let fleet = &mut run.fleet;
        let active = fleet.paired().await;
        goes_on(fleet, 15).await;
        let (before, leader) = (epoch(fleet).await, fleet.zookeeper.leader().await);
        let begun = boottime_ns();
        fleet.zookeeper.kill_server(leader);
        let with_active = n % 2 == 1;
        if with_active {
            fleet.kill_connector(active);
        }
        let other = led_by_another(fleet, leader).await;
        if with_active {
            let now = raised(fleet, before).await;
            fleet.start_connector(active, &[]).await;
            run.witnessed(format!("takeover: epoch {now}"));
        } else {
            goes_on(fleet, 15).await;
        }
        let fleet = &mut run.fleet;
        fleet.zookeeper.begin_server(leader).await;
        fleet.fault("kill", &format!("zookeeper:{leader}"), begun);
        assert_eq!(epoch(fleet).await, before + i64::from(with_active));
        run.witnessed(format!("ZooKeeper's server {other} leads instead of {leader}"));
    }
}

/// kill -9 of two servers; the third one then serves nobody. Returns the two and when that was.
async fn quorum_is_lost(run: &mut Run) -> ([usize; 2], i64) {
    let (gone, left) = ([0, 1], 2);
    let begun = boottime_ns();
    for server in gone {
        run.fleet.zookeeper.kill_server(server);
    }
    until("the last server to serve nobody", 30, async || run.fleet.zookeeper.mode(left).is_none().then_some(())).await;
    run.witnessed("ZooKeeper's last server serves nobody");
    (gone, begun)
}

async fn quorum_is_back(run: &mut Run, gone: [usize; 2], begun: i64) {
    run.fleet.zookeeper.begin().await;
    run.fleet.fault("zookeeper_outage", "zookeeper", begun);
    run.fleet.paired().await;
    assert!(gone.iter().all(|server| run.fleet.zookeeper.mode(*server).is_some()));
}

/// Nothing becomes unclear while no ZooKeeper is there.
async fn unconfirmed(run: &Run) -> Option<i64> {
    run.fleet.onlooker.number("SELECT count(*) FROM outbox WHERE state = 3").await
}

async fn lose_quorum(run: &mut Run) {
    run.fleet.paired().await;
    goes_on(&run.fleet, 10).await;
    let before = epoch(&run.fleet).await;
    let (gone, begun) = quorum_is_lost(run).await;
    until("20 s to pass", 30, async || (boottime_ns() - begun > 20_000_000_000).then_some(())).await;
    goes_on(&run.fleet, 30).await;
    assert_eq!(unconfirmed(run).await, Some(0), "ZooKeeper is on no message's way");
    assert_eq!(epoch(&run.fleet).await, before, "the incumbent lives");
    quorum_is_back(run, gone, begun).await;
    goes_on(&run.fleet, 10).await;
    assert_eq!(epoch(&run.fleet).await, before, "its return changes nothing");
    run.expected.max_unconfirmed = Some(0);
}

async fn lose_quorum_and_active(run: &mut Run) {
    let active = run.fleet.paired().await;
    goes_on(&run.fleet, 10).await;
    let before = epoch(&run.fleet).await;
    let (gone, begun) = quorum_is_lost(run).await;
    lasting(run.tier.pick(T, 3 * T)).await;
    goes_on(&run.fleet, 10).await;
    assert_eq!(unconfirmed(run).await, Some(0), "ZooKeeper is on no message's way");
    assert_eq!(epoch(&run.fleet).await, before, "the incumbent lives");

    let killed = run.fleet.kill_connector(active);
    assert_ne!(run.fleet.active().await, active);
    let took = (boottime_ns() - killed) / 1_000_000;
    run.notes.push(format!("kill -> the standby is active, without ZooKeeper: {took} ms"));
    run.demand(took <= 2 * T as i64 + 1_500, format!("by the stale lease alone, after 2 T: {took} ms"));
    let taken = epoch(&run.fleet).await;
    assert_eq!(taken, before + 1);
    run.witnessed(format!("takeover: epoch {taken}"));
    run.fleet.start_connector(active, &[]).await;
    goes_on(&run.fleet, 10).await;
    quorum_is_back(run, gone, begun).await;
    assert_eq!(epoch(&run.fleet).await, taken, "its return changes nothing");
}

async fn wipe_zookeeper(run: &mut Run) {
    run.fleet.paired().await;
    goes_on(&run.fleet, 10).await;
    let before = epoch(&run.fleet).await;
    for _ in 0..2 {
        let fleet = &mut run.fleet;
        let begun = boottime_ns();
        fleet.zookeeper.kill();
        fleet.zookeeper.wipe();
        goes_on(fleet, 10).await;
        assert!((0..3).all(|server| fleet.zookeeper.mode(server).is_none()), "nobody is there");
        fleet.zookeeper.begin().await;
        fleet.fault("zookeeper_outage", "zookeeper", begun);
        fleet.paired().await;
        goes_on(fleet, 30).await;
        assert_eq!(epoch(fleet).await, before, "the incumbent renews its lease");
        run.witnessed("no ZooKeeper server answered, and the two connectors stand in line again");
    }
}

async fn no_doorbells(run: &mut Run) {
    run.injected("every doorbell is dropped");
    run.settle().await;
    let late = shown_after_ms(&run.fleet.dir);
    assert!(late.len() >= 300, "{} latencies", late.len());
    let (p50, p99) = (late[late.len() / 2], late[late.len() * 99 / 100]);
    run.notes.push(format!("typed -> frame without doorbells: p50 {p50} ms, p99 {p99} ms, most {:?} ms", late.last()));
    run.demand(p99 <= SWEEP_MS + 1_500, format!("p99 {p99} ms with a sweep of {SWEEP_MS} ms"));
    assert!(p50 > 100, "p50 {p50} ms: the doorbells were not dropped");
    run.witnessed(format!("a customer's message waits for a sweep: p50 {p50} ms"));
}
