//! Restarts of Postgres under traffic: 2,000 messages in and 1,000 out over 200 chats.

use switchboard_tests::checker::Report;
use switchboard_tests::harness::{Fleet, FleetOptions, Load, StopMode, Traffic, until};
use switchboard_tests::observer::boottime_ns;

const SEED: u64 = 20_261_121;

/// Runs the traffic while `breaking` breaks things; everything must hold.
async fn under_traffic(name: &'static str, breaking: impl AsyncFnOnce(&mut Fleet, &Traffic)) -> Report {
    let options = FleetOptions { reply_delay_ms: 20, ..FleetOptions::new(name) };
    let load =
        Load { chats: 200, messages: 2000, pause_ms: 20, replies: 1000, reply_each: 2, file_each: 0, seed: SEED };
    load.run(options, breaking).await.held(0).await
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
