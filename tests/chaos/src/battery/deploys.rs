//! Planned changes under traffic: nobody dies, so nothing is unclear.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use switchboard_tests::harness::{Fleet, Onlooker, until};
use tokio::task::JoinHandle;

use super::{Scenario, by_webhook, comes_in, epoch, goes_on, usual, world};
use crate::observed::deliveries;
use crate::run::Run;

/// The longest time without a sender, milliseconds, on a machine that does not hesitate itself.
const GAP_MS: i64 = 50;
/// Commits and look-ups between a release and the next tenure's opening.
const COMMITS: i64 = 5;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        id: "F35",
        name: "hand_over",
        about: "`switchboard handover` and SIGTERM: milliseconds without a sender, nothing unclear",
        quick: true,
        options: world,
        load: usual,
        breaking: |run| Box::pin(hand_over(run)),
    },
    Scenario {
        id: "F35",
        name: "rolling_restart",
        about: "tables migrate under load, every process is ended and started: no webhook fails, nothing unclear",
        quick: false,
        options: by_webhook,
        load: usual,
        breaking: |run| Box::pin(rolling_restart(run)),
    },
];

async fn hand_over(run: &mut Run) {
    let (asked, ended) = run.tier.pick((6, 2), (15, 6));
    let floor = Floor::begin(run.fleet.postgres.url());
    for _ in 0..asked {
        let active = traffic_flows(&run.fleet).await;
        let before = epoch(&run.fleet).await;
        let (from, said) = (run.fleet.holder(active), run.fleet.operate(&["handover", "support"]));
        assert!(said.starts_with(&format!("{from} -> ")), "{said}");
        assert_eq!(epoch(&run.fleet).await, before + 1);
        run.injected("handover");
        run.witnessed(said);
    }
    for _ in 0..ended {
        let active = traffic_flows(&run.fleet).await;
        let before = epoch(&run.fleet).await;
        assert!(run.fleet.connector(active).stop(15).await.success());
        run.fleet.start_connector(active, &[]).await;
        run.injected("SIGTERM");
        assert_eq!(epoch(&run.fleet).await, before + 1);
        run.witnessed(format!("released, and epoch {} is the other's", before + 1));
    }
    let (median, slowest) = floor.end();
    run.settle().await;
    let mut gaps = gaps_ms(&run.fleet).await;
    run.notes.push(format!(
        "released -> the next one may send: {gaps:?} ms; a bystander's commits: p50 {median}, most {slowest} ms"
    ));
    assert_eq!(gaps.len(), asked + ended);
    gaps.sort_unstable();
    // A handover is some commits one after the other: on a slow disk they are what it takes.
    let half = GAP_MS.max(COMMITS * median);
    run.demand(gaps[0] >= 0 && gaps[gaps.len() / 2] <= half, format!("p50 of {gaps:?} ms, {half} allowed"));
    let most = gaps[gaps.len() - 1];
    run.demand(most <= GAP_MS + slowest, format!("{most} ms, a bystander's commit {slowest} ms"));
    run.expected.max_unconfirmed = Some(0);
}

/// A bystander who commits every 20 ms: its commits are how long this machine keeps anybody waiting.
struct Floor {
    took: Arc<Mutex<Vec<i64>>>,
    task: JoinHandle<()>,
}

impl Floor {
    fn begin(url: String) -> Self {
        let took = Arc::new(Mutex::new(Vec::new()));
        let seen = took.clone();
        let task = tokio::spawn(async move {
            let bystander = Onlooker::new(url);
            let commit = "SELECT (pg_logical_emit_message(true, 'floor', '') - '0/0'::pg_lsn)::int8";
            let _ = bystander.number(commit).await; // connects
            let mut clock = tokio::time::interval(Duration::from_millis(20));
            loop {
                clock.tick().await;
                let begun = Instant::now();
                let _ = bystander.number(commit).await;
                seen.lock().expect("nobody panics with it").push(begun.elapsed().as_millis() as i64);
            }
        });
        Self { took, task }
    }

