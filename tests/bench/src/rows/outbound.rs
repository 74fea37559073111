//! Agent's send → the platform's call.

use std::collections::HashMap;

use anyhow::Context;
use serde_json::{Value, json};

use super::inbound::ms;
use crate::figures::{Runs, percentile};
use crate::load;
use crate::report::{Better, Metric, Report};
use crate::stage::{self, Stage};
use crate::{Asked, floor};

/// Messages a second of all agents.
const RATE: f64 = 100.0;

/// Measures the row.
pub async fn run(asked: &Asked, report: &mut Report) -> anyhow::Result<()> {
    let stage = Stage::start(stage::options("bench-outbound")).await?;
    no_limits(&stage).await;
    let (mut p50s, mut p99s, mut accepted, mut floors, mut parts) = (vec![], vec![], vec![], vec![], vec![]);
    // The sender reads everything until it knows what it has seen.
    sends(&stage, 8.0).await?;
    for _ in 0..asked.pick(3, 7) {
        floor::answer_chain(&stage.floor, asked.pick(100, 400)).await?;
        let chain = floor::median_ms(floor::answer_chain(&stage.floor, asked.pick(400, 2000)).await?);
        let wake = floor::median_ms(floor::wake::times(&stage.fleet.zookeeper.connect(), asked.pick(500, 2000)).await?);
        let (told, mut times) = sends(&stage, asked.pick(4.0, 15.0)).await?;
        times.sort_unstable();
        p50s.push(percentile(&times, 0.5) as f64 / 1e6);
        p99s.push(percentile(&times, 0.99) as f64 / 1e6);
        accepted.push(ms(&told, "accepted", "p50"));
        floors.push(chain + wake);
        parts.push((chain, wake));
    }
    let (chain, wake): (Vec<f64>, Vec<f64>) = parts.into_iter().unzip();
    let median = |values: Vec<f64>| values.into_iter().collect::<Runs>().median();
    let note = format!("floor = statements {:.3} + wake {:.3}", median(chain), median(wake));
    let p50 = Metric::new("send_to_call_p50", p50s.clone(), "ms").over(&p50s, &floors).note(note);
    report.add(p50.goal(Better::Lower, 1.5));
    report.add(Metric::new("send_to_call_p99", p99s, "ms"));
    report.add(Metric::new("send_to_answer_p50", accepted, "ms"));
    Ok(())
}

/// Neither the platform nor the account holds anything back.
async fn no_limits(stage: &Stage) {
    stage.fleet.operate(&["account", "limit", "support", "account=1000000/1s", "chat=1000000/1s", "group=1000000/1s"]);
    let none = json!({"count": 1_000_000, "window_ms": 1000});
    stage.fleet.platform.order("limits", json!({"bot": none, "private": none, "group": none})).await;
}

/// Lets agents write; returns what they saw, and how long each message took to the platform's first byte.
async fn sends(stage: &Stage, seconds: f64) -> anyhow::Result<(Value, Vec<u64>)> {
    let log = stage.fleet.dir.join("mock.jsonl");
    let before = std::fs::metadata(&log).map_or(0, |meta| meta.len());
    let order = json!({"agents": stage.agents().await?, "rate": RATE, "seconds": seconds});
    let told = load::ask("sends", &order).await?;
    stage.rest().await;
    let text = std::fs::read(&log)?;
    let lines = String::from_utf8_lossy(&text[before as usize..]).into_owned();
    let mut arrived = HashMap::new();
    for line in lines.lines().filter(|line| line.contains("\"ev\":\"call\"")) {
        let call: Value = serde_json::from_str(line)?;
        if let (Some(tag), Some(first)) = (call["tag"].as_str(), call["t_first"].as_i64()) {
            arrived.entry(tag.to_owned()).or_insert(first);
        }
    }
    let due = told["due"].as_array().context("due")?;
    let mut times = Vec::new();
    for (place, due) in due.iter().enumerate() {
        let first = arrived.get(&format!("s{place}")).with_context(|| format!("message {place} was never sent"))?;
        times.push((first - due.as_i64().context("due")?).max(0) as u64);
    }
    Ok((told, times))
}
