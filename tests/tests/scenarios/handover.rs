//! A planned change of the active connector costs nobody anything: a few milliseconds without a sender, and no
//! message whose fate is unclear.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use switchboard_tests::harness::{Fleet, FleetOptions, Load, Onlooker, until};
use tokio::task::JoinHandle;

/// By `switchboard handover`, then by SIGTERM.
const ASKED: usize = 10;
const ENDED: usize = 3;
/// The longest time without a sender, milliseconds, on a machine that does not hesitate itself.
const GAP_MS: i64 = 50;

#[tokio::test(flavor = "multi_thread")]
async fn hand_over_under_traffic() {
    let options = FleetOptions { reply_delay_ms: 20, ..FleetOptions::pair("handover") };
    let load =
        Load { chats: 100, messages: 1000, pause_ms: 25, replies: 500, reply_each: 2, file_each: 0, seed: 20_261_124 };
    let mut slowest = 0;
    let ran = load.run(options, async |fleet, traffic| {
        let floor = Floor::begin(fleet.postgres.url());
        for _ in 0..ASKED {
            let active = traffic_flows(fleet).await;
            let (from, said) = (fleet.holder(active), fleet.operate(&["handover", "support"]));
            println!("{said}");
            assert!(said.starts_with(&format!("{from} -> ")), "{said}");
        }
        for _ in 0..ENDED {
            let active = traffic_flows(fleet).await;
            assert!(fleet.connector(active).stop(15).await.success());
            fleet.start_connector(active, &[]).await;
        }
        assert!(!traffic.is_finished(), "all handovers lie inside the traffic");
        slowest = floor.end();
    });
    let ran = ran.await;
    let report = ran.held(0).await;
    assert_eq!(report.figures.unconfirmed, 0, "nobody died");
    let gaps = gaps_ms(&ran.fleet).await;
    println!("released → the next one may send: {gaps:?} ms; the slowest commit of a bystander took {slowest} ms");
    assert_eq!(gaps.len(), ASKED + ENDED);
    let mut sorted = gaps.clone();
    sorted.sort_unstable();
    assert!(sorted[0] >= 0 && sorted[sorted.len() / 2] <= GAP_MS, "{gaps:?} ms");
    assert!(sorted[sorted.len() - 1] <= GAP_MS + slowest, "{gaps:?} ms, a bystander's commit {slowest} ms");
}

/// A bystander who commits every 20 ms: its slowest commit is how long this machine keeps anybody waiting.
struct Floor {
    slowest: Arc<AtomicI64>,
    task: JoinHandle<()>,
}

impl Floor {
    fn begin(url: String) -> Self {
        let slowest = Arc::new(AtomicI64::new(0));
        let seen = slowest.clone();
        let task = tokio::spawn(async move {
            let bystander = Onlooker::new(url);
            let commit = "SELECT (pg_logical_emit_message(true, 'floor', '') - '0/0'::pg_lsn)::int8";
            let _ = bystander.number(commit).await; // connects
            let mut clock = tokio::time::interval(Duration::from_millis(20));
            loop {
                clock.tick().await;
                let begun = Instant::now();
                let _ = bystander.number(commit).await;
                seen.fetch_max(begun.elapsed().as_millis() as i64, Ordering::Relaxed);
            }
        });
        Self { slowest, task }
    }

    /// Milliseconds.
    fn end(self) -> i64 {
        self.task.abort();
        self.slowest.load(Ordering::Relaxed)
    }
}

/// Waits until replies go out under an active connector with a standby; returns the active.
async fn traffic_flows(fleet: &Fleet) -> usize {
    let active = fleet.paired().await;
    let mut witness = fleet.witness();
    let goal = witness.sent() + 8;
    until("some replies to go out", 60, async || (witness.sent() >= goal).then_some(())).await;
    active
}

/// From each release to the moment from which the next tenure might send, by the ledger.
async fn gaps_ms(fleet: &Fleet) -> Vec<i64> {
    let sql = "SELECT coalesce(array_agg(gap ORDER BY epoch), '{}') FROM (
                 SELECT epoch, round(extract(epoch FROM opened_at - lag(released_at) OVER (ORDER BY epoch)) * 1000)::int8 AS gap
                   FROM tenure) t WHERE gap IS NOT NULL";
    fleet.onlooker.numbers(sql).await.expect("the database answers")
}
