//! Where a customer's file is: `getFile`, and what its answer means.

use secrecy::ExposeSecret;
use serde_json::json;

use super::Telegram;
use super::net::{pause, plain};
use super::wire::{Envelope, FoundFile};
use crate::http::{Deadline, HttpAnswer};
use crate::platform::{FetchError, FileAt};

impl Telegram {
    pub(super) async fn get_file(&self, file_id: &str, deadline: &Deadline) -> Result<FileAt, FetchError> {
        let body = json!({ "file_id": file_id }).to_string().into_bytes();
        let answer =
            self.post("getFile", body, &[], deadline).await.map_err(|error| FetchError::Trouble(error.to_string()))?;
        let (path, size_bytes) = found(&answer)?;
        // The token is in the address: it lives for this one fetch and is written nowhere.
        let url = format!("{}/file/bot{}/{path}", self.base_url, self.token.current().expose_secret()).into();
        Ok(FileAt { url, size_bytes })
    }
}

/// The path and size in an answer, or what to do without.
fn found(answer: &HttpAnswer) -> Result<(String, Option<u64>), FetchError> {
    let Ok(envelope) = serde_json::from_slice::<Envelope>(&answer.body) else {
        return Err(match answer.status {
            429 => FetchError::Throttled(pause(answer.retry_after.unwrap_or(1))),
            status => FetchError::Trouble(format!("HTTP {status} without a Bot API answer")),
        });
    };
    if envelope.ok {
        let found = envelope.result.and_then(|raw| serde_json::from_str::<FoundFile>(raw.get()).ok());
        return match found {
            Some(FoundFile { file_path: Some(path), file_size }) if is_plain(&path) => Ok((path, file_size)),
            // A Bot API server in local mode names a path on its own disk.
            Some(FoundFile { file_path: Some(path), .. }) if path.starts_with('/') => {
                Err(FetchError::Refused("the Bot API server keeps files to itself (local mode)".to_owned()))
            }
            _ => Err(FetchError::Trouble("found, but without a usable path".to_owned())),
        };
    }
    let said = envelope.description.to_lowercase();
    Err(match envelope.error_code.unwrap_or(answer.status) {
        429 => FetchError::Throttled(pause(envelope.parameters.retry_after.or(answer.retry_after).unwrap_or(1))),
        401 | 404 => FetchError::AccountDown("the token is wrong or revoked; set a new one".to_owned()),
        400 if said.contains("too big") => {
            FetchError::Refused("Telegram gives out files of at most 20 MB, and this one is larger".to_owned())
        }
        // The words for a file that is gone, and for a backend that does not answer.
        400 if said.contains("temporarily unavailable") => {
            FetchError::Missing("Telegram does not give out the file (any more)".to_owned())
        }
        400..=499 => FetchError::Refused(format!("Telegram refused: {}", plain(&envelope.description))),
        code => FetchError::Trouble(format!("HTTP {code}: {}", plain(&envelope.description))),
    })
}

/// Whether a path can be put into an address as it is, and leads nowhere else.
fn is_plain(path: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    !path.is_empty() && path.chars().all(plain) && path.split('/').all(|part| !part.is_empty() && part != "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Result<(String, Option<u64>), FetchError> {
        found(&HttpAnswer { status, retry_after: Some(3), body: body.to_owned().into() })
    }

    #[test]
    fn a_file_is_found_by_a_path_that_leads_nowhere_else() {
        let ok = |path: &str| {
            answer(200, &json!({"ok": true, "result": {"file_id": "A", "file_path": path, "file_size": 7}}).to_string())
        };
        assert_eq!(ok("photos/file_1.jpg"), Ok(("photos/file_1.jpg".to_owned(), Some(7))));
        assert!(matches!(ok("/var/lib/telegram-bot-api/1"), Err(FetchError::Refused(_))));
        for path in ["../../botX/getMe", "photos/../x", "a?b", "a#b", "a b", "", "a//b", "a\\b", "a@b"] {
            assert!(matches!(ok(path), Err(FetchError::Trouble(_))), "{path}");
        }
        assert!(matches!(answer(200, r#"{"ok":true,"result":{"file_id":"A"}}"#), Err(FetchError::Trouble(_))));
    }

    #[test]
    fn a_refusal_names_the_next_move() {
        let said = |code: u16, words: &str| {
            answer(
                code,
                &json!({"ok": false, "error_code": code, "description": words, "parameters": {"retry_after": 7}})
                    .to_string(),
            )
        };
        let seven = std::time::Duration::from_secs(7);
        assert_eq!(said(429, "Too Many Requests: retry after 7"), Err(FetchError::Throttled(seven)));
        assert!(
            matches!(said(400, "Bad Request: file is too big"), Err(FetchError::Refused(why)) if why.contains("20 MB"))
        );
        let unavailable = "Bad Request: wrong file_id or the file is temporarily unavailable";
        assert!(matches!(said(400, unavailable), Err(FetchError::Missing(_))));
        assert!(matches!(said(400, "Bad Request: invalid file_id"), Err(FetchError::Refused(_))));
        assert!(matches!(said(401, "Unauthorized"), Err(FetchError::AccountDown(_))));
        assert!(matches!(said(500, "Internal Server Error"), Err(FetchError::Trouble(_))));
        assert!(matches!(answer(502, "<html>"), Err(FetchError::Trouble(_))));
        assert_eq!(answer(429, "<html>"), Err(FetchError::Throttled(std::time::Duration::from_secs(3))));
    }
}
