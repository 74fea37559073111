//! The load, in a process of its own: `bench load` and `bench sends`, told by one JSON object on standard input, answering
//! with one on standard output.
//!
//! **Open loop.** A rate has a schedule, made before: message *n* is due at `begin + n / rate`, whatever became of those
//! before it, and its latency counts from when it was due; at most `connections` are under way at once. A system that stalls is charged for every message that waited.

pub mod agents;
mod feed;
pub mod sends;
pub mod webhooks;

use std::process::Stdio;

use anyhow::Context;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

pub use feed::Webhooks;

use crate::figures::percentile;

/// Runs `bench NAME` with `order` and returns its answer.
pub async fn ask(name: &str, order: &Value) -> anyhow::Result<Value> {
    let mut command = tokio::process::Command::new(std::env::current_exe()?);
    command.arg(name).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn()?;
    let mut input = child.stdin.take().context("its standard input")?;
    input.write_all(order.to_string().as_bytes()).await?;
    drop(input);
    let output = child.wait_with_output().await?;
    anyhow::ensure!(output.status.success(), "bench {name}: {}", output.status);
    serde_json::from_slice(&output.stdout).with_context(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The order on standard input.
pub fn order() -> anyhow::Result<Value> {
    Ok(serde_json::from_reader(std::io::stdin().lock())?)
}

/// Milliseconds at the usual percentiles of nanoseconds.
pub fn summary(mut times: Vec<u64>) -> Value {
    times.sort_unstable();
    let at = |share| percentile(&times, share) as f64 / 1e6;
    json!({"count": times.len(), "p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "p999": at(0.999), "max": at(1.0)})
}

/// A number of an order.
pub fn number(order: &Value, name: &str) -> anyhow::Result<f64> {
    order[name].as_f64().with_context(|| format!("the order names no {name}"))
}

/// A figure in milliseconds of what a load told.
pub fn ms(told: &Value, which: &str, share: &str) -> f64 {
    told[which][share].as_f64().unwrap_or(f64::NAN)
}
