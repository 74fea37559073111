//! The rows' side of `bench load`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::processor;
use crate::stage::{self, Stage};

/// The load of webhooks on one stage.
pub struct Webhooks<'a> {
    stage: &'a Stage,
    agents: Value,
    first: u64,
    /// Microseconds of processor time of each component for each message of the last load.
    pub cost: BTreeMap<&'static str, f64>,
}

impl<'a> Webhooks<'a> {
    /// Its agents look on.
    pub async fn new(stage: &'a Stage) -> anyhow::Result<Self> {
        Ok(Self { stage, agents: stage.agents().await?, first: 1_000_000, cost: BTreeMap::new() })
    }

    /// So many a second for so long (0: as many as are taken in), each by the next free of `connections`. Fails when a message
    /// that was acknowledged is not shown.
    pub async fn send(&mut self, rate: f64, seconds: f64, connections: usize) -> anyhow::Result<Value> {
        let base = self.stage.fleet.connector_bases()[0].clone();
        let target = base.trim_start_matches("http://");
        let order = json!({
            "target": target, "path": "/webhooks/support/telegram", "secret": "a-secret-of-the-tests", "rate": rate,
            "seconds": seconds, "warm_s": 1.0, "connections": connections, "chats": stage::CHATS, "first": self.first,
            "agents": self.agents,
        });
        let before = processor::spent(&self.stage.fleet.dir);
        let told = super::ask("load", &order).await?;
        let sent = told["sent"].as_f64().unwrap_or_default();
        self.cost = processor::each(&before, &processor::spent(&self.stage.fleet.dir), sent);
        self.cost.insert("load", told["load_s"].as_f64().unwrap_or_default() * 1e6 / sent.max(1.0));
        self.first += told["sent"].as_u64().unwrap_or_default() + 1_000_000;
        anyhow::ensure!(told["missing"] == 0 && told["sent"] != 0, "not every message was shown: {told}");
        self.stage.rest().await;
        Ok(told)
    }
}
