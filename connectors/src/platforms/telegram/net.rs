//! The only file that touches the network: one exchange each, and what comes back sorted into what to do next.
//!
//! teloxide's own networking is not used: it sleeps ten seconds on a 5xx before it returns, and it drops the
//! HTTP status that tells an unclear answer from a refusal (docs/decisions/0002-teloxide.md).

use std::collections::HashSet;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use switchboard_common::model::RawUpdate;
use teloxide::payloads::{GetUpdates, GetUpdatesSetters};
use teloxide::types::AllowedUpdate;

/// The kinds of updates that are read.
const WANTED: [AllowedUpdate; 3] = [AllowedUpdate::Message, AllowedUpdate::EditedMessage, AllowedUpdate::MyChatMember];

/// Why a call that was refused is made again.
const TOKEN_CHANGED: &str = "the token was changed meanwhile";

use super::wire::{Envelope, SentMessage, UpdateId, WebhookTold};
use super::{NOT_A_PHOTO, Telegram};
use crate::http::{Deadline, HttpAnswer, HttpError};
use crate::platform::{Answer, Batch, Call, FileBody, PollError, Refusal, SendError, Webhook, WebhookInfo};

impl Telegram {
    pub(super) async fn post(
        &self,
        method: &str,
        body: Vec<u8>,
        headers: &[(&'static str, String)],
        deadline: &Deadline,
    ) -> Result<HttpAnswer, HttpError> {
        self.http.post(&self.url(method), headers, body, deadline).await
    }

    fn url(&self, method: &str) -> String {
        format!("{}/bot{}/{method}", self.base_url, self.token.current().expose_secret())
    }

    /// Whether the token has been changed since `used` was read: then a refusal was of the old one.
    fn has_another_token(&self, used: &SecretString) -> bool {
        self.token.reread();
        self.token.current().expose_secret() != used.expose_secret()
    }

    pub(super) async fn call(
        &self,
        call: &Call,
        file: Option<FileBody>,
        deadline: &Deadline,
    ) -> Result<Answer, SendError> {
        // Lets the simulator's log tell tenures apart; the fault tests' builds only.
        let headers: Vec<_> = call
            .epoch
            .filter(|_| cfg!(feature = "faults"))
            .map(|epoch| ("x-switchboard-epoch", epoch.to_string()))
            .into_iter()
            .collect();
        let used = self.token.current();
        let answer = match (&call.upload, file) {
            (None, _) => self.post(call.method, call.body.to_string().into_bytes(), &headers, deadline).await,
            (Some(upload), Some(file)) => {
                let (url, fields) = (self.url(call.method), fields(&call.body));
                self.http.post_multipart(&url, &headers, &fields, upload, file, deadline).await
            }
            (Some(_), None) => Err(HttpError::Unsent("the file's bytes are not there".to_owned())),
        };
        match answer {
            Ok(answer) => match classify(answer.status, answer.retry_after, &answer.body) {
                Err(SendError::AccountDown(_)) if self.has_another_token(&used) => {
                    Err(SendError::NotSent(TOKEN_CHANGED.to_owned()))
                }
                classified => classified,
            },
            Err(HttpError::Unsent(why)) => Err(SendError::NotSent(why)),
            Err(HttpError::Unanswered(why)) => Err(SendError::Unclear(why)),
        }
    }

    pub(super) async fn get_updates(&self, cursor: Option<&str>, wait: Duration) -> Result<Batch, PollError> {
        let mut request = GetUpdates::new().timeout(wait.as_secs() as u32).limit(100).allowed_updates(WANTED);
        request.offset = cursor.and_then(|cursor| cursor.parse().ok());
        let body = serde_json::to_vec(&request).map_err(|error| PollError::Trouble(error.to_string()))?;
        // The platform holds the call open for `wait`; a read past it is a broken connection.
        let deadline = Deadline::of(wait + Duration::from_secs(10));
        let used = self.token.current();
        let answer =
            self.post("getUpdates", body, &[], &deadline).await.map_err(|e| PollError::Trouble(e.to_string()))?;
        let result = match poll_result(&answer) {
            Err(PollError::AccountDown(_)) if self.has_another_token(&used) => {
                return Err(PollError::Trouble(TOKEN_CHANGED.to_owned()));
            }
            result => result?,
        };
        let updates: Vec<&RawValue> = serde_json::from_str(result.get())
            .map_err(|error| PollError::Trouble(format!("getUpdates: unreadable result: {error}")))?;
        // Ids may restart at a lower number after a quiet week: go on after the last one, whatever it is.
        let last = updates.iter().rev().find_map(|raw| serde_json::from_str::<UpdateId>(raw.get()).ok());
        Ok(Batch {
            updates: updates.iter().map(|raw| RawUpdate(raw.get().as_bytes().to_vec())).collect(),
            next: last.map(|last| (last.update_id + 1).to_string()),
        })
    }

    pub(super) async fn get_me(&self, deadline: &Deadline) -> Result<(), PollError> {
        let answer = self.ask("getMe", json!({}), deadline).await?;
        poll_result(&answer).map(drop)
    }

    pub(super) async fn get_webhook_info(&self, deadline: &Deadline) -> Result<WebhookInfo, PollError> {
        let answer = self.ask("getWebhookInfo", json!({}), deadline).await?;
        let told: WebhookTold = serde_json::from_str(poll_result(&answer)?.get())
            .map_err(|error| PollError::Trouble(format!("getWebhookInfo: unreadable result: {error}")))?;
        let wanted: HashSet<String> = WANTED.iter().filter_map(kind).collect();
        let refused = told.last_error_message.as_ref().is_some_and(|said| said.contains("401"));
        Ok(WebhookInfo {
            url: told.url,
            as_wanted: told.allowed_updates == wanted,
            pending: told.pending_update_count,
            last_error: told.last_error_message.map(|said| plain(&said)),
            failed_at: told.last_error_date,
            refused_at: told.last_error_date.filter(|_| refused),
            own_certificate: told.has_custom_certificate,
        })
    }

    pub(super) async fn set_webhook(&self, hook: &Webhook, deadline: &Deadline) -> Result<(), PollError> {
        let kinds: Vec<String> = WANTED.iter().filter_map(kind).collect();
        let secret = hook.secret.expose_secret();
        let body = json!({"url": hook.url, "secret_token": secret, "allowed_updates": kinds});
        poll_result(&self.ask("setWebhook", body, deadline).await?).map(drop)
    }

    pub(super) async fn delete_webhook(&self, deadline: &Deadline) -> Result<(), PollError> {
        poll_result(&self.ask("deleteWebhook", json!({}), deadline).await?).map(drop)
    }

    /// An exchange of the set-up.
    async fn ask(&self, method: &str, body: Value, deadline: &Deadline) -> Result<HttpAnswer, PollError> {
        let answer = self.post(method, body.to_string().into_bytes(), &[], deadline).await;
        answer.map_err(|error| PollError::Trouble(error.to_string()))
    }
}

/// The platform's word for a kind of updates.
fn kind(kind: &AllowedUpdate) -> Option<String> {
    serde_json::to_value(kind).ok()?.as_str().map(str::to_owned)
}

/// A call's body as the fields of a form: what is no text goes as JSON.
fn fields(body: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    body.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), text(value))).collect()
}

