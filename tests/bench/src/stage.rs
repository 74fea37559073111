//! Where rows are measured: a fleet of release builds with a fresh Postgres and ZooKeeper, 20 agents, 1,000 chats that they
//! have taken, and beside the fleet's database one for the floors, with the same rows.

use std::process::Command;

use anyhow::Context;
use serde_json::{Value, json};
use switchboard_tests::harness::{Fleet, FleetOptions};
use tokio_postgres::Client;

use crate::floor;

/// Agents: those of `sql/people.sql`.
pub const AGENTS: usize = 20;
/// Chats: those of `sql/people.sql`.
pub const CHATS: usize = 1000;

/// What a test client may not do from one address, and a log line a message: neither is measured here.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("SWITCHBOARD_LOG__LEVEL", "info"),
    ("SWITCHBOARD_CONNECTOR__WEBHOOKS_PER_SECOND", "1000000"),
    ("SWITCHBOARD_CHATSERVER__SESSIONS_PER_AGENT", "1000"),
    ("SWITCHBOARD_PUBLIC__CONNECTIONS", "30000"),
    ("SWITCHBOARD_PUBLIC__SOCKETS_PER_ADDRESS", "30000"),
    ("SWITCHBOARD_PUBLIC__REQUESTS_PER_SECOND", "100000"),
    ("SWITCHBOARD_PUBLIC__REQUESTS_AT_ONCE", "100000"),
];

/// The usual fleet of a row.
pub fn options(name: &'static str) -> FleetOptions {
    FleetOptions { environment: ENVIRONMENT, chatservers: 1, answer_by_ms: 10_000, ..FleetOptions::new(name) }
}

/// A fleet with agents and chats.
pub struct Stage {
    /// The processes.
    pub fleet: Fleet,
    /// Their tokens.
    pub tokens: Vec<String>,
    /// The floors' database.
    pub floor: String,
}

impl Stage {
    /// Starts it.
    pub async fn start(options: FleetOptions) -> anyhow::Result<Self> {
        let fleet = Fleet::start(options).await;
        fleet.active().await;
        let client = floor::bare::connect(&fleet.postgres.url()).await?;
        client.batch_execute("CREATE DATABASE floor").await?;
        let floor = fleet.postgres.url().replace("/postgres", "/floor");
        for arguments in [
            &["migrate"][..],
            &["queue", "add", "support"],
            &["account", "add", "support", "--platform", "telegram", "--queue", "support", "--set", "token=env:HOME"],
        ] {
            run(in_database(&fleet, &floor).args(arguments))?;
        }
        let floors = floor::bare::connect(&floor).await?;
        floors.batch_execute(floor::PREPARE).await?;
        for database in [&client, &floors] {
            people(database).await?;
        }
        let tokens = (0..AGENTS).map(|agent| fleet.operate(&["token", "--agent", &agent_name(agent), "--ttl", "12h"]));
        Ok(Self { tokens: tokens.collect(), floor, fleet })
    }

    /// A connection to the fleet's own database.
    pub async fn database(&self) -> anyhow::Result<Client> {
        floor::bare::connect(&self.fleet.postgres.url()).await
    }

    /// All agents with their chats' numbers, spread over the chatservers.
    pub async fn agents(&self) -> anyhow::Result<Value> {
        let sql = "SELECT array_agg(c.id::text) FROM chat c JOIN agent g ON g.id = c.agent_id WHERE g.name = $1";
        let (database, servers) = (self.database().await?, self.fleet.websockets());
        let mut agents = Vec::new();
        for (place, token) in self.tokens.iter().enumerate() {
            let chats: Vec<String> = database.query_one(sql, &[&agent_name(place)]).await?.get(0);
            agents.push(json!({"server": servers[place % servers.len()], "token": token, "chats": chats}));
        }
        Ok(agents.into())
    }

    /// Waits until nothing is left to do, so that the next run begins as this one did.
    pub async fn rest(&self) {
        switchboard_tests::harness::until("pending and outbox to be empty", 120, async || {
            let left = self.fleet.onlooker.number(
                "SELECT (SELECT count(*) FROM pending) + (SELECT count(*) FROM outbox WHERE open AND state IN (0, 1))",
            );
            (left.await? == 0).then_some(())
        })
        .await;
    }
}

fn agent_name(place: usize) -> String {
    format!("bench{place:02}")
}

/// The executable, with the floors' database in place of its own.
fn in_database(fleet: &Fleet, url: &str) -> Command {
    let mut command = fleet.command();
    command.env("SWITCHBOARD_POSTGRES__URL", url);
    command
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{command:?}: {errors}");
    Ok(())
}

/// Agents, customers, and a chat of each customer that an agent has taken.
async fn people(database: &Client) -> anyhow::Result<()> {
    // Planned as a migration is.
    database.batch_execute("SET enable_seqscan = on; SET plan_cache_mode = auto").await?;
    database.batch_execute(floor::PEOPLE).await.context("agents and chats")?;
    database.batch_execute(floor::bare::PLANNED).await?;
    Ok(())
}
