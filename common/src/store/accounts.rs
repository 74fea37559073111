//! Accounts: what an operator set up.

use serde_json::{Value, json};

use super::audit::Change;
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

/// What an operator changes of an account; what is `None` stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct AccountChange<'a> {
    /// The platform's own options, all of them, already checked.
    pub settings: Option<&'a Value>,
    /// Name of the queue where new chats wait.
    pub queue: Option<&'a str>,
    /// Whether it may be served.
    pub enabled: Option<bool>,
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// Made; this is the account's version now.
    Made(i64),
    /// It was so already.
    Same,
    /// Not made: somebody else has changed the account meanwhile, to this version.
    Newer(i64),
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

// Foreign keys point here: their checks must not wait.
const LOCK: &str = "
SELECT a.name, a.settings, a.enabled, a.version, q.name AS queue
  FROM account a JOIN queue q ON q.id = a.queue_id WHERE a.id = $1 FOR NO KEY UPDATE OF a";

const CHANGE: &str = "
UPDATE account a SET settings = $2, queue_id = q.id, enabled = $4, version = a.version + 1
  FROM queue q WHERE a.id = $1 AND q.name = $3";

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
                let after = json!({"platform": new.platform, "settings": new.settings, "queue": new.queue});
                let (action, subject) = ("account.add", new.name.as_str());
                let change = Change { action, subject, version: Some(1), before: None, after: Some(after) };
                self.record(&*transaction, change).await?;
            }
            transaction.commit().await?;
            connection.done();
            Ok(made.is_some())
        })
        .await
    }

    /// Changes an account that is still at version `seen`, and writes down who did.
    pub async fn change_account(
        &self,
        id: AccountId,
        seen: i64,
        change: &AccountChange<'_>,
    ) -> Result<Changed, StoreError> {
        self.within(async {
            let mut connection = self.connection().await?;
            let transaction = connection.transaction().await?;
            let row = transaction.query_one(LOCK, &[&id.0]).await?;
            let version: i64 = row.get("version");
            if version != seen {
                transaction.rollback().await?;
                connection.done();
                return Ok(Changed::Newer(version));
            }
            let before = json!({
                "settings": row.get::<_, Value>("settings"), "queue": row.get::<_, &str>("queue"),
                "enabled": row.get::<_, bool>("enabled"),
            });
            let mut after = before.clone();
            let wanted = [
                ("settings", change.settings.cloned()),
                ("queue", change.queue.map(Value::from)),
                ("enabled", change.enabled.map(Value::from)),
            ];
            for (key, value) in wanted {
                after[key] = value.unwrap_or_else(|| before[key].clone());
            }
            if after == before {
                transaction.rollback().await?;
                connection.done();
                return Ok(Changed::Same);
            }
            let queue = after["queue"].as_str().unwrap_or_default();
            let enabled = after["enabled"].as_bool().unwrap_or_default();
            let changed = transaction.execute(CHANGE, &[&id.0, &after["settings"], &queue, &enabled]).await?;
            if changed != 1 {
                return Err(StoreError::Unexpected(format!("there is no queue \"{queue}\"")));
            }
            let action = match change {
                AccountChange { settings: None, queue: None, enabled: Some(true) } => "account.enable",
                AccountChange { settings: None, queue: None, enabled: Some(false) } => "account.disable",
                _ => "account.set",
            };
            let (subject, version) = (row.get("name"), Some(version + 1));
            let record = Change { action, subject, version, before: Some(before), after: Some(after) };
            self.record(&*transaction, record).await?;
            transaction.commit().await?;
            connection.done();
            Ok(Changed::Made(seen + 1))
        })
        .await
    }

    /// What the platform can do, as its connector published it last.
    pub async fn capabilities(&self, id: AccountId) -> Result<Value, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let row = connection.query_one("SELECT capabilities FROM account WHERE id = $1", &[&id.0]).await?;
            connection.done();
            Ok(row.get(0))
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