    /// The median and the slowest, milliseconds.
    fn end(self) -> (i64, i64) {
        let mut took = self.took.lock().expect("nobody panics with it").clone();
        took.sort_unstable();
        (took[took.len() / 2], took[took.len() - 1])
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Waits until replies go out under an active connector with a standby; returns the active.
async fn traffic_flows(fleet: &Fleet) -> usize {
    let active = fleet.paired().await;
    goes_on(fleet, 8).await;
    active
}

/// From each release to the moment from which the next tenure might send, by the ledger.
async fn gaps_ms(fleet: &Fleet) -> Vec<i64> {
    let sql = "SELECT coalesce(array_agg(gap ORDER BY epoch), '{}') FROM (
                 SELECT epoch, round(extract(epoch FROM opened_at - lag(released_at) OVER (ORDER BY epoch)) * 1000)::int8 AS gap
                   FROM tenure) t WHERE gap IS NOT NULL";
    fleet.onlooker.numbers(sql).await.expect("the database answers")
}

/// Brings the tables to what a later release might have, while this one works on them. A migration waits two seconds for a
/// lock at most and is repeated by whoever runs it.
async fn upgrade_tables(run: &mut Run) {
    let later = concat!(env!("CARGO_MANIFEST_DIR"), "/later");
    let attempts = until("the tables to be migrated", 60, async || {
        let mut command = run.fleet.command_of("owner");
        let output = command.arg("migrate").env("SWITCHBOARD_LATER_MIGRATIONS", later).output();
        let output = output.expect("the executable runs");
        run.notes.push(String::from_utf8_lossy(&output.stdout).trim().replace('\n', ", "));
        output.status.success().then_some(run.notes.len())
    })
    .await;
    run.injected("migration");
    let version = run.fleet.onlooker.number("SELECT max(version)::int8 FROM refinery_schema_history").await;
    assert_eq!(version, Some(4), "all of them ran");
    comes_in(&run.fleet, 30).await;
    goes_on(&run.fleet, 10).await;
    run.witnessed(format!("the tables are at version 4 after {attempts} attempts"));
}

async fn rolling_restart(run: &mut Run) {
    comes_in(&run.fleet, 30).await;
    upgrade_tables(run).await;
    for _ in 0..run.tier.pick(1, 3) {
        for number in 0..2 {
            run.fleet.paired().await;
            comes_in(&run.fleet, 30).await;
            let missed = run.fleet.proxy_missed(&format!("files_support/s{number}"));
            assert!(run.fleet.connector(number).stop(20).await.success());
            super::proxy_misses(&run.fleet, &format!("files_support/s{number}"), missed).await;
            run.fleet.start_connector(number, &[]).await;
            run.fleet.behind_proxy(number).await;
            run.injected("SIGTERM of a connector");
            run.witnessed(format!("HAProxy missed connector {number}"));
        }
        for number in 0..2 {
            comes_in(&run.fleet, 30).await;
            let server = format!("chatservers/s{number}");
            let missed = run.fleet.proxy_missed(&server);
            assert!(run.fleet.chatserver(number).stop(20).await.success());
            super::proxy_misses(&run.fleet, &server, missed).await;
            run.fleet.start_chatserver(number, &[]).await;
            super::proxy_finds(&run.fleet, &server).await;
            run.injected("SIGTERM of a chatserver");
            run.witnessed(format!("HAProxy missed {server}"));
        }
    }
    run.settle().await;
    let answered = deliveries(&run.fleet.dir);
    // Nothing breaks off what ends in order.
    let failed: Vec<_> = answered.iter().filter(|(_, status)| *status != Some(200)).collect();
    run.notes.push(format!("{} webhook requests, {} failed", answered.len(), failed.len()));
    run.demand(failed.is_empty(), format!("failed: {failed:?}"));
    run.expected.max_unconfirmed = Some(0);
}
