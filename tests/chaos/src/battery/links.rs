//! Links that are neither whole nor cut: slow, torn in the middle of an answer, stopped one by one in any order.

use switchboard_tests::harness::{FleetOptions, Link, Passage, lasting};

use super::{Scenario, by_webhook, comes_in, goes_on, linked, usual};
use crate::run::Run;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        id: "F13",
        name: "slow_links",
        about: "one link after the other is slow: everything holds, and takes longer",
        quick: false,
        options: linked,
        load: usual,
        breaking: |run| Box::pin(slow_links(run)),
    },
    Scenario {
        id: "F13",
        name: "torn_answers",
        about: "half an answer and a reset, of the platform, of Postgres, of a connector: committed or not is found out",
        quick: false,
        options: || FleetOptions { cuts: true, ..by_webhook() },
        load: usual,
        breaking: |run| Box::pin(torn_answers(run)),
    },
    Scenario {
        id: "F14",
        name: "swizzle",
        about: "links are stopped one by one and restored in another order",
        quick: false,
        options: || FleetOptions { cuts: true, ..by_webhook() },
        load: usual,
        breaking: |run| Box::pin(swizzle(run)),
    },
];

/// One after the other, each for `span` milliseconds.
async fn one_by_one(run: &mut Run, links: &[(Link, Passage)], span: u64) {
    for (link, how) in links {
        let fleet = &mut run.fleet;
        comes_in(fleet, 10).await;
        let known = fleet.obstructed(*link);
        let begun = fleet.cut(*link, *how).await;
        lasting(span).await;
        let obstructed = fleet.obstructed(*link) - known;
        fleet.heal(*link, begun).await;
        assert!(obstructed > 0, "{link:?} {how:?}: nobody used it");
        run.witnessed(format!("{link:?} {how:?}: {obstructed} times"));
        goes_on(&run.fleet, 5).await;
    }
}

async fn slow_links(run: &mut Run) {
    let active = run.fleet.paired().await;
    let links = [
        (Link::Platform, Passage::Late(300)),
        (Link::Postgres(active), Passage::Late(60)),
        (Link::ChatPostgres(0), Passage::Late(60)),
        (Link::ChatPostgres(1), Passage::Late(60)),
        (Link::ZooKeeper(active), Passage::Late(300)),
        (Link::Agents(0), Passage::Late(300)),
    ];
    one_by_one(run, &links, 5_000).await;
}

async fn torn_answers(run: &mut Run) {
    for _ in 0..run.tier.pick(1, 2) {
        let active = run.fleet.paired().await;
        let links = [
            (Link::Platform, Passage::Torn),
            (Link::Postgres(active), Passage::Torn),
            (Link::ChatPostgres(0), Passage::Torn),
            (Link::ChatPostgres(1), Passage::Torn),
            (Link::Front(0), Passage::Torn),
            (Link::Agents(0), Passage::Torn),
        ];
        one_by_one(run, &links, 2_000).await;
    }
}

async fn swizzle(run: &mut Run) {
    let mut rounds = 0;
    for _ in 0..run.tier.pick(1, 3) {
        run.fleet.paired().await;
        let mut links = vec![
            Link::Postgres(0),
            Link::Postgres(1),
            Link::ZooKeeper(0),
            Link::ZooKeeper(1),
            Link::ChatPostgres(0),
            Link::ChatPostgres(1),
            Link::ChatZooKeeper(0),
            Link::Front(0),
            Link::Agents(1),
            Link::Platform,
        ];
        let mut stopped = Vec::new();
        while !links.is_empty() {
            let link = links.swap_remove(run.dice.below(links.len() as u64) as usize);
            let how = [Passage::Silent, Passage::Refused, Passage::NoAnswers][run.dice.below(3) as usize];
            let known = run.fleet.obstructed(link);
            stopped.push((link, how, known, run.fleet.cut(link, how).await));
            lasting(300).await;
        }
        lasting(1_500).await;
        while !stopped.is_empty() {
            let (link, how, known, begun) = stopped.swap_remove(run.dice.below(stopped.len() as u64) as usize);
            let obstructed = run.fleet.obstructed(link) - known;
            run.fleet.heal(link, begun).await;
            // With everything else cut, some are used by nobody; a link that carried nothing broke nothing.
            match obstructed {
                0 => run.idle += 1,
                _ => run.witnessed(format!("{link:?} {how:?}: {obstructed} times")),
            }
            lasting(300).await;
        }
        goes_on(&run.fleet, 20).await;
        rounds += 1;
    }
    run.demand(run.idle <= 3 * rounds, format!("{} of {} cuts hindered nobody", run.idle, 10 * rounds));
}
