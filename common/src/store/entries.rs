//! Entries of chats' logs as they are read back: typed, with the names that frames show.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

use super::items::{ChatPlace, ContentItem, FileEndItem, FileItem, OutcomeItem};
use crate::model::{ChatId, EntryKind, Lane};

/// One line of a chat's log.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its chat.
    pub chat: ChatId,
    /// The name of the chat's account.
    pub account: String,
    /// Its number in the chat's log.
    pub seq: i64,
    /// When it was written.
    pub at: DateTime<Utc>,
    /// Who made it.
    pub author: Author,
    /// What it says.
    pub body: EntryBody,
}

/// Who made an entry, with the name as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Author {
    /// Switchboard itself.
    System,
    /// A customer.
    Customer {
        /// Their id.
        id: i64,
        /// Their name, when the platform gave one.
        name: Option<String>,
    },
    /// An agent.
    Agent {
        /// Their id.
        id: i64,
        /// The name customers and colleagues know.
        name: Option<String>,
    },
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq)]
pub enum EntryBody {
    /// A customer wrote.
    CustomerMessage {
        /// The text or caption.
        text: String,
        /// What came with it.
        files: Vec<FileItem>,
        /// What came beside both.
        content: Vec<ContentItem>,
    },
    /// An agent wrote.
    AgentMessage {
        /// The whole text.
        text: String,
        /// What goes with it.
        files: Vec<FileItem>,
        /// What goes beside both.
        content: Vec<ContentItem>,
        /// The agent's own name for it.
        client_key: String,
        /// Into how many parts it was split.
        parts: i16,
        /// How urgent it is.
        lane: Lane,
    },
    /// A customer changed a message.
    Edited {
        /// The whole new text.
        text: String,
        /// The changed message's seq; none when it is older than the log.
        of: Option<i64>,
    },
    /// An interaction began.
    Opened {
        /// Its id.
        interaction: i64,
        /// The queue's name.
        queue: String,
        /// The name of the agent who opened it, when it was not the customer.
        by: Option<String>,
    },
    /// The agent gave the chat back: it waits again.
    Released {
        /// The interaction's id.
        interaction: i64,
        /// The queue's name.
        queue: String,
    },
    /// The chat went to another agent or queue.
    Transferred {
        /// The interaction's id.
        interaction: i64,
        /// Who had it, or where it waited.
        from: ChatPlace,
        /// Who has it, or where it waits.
        to: ChatPlace,
        /// For the colleagues.
        note: Option<String>,
    },
    /// An agent took the chat.
    Taken {
        /// The interaction's id.
        interaction: i64,
        /// The agent's name.
        agent: String,
    },
    /// The interaction ended.
    Closed {
        /// Its id.
        interaction: i64,
        /// The agent's words.
        outcome: Option<String>,
    },
    /// What became of the bytes of a message's file.
    File(FileEndItem),
    /// What became of a part.
    Outcome {
        /// What, as the connector or a chatserver wrote it.
        item: OutcomeItem,
        /// The name of the agent who decided, when a person did.
        by: Option<String>,
    },
    /// The customer left or returned.
    Membership {
        /// Can no longer be reached.
        left: bool,
    },
    /// Written by a later version: has its place in the log, but cannot be shown.
    Unknown,
}

impl EntryBody {
    /// Whether it may put the chat before agents who have never seen it.
    pub(super) fn moves_chat(&self) -> bool {
        matches!(self, Self::Opened { by: Some(_), .. } | Self::Released { .. } | Self::Transferred { .. })
    }
}

/// `history.item` of all kinds but outcomes and ends of files. Between versions of our own services it only gains optional fields.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct EntryItem {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) client_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) parts: Option<i16>,
    /// Its word; none: interactive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) lane: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) files: Vec<FileItem>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) content: Vec<ContentItem>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) of: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) interaction: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) queue: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) agent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) outcome: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) left: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<ChatPlace>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) to: Option<ChatPlace>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) note: Option<String>,
}

/// The columns [`entry`] reads, of `h` and what [`ENTRY_JOINS`] joins to it.
pub(super) const ENTRY_COLUMNS: &str = "
h.chat_id AS entry_chat, h.seq AS entry_seq, h.at, h.kind, h.author_kind, h.author_id, h.body, h.item::text AS item,
ac.name AS account_name, cu.name AS customer_name, ag.display_name AS agent_name, de.name AS by_name";

/// Names for a `history` row called `h`. Names are not copied into the log: a person has one name, the present one.
pub(super) const ENTRY_JOINS: &str = "
LEFT JOIN account ac ON ac.id = h.account_id
LEFT JOIN customer cu ON h.author_kind = 1 AND cu.account_id = h.account_id AND cu.id = h.author_id
LEFT JOIN agent ag ON h.author_kind = 2 AND ag.id = h.author_id
LEFT JOIN agent de ON h.kind = 9 AND de.id = (h.item->>'by')::int";

/// Reads one row of [`ENTRY_COLUMNS`].
pub(super) fn entry(row: &Row) -> Entry {
    let author = match (row.get::<_, i16>("author_kind"), row.get::<_, Option<i64>>("author_id")) {
        (1, Some(id)) => Author::Customer { id, name: row.get("customer_name") },
        (2, Some(id)) => Author::Agent { id, name: row.get("agent_name") },
        _ => Author::System,
    };
    Entry {
        chat: ChatId(row.get("entry_chat")),
        account: row.get("account_name"),
        seq: row.get("entry_seq"),
        at: row.get("at"),
        body: body(row, matches!(author, Author::Agent { .. })).unwrap_or(EntryBody::Unknown),
        author,
    }
}

fn body(row: &Row, by_agent: bool) -> Option<EntryBody> {
    let text = row.get::<_, Option<String>>("body").unwrap_or_default();
    let json = row.get::<_, Option<&str>>("item").unwrap_or("{}");
    let kind = EntryKind::from_column(row.get("kind"))?;
    if kind == EntryKind::Outcome {
        let item = serde_json::from_str(json).ok()?;
        return Some(EntryBody::Outcome { item, by: row.get("by_name") });
    }
    if kind == EntryKind::File {
        return serde_json::from_str(json).ok().map(EntryBody::File);
    }
    let item: EntryItem = serde_json::from_str(json).ok()?;
    Some(match kind {
        EntryKind::Message if by_agent => {
            let lane = item.lane.as_deref().and_then(Lane::from_word).unwrap_or(Lane::Interactive);
            let EntryItem { files, content, client_key, parts, .. } = item;
            EntryBody::AgentMessage { text, files, content, client_key: client_key?, parts: parts?, lane }
        }
        EntryKind::Message => EntryBody::CustomerMessage { text, files: item.files, content: item.content },
        EntryKind::Edited => EntryBody::Edited { text, of: item.of },
        EntryKind::Opened => EntryBody::Opened { interaction: item.interaction?, queue: item.queue?, by: item.agent },
        EntryKind::Released => EntryBody::Released { interaction: item.interaction?, queue: item.queue? },
        EntryKind::Transferred => {
            EntryBody::Transferred { interaction: item.interaction?, from: item.from?, to: item.to?, note: item.note }
        }
        EntryKind::Taken => EntryBody::Taken { interaction: item.interaction?, agent: item.agent? },
        EntryKind::Closed => EntryBody::Closed { interaction: item.interaction?, outcome: item.outcome },
        EntryKind::Membership => EntryBody::Membership { left: item.left? },
        EntryKind::File | EntryKind::Outcome => return None,
    })
}
