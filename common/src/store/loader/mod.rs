//! What programs and desktops read by REST: lists of chats, logs, customers, accounts, the audit.
//!
//! Read only, on any server: a standby in recovery will do. Every page is found by seeking past the last key, so a page
//! costs the same at any number of messages. A viewer is the agent whose eyes decide, or none when every chat may be seen.

mod chats;
mod details;
mod log;
mod office;
mod people;

use chrono::{DateTime, Utc};

pub use chats::{ChatFilter, ChatsPage};
#[cfg(test)]
pub(super) use chats::{DECIDED, PROPOSED, PROPOSED_OF_ACCOUNT};
#[cfg(test)]
pub(super) use details::DETAILS;
pub use details::{Closed, Interaction, ListedChat, ListedCustomer};
pub use log::{LogPage, Place, Turn};
pub use office::ListedAccount;
pub use people::{CustomerChat, FoundCustomer, LookUp};

/// A half-open interval of time: `from` belongs to it, `to` does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its first microsecond.
    pub from: DateTime<Utc>,
    /// The first microsecond after it.
    pub to: DateTime<Utc>,
}

/// For the test that reads the plans.
#[cfg(test)]
pub(super) fn hot() -> Vec<&'static str> {
    [chats::HOT.to_vec(), details::HOT.to_vec(), log::hot(), people::HOT.to_vec(), office::HOT.to_vec()].concat()
}
