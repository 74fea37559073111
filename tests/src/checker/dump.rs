//! Rows of the dumped tables: the columns the checker needs, under their own names.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;

/// `account`: which number an account's name has.
#[derive(Debug, Deserialize)]
pub struct Account {
    pub id: i64,
    pub name: String,
}

/// `agent`: which number an agent's name has.
#[derive(Debug, Deserialize)]
pub struct Agent {
    pub id: i64,
    pub name: String,
}

/// `feed`: how far each feed has come, and up to where it may have been pruned.
#[derive(Debug, Deserialize)]
pub struct Feed {
    pub id: i64,
    pub name: String,
    pub last_seq: i64,
    pub pruned_seq: i64,
}

/// `feed_entry`: a feed's number and the entry it points at.
#[derive(Debug, Deserialize)]
pub struct FeedEntry {
    pub feed_id: i64,
    pub seq: i64,
    pub chat_id: i64,
    pub chat_seq: i64,
}

/// `chat`.
#[derive(Debug, Deserialize)]
pub struct Chat {
    pub account_id: i64,
    pub id: i64,
    pub last_seq: i64,
    pub agent_id: Option<i64>,
}

/// `history`: one entry of a chat's log.
#[derive(Debug, Deserialize)]
pub struct History {
    pub account_id: i64,
    pub chat_id: i64,
    pub seq: i64,
    pub at: DateTime<Utc>,
    pub kind: i64,
    pub author_kind: i64,
    pub author_id: Option<i64>,
    #[serde(rename = "ref")]
    pub key: Option<String>,
    pub body: Option<String>,
    /// What else it holds; only the files that it names are read.
    pub item: Option<Item>,
}

/// `history.item`.
#[derive(Debug, Deserialize)]
pub struct Item {
    #[serde(default)]
    pub files: Vec<NamedFile>,
}

/// A file that an entry names.
#[derive(Debug, Deserialize)]
pub struct NamedFile {
    pub file: String,
}

impl History {
    /// Ids of the files that it names.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.item.iter().flat_map(|item| &item.files).map(|named| named.file.as_str())
    }

    /// The word of the protocol for this kind; `None` for a number nobody defined.
    pub fn kind_word(&self) -> Option<&'static str> {
        Some(match self.kind {
            1 => "message",
            2 => "edited",
            3 => "opened",
            4 => "taken",
            5 => "closed",
            6 => "file",
            9 => "outcome",
            10 => "membership",
            _ => return None,
        })
    }

    /// A customer wrote or changed something: what the inbound promises are about.
    pub fn is_customers_text(&self) -> bool {
        self.author_kind == 1 && matches!(self.kind, 1 | 2)
    }

    /// An agent's message.
    pub fn is_agents_message(&self) -> bool {
        self.author_kind == 2 && self.kind == 1
    }
}

/// `inbox`.
#[derive(Debug, Deserialize)]
pub struct Inbox {
    pub account_id: i64,
    pub dedupe_key: String,
    pub kind: i64,
}

/// `pending`.
#[derive(Debug, Deserialize)]
pub struct Pending {
    pub account_id: i64,
    pub dedupe_key: String,
}

/// `quarantine`.
#[derive(Debug, Deserialize)]
pub struct Quarantine {
    pub account_id: i64,
    pub dedupe_key: String,
    pub raw: String,
}

/// `outbox`: one part.
#[derive(Debug, Deserialize)]
pub struct Outbox {
    pub account_id: i64,
    pub id: i64,
    pub chat_id: i64,
    pub chat_key: String,
    pub chat_seq: i64,
    pub part: i64,
    pub parts: i64,
    pub agent_id: i64,
    pub client_key: String,
    pub body: String,
    pub item: Option<PartItem>,
    pub lane: i64,
    pub state: i64,
    pub answer_by: Option<DateTime<Utc>>,
    pub retry_at: Option<DateTime<Utc>>,
    pub platform_id: Option<String>,
    pub reason: Option<String>,
    pub created_at: DateTime<Utc>,
}

/// `outbox.item`.
#[derive(Debug, Deserialize)]
pub struct PartItem {
    pub file: Option<String>,
}

