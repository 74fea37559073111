//! The battery: what is broken, and what its scenario must show beside what the checker demands of every run.

mod agents;
mod coordination;
mod crash_points;
mod crowded;
mod deploys;
mod disks;
mod freezes;
mod kills;
mod links;
mod office;
mod partitions;
mod platform;
mod postgres;
mod sabotage;
mod set_back;
mod webhooks;

use futures_util::future::LocalBoxFuture;
use switchboard_tests::harness::{Fleet, FleetOptions, Load, until};

use crate::run::{Run, Tier};

/// One thing that is broken under traffic.
pub struct Scenario {
    /// Its place in the list of faults.
    pub id: &'static str,
    /// Its name, and its run's folder.
    pub name: &'static str,
    /// What is broken and what it must come to, in a line.
    pub about: &'static str,
    /// Whether it is part of `--quick`.
    pub quick: bool,
    /// The processes; their name is replaced by the scenario's.
    pub options: fn() -> FleetOptions,
    /// The traffic; its seed is replaced by the run's.
    pub load: fn(Tier) -> Load,
    /// Breaks things, and panics when an effect is not as it must be.
    pub breaking: for<'a> fn(&'a mut Run) -> LocalBoxFuture<'a, ()>,
}

/// All scenarios, in the order in which they run.
pub fn all() -> impl Iterator<Item = &'static Scenario> {
    let parts = [
        kills::SCENARIOS,
        freezes::SCENARIOS,
        coordination::SCENARIOS,
        partitions::SCENARIOS,
        links::SCENARIOS,
        agents::SCENARIOS,
        platform::SCENARIOS,
        webhooks::SCENARIOS,
        postgres::SCENARIOS,
        set_back::SCENARIOS,
        crowded::SCENARIOS,
        disks::SCENARIOS,
        deploys::SCENARIOS,
        crash_points::SCENARIOS,
        sabotage::SCENARIOS,
    ];
    parts.into_iter().flatten()
}

/// The whole world: three ZooKeeper servers, HAProxy, two chatservers, an active connector and a standby. The platform is
/// polled.
pub fn world() -> FleetOptions {
    FleetOptions { zookeepers: 3, proxy: true, reply_delay_ms: 20, ..FleetOptions::pair("world") }
}

/// The same, and the platform calls a webhook. A platform is one address, which may ask for more than an agent's.
pub fn by_webhook() -> FleetOptions {
    FleetOptions { webhook: true, settings: "[public]\nrequests_per_second = 500\n", ..world() }
}

/// The world with links that can be cut.
pub fn linked() -> FleetOptions {
    FleetOptions { cuts: true, ..world() }
}

/// Traffic both ways: one message in 40 comes with a file.
pub fn usual(tier: Tier) -> Load {
    let (chats, messages, pause_ms) = tier.pick((100, 400, 25), (200, 2600, 17));
    Load { chats, messages, pause_ms, replies: usize::MAX, reply_each: 3, file_each: 40, seed: 0 }
}

/// The number of the lease's tenure.
pub async fn epoch(fleet: &Fleet) -> i64 {
    until("the database to answer", 30, async || fleet.onlooker.lease().await).await.epoch
}

/// Waits for a tenure after `before`; returns its number.
pub async fn raised(fleet: &Fleet, before: i64) -> i64 {
    until("another tenure", 30, async || {
        fleet.onlooker.lease().await.map(|lease| lease.epoch).filter(|now| *now > before)
    })
    .await
}

/// Waits until `more` replies have gone out.
pub async fn goes_on(fleet: &Fleet, more: u64) {
    let mut witness = fleet.witness();
    let goal = witness.sent() + more;
    until("replies to go out", 60, async || (witness.sent() >= goal).then_some(())).await;
}

/// Waits until `more` updates have been acknowledged.
pub async fn comes_in(fleet: &Fleet, more: u64) {
    let mut witness = fleet.witness();
    let goal = witness.acknowledged() + more;
    until("updates to come in", 60, async || (witness.acknowledged() >= goal).then_some(())).await;
}

/// Waits until the proxy says that a server of it is away, more often than `before`.
pub async fn proxy_misses(fleet: &Fleet, server: &str, before: usize) {
    until("the proxy to miss a server", 30, async || (fleet.proxy_missed(server) > before).then_some(())).await;
}

/// Waits until the proxy believes in a server again: before that it cannot miss it a second time.
pub async fn proxy_finds(fleet: &Fleet, server: &str) {
    let (path, word) = (fleet.dir.join("haproxy.log"), format!("Server {server} is "));
    until("the proxy to find a server", 30, async || {
        let log = std::fs::read_to_string(&path).ok()?;
        log.lines().rev().find(|line| line.contains(&word))?.contains("is UP").then_some(())
    })
    .await;
}

/// Waits until ZooKeeper's servers are led by another than `old`; returns which.
pub async fn led_by_another(fleet: &Fleet, old: usize) -> usize {
    until("another leader", 30, async || {
        (0..3).find(|other| *other != old && fleet.zookeeper.mode(*other).as_deref() == Some("leader"))
    })
    .await
}
