//! `bench sends`: agents who write. Tells when each message was due; when it reached the platform is in the simulator's log.

use std::time::Duration;

use anyhow::Context;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::{agents, number, order};
use crate::clock::{be_exact, now_ns, sleep_until};

/// Carries the order out: `agents` with their `chats`, `rate` of all together, `seconds`. Each message is tagged `s<number>`.
pub fn run() -> anyhow::Result<Value> {
    be_exact();
    let order = order()?;
    let (rate, seconds) = (number(&order, "rate")?, number(&order, "seconds")?);
    let writers = order["agents"].as_array().context("agents")?.clone();
    let begin = now_ns() + 1_000_000_000;
    let count = (rate * seconds) as usize;
    let threads: Vec<_> = writers
        .into_iter()
        .enumerate()
        .map(|(place, writer)| {
            let step = order["agents"].as_array().map_or(1, Vec::len);
            std::thread::spawn(move || write(&writer, (place..count).step_by(step), begin, 1e9 / rate))
        })
        .collect();
    let mut accepted = Vec::new();
    for thread in threads {
        accepted.extend(thread.join().map_err(|_| anyhow::anyhow!("a writer panicked"))??);
    }
    let due: Vec<i64> = (0..count).map(|place| begin + (place as f64 * 1e9 / rate) as i64).collect();
    Ok(json!({"due": due, "accepted": super::summary(accepted)}))
}

/// One agent's messages, over its chats in turn; returns how long each answer took from when the message was due.
fn write(writer: &Value, places: impl Iterator<Item = usize>, begin: i64, every: f64) -> anyhow::Result<Vec<u64>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let server = writer["server"].as_str().context("server")?;
    let chats = writer["chats"].as_array().context("chats")?;
    let mut socket = runtime.block_on(agents::open(server, writer["token"].as_str().context("token")?))?;
    let mut took = Vec::new();
    for (turn, place) in places.enumerate() {
        let due = begin + (place as f64 * every) as i64;
        sleep_until(due);
        let chat = &chats[turn % chats.len()];
        let text = format!("[[s{place}]] {}", ".".repeat(100));
        let send =
            json!({"id": place, "type": "send", "chat": chat, "client_key": format!("s{begin}-{place}"), "text": text});
        runtime.block_on(async {
            socket.send(Message::text(send.to_string())).await?;
            let until = Instant::now() + Duration::from_secs(10);
            loop {
                let frame = tokio::time::timeout_at(until, socket.next()).await?.context("the session ended")??;
                let Message::Text(text) = frame else { continue };
                if text.contains(&format!("\"re\":{place},")) {
                    anyhow::ensure!(text.contains("\"ok\""), "send: {text}");
                    return anyhow::Ok(());
                }
            }
        })?;
        took.push((now_ns() - due).max(0) as u64);
    }
    Ok(took)
}
