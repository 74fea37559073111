//! The contract between a platform's folder and the connector.
//!
//! **`fn` is pure; `async fn` is one exchange with the platform.** No loop, retry, sleep, SQL or znode in a
//! platform's folder: [`crate::intake`] and [`crate::sender`] own those once, for all.

mod webhook;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::http::HeaderMap;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;
pub use switchboard_common::model::{AddressKind, FileLimits, Limit, Scope};
use switchboard_common::model::{Capabilities, Epoch, FileKind, Inbound, RawUpdate};
pub use switchboard_common::service::clock::Moment;

pub use crate::http::{Deadline, Download, DownloadError, FileBody, Http, Origin, Upload};
use crate::webhook::Secrets;
pub(crate) use crate::webhook::is_one_of;
pub use webhook::{Admitted, Forged, Receive, Webhook, WebhookAnswer, WebhookInfo, WebhookRequest};

/// An account, opened.
pub struct Opened {
    /// Its platform.
    pub platform: Arc<dyn Platform>,
    /// What it can do, limits in force included.
    pub capabilities: Capabilities,
    /// How its updates come.
    pub receive: Receive,
    /// By what its webhook requests are known; none: it takes none.
    pub secrets: Option<Arc<Secrets>>,
}

/// One platform: what it is called, what it allows, how to open an account of it.
pub struct PlatformSpec {
    /// Config value, znode segment, metric label.
    pub name: &'static str,
    /// Ceilings as the platform publishes them.
    pub limits: &'static [Limit],
    /// Longest text of one part, UTF-16 code units.
    pub text_max_utf16: usize,
    /// What may be attached; none: nothing.
    pub files: Option<FileLimits>,
    /// By what an agent may open a chat; none: customers write first.
    pub address: Option<AddressKind>,
    /// Says what is wrong with a webhook's secret; none: updates do not come by webhooks.
    pub webhook_secret: Option<CheckSecret>,
    /// Checks the platform's own settings; use [`open`](Self::open).
    pub open: Open,
}

/// Says what is wrong with a secret.
pub type CheckSecret = fn(&str) -> Result<(), &'static str>;

/// Opens an account by its settings.
pub type Open = fn(&Settings, Http) -> Result<Box<dyn Platform>, SettingsError>;

impl PlatformSpec {
    /// Checks an account's settings and opens it. Every platform's are `limits`, a list that replaces those the platform
    /// publishes for the same scopes, and, where it brings updates, `receive` and `webhook_secret`. The rest is its own.
    pub fn open(&self, settings: &Value, http: Http) -> Result<Opened, SettingsError> {
        let mut own = settings.as_object().cloned().unwrap_or_default();
        let limits = match own.remove("limits") {
            Some(wanted) => self.limits_with(&wanted)?,
            None => self.limits.to_vec(),
        };
        let (receive, secrets) = self.receive_with(&mut own)?;
        let platform = (self.open)(&own, http)?.into();
        let Self { text_max_utf16, files, address, .. } = *self;
        let capabilities = Capabilities { text_max_utf16, limits, files, address };
        Ok(Opened { platform, capabilities, receive, secrets })
    }

    fn receive_with(&self, own: &mut Settings) -> Result<(Receive, Option<Arc<Secrets>>), SettingsError> {
        let Some(check) = self.webhook_secret else { return Ok((Receive::Poll, None)) };
        let secrets = match own.remove("webhook_secret") {
            None => None,
            Some(Value::String(reference)) => Some(Arc::new(Secrets::open(&reference, check)?)),
            Some(_) => return Err(SettingsError("webhook_secret: must be a reference to a secret".to_owned())),
        };
        match own.remove("receive").as_ref().map(Value::as_str) {
            None | Some(Some("poll")) => Ok((Receive::Poll, secrets)),
            Some(Some("webhook")) if secrets.is_some() => Ok((Receive::Webhook, secrets)),
            Some(Some("webhook")) => Err(SettingsError(
                "receive=webhook needs webhook_secret, a reference: file:/path or env:NAME".to_owned(),
            )),
            Some(_) => Err(SettingsError("receive: must be poll or webhook".to_owned())),
        }
    }

