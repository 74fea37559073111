//! One request to the Bot API, from its first byte to its last, and the lines it leaves in the log.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::{
    extract::{ConnectInfo, Request, State as Extract},
    http::Method,
    response::Response,
};

use serde_json::Value;

use crate::{
    answer::Answer,
    bot::Bot,
    clock::boottime_ns,
    connection::Connection,
    download,
    faults::{Fault, Mode},
    fetch,
    files::Seen,
    limits::Scope,
    log::{Call, Event},
    methods::{self, Run},
    params::{Params, Received, receive},
    poll,
    reply::{ApiError, Outcome},
    server::Simulator,
    text::{sha256_hex, tag},
    witness,
};

/// The caller's tenure.
const EPOCH_HEADER: &str = "x-switchboard-epoch";
/// Seconds of a commanded 429 that names none.
const DEFAULT_RETRY_AFTER_S: u64 = 1;

/// Answers `/bot<token>/<method>`; every other path is 404.
pub async fn handle(
    Extract(simulator): Extract<Arc<Simulator>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
) -> Response {
    let t_first = connection.request_began_ns();
    if let Some(path) = request.uri().path().strip_prefix("/file/bot").filter(|_| request.method() == Method::GET) {
        return download::handle(&simulator, path, &connection).await;
    }
    let (head, body) = request.into_parts();
    let Some((token, name)) = split_path(head.uri.path()) else {
        return Answer::of(&Err(ApiError::not_found())).send(&connection).await;
    };
    let epoch = head.headers.get(EPOCH_HEADER).and_then(|value| value.to_str().ok()?.parse().ok());
    let body = receive(body).await;
    let t_last = boottime_ns();
    let Some(bot) = simulator.bot_by_token(&token) else {
        return Answer::of(&Err(ApiError::unauthorized())).send(&connection).await;
    };
    let params = match body {
        Received::Whole(body) => Params::read(&head.uri, &head.headers, body).await,
        Received::TooLarge => Err(ApiError::too_large()),
        // The caller left in the middle: the platform was never asked for anything.
        Received::Torn => return Answer::of(&Err(ApiError::too_large())).send(&connection).await,
    };
    let method = methods::find(&name);
    let polled = method.is_some_and(|method| method.run.is_none());
    if let (true, Ok(params)) = (polled, &params) {
        return poll(&bot, params).await.send(&connection).await;
    }
    let mut params = params;
    if let (Some(method), Ok(params)) = (method, &mut params) {
        fetch::all(&simulator, method, params).await;
    }
    let exchange = Exchange::new(bot, method, &name, params, epoch, t_first, t_last);
    let call = exchange.number(&simulator);
    let seed = simulator.seed;
    // A task of its own: what the platform has read takes effect even when the caller hangs up.
    let running = tokio::spawn(exchange.run(call, seed, simulator.reply_delay));
    let (answer, _open) = running.await.expect("an exchange does not panic");
    answer.send(&connection).await
}

/// The method call in a webhook's answer. Nobody is told what became of it.
pub async fn by_webhook(simulator: &Simulator, bot: &Arc<Bot>, name: &str, call: &Value) {
    const NOT_HERE: [&str; 4] = ["setwebhook", "deletewebhook", "logout", "close"];
    let lower = name.to_ascii_lowercase();
    let method = methods::find(name).filter(|_| !lower.starts_with("get") && !NOT_HERE.contains(&lower.as_str()));
    let Some(method) = method else { return };
    let now = boottime_ns();
    let exchange = Exchange::new(Arc::clone(bot), Some(method), name, Ok(Params::of_json(call)), None, now, now);
    let number = exchange.number(simulator);
    exchange.run(number, simulator.seed, Duration::ZERO).await;
}

/// Token and method of a path. Tokens hold a colon, which some clients escape.
fn split_path(path: &str) -> Option<(String, String)> {
    let (token, method) = path.strip_prefix("/bot")?.split_once('/')?;
    let token = token.replace("%3A", ":").replace("%3a", ":");
    let (id, secret) = token.split_once(':')?;
    let formed = id.parse::<u64>().is_ok() && !secret.is_empty();
    formed.then(|| (token.clone(), method.trim_end_matches('/').to_owned()))
}

