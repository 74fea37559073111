//! Customers by their phone or the platform's id, with their chats.

use chrono::{DateTime, Utc};
use tokio_postgres::Row;

use super::super::{Connection, Database, StoreError};
use super::details::{ListedCustomer, state};
use crate::model::{AgentId, ChatId, ChatState};

/// Customers of one answer at most.
const CUSTOMERS: usize = 100;

/// By what a customer is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookUp {
    /// The digits of a phone number with its country.
    Phone(String),
    /// The platform's id of the person.
    PlatformId(String),
}

/// A customer, with those chats that may be seen.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundCustomer {
    /// The account's name.
    pub account: String,
    /// The account's platform.
    pub platform: String,
    /// Who.
    pub customer: ListedCustomer,
    /// By their ids, the newest 50.
    pub chats: Vec<CustomerChat>,
}

/// A chat of a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerChat {
    /// Key.
    pub id: ChatId,
    /// What to call it.
    pub title: Option<String>,
    /// As it stands now.
    pub state: ChatState,
    /// The name of the agent who has it.
    pub agent: Option<String>,
    /// The name of the queue where it waits, or waited last.
    pub queue: Option<String>,
    /// Newest entry's seq.
    pub last_seq: i64,
    /// When the customer last wrote.
    pub last_in_at: Option<DateTime<Utc>>,
}

// Platforms give numbers with and without the plus: both spellings are looked up, each by the index.
const BY_PHONE: &str = "
SELECT cu.account_id, cu.id, cu.platform_id, cu.name, cu.phone, a.name AS account, a.platform
  FROM customer cu JOIN account a ON a.id = cu.account_id
 WHERE cu.phone IN ($1::text, '+' || $1::text) AND ($2::text IS NULL OR a.name = $2)
   AND ($3::int IS NULL OR EXISTS (SELECT 1 FROM chat c WHERE c.account_id = cu.account_id AND c.customer_id = cu.id AND chat_visible(c, $3)))
 ORDER BY cu.id LIMIT 100";

const BY_PLATFORM_ID: &str = "
SELECT cu.account_id, cu.id, cu.platform_id, cu.name, cu.phone, a.name AS account, a.platform
  FROM account a JOIN customer cu ON cu.account_id = a.id AND cu.platform_id = $1
 WHERE ($2::text IS NULL OR a.name = $2)
   AND ($3::int IS NULL OR EXISTS (SELECT 1 FROM chat c WHERE c.account_id = cu.account_id AND c.customer_id = cu.id AND chat_visible(c, $3)))
 ORDER BY cu.id LIMIT 100";

const CHATS: &str = "
SELECT c.customer_id, c.id, c.title, c.state, g.name AS agent, q.name AS queue, c.last_seq, c.last_in_at
  FROM unnest($1::int[], $2::bigint[]) u(account, customer)
 CROSS JOIN LATERAL (SELECT x.* FROM chat x WHERE x.account_id = u.account AND x.customer_id = u.customer
                        AND ($3::int IS NULL OR chat_visible(x, $3)) ORDER BY x.id DESC LIMIT 50) c
  LEFT JOIN agent g ON g.id = c.agent_id
  LEFT JOIN queue q ON q.id = c.queue_id
 ORDER BY c.id";

/// For the test that reads the plans.
#[cfg(test)]
pub(super) const HOT: &[&str] = &[BY_PHONE, BY_PLATFORM_ID, CHATS];

impl Database {
    /// Customers found by `look_up`, of one account or of all. One without a chat that the viewer may see is not found.
    pub async fn customers(
        &self,
        viewer: Option<AgentId>,
        look_up: &LookUp,
        account: Option<&str>,
    ) -> Result<Vec<FoundCustomer>, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let (sql, word) = match look_up {
                LookUp::Phone(digits) => (BY_PHONE, digits),
                LookUp::PlatformId(id) => (BY_PLATFORM_ID, id),
            };
            let viewer = viewer.map(|agent| agent.0);
            let statement = connection.prepare_cached(sql).await?;
            let rows = connection.query(&statement, &[word, &account, &viewer]).await?;
            let chats = chats(&connection, &rows, viewer).await?;
            connection.done();
            let mut found: Vec<FoundCustomer> = rows.iter().take(CUSTOMERS).map(customer).collect();
            for (of, chat) in chats {
                if let Some(customer) = found.iter_mut().find(|found| found.customer.id == of) {
                    customer.chats.push(chat);
                }
            }
            Ok(found)
        })
        .await
    }
}

async fn chats(
    connection: &Connection,
    customers: &[Row],
    viewer: Option<i32>,
) -> Result<Vec<(i64, CustomerChat)>, StoreError> {
    let accounts: Vec<i32> = customers.iter().map(|row| row.get("account_id")).collect();
    let ids: Vec<i64> = customers.iter().map(|row| row.get("id")).collect();
    let statement = connection.prepare_cached(CHATS).await?;
    let rows = connection.query(&statement, &[&accounts, &ids, &viewer]).await?;
    let chat = |row: &Row| {
        let chat = CustomerChat {
            id: ChatId(row.get("id")),
            title: row.get("title"),
            state: state(row)?,
            agent: row.get("agent"),
            queue: row.get("queue"),
            last_seq: row.get("last_seq"),
            last_in_at: row.get("last_in_at"),
        };
        Ok((row.get("customer_id"), chat))
    };
    rows.iter().map(chat).collect()
}

fn customer(row: &Row) -> FoundCustomer {
    FoundCustomer {
        account: row.get("account"),
        platform: row.get("platform"),
        customer: ListedCustomer {
            id: row.get("id"),
            platform_id: row.get("platform_id"),
            name: row.get("name"),
            phone: row.get("phone"),
        },
        chats: Vec::new(),
    }
}
