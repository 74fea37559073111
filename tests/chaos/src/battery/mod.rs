//! The battery: what is broken, and what its scenario must show beside what the checker demands of every run.

mod kills;

use futures_util::future::LocalBoxFuture;
use switchboard_tests::harness::{FleetOptions, Load};

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
    [kills::SCENARIOS].into_iter().flatten()
}

/// The whole world: three ZooKeeper servers, HAProxy, two chatservers, an active connector and a standby. The platform is
/// polled.
pub fn world() -> FleetOptions {
    FleetOptions { zookeepers: 3, proxy: true, reply_delay_ms: 20, ..FleetOptions::pair("world") }
}

/// The same, and the platform calls a webhook.
pub fn webhooks() -> FleetOptions {
    FleetOptions { webhook: true, ..world() }
}

/// Traffic both ways: one message in 40 comes with a file.
pub fn usual(tier: Tier) -> Load {
    let (chats, messages, pause_ms) = tier.pick((100, 500, 25), (200, 2600, 17));
    Load { chats, messages, pause_ms, replies: usize::MAX, reply_each: 3, file_each: 40, seed: 0 }
}
