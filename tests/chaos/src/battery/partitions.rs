//! Each pair of what talks with each other is cut: both ways, each way alone, and refused. Which of them makes a takeover, and
//! that none makes a second sender.

use switchboard_tests::harness::{Fleet, FleetOptions, Link, Passage, SESSION_TIMEOUT_MS as T, lasting, until};
use switchboard_tests::observer::boottime_ns;

use super::{Scenario, by_webhook, comes_in, epoch, goes_on, led_by_another, linked, proxy_misses, usual};
use crate::run::Run;

/// How a link is cut, and for how long.
const WAYS: [(Passage, u64); 4] =
    [(Passage::Silent, 4 * T), (Passage::NoAnswers, 5_000), (Passage::NoRequests, 5_000), (Passage::Refused, 3_000)];

/// A scenario of this file.
macro_rules! pair {
    ($name:literal, $quick:literal, $options:expr, $breaking:ident, $about:literal) => {
        Scenario {
            id: "F12",
            name: $name,
            about: $about,
            quick: $quick,
            options: $options,
            load: usual,
            breaking: |run| Box::pin($breaking(run)),
        }
    };
}

pub const SCENARIOS: &[Scenario] = &[
    pair!("cut_active_from_postgres", true, linked, from_postgres, "the standby takes over, the cut one polls no more"),
    pair!("cut_active_from_zookeeper", true, linked, from_zookeeper, "it renews its lease and goes on"),
    pair!("cut_from_platform", false, linked, from_platform, "nothing gets through, nobody takes over"),
    pair!("cut_chatserver_from_postgres", false, linked, chatserver_from_postgres, "its agents go to the other"),
    pair!("cut_chatserver_from_zookeeper", false, linked, chatserver_from_zookeeper, "it sweeps instead"),
    pair!("cut_agents_from_chatserver", false, linked, agents_from_chatserver, "they resume at the other"),
    pair!("cut_proxy_from_connector", false, webhooks_linked, proxy_from_connector, "the other takes the webhooks"),
    pair!("cut_zookeeper_leader_off", false, linked, leader_alone, "the others elect one, no takeover"),
    pair!(
        "cut_zookeeper_of_active_off",
        true,
        linked,
        follower_alone,
        "1 + 2: it is told lies, and nobody sends twice"
    ),
];

fn webhooks_linked() -> FleetOptions {
    FleetOptions { cuts: true, ..by_webhook() }
}

fn ways(run: &Run) -> &'static [(Passage, u64)] {
    run.tier.pick(&WAYS[..1], &WAYS)
}

/// What every cut of a link must show of itself: that it stood in somebody's way.
async fn healed(run: &mut Run, link: Link, how: Passage, cut: i64, before: u64, also: &str) {
    let obstructed = run.fleet.obstructed(link) - before;
    run.fleet.heal(link, cut).await;
    // Nobody counts connections that are refused: of those the proxy tells.
    let missed = also.starts_with("HAProxy missed") && !also.contains(" 0 times");
    assert!(obstructed > 0 || missed, "{link:?} {how:?}: nobody used it");
    run.witnessed(format!("{link:?} {how:?}: the link held {obstructed} back; {also}"));
}

async fn from_postgres(run: &mut Run) {
    for (how, _) in ways(run) {
        let fleet = &mut run.fleet;
        let active = fleet.paired().await;
        goes_on(fleet, 10).await;
        let before = epoch(fleet).await;
        let cut = fleet.cut(Link::Postgres(active), *how).await;
        let other =
            until("the standby to take over", 30, async || fleet.active_now().await.filter(|now| *now != active)).await;
        let took = (boottime_ns() - cut) / 1_000_000;
        goes_on(fleet, 10).await;
        let conflicts = async |fleet: &Fleet| fleet.platform.state().await["polls"]["conflicts"].as_u64();
        let known = conflicts(fleet).await;
        lasting(2 * T).await;
        assert_eq!(conflicts(fleet).await, known, "only one polls");
        fleet.heal(Link::Postgres(active), cut).await;
        assert_eq!(fleet.paired().await, other, "the cut one stands by");
        goes_on(fleet, 10).await;
        assert_eq!(epoch(fleet).await, before + 1, "one takeover");
        run.notes.push(format!("cut from Postgres, {how:?} -> the standby is active: {took} ms"));
        // A transaction that the cut interrupted holds nobody up.
        run.demand(took <= 2 * T as i64 + 1_500, format!("{how:?}: the standby was active after {took} ms"));
        run.witnessed(format!("{how:?}: takeover, epoch {}", before + 1));
    }
}

