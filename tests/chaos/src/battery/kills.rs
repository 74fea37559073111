//! kill -9 under traffic. Whoever dies is started again and joins the others.

use switchboard_tests::harness::{Fleet, FleetOptions, SESSION_TIMEOUT_MS as T, until};
use switchboard_tests::observer::boottime_ns;

use super::{
    Scenario, by_webhook, comes_in, epoch, goes_on, led_by_another, proxy_finds, proxy_misses, raised, usual, world,
};
use crate::observed::deliveries;
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
        name: "kill_behind_the_proxy",
        about: "kill -9 of either connector while the platform calls webhooks through HAProxy: no request fails",
        quick: true,
        options: by_webhook,
        load: usual,
        breaking: |run| Box::pin(kill_behind_the_proxy(run)),
    },
    Scenario {
        id: "F02",
        name: "kill_standby",
        about: "kill -9 of the standby: nobody notices but the proxy",
        quick: false,
        options: world,
        load: usual,
        breaking: |run| Box::pin(kill_standby(run)),
    },
    Scenario {
        id: "F02",
        name: "kill_chatservers",
        about: "kill -9 of chatservers and the loader: agents resume at the other, no call becomes unclear",
        quick: true,
        options: || FleetOptions { loader: true, ..world() },
        load: usual,
        breaking: |run| Box::pin(kill_chatservers(run)),
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
    // The median is the benchmark's: of five it says more of ZooKeeper's ticks than of us.
    run.demand(took[QUIET - 1] <= T + 1500, format!("most of {took:?} ms"));
}

/// kill -9 in an open moment. The dead one is started again and is the standby then.
async fn kill_the_active(run: &mut Run, with_leader: bool) {
    let fleet = &mut run.fleet;
    let mut witness = fleet.witness();
    let active = fleet.paired().await;
    let before = epoch(fleet).await;
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
    let now = raised(fleet, before).await;
    if let Some(leader) = leader {
        let other = led_by_another(fleet, leader).await;
        fleet.zookeeper.begin_server(leader).await;
        fleet.fault("kill", &format!("zookeeper:{leader}"), begun);
        run.witnessed(format!("ZooKeeper's server {other} leads instead of {leader}"));
    }
    run.witnessed(format!("takeover: epoch {now}"));
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

/// The proxy's first server dies between commit and ring, then with answers on their way, then the other does.
async fn kill_behind_the_proxy(run: &mut Run) {
    let own = Fleet::webhook_at(&run.fleet.public_base());
    until("the webhook to be registered", 20, async || {
        (run.fleet.platform.state().await["webhook"].as_str()? == own).then_some(())
    })
    .await;
    let rounds = run.tier.pick(1, 4);
    for (number, point) in [(0, Some("W5:20")), (0, None), (1, None)].repeat(rounds) {
        let fleet = &mut run.fleet;
        comes_in(fleet, 40).await;
        let missed = fleet.proxy_missed(&format!("webhooks_support/s{number}"));
        match point {
            Some(point) => {
                fleet.arm_connector(number, point, "kill").await;
                fleet.died_at(number, point).await;
            }
            None => {
                fleet.kill_connector(number);
            }
        }
        comes_in(fleet, 20).await;
        proxy_misses(fleet, &format!("webhooks_support/s{number}"), missed).await;
        fleet.start_connector(number, &[]).await;
        // The proxy has noticed that it is back: before that the other must not die.
        fleet.behind_proxy(number).await;
        run.witnessed(format!("HAProxy: connector {number} is DOWN, the other takes updates in"));
    }
    run.settle().await;
    let answered = deliveries(&run.fleet.dir);
    let failed: Vec<_> = answered.iter().filter(|(_, status)| status.is_some_and(|status| status != 200)).collect();
    let broken = answered.iter().filter(|(_, status)| status.is_none()).count();
    run.notes.push(format!("{} requests, {broken} broken off by {} kills", answered.len(), 3 * rounds));
    let first = failed.first().cloned().cloned();
    run.demand(failed.is_empty(), format!("{} of {} requests failed: {first:?}", failed.len(), answered.len()));
    // A reset is no answer: the proxy then ends the platform's connection, and the platform comes again at once.
    run.demand(broken <= 6 * rounds, format!("{broken} broken off"));
    super::webhooks::harmless(run).await;
    run.expected.webhook_answer_ms = Some(run.tier.pick(3000, 2000));
    run.expected.required.insert("IN-9");
}

async fn kill_standby(run: &mut Run) {
    let fleet = &mut run.fleet;
    let before = epoch(fleet).await;
    for _ in 0..run.tier.pick(2, 10) {
        let fleet = &mut run.fleet;
        let standby = 1 - fleet.paired().await;
        let server = format!("files_support/s{standby}");
        let missed = fleet.proxy_missed(&server);
        fleet.kill_connector(standby);
        goes_on(fleet, 10).await;
        proxy_misses(fleet, &server, missed).await;
        fleet.start_connector(standby, &[]).await;
        proxy_finds(fleet, &server).await;
        run.witnessed(format!("HAProxy: {server} is DOWN"));
    }
    run.fleet.paired().await;
    assert_eq!(epoch(&run.fleet).await, before, "no takeover");
}

async fn kill_chatservers(run: &mut Run) {
    for n in 0..run.tier.pick(4, 12) {
        comes_in(&run.fleet, 20 + run.dice.below(60)).await;
        let fleet = &mut run.fleet;
        fleet.witness().open_moment(30).await;
        let number = run.dice.below(2) as usize;
        let server = if n % 4 == 3 { "loaders/s0".to_owned() } else { format!("chatservers/s{number}") };
        let missed = fleet.proxy_missed(&server);
        match n % 4 {
            3 => fleet.kill_loader(async |fleet| proxy_misses(fleet, &server, missed).await).await,
            _ => {
                let begun = boottime_ns();
                fleet.chatserver(number).kill();
                proxy_misses(fleet, &server, missed).await;
                fleet.start_chatserver(number, &[]).await;
                fleet.fault("kill", &format!("chatserver:cs{number}"), begun);
            }
        }
        proxy_finds(&run.fleet, &server).await;
        run.witnessed(format!("HAProxy: {server} is DOWN"));
    }
    run.expected.max_unconfirmed = Some(0);
}