    fn limits_with(&self, wanted: &Value) -> Result<Vec<Limit>, SettingsError> {
        let list = wanted.as_array().ok_or_else(|| SettingsError("limits: must be a list".to_owned()))?;
        let own: Result<Vec<Limit>, String> = list.iter().map(Limit::from_json).collect();
        let mut own = own.map_err(|error| SettingsError(format!("limits: {error}")))?;
        let published = self.limits.iter().filter(|limit| own.iter().all(|other| other.scope != limit.scope)).copied();
        let mut limits: Vec<Limit> = published.collect();
        limits.append(&mut own);
        Ok(limits)
    }
}

/// The account's own options, as the operator set them.
pub type Settings = serde_json::Map<String, Value>;

/// An option that is wrong, and what would be right.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SettingsError(pub String);

/// An account of a platform.
#[async_trait]
pub trait Platform: Send + Sync {
    /// Reads an update; pure. Nothing of interest is an [`InboundItem::Ignored`](switchboard_common::model::InboundItem).
    fn parse(&self, update: &RawUpdate) -> Result<Vec<Inbound>, ParseError>;

    /// Rendering: the next call of a part, given the answers so far; pure.
    fn step(&self, part: &Outbound, answers: &[Answer]) -> Step;

    /// Which limits count for a chat.
    fn scope(&self, chat_key: &str) -> Scope;

    /// Asks for updates after `cursor`, waiting up to `wait` for the first.
    async fn poll(&self, cursor: Option<&str>, wait: Duration) -> Result<Batch, PollError>;

    /// One call, with the bytes of the file when it is one that uploads. No byte is written once `deadline` has passed.
    async fn send(&self, call: &Call, file: Option<FileBody>, deadline: &Deadline) -> Result<Answer, SendError>;

    /// Asks where the bytes of a customer's file are.
    async fn locate(&self, platform_ref: &str, deadline: &Deadline) -> Result<FileAt, FetchError>;

    /// Begins to fetch them, at most `max_bytes`, none after `deadline`.
    async fn fetch(&self, at: &FileAt, max_bytes: u64, deadline: Moment) -> Result<Download, FetchError>;

    /// Asks the platform who we are: proves that it can be reached and takes our credentials.
    async fn probe(&self, deadline: &Deadline) -> Result<(), PollError>;

    /// Whether a webhook request may come from the platform, by its head alone: a stranger's body is not even read; pure.
    fn knock(&self, _: &HeaderMap, _: &[SecretString]) -> Result<(), Forged> {
        Err(Forged)
    }

    /// Takes the updates out of a webhook request that comes from the platform, and says what it is answered with; pure.
    fn admit(&self, _: &WebhookRequest<'_>) -> Result<Admitted, Forged> {
        Err(Forged)
    }

    /// Asks where the platform delivers.
    async fn webhook_info(&self, _: &Deadline) -> Result<WebhookInfo, PollError> {
        Ok(WebhookInfo::default())
    }

    /// Tells the platform where to deliver from now on, or that we ask. What waits stays.
    async fn register(&self, _: Option<&Webhook>, _: &Deadline) -> Result<(), PollError> {
        Err(PollError::Trouble("this platform has no webhooks".to_owned()))
    }
}

/// A part to be sent.
#[derive(Clone, Debug)]
pub struct Outbound {
    /// The chat as the platform names it.
    pub chat_key: String,
    /// Its text; with a file, what goes with that, and may be empty.
    pub text: String,
    /// The file it carries.
    pub file: Option<OutboundFile>,
}

/// What a platform is told of a file; its bytes come when they are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundFile {
    /// As what it is sent: a photo or a document.
    pub kind: FileKind,
    /// As declared.
    pub name: Option<String>,
    /// What its bytes show, else as declared.
    pub mime: Option<String>,
    /// How many bytes it has.
    pub size_bytes: u64,
}

/// One request to the platform.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The platform's name of the method.
    pub method: &'static str,
    /// Its body.
    pub body: Value,
    /// How the part's file goes with it; none: it does not.
    pub upload: Option<Upload>,
    /// Slots it takes of every limit that counts for its chat; most platforms count each call as one.
    pub cost: usize,
    /// The tenure on whose behalf it is made.
    pub epoch: Option<Epoch>,
}