/// getUpdates: in no log as a call, yet faults strike it too.
async fn poll(bot: &Arc<Bot>, params: &Params) -> Answer {
    let fault = bot.lock().faults.take("getUpdates", None);
    let Some(fault) = fault else { return finish_poll(poll::get_updates(bot, params).await) };
    tokio::time::sleep(Duration::from_millis(fault.delay_ms)).await;
    let answer = match fault.mode.applies() {
        true => finish_poll(poll::get_updates(bot, params).await),
        false => Answer::of(&Err(refusal(&fault))),
    };
    answer.spoiled(fault.mode)
}

fn finish_poll(polled: Result<Vec<u8>, ApiError>) -> Answer {
    match polled {
        Ok(body) => Answer::ok(body),
        Err(error) => Answer::of(&Err(error)),
    }
}

/// What a fault without effect tells, where it tells anything.
pub fn refusal(fault: &Fault) -> ApiError {
    match fault.mode {
        Mode::Flood => ApiError::flood(fault.retry_after.unwrap_or(DEFAULT_RETRY_AFTER_S).max(1)),
        Mode::OkFalseBefore | Mode::ErrorBefore => ApiError::custom(
            fault.error_code.unwrap_or(400),
            fault.description.as_deref().unwrap_or("Bad Request: CHAT_WRITE_FORBIDDEN"),
        ),
        _ => ApiError::internal(),
    }
}

/// Counts a call as open until its caller has the answer or has gone.
struct OpenCall(Arc<Bot>);

impl Drop for OpenCall {
    fn drop(&mut self) {
        self.0.open_calls.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Exchange {
    bot: Arc<Bot>,
    name: String,
    method: Option<&'static methods::Method>,
    params: Result<Params, ApiError>,
    chat: Option<String>,
    epoch: Option<i64>,
    t_first: u64,
    t_last: u64,
}

/// What became of a request before its answer is sent.
struct Ended {
    answer: Answer,
    applied: bool,
    message_ids: Vec<i64>,
    retry_after: Option<u64>,
    t_counted: Option<u64>,
}

impl Exchange {
    fn new(
        bot: Arc<Bot>,
        method: Option<&'static methods::Method>,
        name: &str,
        params: Result<Params, ApiError>,
        epoch: Option<i64>,
        t_first: u64,
        t_last: u64,
    ) -> Self {
        let chat = params.as_ref().ok().and_then(|params| params.given("chat_id")).map(|chat| chat.trim().to_owned());
        let name = method.map_or(name, |method| method.name).to_owned();
        Self { bot, name, method, params, chat, epoch, t_first, t_last }
    }

    fn number(&self, simulator: &Simulator) -> u64 {
        self.bot.open_calls.fetch_add(1, Ordering::Relaxed);
        simulator.calls.fetch_add(1, Ordering::Relaxed) + 1
    }

    async fn run(self, call: u64, seed: u64, reply_delay: Duration) -> (Answer, OpenCall) {
        let open = OpenCall(Arc::clone(&self.bot));
        let params = self.params.as_ref().ok();
        let text = params.and_then(witness::words);
        let (tag, hash) = (text.as_deref().and_then(tag), text.as_ref().map(|text| sha256_hex(text.as_bytes())));
        let log = Arc::clone(&self.bot.lock().log);
        log.write(Event::CallOpen {
            acct: &self.bot.name,
            call,
            method: &self.name,
            chat: self.chat.as_deref(),
            tag,
            t_first: self.t_first,
        });
        let ended = self.answer(call, seed).await;
        if ended.answer.leaves() && !reply_delay.is_zero() {
            tokio::time::sleep(reply_delay).await;
        }
        let reply = ended.answer.word();
        let pmids: Vec<_> = ended.message_ids.iter().map(i64::to_string).collect();
        let (file, files) = self.files();
        let strange = match (self.method, params) {
            (Some(method), Some(params)) if ended.applied => witness::strange(method, params),
            _ => Vec::new(),
        };
        let t_reply = ended.answer.leaves().then(boottime_ns);
        log.write(Event::Call(Call {
            acct: &self.bot.name,
            call,
            method: &self.name,
            chat: self.chat.as_deref(),
            tag,
            hash: hash.as_deref(),
            file,
            idem: None,
            epoch: self.epoch,
            t_first: self.t_first,
            t_last: self.t_last,
            t_reply,
            reply: &reply,
            applied: ended.applied,
            pmid: pmids.first().map(String::as_str),
            pmids: pmids.clone(),
            files,
            asked: params.map(witness::asked).unwrap_or_default(),
            strange,
            retry_after: ended.retry_after,
            t_counted: ended.t_counted,
        }));
        *self.bot.lock().replies.entry(reply).or_default() += 1;
        (ended.answer, open)
    }

    /// The file that the call sends, and those of an album.
    fn files(&self) -> (Option<Seen>, Vec<Seen>) {
        let (Some(method), Ok(params)) = (self.method, &self.params) else { return (None, Vec::new()) };
        let state = self.bot.lock();
        (witness::file(&state, method, params), witness::files(&state, params))
    }

    /// Flood control first, then faults, then the method. A call that flood control refuses meets no fault.
    async fn answer(&self, call: u64, seed: u64) -> Ended {
        let (Some(methods::Method { run: Some(run), .. }), Ok(params)) = (self.method, &self.params) else {
            let error = self.params.as_ref().err().filter(|_| self.method.is_some()).cloned();
            return ended(&Err(error.unwrap_or_else(ApiError::not_found)));
        };
        self.arrive(call, seed).await;
        let (now_ns, admitted) = self.admit();
        let counted = |ended: Ended| Ended { t_counted: Some(now_ns), ..ended };
        let fault = match admitted {
            Err(seconds) => return counted(ended(&Err(ApiError::flood(seconds)))),
            Ok(None) => return counted(ended(&self.apply(*run, params))),
            Ok(Some(fault)) => fault,
        };
        if fault.delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(fault.delay_ms)).await;
        }
        if fault.mode == Mode::Mute && self.method.is_some_and(methods::Method::has_effect) {
            let told = self.bot.lock().without_effect(|state| run(state, params));
            return Ended { applied: false, message_ids: Vec::new(), ..counted(ended(&told)) };
        }
        let outcome = match fault.mode.applies() {
            true => self.apply(*run, params),
            false => Err(refusal(&fault)),
        };
        let ended = counted(ended(&outcome));
        Ended { answer: ended.answer.spoiled(fault.mode), ..ended }
    }

