//! Agent's send → the platform's call.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};

use crate::figures::percentile;
use crate::load::{self, ms};
use crate::report::{Better, Metric, Report};
use crate::stage::{self, Stage};
use crate::{Asked, floor};

/// Messages a second of all agents.
const RATE: f64 = 100.0;
/// Between two of them.
const EVERY: Duration = Duration::from_millis(10);

/// Measures the row.
pub async fn run(asked: &Asked, report: &mut Report) -> anyhow::Result<()> {
    let stage = Stage::start(stage::options("bench-outbound")).await?;
    no_limits(&stage).await;
    let (mut p50s, mut p99s, mut accepted) = (vec![], vec![], vec![]);
    let (mut paced, mut hot) = (floor::Parts::default(), floor::Parts::default());
    // The sender reads everything until it knows what it has seen.
    sends(&stage, 8.0).await?;
    for _ in 0..asked.pick(3, 7) {
        for (parts, every, count) in [(&mut hot, Duration::ZERO, 1000), (&mut paced, EVERY, asked.pick(100, 400))] {
            let chain = floor::median_ms(floor::answer_chain(&stage.floor, count, every).await?);
            let wake = floor::wake::times(&stage.fleet.zookeeper.connect(), count, every).await?;
            parts.add(chain, floor::median_ms(wake));
        }
        let (told, mut times) = sends(&stage, asked.pick(4.0, 15.0)).await?;
        times.sort_unstable();
        p50s.push(percentile(&times, 0.5) as f64 / 1e6);
        p99s.push(percentile(&times, 0.99) as f64 / 1e6);
        accepted.push(ms(&told, "accepted", "p50"));
    }
    let note = format!("{}, as often as the path", paced.note());
    let p50 = Metric::new("send_to_call_p50", p50s.clone(), "ms").over(&p50s, &paced.whole()).note(note);
    report.add(p50.goal(Better::Lower, 1.5));
    let note = format!("{}, back to back: a machine that never sleeps", hot.note());
    report.add(Metric::new("send_to_call_p50_hot_floor", p50s.clone(), "ms").over(&p50s, &hot.whole()).note(note));
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
