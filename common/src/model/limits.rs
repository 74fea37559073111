//! What a platform allows in a stretch of time, as data.

use std::time::Duration;

use serde_json::{Value, json};

/// At most `count` exchanges in any `window`, in each `scope`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Exchanges.
    pub count: usize,
    /// In any window of this length.
    pub window: Duration,
    /// Counted for what.
    pub scope: Scope,
}

/// What a limit counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The whole account.
    Account,
    /// Each private chat.
    Chat,
    /// Each group.
    Group,
}

impl Scope {
    /// The word used in settings and by the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Chat => "chat",
            Self::Group => "group",
        }
    }

    /// Reads the word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Account, Self::Chat, Self::Group].into_iter().find(|scope| scope.as_str() == word)
    }
}

/// No window is longer: what a new tenure must remember of the ones before is read back to here.
const LONGEST_WINDOW: Duration = Duration::from_secs(7 * 24 * 3600);

impl Limit {
    /// As `account.settings` and `account.capabilities` hold it: `{"count":30,"window_ms":1000,"scope":"account"}`.
    pub fn to_json(self) -> Value {
        json!({ "count": self.count, "window_ms": self.window.as_millis() as u64, "scope": self.scope.as_str() })
    }

    /// Reads it; the error says what is wrong.
    pub fn from_json(value: &Value) -> Result<Self, String> {
        let number = |key: &str| value.get(key).and_then(Value::as_u64).filter(|number| *number > 0);
        let scope = value.get("scope").and_then(Value::as_str).and_then(Scope::from_word);
        let (Some(count), Some(window_ms), Some(scope)) = (number("count"), number("window_ms"), scope) else {
            return Err(format!(
                "{value} is no limit: it needs count and window_ms above 0, and scope account, chat or group"
            ));
        };
        let window = Duration::from_millis(window_ms);
        if window > LONGEST_WINDOW {
            return Err(format!("{value}: a window of more than seven days cannot be kept"));
        }
        let count = usize::try_from(count).map_err(|_| format!("{value}: count is too large"))?;
        Ok(Self { count, window, scope })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_survives_its_json_and_nonsense_is_refused() {
        let limit = Limit { count: 20, window: Duration::from_secs(60), scope: Scope::Group };
        assert_eq!(Limit::from_json(&limit.to_json()), Ok(limit));
        for wrong in [
            json!({"count": 0, "window_ms": 1000, "scope": "account"}),
            json!({"count": 1, "window_ms": 0, "scope": "account"}),
            json!({"count": 1, "window_ms": 1000, "scope": "world"}),
            json!({"count": 1, "window_ms": 1_000_000_000_000u64, "scope": "chat"}),
            json!("30/1000"),
        ] {
            assert!(Limit::from_json(&wrong).is_err(), "{wrong}");
        }
    }
}
