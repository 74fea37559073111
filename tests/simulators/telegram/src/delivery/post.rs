//! The requests themselves.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use reqwest::{Client, RequestBuilder, header::RETRY_AFTER, redirect::Policy};
use serde_json::Value;

use super::{Due, Job, Reply};
use crate::{bot::Bot, clock::boottime_ns, exchange, log::Event, server::Simulator};

/// Carries the secret, verbatim.
pub const SECRET_HEADER: &str = "x-telegram-bot-api-secret-token";
/// The most of an answer that is looked at for a method call.
const MAX_ANSWER: usize = 1 << 20;

/// Delivers a bot's updates for as long as the simulator runs.
pub async fn run(simulator: Arc<Simulator>, bot: Arc<Bot>) {
    let wake = Arc::clone(&bot.lock().delivery.wake);
    loop {
        let due = bot.lock().due(boottime_ns());
        match due {
            Due::Now(job) => drop(tokio::spawn(deliver(Arc::clone(&simulator), Arc::clone(&bot), job))),
            Due::Later(at_ns) => {
                let pause = Duration::from_nanos(at_ns.saturating_sub(boottime_ns()));
                // Whichever comes first.
                let _ = tokio::time::timeout(pause, wake.notified()).await;
            }
            Due::Nothing => wake.notified().await,
        }
    }
}

/// One attempt, in all its copies at once.
async fn deliver(simulator: Arc<Simulator>, bot: Arc<Bot>, job: Job) {
    let copies = job.targets.iter().map(|url| {
        let request = client(&simulator).post(url).body(job.update.bytes.clone());
        let request = if job.secret.is_empty() { request } else { request.header(SECRET_HEADER, &job.secret) };
        ask(&bot, request, url, &job.update.key, job.timeout_ms)
    });
    let replies = join_all(copies).await;
    bot.lock().attempted(job, &replies);
    for reply in replies.iter().filter(|reply| reply.is_success()) {
        let call = serde_json::from_slice::<Value>(&reply.body).ok();
        let method = call.as_ref().and_then(|call| call["method"].as_str().map(str::to_owned));
        if let (Some(call), Some(method)) = (call, method) {
            exchange::by_webhook(&simulator, &bot, &method, &call).await;
        }
    }
}

/// The client for webhooks: no redirects, no repeats of its own.
pub fn client(simulator: &Simulator) -> &Client {
    simulator.webhooks.get_or_init(|| {
        let builder = Client::builder().redirect(Policy::none()).retry(reqwest::retry::never()).no_proxy();
        builder.build().expect("a client without special wishes")
    })
}

/// Sends one request, writes it down, and says what came.
pub async fn ask(bot: &Bot, request: RequestBuilder, url: &str, key: &str, timeout_ms: u64) -> Reply {
    let request = request.header("content-type", "application/json");
    let (t_sent, began) = (boottime_ns(), Instant::now());
    let limit = Duration::from_millis(timeout_ms);
    let reply = match request.timeout(limit).send().await {
        Err(error) => Reply { error: words(&error), ..Reply::default() },
        Ok(mut answer) => {
            let (status, told) = (answer.status().as_u16(), answer.headers().get(RETRY_AFTER));
            let retry_after_s = told.and_then(|told| told.to_str().ok()?.trim().parse().ok());
            let mut body = Vec::new();
            while body.len() < MAX_ANSWER
                && let Ok(Some(piece)) = answer.chunk().await
            {
                body.extend_from_slice(&piece);
            }
            Reply { status: Some(status), retry_after_s, error: String::new(), body }
        }
    };
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let log = Arc::clone(&bot.lock().log);
    log.write(Event::Delivery { acct: &bot.name, key, url: without_user(url), t_sent, took_ms, status: reply.status });
    reply
}

/// As the official server words it.
fn words(error: &reqwest::Error) -> String {
    let words = match error {
        error if error.is_timeout() => "Read timeout expired",
        error if error.is_connect() => "Connection refused",
        _ => "Connection closed",
    };
    words.to_owned()
}

/// An address for the log: what stands before its `@` is a password.
fn without_user(url: &str) -> &str {
    url.rsplit_once('@').map_or(url, |(_, rest)| rest)
}
