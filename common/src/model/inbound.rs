//! What a platform told us, after parsing.

use std::fmt::Display;

use super::Attachment;

/// One delivery from a platform, exactly as received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawUpdate(pub Vec<u8>);

/// One fact read from an update.
#[derive(Clone, Debug, PartialEq)]
pub struct Inbound {
    /// Identity of the fact inside its account: the same fact delivered again has the same key. A message's is its
    /// [`message_key`].
    pub dedupe_key: String,
    /// The chat it happened in.
    pub chat: ChatRef,
    /// Who did it.
    pub author: Author,
    /// What happened.
    pub item: InboundItem,
}

/// The platform's view of a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatRef {
    /// The platform's name of the chat; with the account it is the chat's key.
    pub key: String,
    /// One customer, or many.
    pub kind: ChatKind,
    /// Shown to agents; the customer's name in a private chat.
    pub title: Option<String>,
}

/// How many customers a chat has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChatKind {
    /// One customer.
    Private,
    /// A group: every entry names its author.
    Group,
}

/// The customer who wrote, as the platform names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// The platform's id of the person; means something only together with the account.
    pub platform_id: String,
    /// The name to show.
    pub name: Option<String>,
}

/// What a message carries beside text and files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Something that is not carried yet, only announced.
    Unsupported {
        /// The platform's word for it: `location`, `poll`.
        of: String,
    },
}

/// The dedupe key of a message, on every platform. `message_id` is what a send to the chat answers, too: so a message is found
/// by what the platform calls it, whoever wrote it.
pub fn message_key(chat_key: &str, message_id: impl Display) -> String {
    format!("m:{chat_key}:{message_id}")
}

/// What the customer did.
#[derive(Clone, Debug, PartialEq)]
pub enum InboundItem {
    /// Wrote something, or sent files.
    Message {
        /// Text or caption; may be empty when something came beside it.
        text: String,
        /// Files that came with it: their bytes are fetched after the message is stored.
        attachments: Vec<Attachment>,
        /// What came beside both, in the platform's order.
        content: Vec<Content>,
    },
    /// Changed an earlier message.
    Edit {
        /// [`message_key`] of the message that was changed.
        of_key: String,
        /// The whole new text.
        text: String,
    },
    /// Blocked us (`true`) or came back (`false`).
    Membership {
        /// Whether the customer can no longer be reached.
        left: bool,
    },
    /// Read, understood, and of no interest to agents: kept in the ledger only.
    Ignored,
}

/// The kind of a row in `inbox` and `pending`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i16)]
pub enum ItemKind {
    /// In the ledger only.
    Ignored = 0,
    /// A customer's message.
    Message = 1,
    /// A customer's edit.
    Edit = 2,
    /// A customer left or returned.
    Membership = 3,
    /// What became of a file's bytes.
    File = 4,
    /// What became of a part.
    Outcome = 9,
}

impl ItemKind {
    /// Reads the column's value; `None` for a kind of a later version.
    pub fn from_column(value: i16) -> Option<Self> {
        [Self::Ignored, Self::Message, Self::Edit, Self::Membership, Self::File, Self::Outcome]
            .into_iter()
            .find(|kind| *kind as i16 == value)
    }
}

impl InboundItem {
    /// The column's value for this item.
    pub fn kind(&self) -> ItemKind {
        match self {
            Self::Message { .. } => ItemKind::Message,
            Self::Edit { .. } => ItemKind::Edit,
            Self::Membership { .. } => ItemKind::Membership,
            Self::Ignored => ItemKind::Ignored,
        }
    }
}

/// An update that could not be read: kept raw, replayable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// `q:` and the SHA-256 of the raw bytes: the same garbage is kept once.
    pub dedupe_key: String,
    /// Why it could not be read; never holds text of the message.
    pub reason: String,
    /// The bytes as received.
    pub raw: RawUpdate,
}
