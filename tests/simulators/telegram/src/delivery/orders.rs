//! Requests that a test orders beside the deliveries: old ones again, and forged ones.

use std::sync::Arc;

use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::json;

use super::{
    Lane,
    post::{SECRET_HEADER, ask, client},
};
use crate::{
    bot::{Bot, State},
    log::Event,
    queue::Update,
    server::Simulator,
    text::sha256_hex,
};

/// Which delivered updates are sent again, and how.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// Only this one.
    key: Option<String>,
    /// Only so many of the last.
    last: Option<usize>,
    /// How often each.
    #[serde(default = "one")]
    times: usize,
    /// Where to; nowhere named: to the webhook's address.
    #[serde(default)]
    to: Vec<String>,
    /// All at once instead of one after the other.
    #[serde(default)]
    at_once: bool,
}

fn one() -> usize {
    1
}

/// What is wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// No header with the secret.
    NoSecret,
    /// An empty one.
    EmptySecret,
    /// Another secret of the same length.
    WrongSecret,
    /// One bit of it is another.
    ChangedSecret,
    /// Its last character is missing.
    ShortSecret,
    /// It has one character more.
    LongSecret,
    /// A wrong one, and then the right one in a second header.
    TwoSecrets,
    /// The right secret over a body in which one bit was changed: this platform signs no body, so it counts as typed.
    ChangedBody,
    /// The right secret over far too much.
    HugeBody,
}

/// A request that the platform never made.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forge {
    how: How,
    /// Whose message it claims to be.
    chat: i64,
    /// Where to, instead of the webhook's address.
    to: Option<String>,
    /// `huge_body`: so many bytes.
    #[serde(default = "huge")]
    bytes: usize,
}

fn huge() -> usize {
    16 << 20
}

/// The webhook's address and secret, and the patience with it.
fn target(state: &State) -> Result<(String, String, u64), String> {
    let hook = state.webhook.as_ref().ok_or("no webhook is set")?;
    Ok((hook.url.clone(), hook.secret_token.clone(), state.delivery.behaviour.timeout_ms))
}

/// Sends captured updates again, exactly as they were. The statuses; none where no answer came.
pub async fn replay(simulator: &Simulator, bot: &Arc<Bot>, order: Replay) -> Result<Vec<Option<u16>>, String> {
    let (requests, secret, timeout_ms) = {
        let state = bot.lock();
        let (url, secret, timeout_ms) = target(&state)?;
        let to = if order.to.is_empty() { vec![url] } else { order.to };
        let matching =
            state.delivery.captured.iter().filter(|old| order.key.as_ref().is_none_or(|key| *key == old.key));
        let mut old: Vec<Update> = matching.cloned().collect();
        let first = old.len().saturating_sub(order.last.unwrap_or(usize::MAX));
        old.drain(..first);
        if old.is_empty() {
            return Err("no such update was delivered".to_owned());
        }
        let each = old.into_iter().flat_map(|update| std::iter::repeat_n(update, order.times));
        let each = each.flat_map(|update| to.iter().map(move |url| (update.clone(), url.clone())));
        (each.collect::<Vec<_>>(), secret, timeout_ms)
    };
    let send = async |(mut update, url): (Update, String)| {
        update.tries += 1;
        bot.lock().given(&update);
        let request = client(simulator).post(&url).body(update.bytes.clone()).header(SECRET_HEADER, &secret);
        let reply = ask(bot, request, &url, &update.key, timeout_ms).await;
        if reply.is_success() {
            bot.lock().taken(&update, reply.status);
        }
        reply.status
    };
    if order.at_once {
        return Ok(join_all(requests.into_iter().map(send)).await);
    }
    let mut statuses = Vec::new();
    for request in requests {
        statuses.push(send(request).await);
    }
    Ok(statuses)
}

/// Sends a request that is not the platform's. Its status.
pub async fn forge(simulator: &Simulator, bot: &Arc<Bot>, order: Forge) -> Result<Option<u16>, String> {
    let (url, secret, timeout_ms) = target(&bot.lock())?;
    let url = order.to.unwrap_or(url);
    let (update_id, body) = {
        let mut state = bot.lock();
        state.delivery.attempts += 1;
        // Beyond every message that anybody will write here.
        let number = 2_000_000_000 + state.delivery.attempts;
        let (chat, from) =
            (state.chats.describe(order.chat), json!({"id": order.chat, "is_bot": false, "first_name": "Eve"}));
        let message = json!({
            "message_id": number, "date": state.now(), "chat": chat, "from": from, "text": format!("forged {:?}", order.how),
        });
        (number as i64, json!({ "update_id": number, "message": message }).to_string().into_bytes())
    };
    let post = |body: Vec<u8>| client(simulator).post(&url).body(body);
    let with = |secret: Vec<u8>, body: Vec<u8>| post(body).header(SECRET_HEADER, secret);
    let changed = |change: fn(&mut Vec<u8>)| {
        let mut secret = secret.clone().into_bytes();
        change(&mut secret);
        secret
    };
    let request = match order.how {
        How::NoSecret => post(body),
        How::EmptySecret => with(Vec::new(), body),
        How::WrongSecret => with(changed(|secret| secret.iter_mut().for_each(|byte| *byte = b'x')), body),
        // Bit 0 keeps letters and digits letters and digits, or nearly so: printable in any case.
        How::ChangedSecret => with(changed(|secret| secret.iter_mut().take(1).for_each(|byte| *byte ^= 1)), body),
        How::ShortSecret => with(changed(|secret| secret.truncate(secret.len().saturating_sub(1))), body),
        How::LongSecret => with(changed(|secret| secret.push(b'a')), body),
        How::TwoSecrets => with(b"wrong".to_vec(), body).header(SECRET_HEADER, &secret),
        How::HugeBody => with(secret.clone().into_bytes(), vec![b' '; order.bytes]),
        How::ChangedBody => return Ok(changed_body(simulator, bot, &url, &secret, (update_id, body), timeout_ms).await),
    };
    Ok(ask(bot, request, &url, "forged", timeout_ms).await.status)
}

/// The platform vouches for it by the secret, so it may not be lost either: what cannot be read is kept as it is.
async fn changed_body(
    simulator: &Simulator,
    bot: &Arc<Bot>,
    url: &str,
    secret: &str,
    (id, mut bytes): (i64, Vec<u8>),
    timeout_ms: u64,
) -> Option<u16> {
    bytes[0] ^= 1;
    let key = format!("q:{}", sha256_hex(&bytes));
    let update = Update { id, bytes, key, chat: None, pseq: 0, tries: 1, expires_at: i64::MAX, lane: Lane::Loose(id) };
    {
        let state = bot.lock();
        let (acct, key) = (&state.acct, &update.key);
        let (chat, tag, hash, file, kind, pmid) = (None, None, None, None, None, None);
        state.log.write(Event::Typed { acct, key, chat, pseq: 0, tag, hash, update_id: id, file, kind, pmid });
        state.given(&update);
    }
    let request = client(simulator).post(url).body(update.bytes.clone()).header(SECRET_HEADER, secret);
    let reply = ask(bot, request, url, &update.key, timeout_ms).await;
    if reply.is_success() {
        bot.lock().taken(&update, reply.status);
    }
    reply.status
}
