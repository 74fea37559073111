//! Telegram, through its Bot API. README.md beside this file says which documents were read.

mod content;
mod files;
mod net;
mod parse;
mod render;
mod wire;

use std::time::Duration;

use async_trait::async_trait;
use axum::http::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use switchboard_common::model::{Inbound, RawUpdate};
use switchboard_common::service::config::SecretFile;

use crate::platform::{
    AddressKind, Admitted, Answer, Batch, Call, Deadline, Download, FetchError, FileAt, FileBody, FileLimits, Forged,
    Http, Limit, Moment, Origin, Outbound, ParseError, Platform, PlatformSpec, PollError, Scope, SendError, Settings,
    SettingsError, Step, Webhook, WebhookAnswer, WebhookInfo, WebhookRequest, is_one_of,
};

/// Telegram's row. Limits: "Broadcasting to Users" and "My bot is hitting limits" in the Bot FAQ: about 30 messages a
/// second over all, one a second in a chat, 20 a minute in a group. Text: `sendMessage`, 1-4096 characters, counted in
/// UTF-16 code units. Files: "Sending files", by upload 10 MB photos, 50 MB others; captions 0-1024 characters.
pub const SPEC: PlatformSpec = PlatformSpec {
    name: "telegram",
    limits: &[
        Limit { count: 30, window: Duration::from_secs(1), scope: Scope::Account },
        Limit { count: 1, window: Duration::from_secs(1), scope: Scope::Chat },
        Limit { count: 20, window: Duration::from_secs(60), scope: Scope::Group },
    ],
    text_max_utf16: 4096,
    files: Some(FileLimits { photo_max_bytes: 10 << 20, file_max_bytes: 50 << 20, caption_max_utf16: 1024 }),
    // "Chat ID": of a private chat it is the user's. Who has never written to the bot is refused by the platform.
    address: Some(AddressKind::Number),
    webhook_secret: Some(check_secret),
    open,
};

/// Brings a webhook's secret back to us, with every request.
const SECRET_HEADER: &str = "x-telegram-bot-api-secret-token";

/// What an answer says when the file cannot be shown as a photo.
const NOT_A_PHOTO: &str = "not_a_photo";

/// An account: one bot.
pub(super) struct Telegram {
    http: Http,
    base_url: String,
    /// Where customers' files are.
    origin: Origin,
    /// Looked up again for each call: an operator may change it.
    token: SecretFile,
}

const SETTINGS: &str = "token (a reference: file:/path, credential:NAME or env:NAME) and base_url (optional)";

fn open(settings: &Settings, http: Http) -> Result<Box<dyn Platform>, SettingsError> {
    let text = |key: &str| settings.get(key).and_then(|value| value.as_str());
    if let Some(unknown) = settings.keys().find(|key| !["token", "base_url"].contains(&key.as_str())) {
        return Err(SettingsError(format!("telegram has no setting \"{unknown}\"; it has {SETTINGS}")));
    }
    let reference = text("token").ok_or_else(|| SettingsError(format!("telegram needs {SETTINGS}")))?;
    let token = SecretFile::open(reference).map_err(|error| SettingsError(format!("token: {error}")))?;
    let base_url = text("base_url").unwrap_or("https://api.telegram.org").trim_end_matches('/').to_owned();
    let origin = match text("base_url") {
        None => Origin::Host("api.telegram.org"),
        // It is not quoted: it may hold a password.
        Some(_) => Origin::configured(&base_url).ok_or_else(|| {
            SettingsError(
                "base_url must be https://HOST (or http:// for a local server), without a password or a query"
                    .to_owned(),
            )
        })?,
    };
    Ok(Box::new(Telegram { http, base_url, origin, token }))
}

#[async_trait]
impl Platform for Telegram {
    fn parse(&self, update: &RawUpdate) -> Result<Vec<Inbound>, ParseError> {
        parse::update(update)
    }

    fn step(&self, part: &Outbound, answers: &[Answer]) -> Step {
        render::step(part, answers)
    }

    fn scope(&self, chat_key: &str) -> Scope {
        // Groups and channels have negative ids.
        if chat_key.starts_with('-') { Scope::Group } else { Scope::Chat }
    }

    async fn poll(&self, cursor: Option<&str>, wait: Duration) -> Result<Batch, PollError> {
        self.get_updates(cursor, wait).await
    }

    async fn send(&self, call: &Call, file: Option<FileBody>, deadline: &Deadline) -> Result<Answer, SendError> {
        self.call(call, file, deadline).await
    }

    async fn locate(&self, platform_ref: &str, deadline: &Deadline) -> Result<FileAt, FetchError> {
        self.get_file(platform_ref, deadline).await
    }

    async fn fetch(&self, at: &FileAt, max_bytes: u64, deadline: Moment) -> Result<Download, FetchError> {
        Ok(self.http.get_stream(at.url.expose_secret(), &self.origin, max_bytes, deadline).await?)
    }

    async fn probe(&self, deadline: &Deadline) -> Result<(), PollError> {
        self.get_me(deadline).await
    }

    fn knock(&self, headers: &HeaderMap, secrets: &[SecretString]) -> Result<(), Forged> {
        let mut given = headers.get_all(SECRET_HEADER).iter();
        match (given.next(), given.next()) {
            (Some(only), None) if is_one_of(only.as_bytes(), secrets) => Ok(()),
            _ => Err(Forged),
        }
    }

    fn admit(&self, request: &WebhookRequest<'_>) -> Result<Admitted, Forged> {
        // Neither the body nor the moment is signed: the secret is all there is.
        self.knock(request.headers, request.secrets)?;
        let updates = vec![RawUpdate(request.body.to_vec())];
        // An answer with a body could be taken for a call, whose result nobody would see.
        Ok(Admitted { updates, answer: WebhookAnswer::default() })
    }

    async fn webhook_info(&self, deadline: &Deadline) -> Result<WebhookInfo, PollError> {
        self.get_webhook_info(deadline).await
    }

    async fn register(&self, hook: Option<&Webhook>, deadline: &Deadline) -> Result<(), PollError> {
        match hook {
            Some(hook) => self.set_webhook(hook, deadline).await,
            None => self.delete_webhook(deadline).await,
        }
    }
}

/// `setWebhook`: 1-256 characters, only A-Z, a-z, 0-9, _ and -. Shorter than 16 it can be guessed.
fn check_secret(secret: &str) -> Result<(), &'static str> {
    if !(16..=256).contains(&secret.len()) {
        return Err("telegram takes at most 256 characters, and fewer than 16 can be guessed");
    }
    match secret.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
        true => Ok(()),
        false => Err("telegram allows only A-Z, a-z, 0-9, _ and - in it"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_password_in_an_address_is_refused_and_not_repeated() {
        for address in ["https://bot:hunter2@bots.example", "ftp://hunter2", "hunter2"] {
            let settings = json!({"token": "env:PATH", "base_url": address});
            let refused =
                Http::new().map(|http| SPEC.open(&settings, http).map(drop).map_err(|error| error.to_string()));
            let words = refused.expect("a client").expect_err(address);
            assert!(words.contains("base_url") && !words.contains("hunter2"), "{words}");
        }
    }
}
