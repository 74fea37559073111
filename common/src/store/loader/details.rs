//! What a list says of each chat.

use chrono::{DateTime, Utc};
use tokio_postgres::Row;

use super::super::{Connection, StoreError};
use super::chats::ChatFilter;
use crate::model::{ChatId, ChatState};

/// A chat in a list.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedChat {
    /// Key.
    pub id: ChatId,
    /// The account's name.
    pub account: String,
    /// The account's platform.
    pub platform: String,
    /// What to call it.
    pub title: Option<String>,
    /// None in a group.
    pub customer: Option<ListedCustomer>,
    /// As it stands now.
    pub state: ChatState,
    /// The name of the agent who has it.
    pub agent: Option<String>,
    /// The name of the queue where it waits, or waited last.
    pub queue: Option<String>,
    /// Newest entry's seq.
    pub last_seq: i64,
    /// The customer's first message in the period.
    pub first_at: Option<DateTime<Utc>>,
    /// The customer's last message in the period.
    pub last_at: Option<DateTime<Utc>>,
    /// The open one.
    pub interaction: Option<Interaction>,
    /// The last one that was closed.
    pub closed: Option<Closed>,
}

/// A customer in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedCustomer {
    /// Key.
    pub id: i64,
    /// The platform's id of the person.
    pub platform_id: String,
    /// As the platform gave it.
    pub name: Option<String>,
    /// As the platform gave it.
    pub phone: Option<String>,
}

/// A served episode that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interaction {
    /// Key.
    pub id: i64,
    /// When the chat began to wait.
    pub opened_at: DateTime<Utc>,
    /// When an agent took it.
    pub taken_at: Option<DateTime<Utc>>,
}

/// A served episode that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Key.
    pub id: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// The agent's words.
    pub outcome: Option<String>,
}

pub(in crate::store) const DETAILS: &str = "
SELECT c.id, a.name AS account, a.platform, c.title, c.customer_id, cu.platform_id, cu.name AS customer, cu.phone, c.state,
       g.name AS agent, q.name AS queue, c.last_seq,
       (SELECT h.at FROM history h WHERE h.account_id = c.account_id AND h.chat_id = c.id AND h.at >= $2 AND h.at < $3
           AND h.kind = 1 AND h.author_kind = 1 ORDER BY h.seq LIMIT 1) AS first_at,
       (SELECT h.at FROM history h WHERE h.account_id = c.account_id AND h.chat_id = c.id AND h.at >= $2 AND h.at < $3
           AND h.kind = 1 AND h.author_kind = 1 ORDER BY h.seq DESC LIMIT 1) AS last_at,
       i.id AS interaction_id, i.opened_at, i.taken_at, e.id AS closed_id, e.closed_at, e.outcome
  FROM unnest($1::bigint[]) u(id)
  JOIN chat c ON c.id = u.id
  JOIN account a ON a.id = c.account_id
  LEFT JOIN customer cu ON cu.account_id = c.account_id AND cu.id = c.customer_id
  LEFT JOIN agent g ON g.id = c.agent_id
  LEFT JOIN queue q ON q.id = c.queue_id
  LEFT JOIN interaction i ON i.account_id = c.account_id AND i.id = c.interaction_id
  LEFT JOIN LATERAL (SELECT x.id, x.closed_at, x.outcome FROM interaction x WHERE x.chat_id = c.id AND x.closed_at IS NOT NULL
                      ORDER BY x.id DESC LIMIT 1) e ON true
 WHERE ($4::int IS NULL OR chat_visible(c, $4))";

/// For the test that reads the plans.
#[cfg(test)]
pub(super) const HOT: &[&str] = &[DETAILS];

/// Reads what is said of `chats`, in the order of their ids.
pub(super) async fn read(
    connection: &Connection,
    chats: &[i64],
    filter: &ChatFilter,
) -> Result<Vec<ListedChat>, StoreError> {
    if chats.is_empty() {
        return Ok(Vec::new());
    }
    let statement = connection.prepare_cached(DETAILS).await?;
    let viewer = filter.viewer.map(|agent| agent.0);
    let rows = connection.query(&statement, &[&chats, &filter.span.from, &filter.span.to, &viewer]).await?;
    let mut listed = rows.iter().map(chat).collect::<Result<Vec<_>, _>>()?;
    listed.sort_unstable_by_key(|chat| chat.id);
    Ok(listed)
}

fn chat(row: &Row) -> Result<ListedChat, StoreError> {
    let customer = |id| ListedCustomer {
        id,
        platform_id: row.get("platform_id"),
        name: row.get("customer"),
        phone: row.get("phone"),
    };
    let open = |id| Interaction { id, opened_at: row.get("opened_at"), taken_at: row.get("taken_at") };
    let closed = |id| Closed { id, at: row.get("closed_at"), outcome: row.get("outcome") };
    Ok(ListedChat {
        id: ChatId(row.get("id")),
        account: row.get("account"),
        platform: row.get("platform"),
        title: row.get("title"),
        // Without its row the id alone would say nothing.
        customer: row
            .get::<_, Option<&str>>("platform_id")
            .and_then(|_| row.get::<_, Option<i64>>("customer_id"))
            .map(customer),
        state: state(row)?,
        agent: row.get("agent"),
        queue: row.get("queue"),
        last_seq: row.get("last_seq"),
        first_at: row.get("first_at"),
        last_at: row.get("last_at"),
        interaction: row.get::<_, Option<i64>>("interaction_id").map(open),
        closed: row.get::<_, Option<i64>>("closed_id").map(closed),
    })
}

/// The column `state`.
pub(super) fn state(row: &Row) -> Result<ChatState, StoreError> {
    let state: i16 = row.get("state");
    ChatState::from_column(state)
        .ok_or_else(|| StoreError::Unexpected(format!("chat state {state} of a later version")))
}
