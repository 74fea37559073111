//! Accounts: what an operator set up.

use serde_json::Value;

use super::{Database, StoreError};
use crate::model::{AccountId, AccountName, Capabilities, QueueId};

/// One account as configured.
#[derive(Clone, Debug)]
pub struct Account {
    /// Key of everything that belongs to it.
    pub id: AccountId,
    /// The operator's name for it.
    pub name: AccountName,
    /// Which platform it is on.
    pub platform: String,
    /// Where its new chats wait.
    pub queue_id: QueueId,
    /// The platform's own options; secrets by reference only.
    pub settings: Value,
    /// Whether it may be served.
    pub enabled: bool,
    /// Grows with every change an operator makes.
    pub version: i64,
}

/// An account to be made.
#[derive(Debug)]
pub struct NewAccount<'a> {
    /// Its name.
    pub name: &'a AccountName,
    /// Which platform it is on.
    pub platform: &'a str,
    /// Name of the queue where its new chats wait.
    pub queue: &'a str,
    /// The platform's own options, already checked.
    pub settings: &'a Value,
    /// What the platform can do.
    pub capabilities: &'a Capabilities,
}

fn account(row: &tokio_postgres::Row) -> Result<Account, StoreError> {
    let name: String = row.get("name");
    Ok(Account {
        id: AccountId(row.get("id")),
        name: AccountName::new(&name).map_err(StoreError::Unexpected)?,
        platform: row.get("platform"),
        queue_id: QueueId(row.get("queue_id")),
        settings: row.get("settings"),
        enabled: row.get("enabled"),
        version: row.get("version"),
    })
}

const COLUMNS: &str = "id, name, platform, queue_id, settings, enabled, version";

impl Database {
    /// All accounts by name.
    pub async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let rows = connection.query(&format!("SELECT {COLUMNS} FROM account ORDER BY name"), &[]).await?;
            connection.done();
            rows.iter().map(account).collect()
        })
        .await
    }

    /// One account.
    pub async fn account(&self, name: &AccountName) -> Result<Option<Account>, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let sql = format!("SELECT {COLUMNS} FROM account WHERE name = $1");
            let row = connection.query_opt(&sql, &[&name.as_str()]).await?;
            connection.done();
            row.as_ref().map(account).transpose()
        })
        .await
    }

    /// Makes an account with its lease. Returns false when one of this name is there already.
    pub async fn add_account(&self, new: &NewAccount<'_>) -> Result<bool, StoreError> {
        self.within(async {
            let mut connection = self.connection().await?;
            let transaction = connection.transaction().await?;
            let queue = transaction
                .query_opt("SELECT id FROM queue WHERE name = $1", &[&new.queue])
                .await?
                .ok_or_else(|| StoreError::Unexpected(format!("there is no queue \"{}\"", new.queue)))?;
            let made = transaction
                .query_opt(
                    "INSERT INTO account (name, platform, queue_id, settings, capabilities) VALUES ($1, $2, $3, $4, $5)
                     ON CONFLICT (name) DO NOTHING RETURNING id",
                    &[
                        &new.name.as_str(),
                        &new.platform,
                        &queue.get::<_, i32>(0),
                        &new.settings,
                        &new.capabilities.to_json(),
                    ],
                )
                .await?;
            if let Some(row) = &made {
                let id: i32 = row.get(0);
                transaction.execute("INSERT INTO account_lease (account_id) VALUES ($1)", &[&id]).await?;
            }
            transaction.commit().await?;
            connection.done();
            Ok(made.is_some())
        })
        .await
    }

    /// Changes the platform's own options, already checked.
    pub async fn set_settings(&self, id: AccountId, settings: &Value) -> Result<(), StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let sql = "UPDATE account SET settings = $2, version = version + 1 WHERE id = $1";
            connection.execute(sql, &[&id.0, settings]).await?;
            connection.done();
            Ok(())
        })
        .await
    }

    /// Publishes what the platform can do, when it differs from what is known.
    pub async fn set_capabilities(&self, id: AccountId, capabilities: &Capabilities) -> Result<(), StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            connection
                .execute(
                    "UPDATE account SET capabilities = $2 WHERE id = $1 AND capabilities <> $2",
                    &[&id.0, &capabilities.to_json()],
                )
                .await?;
            connection.done();
            Ok(())
        })
        .await
    }
}
