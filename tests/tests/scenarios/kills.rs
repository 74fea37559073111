//! Kills, restarts and outages under traffic: 2,000 messages in and 1,000 out over 200 chats.

use std::time::Duration;

use switchboard_tests::checker::Report;
use switchboard_tests::harness::{Dice, Fleet, FleetOptions, StopMode, Traffic, until};
use switchboard_tests::observer::boottime_ns;

use crate::{ALL, desks, finished};

const CHATS: usize = 200;
const IN: usize = 2000;
const OUT: usize = 1000;
/// Kills of each kind of process.
const KILLS: usize = 10;
const SEED: u64 = 20_261_121;

/// Runs the traffic while `breaking` breaks things; everything must hold.
async fn under_traffic(name: &'static str, breaking: impl AsyncFnOnce(&mut Fleet, &Traffic)) -> Report {
    let mut fleet = Fleet::start(FleetOptions { reply_delay_ms: 20, ..FleetOptions::new(name) }).await;
    let traffic = Traffic::start(&fleet.platform, CHATS, IN, Duration::from_millis(20), SEED);
    let desks = desks(&fleet, &["anna", "boris", "clara", "daria"], OUT, SEED);
    breaking(&mut fleet, &traffic).await;
    traffic.finish().await;
    let (agents, replies) = finished(desks).await;
    assert_eq!(replies, OUT as u64);
    let onlookers: Vec<_> = agents.iter().map(std::convert::AsRef::as_ref).collect();
    fleet.rest(&onlookers, 180).await;
    let report = fleet.verdict(&fleet.expectations().require(ALL)).await;
    fleet.no_secret_was_written();
    report.assert_clean();
    let figures = &report.figures;
    assert_eq!((figures.inbound, figures.out), (IN as u64, OUT as u64));
    assert_eq!((figures.lost, figures.duplicated, figures.reordered, figures.unexplained), (0, 0, 0, 0));
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_the_connector_ten_times() {
    under_traffic("kill-connector", async |fleet, _| {
        let mut dice = Dice::new(SEED);
        let mut witness = fleet.witness();
        for _ in 0..KILLS {
            fleet.connector_active().await;
            let goal = witness.sent() + 5 + dice.below(40);
            until("some replies to go out", 60, async || (witness.sent() >= goal).then_some(())).await;
            // Alternately with a call open, and with a call open or a batch given out but not acknowledged.
            match dice.below(2) {
                0 => witness.open_call(30).await,
                _ => witness.open_moment(30).await,
            }
            fleet.kill_connector().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_chatservers_ten_times() {
    let report = under_traffic("kill-chatserver", async |fleet, _| {
        let mut dice = Dice::new(SEED + 1);
        let mut witness = fleet.witness();
        for _ in 0..KILLS {
            let goal = witness.acknowledged() + 20 + dice.below(100);
            until("some messages to come in", 60, async || (witness.acknowledged() >= goal).then_some(())).await;
            witness.open_moment(30).await;
            let number = dice.below(2) as usize;
            fleet.kill_chatserver(number).await;
        }
    })
    .await;
    assert_eq!(report.figures.unconfirmed, 0, "a chatserver's death makes no call unclear");
}

#[tokio::test(flavor = "multi_thread")]
async fn restart_postgres_fast_and_immediately() {
    under_traffic("restart-postgres", async |fleet, _| {
        let mut witness = fleet.witness();
        for mode in [StopMode::Fast, StopMode::Immediate, StopMode::Fast, StopMode::Immediate] {
            let goal = witness.sent() + 40;
            until("some replies to go out", 60, async || (witness.sent() >= goal).then_some(())).await;
            witness.open_call(30).await;
            let begun = boottime_ns();
            fleet.postgres.end(mode);
            fleet.postgres.begin();
            fleet.fault("postgres_restart", "postgres", begun);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn zookeeper_is_gone_for_twenty_seconds() {
    let report = under_traffic("zookeeper-gone", async |fleet, traffic| {
        let mut witness = fleet.witness();
        until("some replies to go out", 60, async || (witness.sent() >= 20).then_some(())).await;
        let begun = boottime_ns();
        fleet.zookeeper.kill();
        let before = witness.sent();
        // The outage itself is the subject here.
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert!(!traffic.is_finished(), "the outage lies inside the traffic");
        assert!(witness.sent() > before + 100, "everything goes on without ZooKeeper");
        fleet.zookeeper.begin().await;
        fleet.fault("zookeeper_outage", "zookeeper", begun);
    })
    .await;
    assert_eq!(report.figures.unconfirmed, 0, "ZooKeeper is on no message's way");
}
