//! `mock.jsonl`: what the platform saw, written for the checker. `tests/README.md` is its contract.
//!
//! A line is one `write` to a file opened for appending, without a buffer in between: a line that this process returned
//! from writing survives its own kill, and is in the file before the answer it belongs to leaves.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    path::Path,
    sync::{Mutex, PoisonError},
};

use anyhow::Context as _;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{clock::boottime_ns, files::Seen};

/// The log file.
#[derive(Debug)]
pub struct ObserverLog {
    file: Mutex<File>,
}

/// One observation. Chats and message ids are text, because on other platforms they are.
#[derive(Debug, Serialize)]
#[serde(tag = "ev", rename_all = "snake_case")]
pub enum Event<'a> {
    /// A customer did something.
    Typed {
        /// Account.
        acct: &'a str,
        /// The connector's dedupe key of it.
        key: &'a str,
        /// The platform's chat, or null for an update that names none.
        chat: Option<&'a str>,
        /// 1, 2, 3 … in its chat.
        pseq: u64,
        /// The tag in its text.
        tag: Option<&'a str>,
        /// Hash of its text.
        hash: Option<&'a str>,
        /// Number in the bot's queue.
        update_id: i64,
        /// The file in it.
        file: Option<Seen>,
        /// The update's field: `message`, `callback_query`, …; null for one that a test made up.
        kind: Option<&'a str>,
        /// Id of the message it is about.
        pmid: Option<&'a str>,
    },
    /// An update was given to the connector.
    Push {
        /// Account.
        acct: &'a str,
        /// Key of the update.
        key: &'a str,
        /// Chat of the update.
        chat: Option<&'a str>,
        /// Number in its chat.
        pseq: u64,
        /// 1 = given for the first time.
        r#try: u32,
        /// Number in the bot's queue.
        update_id: i64,
    },
    /// The connector said that it has an update.
    Ack {
        /// Account.
        acct: &'a str,
        /// Key of the update.
        key: &'a str,
        /// `offset` or `webhook`.
        how: &'a str,
        /// Number in the bot's queue.
        update_id: i64,
        /// The webhook's HTTP status.
        status: Option<u16>,
    },
    /// A request to a webhook has ended.
    Delivery {
        /// Account.
        acct: &'a str,
        /// Key of the update; `forged` for one that is none.
        key: &'a str,
        /// Where to.
        url: &'a str,
        /// When it began.
        t_sent: u64,
        /// Milliseconds until the whole answer was there, or none came.
        took_ms: u64,
        /// HTTP status; null when no answer came.
        status: Option<u16>,
    },
    /// A request was read whole.
    CallOpen {
        /// Account.
        acct: &'a str,
        /// Number of the call, unique in the log.
        call: u64,
        /// Method, spelled as the documentation does.
        method: &'a str,
        /// Chat it concerns.
        chat: Option<&'a str>,
        /// Tag in its text.
        tag: Option<&'a str>,
        /// When its first byte arrived.
        t_first: u64,
    },
    /// A file was asked for by a link of getFile.
    Download {
        /// Account.
        acct: &'a str,
        /// The file, if the link was good.
        file: Option<&'a Seen>,
        /// HTTP status as text, or how it went wrong.
        reply: &'a str,
    },
    /// A request came to its end.
    Call(Call<'a>),
}

/// How a request ended.
#[derive(Debug, Serialize)]
pub struct Call<'a> {
    /// Account.
    pub acct: &'a str,
    /// Number of the call.
    pub call: u64,
    /// Method.
    pub method: &'a str,
    /// Chat it concerns.
    pub chat: Option<&'a str>,
    /// Tag in its text.
    pub tag: Option<&'a str>,
    /// Hash of its text or caption, as it came.
    pub hash: Option<&'a str>,
    /// The file it sends, uploaded or by its identifier.
    pub file: Option<Seen>,
    /// Always null: this platform has no idempotency key.
    pub idem: Option<&'a str>,
    /// The caller's tenure, from the header `x-switchboard-epoch`.
    pub epoch: Option<i64>,
    /// When its first byte arrived.
    pub t_first: u64,
    /// When it was read whole.
    pub t_last: u64,
    /// When the answer was ready to leave; null when none leaves.
    pub t_reply: Option<u64>,
    /// HTTP status as text, `hang` or `drop`.
    pub reply: &'a str,
    /// Whether it took effect.
    pub applied: bool,
    /// Id of the message made, changed, deleted or reacted to; of several the first.
    pub pmid: Option<&'a str>,
    /// All of them.
    pub pmids: Vec<String>,
    /// The files of an album, in its order; else empty.
    pub files: Vec<Seen>,
    /// Parameters that say what is to be done to which message.
    pub asked: Map<String, Value>,
    /// Parameters of a call that took effect which the Bot API does not describe so; empty is how it should be.
    pub strange: Vec<String>,
    /// Seconds the caller was told to wait.
    pub retry_after: Option<u64>,
    /// When the limits counted it, refused or not; null when they never saw it.
    pub t_counted: Option<u64>,
}

#[derive(Serialize)]
struct Line<'a> {
    t: u64,
    #[serde(flatten)]
    event: Event<'a>,
}

impl ObserverLog {
    /// Opens the log for appending; its folder is made when it is missing.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .with_context(|| format!("opening {}", path.display()))?;
        Ok(Self { file: Mutex::new(file) })
    }

    /// Writes one line. A log that cannot be written makes every later verdict worthless, so the process ends.
    pub fn write(&self, event: Event<'_>) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // The time is taken under the lock: lines of the file are in the order of their times.
        let mut line = serde_json::to_vec(&Line { t: boottime_ns(), event }).expect("plain data serialises");
        line.push(b'\n');
        if let Err(error) = file.write_all(&line) {
            eprintln!("telegram-simulator: cannot write the observers' log: {error}");
            std::process::exit(1);
        }
    }
}