/// Its node goes and the standby stands first in line; but the lease is renewed, and that is what counts.
async fn from_zookeeper(run: &mut Run) {
    for (how, span) in ways(run) {
        let fleet = &mut run.fleet;
        let active = fleet.paired().await;
        let (before, link) = (epoch(fleet).await, Link::ZooKeeper(active));
        let known = fleet.obstructed(link);
        let cut = fleet.cut(link, *how).await;
        lasting(*span).await;
        goes_on(fleet, 10).await;
        healed(run, link, *how, cut, known, "replies went out").await;
        assert_eq!(run.fleet.paired().await, active);
        assert_eq!(epoch(&run.fleet).await, before, "no takeover, neither then nor afterwards");
    }
    run.expected.max_unconfirmed = Some(0);
}

async fn from_platform(run: &mut Run) {
    for (how, span) in ways(run) {
        let fleet = &mut run.fleet;
        fleet.paired().await;
        goes_on(fleet, 10).await;
        let (before, link) = (epoch(fleet).await, Link::Platform);
        let mut witness = fleet.witness();
        let known = fleet.obstructed(link);
        let cut = fleet.cut(link, *how).await;
        // What the platform had read by then it may still apply.
        lasting(100).await;
        let sent = witness.sent();
        lasting(*span).await;
        let more = witness.sent() - sent;
        match how {
            Passage::NoAnswers => assert!(more > 0, "requests are applied, and their answers lost"),
            _ => assert_eq!(more, 0, "nothing gets through"),
        }
        healed(run, link, *how, cut, known, &format!("{more} messages were applied meanwhile")).await;
        goes_on(&run.fleet, 10).await;
        assert_eq!(epoch(&run.fleet).await, before, "no takeover");
    }
}

async fn chatserver_from_postgres(run: &mut Run) {
    chatserver_cut(run, Link::ChatPostgres).await;
}

async fn chatserver_from_zookeeper(run: &mut Run) {
    chatserver_cut(run, Link::ChatZooKeeper).await;
}

async fn agents_from_chatserver(run: &mut Run) {
    chatserver_cut(run, Link::Agents).await;
}

/// Nothing about a chatserver touches a tenure or makes a call unclear.
async fn chatserver_cut(run: &mut Run, link: fn(usize) -> Link) {
    for (how, span) in ways(run) {
        let number = run.dice.below(2) as usize;
        let link = link(number);
        let fleet = &mut run.fleet;
        comes_in(fleet, 20).await;
        let (known, missed) = (fleet.obstructed(link), fleet.proxy_missed(&format!("chatservers/s{number}")));
        let cut = fleet.cut(link, *how).await;
        lasting(*span).await;
        goes_on(fleet, 10).await;
        let missed = fleet.proxy_missed(&format!("chatservers/s{number}")) - missed;
        healed(run, link, *how, cut, known, &format!("HAProxy missed the chatserver {missed} times")).await;
        goes_on(&run.fleet, 10).await;
    }
    assert_eq!(epoch(&run.fleet).await, 1, "no takeover");
    run.expected.max_unconfirmed = Some(0);
}

/// Checks go the same way as webhooks: the proxy leaves the one it cannot reach.
async fn proxy_from_connector(run: &mut Run) {
    for (how, span) in ways(run) {
        let fleet = &mut run.fleet;
        fleet.behind_proxy(0).await;
        comes_in(fleet, 40).await;
        let (link, server) = (Link::Front(0), "webhooks_support/s0");
        let (known, missed) = (fleet.obstructed(link), fleet.proxy_missed(server));
        let cut = fleet.cut(link, *how).await;
        proxy_misses(fleet, server, missed).await;
        comes_in(fleet, 20).await;
        lasting(*span / 2).await;
        healed(run, link, *how, cut, known, "HAProxy: it is DOWN, the other takes updates in").await;
    }
    assert_eq!(epoch(&run.fleet).await, 1, "no takeover");
}

