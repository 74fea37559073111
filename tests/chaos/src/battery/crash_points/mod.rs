//! kill -9 at every step that has a name. Many points in one fleet's life: whoever has died is started again such that it
//! dies at the next one.

mod left;
mod operator;
mod pair;
mod services;
mod table;

use switchboard_tests::harness::{FleetOptions, Load};

use super::Scenario;
use crate::run::{Run, Tier};

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        id: "F03",
        name: "points_of_the_pair",
        about: "kill -9 at each point of poller, sender and takeover: the other one goes on from what is left",
        quick: true,
        options: || FleetOptions::pair("pair"),
        load: quiet,
        breaking: |run| Box::pin(pair::die(run)),
    },
    Scenario {
        id: "F03",
        name: "points_of_the_pair_under_traffic",
        about: "the same three times over while customers and agents write",
        quick: false,
        options: || FleetOptions::pair("pair"),
        load: busy,
        breaking: |run| Box::pin(pair::die(run)),
    },
    Scenario {
        id: "F03",
        name: "points_of_the_services",
        about: "kill -9 at each point of webhooks, files, fetches, chatserver, loader and migration",
        quick: true,
        options: webhook,
        load: quiet,
        breaking: |run| Box::pin(services::die(run)),
    },
    Scenario {
        id: "F03",
        name: "points_of_the_services_under_traffic",
        about: "the same three times over while customers and agents write",
        quick: false,
        options: webhook,
        load: busy,
        breaking: |run| Box::pin(services::die(run)),
    },
    Scenario {
        id: "F04",
        name: "freeze_at_points",
        about: "SIGSTOP at points of poller and sender, a takeover, and SIGCONT: fenced, nothing lost and nothing doubled",
        quick: false,
        options: || FleetOptions::pair("pair"),
        load: busy,
        breaking: |run| Box::pin(pair::stop(run)),
    },
];

/// Rounds through all points.
fn rounds(run: &Run) -> usize {
    if run.is_quiet() { 1 } else { 3 }
}

fn webhook() -> FleetOptions {
    FleetOptions { webhook: true, settings: "[public]\nrequests_per_second = 500\n", ..FleetOptions::new("services") }
}

/// Next to nothing, so that what is left behind is exactly that of one message.
fn quiet(_: Tier) -> Load {
    Load { chats: 5, messages: 5, pause_ms: 4000, replies: 0, reply_each: 3, file_each: 0, seed: 0 }
}

/// Traffic both ways.
fn busy(_: Tier) -> Load {
    Load { chats: 100, messages: 1500, pause_ms: 100, replies: usize::MAX, reply_each: 3, file_each: 0, seed: 0 }
}
