//! An agent with chats of its own, beside the desks.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use switchboard_tests::agent::{Agent, AgentOptions};
use switchboard_tests::harness::{customer, until};

use crate::run::Run;

/// Beyond the customers of any load.
const FIRST: usize = 5_000;

pub struct Office {
    pub agent: Arc<Agent>,
    chats: Vec<String>,
    next: usize,
}

impl Office {
    /// Opens it with so many chats. Only `servers` are asked, or all when there are none.
    pub async fn open(run: &mut Run, name: &str, servers: Vec<String>, count: usize) -> Self {
        let token = run.fleet.operate(&["token", "--agent", name]);
        let servers = if servers.is_empty() { run.fleet.websockets() } else { servers };
        let agent = Arc::new(Agent::spawn(AgentOptions::new(name, &token, servers, run.fleet.agents_log.clone())));
        run.guests.push(agent.clone());
        let open = agent.wait_until("a session", Duration::from_secs(20), |view| view.resyncs > 0).await;
        open.unwrap_or_else(|error| panic!("{error}"));
        let mut office = Self { agent, chats: Vec::new(), next: 0 };
        for n in 0.. {
            if office.agent.view().own().count() >= count {
                break;
            }
            run.fleet.platform.message(customer(FIRST + n), &format!("hello [[{name}-{n}]]")).await;
            run.more_in += 1;
            // Desks take what waits, too: whoever was first.
            let shown = |view: &switchboard_tests::agent::View| {
                view.customer_messages(0)
                    .any(|seen| seen.text.as_deref().is_some_and(|text| text.contains(&format!("[[{name}-{n}]]"))))
            };
            until("the customer to be shown or taken", 20, async || {
                let waiting: Vec<String> = office.agent.view().waiting().map(str::to_owned).collect();
                for chat in waiting {
                    let _ = office.agent.take(&chat).await;
                }
                let done = shown(&office.agent.view()) && office.agent.view().waiting().next().is_none();
                done.then_some(())
            })
            .await;
        }
        office.chats = office.agent.view().own().take(count).map(str::to_owned).collect();
        office
    }

    /// Its chats in turn: an unclear reply keeps its chat busy for a while.
    pub fn chat(&mut self) -> String {
        self.next += 1;
        self.chats[self.next % self.chats.len()].clone()
    }
}

/// A group in which a customer has written, and a session of whichever agent took its chat.
pub async fn group(run: &mut Run, group: i64, tag: &str, seed: u64) -> (String, Arc<Agent>) {
    let fleet = &run.fleet;
    fleet.platform.order("group", json!({"chat": group, "title": "A group"})).await;
    let hello = json!({"chat": group, "from": customer(6_000), "text": format!("we are many [[{tag}-hello]]")});
    fleet.platform.order("messages", json!({"items": [hello]})).await;
    let sql = |what| {
        format!("SELECT {what} FROM chat c LEFT JOIN agent a ON a.id = c.agent_id WHERE c.platform_key = '{group}'")
    };
    let chat = until("the group's chat", 20, async || fleet.onlooker.text(&sql("c.id::text")).await).await;
    let eager = Arc::new(fleet.agent("anna", seed));
    let name = until("the group's chat to be taken", 20, async || {
        if eager.view().waiting().any(|waiting| waiting == chat) {
            let _ = eager.take(&chat).await;
        }
        fleet.onlooker.text(&sql("a.name")).await
    })
    .await;
    let token = fleet.operate(&["token", "--agent", &name]);
    let options = AgentOptions::new(&name, &token, fleet.websockets(), fleet.agents_log.clone());
    let agent = Arc::new(Agent::spawn(options));
    run.more_in += 1;
    run.guests.extend([eager, agent.clone()]);
    (chat, agent)
}
