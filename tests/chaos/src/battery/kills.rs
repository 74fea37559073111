//! kill -9 under traffic. Whoever dies is started again and joins the others.

use switchboard_tests::harness::{SESSION_TIMEOUT_MS as T, until};
use switchboard_tests::observer::boottime_ns;

use super::{Scenario, usual, webhooks, world};
use crate::run::Run;

/// Kills with nothing in flight.
const QUIET: usize = 5;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        id: "F01",
        name: "kill_active",
        about: "kill -9 of the active connector in open moments, some with ZooKeeper's leader: the standby takes over",
        quick: true,
        options: world,
        load: usual,
        breaking: |run| Box::pin(kill_active(run)),
    },
    Scenario {
        id: "F01",
        name: "kill_active_with_webhooks",
        about: "the same while the platform calls webhooks through the proxy: no update waits for the takeover",
        quick: false,
        options: webhooks,
        load: usual,
        breaking: |run| Box::pin(kill_active(run)),
    },
];

async fn kill_active(run: &mut Run) {
    for n in 1..=run.tier.pick(5, 20) {
        kill_the_active(run, n % 5 == 0).await;
    }
    run.settle().await;
    let mut took = Vec::new();
    for n in 0..QUIET {
        took.push(quiet_takeover(run, n).await);
    }
    run.rest().await;
    took.sort_unstable();
    run.notes.push(format!("kill -> first call with nothing in flight: {took:?} ms"));
    run.demand(took[QUIET / 2] <= T + 500, format!("p50 of {took:?} ms"));
    run.demand(took[QUIET - 1] <= T + 1500, format!("most of {took:?} ms"));
}

/// kill -9 in an open moment. The dead one is started again and is the standby then.
async fn kill_the_active(run: &mut Run, with_leader: bool) {
    let fleet = &mut run.fleet;
    let mut witness = fleet.witness();
    let active = fleet.paired().await;
    let before = fleet.onlooker.lease().await.expect("the database answers").epoch;
    let goal = witness.sent() + 2 + run.dice.below(10);
    until("some replies to go out", 60, async || (witness.sent() >= goal).then_some(())).await;
    let leader = if with_leader { Some(fleet.zookeeper.leader().await) } else { None };
    // Alternately with a call open, and with a call open or a batch given out but not acknowledged.
    match run.dice.below(2) {
        0 => witness.open_call(30).await,
        _ => witness.open_moment(30).await,
    }
    let begun = boottime_ns();
    if let Some(leader) = leader {
        fleet.zookeeper.kill_server(leader);
    }
    fleet.kill_connector(active);
    fleet.start_connector(active, &[]).await;
    let raised = until("the standby to take over", 30, async || {
        fleet.onlooker.lease().await.map(|lease| lease.epoch).filter(|epoch| *epoch > before)
    })
    .await;
    if let Some(leader) = leader {
        let now = until("another leader", 30, async || {
            (0..3).find(|other| *other != leader && fleet.zookeeper.mode(*other).as_deref() == Some("leader"))
        })
        .await;
        fleet.zookeeper.begin_server(leader).await;
        fleet.fault("kill", &format!("zookeeper:{leader}"), begun);
        run.witnessed(format!("ZooKeeper's server {now} leads instead of {leader}"));
    }
    run.witnessed(format!("takeover: epoch {raised}"));
}

/// kill -9 with nothing in flight, and a reply at once: how long it takes to be called, milliseconds.
async fn quiet_takeover(run: &mut Run, n: usize) -> u64 {
    let active = run.fleet.paired().await;
    let mut witness = run.fleet.witness();
    let (agent, before) = (run.agents[0].clone(), witness.sent());
    let chat = agent.view().own().next().expect("a desk has chats").to_owned();
    let killed = run.fleet.kill_connector(active);
    let text = format!("still there [[quiet-{n}]]");
    agent.send(&chat, &format!("quiet-{n}"), &text).await.unwrap_or_else(|error| panic!("{error}"));
    run.more_out += 1;
    until("the reply to go out", 30, async || (witness.sent() > before).then_some(())).await;
    run.fleet.start_connector(active, &[]).await;
    let took = witness.first_call_after(killed).map(|at| (at - killed) as u64 / 1_000_000).expect("it went out");
    run.witnessed(format!("the standby called after {took} ms"));
    took
}
