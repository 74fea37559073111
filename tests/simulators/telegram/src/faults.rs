//! Misbehaviour on command: what the next matching calls suffer.

use serde::{Deserialize, Serialize};

use crate::download::NAME;

/// What happens to a call. *Before* and *after* say whether the call still took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Never answered, without effect.
    HangBefore,
    /// Took effect, never answered.
    HangAfter,
    /// Connection closed without an answer, without effect.
    DropBefore,
    /// Took effect, connection closed without an answer.
    DropAfter,
    /// 500 in the platform's envelope, without effect.
    #[serde(rename = "500_before")]
    FailBefore,
    /// Took effect, answered 500.
    #[serde(rename = "500_after")]
    FailAfter,
    /// Took effect, answered 502 by a gateway's HTML page.
    #[serde(rename = "502_html_after")]
    GatewayAfter,
    /// Took effect, answered 200 with a body that is no JSON.
    GarbageAfter,
    /// HTTP 200 whose body says `"ok":false`, without effect.
    OkFalseBefore,
    /// A refusal of the caller's choice, with its HTTP status, without effect.
    ErrorBefore,
    /// 429, and every further call in the scope for so long.
    #[serde(rename = "429")]
    Flood,
    /// Waits first, then as usual.
    Slow,
    /// Took effect, half of the answer, then the connection closed.
    HalfAfter,
    /// Answered as if it had taken effect, and forgotten; calls that only ask are answered as usual.
    Mute,
    /// Of a download: the file in pieces, with `delay_ms` before each.
    Trickle,
    /// Of a download: bytes without end.
    Endless,
}

impl Mode {
    /// Whether it is a way to give a file only.
    pub fn is_of_downloads(self) -> bool {
        matches!(self, Self::Trickle | Self::Endless)
    }

    /// Whether the call still takes effect.
    pub fn applies(self) -> bool {
        match self {
            Self::HangBefore
            | Self::DropBefore
            | Self::FailBefore
            | Self::OkFalseBefore
            | Self::ErrorBefore
            | Self::Flood => false,
            Self::HangAfter
            | Self::DropAfter
            | Self::FailAfter
            | Self::GatewayAfter
            | Self::GarbageAfter
            | Self::Slow
            | Self::HalfAfter
            | Self::Mute
            | Self::Trickle
            | Self::Endless => true,
        }
    }
}

/// One order to misbehave.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Method it strikes, `download`, or `*` for every method but getUpdates.
    pub method: String,
    /// Only calls that concern this chat.
    #[serde(default)]
    pub chat: Option<i64>,
    /// What happens.
    pub mode: Mode,
    /// How many calls it strikes; 0 = until cleared.
    #[serde(default = "one")]
    pub count: u32,
    /// 429: seconds to wait.
    #[serde(default)]
    pub retry_after: Option<u64>,
    /// 429: pause the whole bot rather than the call's chat.
    #[serde(default)]
    pub whole_bot: bool,
    /// Milliseconds to wait before anything else.
    #[serde(default)]
    pub delay_ms: u64,
    /// ok_false_before and error_before: the code told.
    #[serde(default)]
    pub error_code: Option<u16>,
    /// ok_false_before and error_before: the words told.
    #[serde(default)]
    pub description: Option<String>,
}

fn one() -> u32 {
    1
}

impl Fault {
    /// No call has an effect from now on.
    pub fn mute() -> Self {
        Self {
            method: "*".to_owned(),
            chat: None,
            mode: Mode::Mute,
            count: 0,
            retry_after: None,
            whole_bot: false,
            delay_ms: 0,
            error_code: None,
            description: None,
        }
    }

    /// Milliseconds before the first byte of a download; a trickle waits before every piece by itself.
    pub fn first_delay_ms(&self) -> u64 {
        if self.mode == Mode::Trickle { 0 } else { self.delay_ms }
    }
}

/// The standing orders of a bot; the oldest that matches a call strikes it.
#[derive(Debug, Default)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Adds an order.
    pub fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    /// Withdraws all.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// What is still ordered.
    pub fn standing(&self) -> &[Fault] {
        &self.0
    }

    /// The order that strikes this call, counted down.
    pub fn take(&mut self, method: &str, chat: Option<i64>) -> Option<Fault> {
        let strikes = |fault: &Fault| {
            let named = match fault.method.as_str() {
                "*" => !method.eq_ignore_ascii_case("getUpdates") && method != NAME,
                name => name.eq_ignore_ascii_case(method),
            };
            named && (fault.chat.is_none() || fault.chat == chat)
        };
        let at = self.0.iter().position(strikes)?;
        let fault = self.0[at].clone();
        match fault.count {
            0 => {}
            1 => drop(self.0.remove(at)),
            count => self.0[at].count = count - 1,
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn fault(json: &str) -> Fault {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn orders_strike_what_they_name_and_run_out() {
        let mut faults = Faults::default();
        faults.add(fault(r#"{"method":"sendMessage","chat":7,"mode":"hang_after","count":2}"#));
        faults.add(fault(r#"{"method":"*","mode":"500_before"}"#));
        assert!(faults.take("getUpdates", None).is_none());
        assert_eq!(faults.take("SENDMESSAGE", Some(7)).unwrap().mode, Mode::HangAfter);
        assert_eq!(faults.take("sendMessage", Some(8)).unwrap().mode, Mode::FailBefore);
        assert_eq!(faults.take("sendMessage", Some(7)).unwrap().mode, Mode::HangAfter);
        assert!(faults.take("sendMessage", Some(7)).is_none());
    }

    #[test]
    fn an_order_without_end_stands_until_cleared() {
        let mut faults = Faults::default();
        faults.add(fault(r#"{"method":"getUpdates","mode":"429","count":0}"#));
        assert!((0..3).all(|_| faults.take("getUpdates", None).is_some()));
        faults.clear();
        assert!(faults.take("getUpdates", None).is_none());
    }

    #[test]
    fn unknown_modes_and_fields_are_refused() {
        assert!(serde_json::from_str::<Fault>(r#"{"method":"*","mode":"explode"}"#).is_err());
        assert!(serde_json::from_str::<Fault>(r#"{"method":"*","mode":"slow","wait":5}"#).is_err());
    }
}