/// What a poll or probe may return, or why not.
fn poll_result(answer: &HttpAnswer) -> Result<&RawValue, PollError> {
    let Ok(envelope) = serde_json::from_slice::<Envelope>(&answer.body) else {
        return Err(PollError::Trouble(format!("HTTP {} without a Bot API answer", answer.status)));
    };
    if let (true, Some(result)) = (envelope.ok, envelope.result) {
        return Ok(result);
    }
    let words = format!("HTTP {}: {}", answer.status, envelope.description);
    Err(match envelope.error_code.unwrap_or(answer.status) {
        401 | 404 => PollError::AccountDown(format!("{words}: the token is wrong or revoked; set a new one")),
        // Of the two reasons for a 409 only one goes away by itself.
        409 if words.contains("webhook is active") => PollError::WebhookSet(words),
        409 => PollError::Conflict(words),
        429 => {
            let seconds = envelope.parameters.retry_after.or(answer.retry_after).unwrap_or(1);
            PollError::Throttled(pause(seconds))
        }
        _ => PollError::Trouble(words),
    })
}

/// The answer to a send. By code first and by lower-cased words second: descriptions change their wording.
pub(super) fn classify(status: u16, retry_after: Option<u64>, body: &[u8]) -> Result<Answer, SendError> {
    let envelope = match serde_json::from_slice::<Envelope>(body) {
        Ok(envelope) => envelope,
        // Not the Bot API speaking. A gateway's 413 is an answer all the same; anything else tells nothing.
        Err(_) if status == 413 => return Err(SendError::Refused(too_large())),
        Err(_) if status == 429 => {
            return Err(SendError::Throttled { retry_after: retry_after.map(pause) });
        }
        Err(_) => return Err(SendError::Unclear(format!("HTTP {status} without a Bot API answer"))),
    };
    if envelope.ok {
        return match envelope.result.and_then(|raw| serde_json::from_str::<SentMessage>(raw.get()).ok()) {
            Some(sent) => Ok(Answer::Sent { platform_id: sent.message_id.to_string() }),
            None => Err(SendError::Unclear("accepted, but without a message id".to_owned())),
        };
    }
    let code = envelope.error_code.unwrap_or(status);
    let said = envelope.description.to_lowercase();
    let has = |words: &str| said.contains(words);
    Err(match code {
        429 => {
            let seconds = envelope.parameters.retry_after.or(retry_after);
            SendError::Throttled { retry_after: seconds.map(pause) }
        }
        400 => match envelope.parameters.migrate_to_chat_id {
            Some(id) => return Ok(Answer::Moved { chat_key: id.to_string() }),
            None if has("chat not found") => SendError::Refused(Refusal::Unreachable),
            None if has("too long") || has("is empty") || has("parse entities") => {
                SendError::Refused(Refusal::Content(plain(&envelope.description)))
            }
            // Dimensions, or a picture that the platform cannot read.
            None if has("photo_") || has("image_process_failed") => return Ok(Answer::Said(NOT_A_PHOTO.into())),
            None if has("file is too big") || has("file must be non-empty") => {
                SendError::Refused(Refusal::File(plain(&envelope.description)))
            }
            None if has("not enough rights") || has("chat_write_forbidden") => SendError::Refused(Refusal::NoRights),
            None => SendError::Refused(Refusal::Other(plain(&envelope.description))),
        },
        401 | 404 => SendError::AccountDown(format!("HTTP {code}: the token is wrong or revoked")),
        403 if has("blocked") => SendError::Refused(Refusal::Blocked),
        403 if has("deactivated") => SendError::Refused(Refusal::Gone),
        403 if has("initiate") => SendError::Refused(Refusal::Unreachable),
        403 if has("kicked") || has("not a member") || has("deleted") => SendError::Refused(Refusal::NoRights),
        403 => SendError::Refused(Refusal::Other(plain(&envelope.description))),
        413 => SendError::Refused(too_large()),
        // 5xx, with the API's JSON or without: the message may be in the chat.
        500..=599 => SendError::Unclear(format!("HTTP {code}")),
        _ => SendError::Refused(Refusal::Other(plain(&envelope.description))),
    })
}

fn too_large() -> Refusal {
    Refusal::File("it is too large".to_owned())
}

/// A pause the platform asks for; nobody means more than a day.
pub(super) fn pause(seconds: u64) -> Duration {
    Duration::from_secs(seconds.min(86_400))
}

/// The platform's words, short and on one line.
pub(super) fn plain(description: &str) -> String {
    let words = description.strip_prefix("Bad Request: ").unwrap_or(description);
    words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}
