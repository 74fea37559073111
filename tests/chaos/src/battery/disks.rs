//! Disks that become full, and have room again: nothing is acknowledged that was not stored, and nobody has to help but whoever
//! starts a dead server.

use std::os::unix::fs::symlink;

use switchboard_tests::harness::{Fleet, FleetOptions, Onlooker, lasting, until};
use switchboard_tests::observer::boottime_ns;

use super::{Scenario, by_webhook, comes_in, epoch, goes_on, usual};
use crate::run::Run;

/// After there is room again, so soon the database's work must go on, milliseconds: a server that died of it recovers first.
const ROOM_MS: i64 = 15_000;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        id: "F21",
        name: "database_disk_full",
        about: "Postgres's disk is full: nothing is acknowledged, and with room all goes on",
        quick: false,
        options: || FleetOptions { small_disks: true, ..by_webhook() },
        load: usual,
        breaking: |run| Box::pin(database_disk_full(run)),
    },
    Scenario {
        id: "F21",
        name: "zookeeper_disk_full",
        about: "the disks of two ZooKeeper servers are full, their quorum is gone: only signals are late",
        quick: false,
        options: || FleetOptions { small_disks: true, ..by_webhook() },
        load: usual,
        breaking: |run| Box::pin(zookeeper_disk_full(run)),
    },
    Scenario {
        id: "F21",
        name: "log_disk_full",
        about: "no process can write its log: nobody notices",
        quick: false,
        options: by_webhook,
        load: usual,
        breaking: |run| Box::pin(log_disk_full(run)),
    },
];

async fn database_disk_full(run: &mut Run) {
    for _ in 0..run.tier.pick(1, 2) {
        let fleet = &mut run.fleet;
        comes_in(fleet, 20).await;
        let no_space = |fleet: &Fleet| {
            let log = std::fs::read_to_string(fleet.dir.join("postgres/log")).unwrap_or_default();
            log.matches("No space left on device").count()
        };
        let (begun, known) = (boottime_ns(), no_space(fleet));
        fleet.postgres.disk.as_ref().expect("small disks").fill();
        // What there was room for in pages and log files at hand is stored, and told.
        let refused = until("Postgres to refuse to write", 60, async || {
            fleet.postgres.disk.as_ref().expect("small disks").fill();
            Some(no_space(fleet) - known).filter(|times| *times > 0)
        })
        .await;
        let mut witness = fleet.witness();
        lasting(1_000).await;
        let before = witness.acknowledged();
        lasting(5_000).await;
        let meanwhile = witness.acknowledged() - before;
        fleet.postgres.disk.as_ref().expect("small disks").free();
        let freed = boottime_ns();
        // A server that has died of it is started by its service manager.
        if Onlooker::new(fleet.postgres.url()).lease().await.is_none() && !fleet.postgres.runs() {
            tokio::task::block_in_place(|| fleet.postgres.begin());
        }
        comes_in(fleet, 1).await;
        let took = (boottime_ns() - freed) / 1_000_000;
        fleet.fault("kill", "postgres", begun);
        goes_on(fleet, 10).await;
        run.demand(took <= ROOM_MS, format!("the next acknowledgement came {took} ms after there was room"));
        run.notes.push(format!("{meanwhile} acknowledged while the disk was full; room -> acknowledged {took} ms"));
        run.witnessed(format!("Postgres had no space {refused} times"));
    }
}

async fn zookeeper_disk_full(run: &mut Run) {
    let fleet = &mut run.fleet;
    comes_in(fleet, 10).await;
    let before = epoch(fleet).await;
    let begun = boottime_ns();
    for number in 0..2 {
        fleet.zookeeper.disk(number).fill();
    }
    until("two servers to serve nobody", 90, async || {
        (0..2).for_each(|number| fleet.zookeeper.disk(number).fill());
        (0..2).all(|number| fleet.zookeeper.mode(number).is_none()).then_some(())
    })
    .await;
    let noticed = (boottime_ns() - begun) / 1_000_000;
    comes_in(fleet, 20).await;
    goes_on(fleet, 20).await;
    for number in 0..2 {
        fleet.zookeeper.disk(number).free();
        // A server that has died of it is started by its service manager.
        fleet.zookeeper.kill_server(number);
        fleet.zookeeper.begin_server(number).await;
    }
    fleet.fault("zookeeper_outage", "zookeeper", begun);
    fleet.paired().await;
    assert_eq!(epoch(fleet).await, before, "no takeover");
    run.witnessed(format!("two of three ZooKeeper servers served nobody after {noticed} ms"));
}

/// `/dev/full` takes nothing, as a full disk.
async fn log_disk_full(run: &mut Run) {
    let names = ["connector-0", "connector-1", "cs0", "cs1"];
    let fleet = &mut run.fleet;
    for (n, name) in names.iter().enumerate() {
        comes_in(fleet, 5).await;
        match n {
            0 | 1 => drop(fleet.connector(n).stop(20).await),
            _ => drop(fleet.chatserver(n - 2).stop(20).await),
        }
        let log = fleet.dir.join(format!("{name}.log"));
        std::fs::rename(&log, fleet.dir.join(format!("{name}.before.log"))).expect("the run's folder can be written");
        symlink("/dev/full", &log).expect("the run's folder can be written");
        match n {
            0 | 1 => fleet.start_connector(n, &[]).await,
            _ => fleet.start_chatserver(n - 2, &[]).await,
        }
    }
    comes_in(fleet, 50).await;
    goes_on(fleet, 50).await;
    for name in names {
        let log = fleet.dir.join(format!("{name}.log"));
        let written = std::fs::read_link(&log).is_ok_and(|to| to.ends_with("full"));
        assert!(written, "it wrote elsewhere");
        std::fs::remove_file(log).expect("the run's folder can be written");
    }
    run.injected("logs on a full disk");
    run.witnessed("all four processes served on, their output went to /dev/full");
}
