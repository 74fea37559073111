//! What the active connector writes down of its platform.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::platform::{PollError, WebhookInfo};

/// What an account's platform said last. Fields that a reader does not know it passes over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Said {
    /// Where it delivers.
    pub webhook: Option<WebhookInfo>,
    /// Why it did not do what it was asked after that.
    pub error: Option<PollError>,
}

impl Said {
    /// What was found, and what went wrong then, without anything that may be a secret; `ours` is the address that is none.
    pub(super) fn new(found: Option<&WebhookInfo>, error: Option<&PollError>, ours: Option<&str>) -> Self {
        Self { webhook: found.map(|info| info.without_secrets(ours)), error: error.cloned() }
    }

    pub(super) fn to_json(&self) -> Value {
        json!(self)
    }

    /// Reads what a connector wrote, perhaps one of another version.
    pub fn from_json(said: Value) -> Result<Self, serde_json::Error> {
        serde_json::from_value(said)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const OURS: &str = "https://chat.example.com/webhooks/shop/telegram";

    fn info(url: &str) -> WebhookInfo {
        WebhookInfo { url: url.to_owned(), pending: 7, failed_at: Some(1_800_000_000), ..WebhookInfo::default() }
    }

    #[test]
    fn of_a_strangers_address_only_the_place_is_written_down() {
        let kept = |url: &str| Said::new(Some(&info(url)), None, Some(OURS)).webhook.map(|info| info.url);
        assert_eq!(kept(OURS).as_deref(), Some(OURS));
        assert_eq!(kept("").as_deref(), Some(""));
        for url in ["https://elsewhere.example/hook?key=hunter2", "https://me:hunter2@elsewhere.example/hunter2"] {
            assert!(kept(url).is_some_and(|kept| kept.contains("elsewhere.example") && !kept.contains("hunter2")));
        }
    }

    #[test]
    fn what_is_written_is_read_again_whatever_else_is_in_it() {
        for error in [
            None,
            Some(PollError::Throttled(Duration::from_secs(30))),
            Some(PollError::AccountDown("HTTP 401".to_owned())),
            Some(PollError::Trouble("no route".to_owned())),
        ] {
            let said = Said::new(Some(&info(OURS)), error.as_ref(), Some(OURS));
            let mut written = said.to_json();
            written["confirmation"] = json!("a later platform's own");
            assert_eq!(Said::from_json(written).ok(), Some(said));
        }
        assert_eq!(Said::from_json(json!({})).ok(), Some(Said::default()));
        assert!(Said::from_json(json!({"error": {"unheard_of": 1}})).is_err(), "shown as such, not passed over");
    }
}
