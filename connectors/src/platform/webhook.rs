//! What platforms bring by themselves.

use axum::http::HeaderMap;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use switchboard_common::model::RawUpdate;

/// How an account's updates come: setting `receive`, every platform's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receive {
    /// The active connector asks for them.
    Poll,
    /// The platform brings them, to the active and to the standby alike.
    Webhook,
}

/// A request that says it comes from the platform.
#[derive(Debug)]
pub struct WebhookRequest<'a> {
    /// Its head.
    pub headers: &'a HeaderMap,
    /// Its raw bytes.
    pub body: &'a [u8],
    /// The secrets in force: the new one first, while there are two.
    pub secrets: &'a [SecretString],
}

/// What a request from the platform brings, and what the platform wants to hear.
#[derive(Debug, Default)]
pub struct Admitted {
    /// To be stored before the answer; what cannot be read is an update too. None: the answer waits for nothing.
    pub updates: Vec<RawUpdate>,
    /// The answer, when all is well.
    pub answer: WebhookAnswer,
}

/// The body of a 200.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookAnswer {
    /// Its media type; empty with an empty body.
    pub mime: &'static str,
    /// Its bytes; empty for platforms that look at the status alone.
    pub body: Vec<u8>,
}

/// It does not come from the platform. Says no more than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forged;

/// Where the platform shall deliver.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// The address.
    pub url: String,
    /// Sent with each request, or the key of its signature.
    pub secret: SecretString,
}

/// What the platform says of its deliveries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WebhookInfo {
    /// Where it delivers; empty: nowhere.
    pub url: String,
    /// Whether it delivers all kinds of updates that we read, and no others.
    pub as_wanted: bool,
    /// Updates that wait.
    pub pending: u64,
    /// What it says of the last delivery that failed.
    pub last_error: Option<String>,
    /// When that was, seconds of the epoch.
    pub failed_at: Option<i64>,
    /// When we last refused one as forged, seconds of the epoch: perhaps it has another secret than we.
    pub refused_at: Option<i64>,
    /// It believes a certificate that somebody gave it, and no other. We give it none.
    pub own_certificate: bool,
}

impl WebhookInfo {
    /// The same, fit to be written down: of an address other than `ours` the place alone.
    pub fn without_secrets(&self, ours: Option<&str>) -> Self {
        let url = if ours == Some(self.url.as_str()) { self.url.as_str() } else { self.place() };
        Self { url: url.to_owned(), ..self.clone() }
    }

    /// Scheme and host of where it delivers: the rest may hold a secret.
    pub fn place(&self) -> &str {
        let url = self.url.as_str();
        let host = url.find("://").map_or(0, |at| at + 3);
        let end = url[host..].find(['/', '?', '#']).map_or(url.len(), |at| host + at);
        match url[host..end].rfind('@') {
            Some(at) => &url[host + at + 1..end],
            None => &url[..end],
        }
    }
}
