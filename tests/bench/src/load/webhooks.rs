//! `bench load`: webhooks to a connector, as a platform sends them, over connections that stay open.
//!
//! Each connection is a thread: it takes the next number, waits until that is due, writes one request and reads its answer. With
//! a rate of 0 everything is due at once, which is the closed loop that finds the most.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::agents::{self, Shown};
use super::{number, order, summary};
use crate::clock::{be_exact, now_ns, sleep_until};
use crate::processor;

/// Most messages of one order.
const MOST: usize = 4_000_000;
/// How long what was sent may take to be shown after the last.
const PATIENCE: Duration = Duration::from_secs(60);

/// The platform's pause after a refusal.
const AGAIN: Duration = Duration::from_millis(20);

/// What all connections share.
struct Plan {
    target: String,
    head: String,
    chats: u64,
    first: u64,
    begin: i64,
    end: i64,
    /// Nanoseconds between two; 0: closed loop.
    every: f64,
    next: AtomicUsize,
    acked: AtomicU64,
    refused: AtomicU64,
    due: Vec<AtomicI64>,
    over: AtomicBool,
}

/// Carries the order out and tells what came of it.
pub fn run() -> anyhow::Result<Value> {
    be_exact();
    let order = order()?;
    let (rate, seconds) = (number(&order, "rate")?, number(&order, "seconds")?);
    let warm_ns = (number(&order, "warm_s")? * 1e9) as i64;
    let most = match rate {
        0.0 => MOST,
        rate => ((seconds + warm_ns as f64 / 1e9) * rate) as usize + 1,
    };
    let shown = Shown::new(most);
    agents::look(&order["agents"], shown.clone())?;
    let target = order["target"].as_str().context("target")?.to_owned();
    let path = order["path"].as_str().context("path")?;
    let secret = order["secret"].as_str().context("secret")?;
    let begin = now_ns() + 200_000_000;
    let plan = Arc::new(Plan {
        head: format!(
            "POST {path} HTTP/1.1\r\nhost: {target}\r\ncontent-type: application/json\r\n\
             x-telegram-bot-api-secret-token: {secret}\r\ncontent-length: "
        ),
        target,
        chats: number(&order, "chats")? as u64,
        first: number(&order, "first")? as u64,
        begin,
        end: begin + warm_ns + (seconds * 1e9) as i64,
        every: if rate > 0.0 { 1e9 / rate } else { 0.0 },
        next: AtomicUsize::new(0),
        acked: AtomicU64::new(0),
        refused: AtomicU64::new(0),
        due: (0..most).map(|_| AtomicI64::new(0)).collect(),
        over: AtomicBool::new(false),
    });
    let connections = number(&order, "connections")? as usize;
    let threads: Vec<_> = (0..connections)
        .map(|_| {
            let plan = plan.clone();
            std::thread::Builder::new().stack_size(128 * 1024).spawn(move || connection(&plan))
        })
        .collect::<Result<_, _>>()?;
    let mut acks = Vec::new();
    for thread in threads {
        match thread.join() {
            Ok(of_thread) => acks.extend(of_thread?),
            Err(_) => bail!("a connection's thread panicked"),
        }
    }
    let sent = plan.acked.load(Ordering::Relaxed);
    shown.wait(sent, PATIENCE);
    Ok(told(&plan, &shown, acks, warm_ns))
}

fn told(plan: &Plan, shown: &Shown, acks: Vec<(i64, u64)>, warm_ns: i64) -> Value {
    let sent = plan.acked.load(Ordering::Relaxed);
    let from = plan.begin + warm_ns;
    let latencies: Vec<u64> = plan
        .due
        .iter()
        .enumerate()
        .filter_map(|(place, due)| {
            let due = due.load(Ordering::Relaxed);
            (due >= from).then(|| shown.at(place).map(|at| (at - due).max(0) as u64)).flatten()
        })
        .collect();
    // The warm-up is part of the most a second: it is the same work.
    let elapsed = (shown.last() - plan.begin) as f64 / 1e9;
    let acks = acks.into_iter().filter(|(due, _)| *due >= from).map(|(_, took)| took).collect();
    json!({
        "sent": sent, "shown": shown.count(), "refused": plan.refused.load(Ordering::Relaxed),
        "missing": sent.saturating_sub(shown.count()), "a_second": shown.count() as f64 / elapsed,
        "frame_ms": summary(latencies), "ack_ms": summary(acks),
        "load_s": processor::stat(std::process::id()).map(|(_, seconds)| seconds),
    })
}

/// One connection's requests: when each was due, and how long its answer took from then.
fn connection(plan: &Plan) -> anyhow::Result<Vec<(i64, u64)>> {
    let mut stream = TcpStream::connect(&plan.target)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let (mut request, mut answer, mut acks) = (String::new(), vec![0u8; 4096], Vec::new());
    loop {
        let place = plan.next.fetch_add(1, Ordering::Relaxed);
        let due = match plan.every {
            0.0 => now_ns().max(plan.begin),
            every => plan.begin + (place as f64 * every) as i64,
        };
        if due >= plan.end || place >= plan.due.len() || plan.over.load(Ordering::Relaxed) {
            plan.over.store(true, Ordering::Relaxed);
            return Ok(acks);
        }
        sleep_until(due);
        write_request(&mut request, plan, place);
        loop {
            stream.write_all(request.as_bytes())?;
            let status = read_answer(&mut stream, &mut answer)?;
            if status == 200 {
                break;
            }
            // A platform brings it again, soon; the time goes on.
            plan.refused.fetch_add(1, Ordering::Relaxed);
            anyhow::ensure!(status == 429 || status == 503, "a webhook was answered {status}");
            std::thread::sleep(AGAIN);
        }
        plan.due[place].store(due, Ordering::Relaxed);
        plan.acked.fetch_add(1, Ordering::Relaxed);
        acks.push((due, (now_ns() - due).max(0) as u64));
    }
}

/// An update of about 600 bytes with a text of 110.
fn write_request(request: &mut String, plan: &Plan, place: usize) {
    use std::fmt::Write as _;
    let number = plan.first + place as u64;
    // A customer's messages are far apart: all chats in turn, in no order.
    let chat = 700_100_000 + number.wrapping_mul(7919) % plan.chats;
    let mut text = format!("#{place} ");
    text.extend(std::iter::repeat_n('.', 110 - text.len()));
    let body = format!(
        "{{\"update_id\":{number},\"message\":{{\"message_id\":{number},\"from\":{{\"id\":{chat},\"is_bot\":false,\
         \"first_name\":\"Customer {chat}\",\"language_code\":\"en\"}},\"chat\":{{\"id\":{chat},\"first_name\":\"Customer {chat}\",\
         \"type\":\"private\"}},\"date\":1795000000,\"text\":\"{text}\",\"entities\":[],\"about\":\"{:<230}\"}}}}",
        "as long as an update usually is"
    );
    request.clear();
    let _ = write!(request, "{}{}\r\n\r\n{body}", plan.head, body.len());
}

/// Reads one answer without a body and returns its status.
fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) -> anyhow::Result<u16> {
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..])?;
        anyhow::ensure!(read > 0, "the connector hung up");
        filled += read;
        if buffer[..filled].ends_with(b"\r\n\r\n") {
            let status = std::str::from_utf8(&buffer[9..12])?;
            return Ok(status.parse()?);
        }
        anyhow::ensure!(filled < buffer.len(), "an answer with a body");
    }
}
