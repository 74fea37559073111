//! The promises, with things broken on purpose. Each scenario has servers of its own and one run directory;
//! the checker decides from the observers' logs alone. They run one after another: `./dev test scenarios`.

#![allow(clippy::unwrap_used)]

mod access;
mod bad_input;
mod canaries;
mod clients;
mod desktop;
mod doctor;
mod downloads;
mod files;
mod first_light;
mod front;
mod kills;
mod lanes;
mod limits;
mod loader;
mod media;
mod metrics;
mod nginx;
mod office;
mod phone;
mod service_manager;
mod settings;
mod two_pages;
mod webhook_floods;
mod webhooks;

use std::time::Duration;

use switchboard_tests::agent::{Agent, View};
use switchboard_tests::harness::Fleet;

/// Whether `./dev test --full` asks for the long runs.
pub fn full() -> bool {
    std::env::var_os("SWITCHBOARD_TEST_FULL").is_some()
}

/// A customer writes, the agent sees the chat wait and takes it; returns the chat.
pub async fn taken_chat(fleet: &Fleet, agent: &Agent, customer: i64, text: &str) -> String {
    fleet.platform.message(customer, text).await;
    let waits = |view: &View| view.waiting().next().is_some();
    agent.wait_until("the chat to wait", Duration::from_secs(20), waits).await.unwrap();
    let chat = agent.view().waiting().next().unwrap().to_owned();
    agent.take(&chat).await.unwrap();
    // Until the feed says so it looks as if it were waiting still.
    let own = |view: &View| view.own().any(|own| own == chat);
    agent.wait_until("the chat to be taken", Duration::from_secs(20), own).await.unwrap();
    chat
}

/// Makes a connector active that will freeze itself, or die, at a point; the other one stands by.
pub async fn armed_active(fleet: &mut Fleet, point: &str, how: &str) -> usize {
    let armed = 1 - fleet.paired().await;
    fleet.arm_connector(armed, point, how).await;
    fleet.paired().await;
    fleet.operate(&["handover", "support"]);
    assert_eq!(fleet.paired().await, armed, "handed over");
    armed
}
