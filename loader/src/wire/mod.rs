//! What answers look like. Ids are decimal strings, times RFC 3339 in UTC.

mod entry;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::Value;
use switchboard_common::store::{AuditRow, CustomerChat, FoundCustomer, ListedAccount, ListedChat, ListedCustomer};
use utoipa::ToSchema;

pub(crate) use entry::{Author, Content, Entry, EntryKind, Log, Place};

/// A time with all that is stored of it.
pub(crate) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// A page of chats.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChatPage {
    /// In the order of their ids. There may be fewer than `limit`, even none, while `next_cursor` is there.
    pub(crate) items: Vec<Chat>,
    /// Send it as `cursor` with the same filter for the next page; null: this was the last.
    pub(crate) next_cursor: Option<String>,
}

/// A chat in a list.
#[derive(Serialize, ToSchema)]
pub(crate) struct Chat {
    #[schema(example = "17")]
    chat: String,
    /// The account's name.
    #[schema(example = "support")]
    account: String,
    #[schema(example = "telegram")]
    platform: String,
    /// What to call it.
    title: Option<String>,
    /// Null in a group.
    customer: Option<Customer>,
    /// As it stands now: `waiting`, `taken` or `closed`.
    state: &'static str,
    /// The name of the agent who has it now.
    agent: Option<String>,
    /// The queue where it waits, or waited last.
    queue: Option<String>,
    /// Seq of its newest entry.
    last_seq: i64,
    /// The first message of a customer in the period.
    #[schema(value_type = Option<DateTime<Utc>>)]
    first_at: Option<String>,
    /// The last message of a customer in the period.
    #[schema(value_type = Option<DateTime<Utc>>)]
    last_at: Option<String>,
    /// The open one; null: none is.
    interaction: Option<Interaction>,
    /// The last one that was closed; null: none was.
    last_closed: Option<ClosedInteraction>,
}

/// A person on the platform's side.
#[derive(Serialize, ToSchema)]
pub(crate) struct Customer {
    #[schema(example = "9")]
    id: String,
    /// The platform's id of the person.
    platform_id: String,
    name: Option<String>,
    phone: Option<String>,
}

/// A served episode that is open.
#[derive(Serialize, ToSchema)]
pub(crate) struct Interaction {
    interaction: String,
    #[schema(value_type = DateTime<Utc>)]
    opened_at: String,
    /// When an agent took it; null: it waits.
    #[schema(value_type = Option<DateTime<Utc>>)]
    taken_at: Option<String>,
}

/// A served episode that is over.
#[derive(Serialize, ToSchema)]
pub(crate) struct ClosedInteraction {
    interaction: String,
    #[schema(value_type = DateTime<Utc>)]
    closed_at: String,
    /// The agent's words.
    outcome: Option<String>,
}

impl From<ListedCustomer> for Customer {
    fn from(customer: ListedCustomer) -> Self {
        let ListedCustomer { id, platform_id, name, phone } = customer;
        Self { id: id.to_string(), platform_id, name, phone }
    }
}

impl From<ListedChat> for Chat {
    fn from(chat: ListedChat) -> Self {
        Self {
            chat: chat.id.to_string(),
            account: chat.account,
            platform: chat.platform,
            title: chat.title,
            customer: chat.customer.map(Into::into),
            state: chat.state.as_str(),
            agent: chat.agent,
            queue: chat.queue,
            last_seq: chat.last_seq,
            first_at: chat.first_at.map(time),
            last_at: chat.last_at.map(time),
            interaction: chat.interaction.map(|open| Interaction {
                interaction: open.id.to_string(),
                opened_at: time(open.opened_at),
                taken_at: open.taken_at.map(time),
            }),
            last_closed: chat.closed.map(|closed| ClosedInteraction {
                interaction: closed.id.to_string(),
                closed_at: time(closed.at),
                outcome: closed.outcome,
            }),
        }
    }
}

/// Customers that were found.
#[derive(Serialize, ToSchema)]
pub(crate) struct CustomerList {
    /// The first 100.
    pub(crate) items: Vec<CustomerWithChats>,
}

/// A customer with the chats that the caller may see.
#[derive(Serialize, ToSchema)]
pub(crate) struct CustomerWithChats {
    #[serde(flatten)]
    customer: Customer,
    /// The account's name.
    account: String,
    platform: String,
    /// In the order of their ids, the newest 50.
    chats: Vec<ChatOfCustomer>,
}

/// A chat of a customer.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChatOfCustomer {
    chat: String,
    /// What to call it.
    title: Option<String>,
    /// As it stands now: `waiting`, `taken` or `closed`.
    state: &'static str,
    /// The name of the agent who has it now.
    agent: Option<String>,
    /// The queue where it waits, or waited last.
    queue: Option<String>,
    /// Seq of its newest entry.
    last_seq: i64,
    /// When the customer last wrote.
    #[schema(value_type = Option<DateTime<Utc>>)]
    last_in_at: Option<String>,
}

impl From<CustomerChat> for ChatOfCustomer {
    fn from(chat: CustomerChat) -> Self {
        Self {
            chat: chat.id.to_string(),
            title: chat.title,
            state: chat.state.as_str(),
            agent: chat.agent,
            queue: chat.queue,
            last_seq: chat.last_seq,
            last_in_at: chat.last_in_at.map(time),
        }
    }
}

impl From<FoundCustomer> for CustomerWithChats {
    fn from(found: FoundCustomer) -> Self {
        Self {
            customer: found.customer.into(),
            account: found.account,
            platform: found.platform,
            chats: found.chats.into_iter().map(Into::into).collect(),
        }
    }
}

/// All accounts.
#[derive(Serialize, ToSchema)]
pub(crate) struct AccountList {
    /// By name.
    pub(crate) items: Vec<Account>,
}

/// Our identity on a platform.
#[derive(Serialize, ToSchema)]
pub(crate) struct Account {
    #[schema(example = "support")]
    account: String,
    #[schema(example = "telegram")]
    platform: String,
    /// Where its new chats wait.
    queue: String,
    /// Whether it may be served.
    enabled: bool,
    /// What its platform can do: lengths of texts, sizes of files, limits.
    #[schema(value_type = Object)]
    capabilities: Value,
}

impl From<ListedAccount> for Account {
    fn from(account: ListedAccount) -> Self {
        let ListedAccount { name, platform, queue, enabled, capabilities } = account;
        Self { account: name, platform, queue, enabled, capabilities }
    }
}

/// A page of what operators changed.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuditPage {
    /// The newest first.
    pub(crate) items: Vec<Change>,
    /// Send it as `cursor` with the same filter for the next page; null: this was the last.
    pub(crate) next_cursor: Option<String>,
}

/// One change by an operator.
#[derive(Serialize, ToSchema)]
pub(crate) struct Change {
    id: String,
    #[schema(value_type = DateTime<Utc>)]
    at: String,
    /// The system's name of the operator, or the token's `sub`.
    actor: String,
    #[schema(example = "account.set")]
    action: String,
    /// The name of the account, agent or queue.
    subject: String,
    /// The account's version after it.
    version: Option<i64>,
    /// What it was: any JSON.
    before: Option<Value>,
    /// What it is: any JSON.
    after: Option<Value>,
}

impl From<AuditRow> for Change {
    fn from(row: AuditRow) -> Self {
        Self {
            id: row.id.to_string(),
            at: time(row.at),
            actor: row.actor,
            action: row.action,
            subject: row.subject,
            version: row.version,
            before: row.before,
            after: row.after,
        }
    }
}
