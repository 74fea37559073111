//! The protocol's own shapes: requests and answers. Nothing in here is a model type.

use std::collections::HashMap;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use switchboard_common::access::{Rule, rules};
use switchboard_common::model::{FileKind, Lane};

pub(crate) use super::close_code::CloseCode;

/// Longest frame a client may send, in bytes.
pub(super) const LARGEST_FRAME: usize = 64 * 1024;

/// Longest request id, in characters.
const LONGEST_ID: usize = 64;

/// A request's id, chosen by the client.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize, PartialEq, Eq)]
#[serde(untagged)]
pub(super) enum RequestId {
    Number(i64),
    Text(#[schemars(length(max = 64))] String),
}

/// Fields of requests, as docs/protocol.md lists them. What we do not know is refused: a client would not learn otherwise that
/// what it asked for did not happen.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Request {
    Hello {
        #[schemars(with = "Option<String>")]
        token: Option<SecretString>,
        cursors: Option<Cursors>,
    },
    Ping {},
    Snapshot {},
    Take {
        chat: Id,
    },
    Close {
        chat: Id,
        outcome: Option<String>,
    },
    Release {
        chat: Id,
    },
    Transfer {
        chat: Id,
        agent: Option<String>,
        queue: Option<String>,
        note: Option<String>,
    },
    Open {
        chat: Option<Id>,
        account: Option<String>,
        address: Option<String>,
        name: Option<String>,
    },
    Read {
        chat: Id,
        seq: i64,
    },
    Send {
        chat: Id,
        client_key: String,
        text: String,
        file: Option<String>,
        r#as: Option<AsWord>,
        lane: Option<LaneWord>,
        seen_seq: Option<i64>,
    },
    Waiting {
        chat: Id,
        seq: Option<i64>,
    },
    History {
        chat: Id,
        before: Option<i64>,
        limit: Option<i64>,
    },
    Replies {
        after: Option<Id>,
        limit: Option<i64>,
    },
    Watch {
        chat: Id,
    },
    Unwatch {
        chat: Id,
    },
    Cancel {
        chat: Id,
        seq: i64,
    },
    Resend {
        chat: Id,
        seq: i64,
        #[serde(default)]
        part: i16,
    },
    MarkSent {
        chat: Id,
        seq: i64,
        part: i16,
    },
    Drop {
        chat: Id,
        seq: i64,
        part: i16,
    },
}

impl Request {
    /// Its row in the authorization matrix: who may ask for it.
    pub(super) fn rule(&self) -> &'static Rule {
        match self {
            Self::Hello { .. } => &rules::HELLO,
            Self::Ping {} => &rules::PING,
            Self::Snapshot {} => &rules::SNAPSHOT,
            Self::Take { .. } => &rules::TAKE,
            Self::Close { .. } => &rules::CLOSE,
            Self::Release { .. } => &rules::RELEASE,
            Self::Transfer { .. } => &rules::TRANSFER,
            Self::Open { .. } => &rules::OPEN,
            Self::Read { .. } => &rules::READ,
            Self::Send { .. } => &rules::SEND,
            Self::Waiting { .. } => &rules::WAITING,
            Self::History { .. } => &rules::HISTORY,
            Self::Replies { .. } => &rules::REPLIES,
            Self::Watch { .. } => &rules::WATCH,
            Self::Unwatch { .. } => &rules::UNWATCH,
            Self::Cancel { .. } => &rules::CANCEL,
            Self::Resend { .. } => &rules::RESEND,
            Self::MarkSent { .. } => &rules::MARK_SENT,
            Self::Drop { .. } => &rules::DROP,
        }
    }
}

/// How urgent a message is.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Lane")]
pub(super) enum LaneWord {
    Interactive,
    Bot,
    Bulk,
}

impl From<LaneWord> for Lane {
    fn from(word: LaneWord) -> Self {
        match word {
            LaneWord::Interactive => Self::Interactive,
            LaneWord::Bot => Self::Bot,
            LaneWord::Bulk => Self::Bulk,
        }
    }
}

