//! A planned change of the active connector costs nobody anything: a few milliseconds without a sender, and no
//! message whose fate is unclear.

use switchboard_tests::harness::{Fleet, FleetOptions, until};

use crate::load::Load;

/// By `switchboard handover`, then by SIGTERM.
const ASKED: usize = 10;
const ENDED: usize = 3;
/// The longest time without a sender, milliseconds.
const GAP_MS: i64 = 50;

#[tokio::test(flavor = "multi_thread")]
async fn hand_over_under_traffic() {
    let options = FleetOptions { reply_delay_ms: 20, ..FleetOptions::pair("handover") };
    let load = Load { chats: 100, messages: 1000, pause_ms: 25, replies: 500, seed: 20_261_124 };
    let ran = load.run(options, async |fleet, traffic| {
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
    });
    let ran = ran.await;
    let report = ran.held(0).await;
    assert_eq!(report.figures.unconfirmed, 0, "nobody died");
    let gaps = gaps_ms(&ran.fleet).await;
    println!("released → the next one may send: {gaps:?} ms");
    assert_eq!(gaps.len(), ASKED + ENDED);
    assert!(gaps.iter().all(|gap| (0..=GAP_MS).contains(gap)), "{gaps:?} ms");
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