/// How a ZooKeeper server is cut off: both ways, only its words, only the others'.
const OFF: [(&str, Option<bool>); 3] = [("both ways", None), ("unheard", Some(false)), ("deaf", Some(true))];

async fn cut_off(fleet: &mut Fleet, server: usize, heard: Option<bool>) {
    match heard {
        None => fleet.zookeeper.isolate(server, Passage::Silent).await,
        Some(heard) => fleet.zookeeper.isolate_one_way(server, heard).await,
    }
}

async fn joined(run: &mut Run, server: usize, begun: i64, seen: String) {
    let fleet = &mut run.fleet;
    fleet.zookeeper.isolate(server, Passage::Open).await;
    let others: Vec<String> = (0..3).filter(|other| *other != server).map(|other| other.to_string()).collect();
    fleet.fault("cut", &format!("zookeeper:{server}-{}", others.join("-")), begun);
    run.witnessed(seen);
}

async fn leader_alone(run: &mut Run) {
    let before = epoch(&run.fleet).await;
    for (how, heard) in OFF.into_iter().take(run.tier.pick(1, 3)) {
        let fleet = &mut run.fleet;
        fleet.paired().await;
        let leader = fleet.zookeeper.leader().await;
        let (begun, known) = (boottime_ns(), fleet.zookeeper.obstructed());
        cut_off(fleet, leader, heard).await;
        lasting(4 * T).await;
        goes_on(fleet, 10).await;
        let elected = match heard {
            // Followers give a leader up when they hear nothing, a leader its place when it hears no majority.
            None | Some(false) => format!("server {} leads", led_by_another(fleet, leader).await),
            Some(true) => "goes on".to_owned(),
        };
        let held = fleet.zookeeper.obstructed() - known;
        assert!(held > 0, "nobody spoke to anybody");
        joined(run, leader, begun, format!("ZooKeeper's leader {leader} cut off {how}: {elected}, {held} held back"))
            .await;
        run.fleet.paired().await;
        assert_eq!(epoch(&run.fleet).await, before, "no takeover, neither then nor afterwards");
    }
    run.expected.max_unconfirmed = Some(0);
}

fn follows(fleet: &Fleet, server: usize) -> Option<()> {
    fleet.zookeeper.mode(server).filter(|mode| mode == "follower").map(drop)
}

/// Sees to it that a connector's ZooKeeper server, which has its number, is not the leader.
pub(super) async fn its_server_follows(run: &mut Run, connector: usize) {
    let fleet = &mut run.fleet;
    if fleet.zookeeper.leader().await == connector {
        let begun = boottime_ns();
        fleet.zookeeper.kill_server(connector);
        let other = led_by_another(fleet, connector).await;
        fleet.zookeeper.begin_server(connector).await;
        fleet.fault("kill", &format!("zookeeper:{connector}"), begun);
        fleet.paired().await;
        run.witnessed(format!("ZooKeeper's server {other} leads"));
    }
    // A server that has just joined, or has lost its leader, says nothing while it looks for one.
    until("the connector's server to follow", 30, async || follows(&run.fleet, connector)).await;
}

/// The active's ZooKeeper server is cut off from the others: its node has long gone while it is still told that it
/// stands first in line.
async fn follower_alone(run: &mut Run) {
    for (how, heard) in OFF.into_iter().take(run.tier.pick(1, 3)) {
        let fleet = &mut run.fleet;
        let active = fleet.paired().await;
        its_server_follows(run, active).await;
        let fleet = &mut run.fleet;
        let (before, begun, known) = (epoch(fleet).await, boottime_ns(), fleet.zookeeper.obstructed());
        cut_off(fleet, active, heard).await;
        lasting(3 * T).await;
        if heard.is_none() {
            until("the cut-off server to say that it still follows its leader", 2, async || follows(fleet, active))
                .await;
        }
        goes_on(fleet, 10).await;
        let held = fleet.zookeeper.obstructed() - known;
        assert!(held > 0, "nobody spoke to anybody");
        joined(run, active, begun, format!("the active's server {active} cut off {how}: {held} held back")).await;
        assert_eq!(run.fleet.paired().await, active);
        assert_eq!(epoch(&run.fleet).await, before, "no takeover, neither then nor afterwards");
    }
    run.expected.max_unconfirmed = Some(0);
}