/// As what a file is sent.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "SendAs")]
pub(super) enum AsWord {
    Photo,
    Document,
}

impl From<AsWord> for FileKind {
    fn from(word: AsWord) -> Self {
        match word {
            AsWord::Photo => Self::Photo,
            AsWord::Document => Self::Document,
        }
    }
}

/// How far a client has read.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Cursors {
    pub(super) feed_epoch: i64,
    pub(super) feeds: HashMap<String, i64>,
}

/// An id: a decimal string, because numbers of 64 bits do not survive every JSON reader.
#[derive(Clone, Copy, Debug, JsonSchema, PartialEq, Eq)]
pub(super) struct Id(#[schemars(with = "String", regex(pattern = "^[0-9]+$"))] pub(super) i64);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(id) if plain => Ok(Self(id)),
            _ => Err(D::Error::custom("an id is a decimal string")),
        }
    }
}

/// Reads a frame. The failure comes with the request's id, when that much could be read.
pub(super) fn read(frame: &str) -> Result<(RequestId, Request), (Option<RequestId>, Failure)> {
    #[derive(Deserialize)]
    struct Envelope {
        id: RequestId,
    }
    let refuse = |error: serde_json::Error| {
        // Its own words to the client alone; bounded, because they may quote a value.
        Failure::new(Code::BadRequest, error.to_string().chars().take(200).collect::<String>())
    };
    let id = serde_json::from_str::<Envelope>(frame).map_err(|error| (None, refuse(error)))?.id;
    if matches!(&id, RequestId::Text(text) if text.chars().count() > LONGEST_ID) {
        return Err((None, Failure::new(Code::BadRequest, "the id is longer than 64 characters")));
    }
    let request = serde_json::from_str::<Map<String, Value>>(frame).and_then(|mut fields| {
        fields.remove("id");
        serde_json::from_value(Value::Object(fields))
    });
    match request {
        Ok(request) => Ok((id, request)),
        Err(error) => Err((Some(id), refuse(error))),
    }
}

/// Why a request failed: the table of docs/protocol.md.
#[derive(Clone, Copy, Debug, JsonSchema, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Code {
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    AlreadyTaken,
    NotYours,
    Closed,
    Stale,
    KeyConflict,
    BadText,
    BadTarget,
    BadAddress,
    Unsupported,
    TooLarge,
    TooLate,
    TooMany,
    TooFast,
    Unavailable,
}

impl Code {
    /// The word used in frames and metrics.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::AlreadyTaken => "already_taken",
            Self::NotYours => "not_yours",
            Self::Closed => "closed",
            Self::Stale => "stale",
            Self::KeyConflict => "key_conflict",
            Self::BadText => "bad_text",
            Self::BadTarget => "bad_target",
            Self::BadAddress => "bad_address",
            Self::Unsupported => "unsupported",
            Self::TooLarge => "too_large",
            Self::TooLate => "too_late",
            Self::TooMany => "too_many",
            Self::TooFast => "too_fast",
            Self::Unavailable => "unavailable",
        }
    }
}

/// A failed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) code: Code,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// The answer to a request.
pub(super) fn answer<T: Serialize>(re: Option<&RequestId>, result: Result<T, Failure>) -> String {
    #[derive(Serialize)]
    #[serde(tag = "type", rename_all = "snake_case")]
    enum Answer<'a, T> {
        Ok { re: Option<&'a RequestId>, result: T },
        Error { re: Option<&'a RequestId>, code: Code, message: String, retry: bool },
    }
    let answer = match result {
        Ok(result) => Answer::Ok { re, result },
        Err(Failure { code, message }) => {
            Answer::Error { re, code, message, retry: matches!(code, Code::TooFast | Code::Unavailable) }
        }
    };
    serde_json::to_string(&answer).expect("plain fields are JSON")
}

#[cfg(test)]
#[path = "protocol_tests.rs"]
mod tests;
