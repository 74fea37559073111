//! A checker that was never seen to fail proves nothing: known bugs, several in one build, each caught by the invariant that it
//! breaks; and the same scenarios without them.

mod one;
mod pair;
mod zookeeper;

use switchboard_tests::harness::{FleetOptions, Load};

use super::{Scenario, postgres};
use crate::run::{Run, Tier};

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        id: "F03",
        name: "bugs_of_one_sabotaged",
        about: "200 before the commit, failed for unclear, a bucket of tokens, serial numbers, cursors from a standby",
        quick: true,
        options: || FleetOptions { sabotage: Some(one::BUGS), ..of_one() },
        load: quiet,
        breaking: |run| Box::pin(one::break_it(run)),
    },
    Scenario {
        id: "F03",
        name: "bugs_of_one",
        about: "the same without the bugs",
        quick: false,
        options: of_one,
        load: quiet,
        breaking: |run| Box::pin(one::break_it(run)),
    },
    Scenario {
        id: "F05",
        name: "bugs_of_a_pair_sabotaged",
        about: "offset before commit, sent again, fence by EXISTS, last word wins, empty windows, no sweep",
        quick: true,
        options: || FleetOptions { sabotage: Some(pair::BUGS), ..of_a_pair() },
        load: quiet,
        breaking: |run| Box::pin(pair::break_it(run)),
    },
    Scenario {
        id: "F05",
        name: "bugs_of_a_pair",
        about: "the same without the bugs",
        quick: false,
        options: of_a_pair,
        load: quiet,
        breaking: |run| Box::pin(pair::break_it(run)),
    },
    Scenario {
        id: "F12",
        name: "trust_in_zookeeper_sabotaged",
        about: "permission to send by what a cut-off ZooKeeper server says",
        quick: true,
        options: || FleetOptions { sabotage: Some("permission_by_zookeeper"), ..cut_off() },
        load: quiet,
        breaking: |run| Box::pin(zookeeper::break_it(run)),
    },
    Scenario {
        id: "F12",
        name: "trust_in_zookeeper",
        about: "the same without the bug",
        quick: false,
        options: cut_off,
        load: quiet,
        breaking: |run| Box::pin(zookeeper::break_it(run)),
    },
    // Without the bugs both are `cancel_the_wait` itself.
    Scenario {
        id: "F19",
        name: "cancel_the_wait_sabotaged",
        about: "a repeat is acknowledged without a write, while its original waits for the standby",
        quick: false,
        options: || FleetOptions { sabotage: Some("ack_repeat_unwritten"), ..postgres::strict() },
        load: super::usual,
        breaking: |run| Box::pin(waits_cut_short(run, "ack_repeat_unwritten")),
    },
    Scenario {
        id: "F19",
        name: "cut_waits_believed_sabotaged",
        about: "the answer to a commit is believed although its wait for the standby was cut short",
        quick: false,
        options: || FleetOptions { sabotage: Some("believe_cut_wait"), ..postgres::strict() },
        load: super::usual,
        breaking: |run| Box::pin(waits_cut_short(run, "believe_cut_wait")),
    },
];

fn of_one() -> FleetOptions {
    FleetOptions { webhook: true, sweep_ms: 1_000, ..FleetOptions::new("one") }
}

/// Long enough that only the fence stands between a claim of the stopped one and its call.
fn of_a_pair() -> FleetOptions {
    FleetOptions { sweep_ms: 1_000, write_by_ms: 5_000, answer_by_ms: 6_500, ..FleetOptions::pair("pair") }
}

fn cut_off() -> FleetOptions {
    FleetOptions { zookeepers: 3, cuts: true, ..FleetOptions::pair("cut-off") }
}

/// Next to nothing: each case is about its own messages.
fn quiet(_: Tier) -> Load {
    Load { chats: 3, messages: 3, pause_ms: 3000, replies: 0, reply_each: 1, file_each: 0, seed: 0 }
}

async fn waits_cut_short(run: &mut Run, bug: &'static str) {
    postgres::cancel_the_wait(run).await;
    run.bug(bug, &["IN-1"], "");
}
