//! All SQL, one file per table family. Nothing outside knows a table.
//!
//! Lock order, everywhere: lease → chats by id → outbox rows by id → feeds by id. The statements keep
//! it by `ORDER BY id FOR NO KEY UPDATE` before they write; docs/data.md says why.

mod accounts;
mod agents;
mod append;
mod audit;
mod chats;
mod claim;
mod connection;
mod decisions;
mod drain;
mod enclosures;
mod entries;
mod error;
mod exchanges;
mod feeds;
mod fetches;
mod files;
mod fleet;
mod heads;
mod inspect;
mod intake;
mod items;
mod lease;
mod loader;
mod marks;
mod migrations;
mod moves;
mod office;
mod opens;
mod outbox;
mod quarantine;
mod reading;
mod registration;
mod replies;
mod sender;
mod sessions;
mod takeover;
#[cfg(any(test, feature = "testkit"))]
pub mod testkit;
mod views;
mod waiting;
mod whispers;
mod work;

pub use accounts::{Account, AccountChange, Changed, NewAccount};
pub use agents::{Agent, AgentFeed, AgentRow, AgentStanding, Standing};
pub use audit::AuditRow;
pub use chats::Refusal;
pub use claim::{Claim, ClaimSpans, ClaimToken, Claimed, ClaimedFile};
pub use connection::{Connection, Database, DatabaseOptions};
pub use decisions::{Decided, Decision};
pub use drain::Drained;
pub use enclosures::Enclosed;
pub use entries::{Author, Entry, EntryBody};
pub use error::StoreError;
pub use exchanges::{ExchangeId, Unheld};
pub use feeds::{FEED_PAGE, FeedEntry};
pub use fetches::{DueFile, FetchEnd, Unfetched};
pub use files::{CHUNK_BYTES, FileRow, Finished, NewFile, Swept};
pub use fleet::AccountState;
pub use heads::{HEADS, Head};
pub use inspect::ServerFacts;
pub use intake::{CursorMove, Stored};
pub use items::{ChatPlace, ContentItem, FileEndItem, FileItem, OutcomeItem};
pub use lease::{Gap, Lease, Raise, Renewed, Way};
pub use loader::{
    ChatFilter, ChatsPage, Closed, CustomerChat, FoundCustomer, Interaction, ListedAccount, ListedChat, ListedCustomer,
    LogPage, LookUp, Place, Span, Turn,
};
pub use marks::{HeldBack, Here, Mark, Whereabouts};
pub use migrations::{migrate, needed_version, schema_version};
pub use moves::Transfer;
pub use office::{AttemptRow, OperatorDecision, PartFilter, PartRow};
pub use opens::{OpenedChat, Whom};
pub use outbox::{Accepted, Submission};
pub use quarantine::QuarantineRow;
pub use reading::ReadMark;
pub use registration::Registered;
pub use replies::CannedReply;
pub use sender::{Freeze, Settlement, SlotHistory};
pub use takeover::LeftBehind;
pub use views::{ChatView, Delivery, HistoryPage, SNAPSHOT_CHATS, Snapshot};
pub use waiting::{WaitReason, WaitingPart, WaitingParts};
pub use whispers::{Whisper, WhisperItem, WhisperKey};

#[cfg(test)]
mod tests;