    /// The call's way inside the platform, until it is counted.
    async fn arrive(&self, call: u64, seed: u64) {
        let rules = self.bot.lock().limiter.rules;
        let arrives_ns = self.t_first + rules.arrival_ns(seed, call);
        let left_ns = arrives_ns.saturating_sub(boottime_ns());
        if left_ns > 0 {
            tokio::time::sleep(Duration::from_nanos(left_ns)).await;
        }
    }

    /// Lets the call through with the fault that strikes it, or tells the seconds to wait; also when that was.
    fn admit(&self) -> (u64, Result<Option<Fault>, u64>) {
        let chat = self.chat.as_deref().and_then(|chat| chat.parse().ok());
        let mut state = self.bot.lock();
        let counting = state.limiter.rules.counting;
        let limited = self.method.and_then(|method| method.limited_chat(chat, counting));
        // Under the lock: windows are in the order of their times.
        let now_ns = boottime_ns();
        if let Err(seconds) = state.limiter.admit(now_ns, limited) {
            return (now_ns, Err(seconds));
        }
        let fault = state.faults.take(&self.name, chat);
        if let Some(flood) = fault.as_ref().filter(|fault| fault.mode == Mode::Flood) {
            let scope = limited.filter(|_| !flood.whole_bot).map_or(Scope::Bot, Scope::Chat);
            let seconds = flood.retry_after.unwrap_or(DEFAULT_RETRY_AFTER_S).max(1);
            state.limiter.pause(scope, now_ns, seconds);
        }
        (now_ns, Ok(fault))
    }

    fn apply(&self, run: Run, params: &Params) -> Outcome {
        run(&mut self.bot.lock(), params)
    }
}

fn ended(outcome: &Outcome) -> Ended {
    let answer = Answer::of(outcome);
    match outcome {
        Ok(success) => {
            let message_ids = success.message_ids.clone();
            Ended { answer, applied: true, message_ids, retry_after: None, t_counted: None }
        }
        Err(error) => {
            let retry_after = error.retry_after;
            Ended { answer, applied: false, message_ids: Vec::new(), retry_after, t_counted: None }
        }
    }
}
