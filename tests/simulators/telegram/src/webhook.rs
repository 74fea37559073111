//! setWebhook, deleteWebhook, getWebhookInfo. A webhook shuts out getUpdates; `delivery` brings the updates to it.

use serde_json::json;

use crate::{
    bot::State,
    clock::boottime_ns,
    params::Params,
    reply::{ApiError, Outcome, Success},
};

/// Longest secret token; the method reference.
const MAX_SECRET: usize = 256;
/// Deliveries at once of whoever names no number; the method reference.
const MAX_CONNECTIONS: i64 = 40;
/// Ports that the cloud server connects to.
const PORTS: [&str; 4] = ["443", "80", "88", "8443"];
/// More than about one setWebhook a second is refused.
const SET_INTERVAL_NS: u64 = 1_000_000_000;

/// A webhook that was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Where updates go.
    pub url: String,
    /// Sent with each delivery.
    pub secret_token: String,
    /// Deliveries at once.
    pub max_connections: i64,
    set_at_ns: u64,
}

/// Sets, changes or, with an empty address, removes the webhook.
pub fn set_webhook(state: &mut State, params: &Params) -> Outcome {
    let url = params.get("url").trim();
    if url.is_empty() {
        return delete_webhook(state, params);
    }
    check_url(url, state.local)?;
    let secret = params.get("secret_token");
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if secret.len() > MAX_SECRET || !secret.bytes().all(allowed) {
        return Err(ApiError::bad("secret token contains unallowed characters"));
    }
    let now_ns = boottime_ns();
    if state.webhook.as_ref().is_some_and(|hook| now_ns < hook.set_at_ns + SET_INTERVAL_NS) {
        return Err(ApiError::flood(1));
    }
    remember_allowed(state, params);
    drop_pending(state, params);
    let webhook = Webhook {
        url: url.to_owned(),
        secret_token: secret.to_owned(),
        max_connections: params.number("max_connections", MAX_CONNECTIONS, 1, 100),
        set_at_ns: now_ns,
    };
    let same = state.webhook.as_ref().is_some_and(|old| Webhook { set_at_ns: now_ns, ..old.clone() } == webhook);
    state.set(Some(webhook));
    let description = if same { "Webhook is already set" } else { "Webhook was set" };
    Ok(Success { description: Some(description), ..Success::of(json!(true)) })
}

impl Webhook {
    /// One that somebody else set; none for an empty address.
    pub fn by_stranger(url: String, secret_token: String) -> Option<Self> {
        let webhook = Self { url, secret_token, max_connections: MAX_CONNECTIONS, set_at_ns: boottime_ns() };
        Some(webhook).filter(|webhook| !webhook.url.is_empty())
    }
}

impl State {
    /// From now on this webhook gets what waits.
    pub fn set(&mut self, webhook: Option<Webhook>) {
        if webhook.is_some() {
            self.polling.end(ApiError::conflict("terminated by setWebhook request"), boottime_ns());
        }
        self.webhook = webhook;
        self.delivery.restart();
    }
}

fn check_url(url: &str, local: bool) -> Result<(), ApiError> {
    let bad = |why: &str| ApiError::bad(format!("bad webhook: {why}"));
    let plain = url.strip_prefix("http://").filter(|_| local);
    let rest = url.strip_prefix("https://").or(plain);
    let rest = rest.ok_or_else(|| bad("An HTTPS URL must be provided for webhook"))?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    match host.rsplit_once(':') {
        Some((_, port)) if !local && !PORTS.contains(&port) => {
            Err(bad("Webhook can be set up only on ports 80, 88, 443 or 8443"))
        }
        _ if host.is_empty() => Err(bad("Failed to resolve host: Name or service not known")),
        _ => Ok(()),
    }
}

/// Removes the webhook; waiting updates stay unless told otherwise.
pub fn delete_webhook(state: &mut State, params: &Params) -> Outcome {
    drop_pending(state, params);
    let was_set = state.webhook.is_some();
    state.set(None);
    let description = if was_set { "Webhook was deleted" } else { "Webhook is already deleted" };
    Ok(Success { description: Some(description), ..Success::of(json!(true)) })
}

/// What is set, and how much waits.
pub fn get_webhook_info(state: &mut State, _: &Params) -> Outcome {
    let now = state.now();
    state.queue.expire(now);
    let url = state.webhook.as_ref().map_or("", |hook| &hook.url);
    let mut info = json!({ "url": url, "has_custom_certificate": false, "pending_update_count": state.queue.len() });
    if let Some(hook) = &state.webhook {
        info["max_connections"] = json!(hook.max_connections);
        info["ip_address"] = json!("127.0.0.1");
        if let Some((date, why)) = &state.delivery.last_error {
            info["last_error_date"] = json!(date);
            info["last_error_message"] = json!(why);
        }
    }
    if let Some(allowed) = &state.allowed {
        info["allowed_updates"] = json!(allowed);
    }
    Ok(Success::of(info))
}

fn drop_pending(state: &mut State, params: &Params) {
    if params.flag("drop_pending_updates") {
        let dropped = state.queue.clear();
        state.acknowledged(&dropped);
    }
}

/// `allowed_updates` is remembered until it is given again; an empty list brings the default back. What is no list is
/// ignored, as the platform does.
pub fn remember_allowed(state: &mut State, params: &Params) {
    let Some(given) = params.given("allowed_updates") else { return };
    let Ok(kinds) = serde_json::from_str::<Vec<String>>(given) else { return };
    let kinds: Vec<_> = kinds.into_iter().map(|kind| kind.to_ascii_lowercase()).collect();
    state.allowed = (!kinds.is_empty()).then_some(kinds);
}
