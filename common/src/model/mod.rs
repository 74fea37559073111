//! Plain data and ids: no I/O, no clock, no wire format.
//!
//! Wire types live at the edges (a platform's `wire.rs`, the agents' protocol, the `item` columns in
//! `store`), so that a change in here is not a change of what anybody outside was promised.

mod access;
mod capabilities;
mod file_name;
mod files;
mod ids;
mod inbound;
mod limits;
mod outbound;
pub mod text;

pub use access::{TokenScope, TokenScopes};
pub use capabilities::{AddressKind, Capabilities, FileLimits};
pub use file_name::file_name;
pub use files::{Attachment, FileId, FileKind, FileState, SNIFFED_BYTES, sniffed};
pub use ids::{AccountId, AccountName, AgentId, ChatId, Epoch, FeedId, OutboxId, QueueId};
pub use inbound::{
    Author, ChatKind, ChatRef, Content, Inbound, InboundItem, ItemKind, Quarantined, RawUpdate, message_key,
};
pub use limits::{Limit, Scope};
pub use outbound::{AttemptOutcome, ChatState, EntryKind, FreezeScope, Lane, PartState};