/// What a part needs next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// The call that delivers it: the only at-most-once zone.
    Deliver(Call),
    /// It cannot be delivered.
    Refuse(Refusal),
    /// It was delivered, under this id.
    Done {
        /// The platform's id of the part.
        platform_id: String,
    },
}

/// What the platform answered to a call that it did not refuse for good.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Taken, under this id.
    Sent {
        /// The platform's id of the part.
        platform_id: String,
    },
    /// Not taken: the chat has another key now, use that.
    Moved {
        /// The new key.
        chat_key: String,
    },
    /// Not taken, and not in vain: what the platform said, in its folder's own words, for the next step.
    Said(Value),
}

/// Why a call did not bring an answer; each names the next move.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SendError {
    /// Hold the limiter; spends no attempt.
    #[error("throttled for {retry_after:?}")]
    Throttled {
        /// As the platform says.
        retry_after: Option<Duration>,
    },
    /// Certainly not delivered: try again, with back-off.
    #[error("not sent: {0}")]
    NotSent(String),
    /// May have arrived: never resend blindly.
    #[error("unclear: {0}")]
    Unclear(String),
    /// Final.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// Token revoked, account blocked: stop the outbox, change health.
    #[error("account down: {0}")]
    AccountDown(String),
}

/// Where the bytes of a file are, for a while. It may hold a token: it is shown and kept nowhere.
#[derive(Debug)]
pub struct FileAt {
    /// The address.
    pub url: SecretString,
    /// How many bytes there are, when the platform says so.
    pub size_bytes: Option<u64>,
}

/// Why a file is not here yet; each names the next move.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The platform says when. Says nothing about the file.
    #[error("throttled for {0:?}")]
    Throttled(Duration),
    /// Try again, with back-off.
    #[error("{0}")]
    Trouble(String),
    /// The platform does not have it, or not just now: a few tries tell.
    #[error("{0}")]
    Missing(String),
    /// Final; readable to an agent.
    #[error("{0}")]
    Refused(String),
    /// Credentials are refused: an operator must act. Says nothing about the file.
    #[error("{0}")]
    AccountDown(String),
}

impl From<DownloadError> for FetchError {
    fn from(error: DownloadError) -> Self {
        match error {
            DownloadError::Broken(why) => Self::Trouble(why),
            DownloadError::Forbidden(_) => Self::Refused(error.to_string()),
            DownloadError::TooLarge => Self::Refused("the file is too large to be fetched".to_owned()),
            DownloadError::Status(404 | 410) => Self::Missing("the platform no longer has the file".to_owned()),
            DownloadError::Status(429) => Self::Throttled(Duration::from_secs(1)),
            DownloadError::Status(status) => Self::Trouble(format!("HTTP {status}")),
        }
    }
}

/// Final reasons, readable to an agent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The customer blocked us.
    #[error("the customer has blocked this account")]
    Blocked,
    /// The platform does not know the chat, or the customer never wrote to us.
    #[error("the platform does not let this account write to this chat")]
    Unreachable,
    /// The customer's account is gone.
    #[error("the customer's account no longer exists")]
    Gone,
    /// We may not write in this group.
    #[error("this account may not write in this group")]
    NoRights,
    /// The text is not acceptable.
    #[error("the platform does not accept this text: {0}")]
    Content(String),
    /// The file is not acceptable.
    #[error("the platform does not accept this file: {0}")]
    File(String),
    /// Anything else the platform says.
    #[error("the platform refused: {0}")]
    Other(String),
}

/// What a poll brought.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The updates, raw, in the platform's order.
    pub updates: Vec<RawUpdate>,
    /// Where to go on once they are stored; `None` when nothing moved.
    pub next: Option<String>,
}

/// Why a poll brought nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum PollError {
    /// Try again after a pause.
    #[error("{0}")]
    Trouble(String),
    /// The platform says when.
    #[error("throttled for {0:?}")]
    Throttled(Duration),
    /// Somebody else reads this account's updates.
    #[error("{0}")]
    Conflict(String),
    /// A webhook is set, so nobody can ask.
    #[error("{0}")]
    WebhookSet(String),
    /// Credentials are refused: an operator must act.
    #[error("{0}")]
    AccountDown(String),
}

/// An update that cannot be read. Says where, never what it holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(pub String);