impl Outbox {
    /// The file it carries.
    pub fn file(&self) -> Option<&str> {
        self.item.as_ref()?.file.as_deref()
    }

    /// The protocol's word for where the part stands.
    pub fn state_word(&self) -> &'static str {
        match self.state {
            0 => "queued",
            1 => "sending",
            2 => "sent",
            3 => "unconfirmed",
            4 => "failed",
            5 => "cancelled",
            6 => "closed",
            _ => "unknown",
        }
    }
}

/// `attempt`: one try of a part.
#[derive(Debug, Deserialize)]
pub struct Attempt {
    pub account_id: i64,
    pub outbox_id: i64,
    pub n: i64,
    pub epoch: i64,
    pub claimed_at: DateTime<Utc>,
    pub write_by: DateTime<Utc>,
    pub answer_by: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
}

/// `account_lease`: the tenure as it is now.
#[derive(Debug, Deserialize)]
pub struct AccountLease {
    pub account_id: i64,
    pub epoch: i64,
}

/// `tenure`: how each epoch of an account began and ended.
#[derive(Debug, Deserialize)]
pub struct Tenure {
    pub account_id: i64,
    pub epoch: i64,
    pub holder: String,
    pub begun_at: DateTime<Utc>,
    /// The rule by which the lease was raised.
    pub way: String,
    /// How long the lease before had not been renewed; `None` when it was never held, or released.
    pub stale_ms: Option<i64>,
    /// How long Postgres had been answering the raiser.
    pub answering_ms: i64,
    /// From when on it might send.
    pub opened_at: Option<DateTime<Utc>>,
    /// When it was given up in order.
    pub released_at: Option<DateTime<Utc>>,
}

/// `file`: an attachment of either way.
#[derive(Debug, Deserialize)]
pub struct File {
    pub account_id: i64,
    pub id: String,
    pub inbound: bool,
    pub state: i64,
    pub kind: String,
    pub size_bytes: Option<i64>,
    /// As `bytea` is told: `\x…`.
    pub sha256: Option<String>,
    pub dedupe_key: Option<String>,
    pub reason: Option<String>,
    pub created_at: DateTime<Utc>,
    pub ready_at: Option<DateTime<Utc>>,
}

impl File {
    /// The protocol's word for its state.
    pub fn state_word(&self) -> &'static str {
        match self.state {
            0 => "pending",
            1 => "ready",
            2 => "failed",
            _ => "unknown",
        }
    }

    /// Whether all of it is there.
    pub fn is_ready(&self) -> bool {
        self.state == 1
    }

    /// Its hash as the logs spell it.
    pub fn hash(&self) -> Option<&str> {
        self.sha256.as_deref()?.strip_prefix("\\x")
    }
}

/// `file_use`: in which chats a file was shown.
#[derive(Debug, Deserialize)]
pub struct FileUse {
    pub account_id: i64,
    pub file_id: String,
    pub chat_id: i64,
}

/// How much of a file is stored: `file_chunk` without the bytes.
#[derive(Debug, Deserialize)]
pub struct FileChunks {
    pub account_id: i64,
    pub file_id: String,
    pub bytes: i64,
}

/// All tables the checker reads.
#[derive(Debug, Default)]
pub struct Dump {
    pub accounts: Vec<Account>,
    pub agents: Vec<Agent>,
    pub feeds: Vec<Feed>,
    pub feed_entries: Vec<FeedEntry>,
    pub chats: Vec<Chat>,
    pub history: Vec<History>,
    pub inbox: Vec<Inbox>,
    pub pending: Vec<Pending>,
    pub quarantine: Vec<Quarantine>,
    pub outbox: Vec<Outbox>,
    pub attempts: Vec<Attempt>,
    pub leases: Vec<AccountLease>,
    pub tenures: Vec<Tenure>,
    pub files: Vec<File>,
    pub file_uses: Vec<FileUse>,
    pub file_chunks: Vec<FileChunks>,
}

impl Dump {
    /// Where each entry of `history` lies, by chat and number.
    pub fn history_places(&self) -> HashMap<(i64, i64), usize> {
        self.history.iter().enumerate().map(|(place, row)| ((row.chat_id, row.seq), place)).collect()
    }
}
