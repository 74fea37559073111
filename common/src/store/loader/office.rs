//! Accounts, what operators changed, and the key of cursors.

use serde_json::Value;
use uuid::Uuid;

use super::super::audit::AuditRow;
use super::super::{Database, StoreError};

/// An account, as desktops see it.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedAccount {
    /// Its name.
    pub name: String,
    /// Its platform.
    pub platform: String,
    /// The name of the queue where its new chats wait.
    pub queue: String,
    /// Whether it may be served.
    pub enabled: bool,
    /// What its platform can do.
    pub capabilities: Value,
}

const ACCOUNTS: &str = "
SELECT a.name, a.platform, q.name AS queue, a.enabled, a.capabilities FROM account a JOIN queue q ON q.id = a.queue_id ORDER BY a.name";

const AUDIT: &str = "
SELECT id, at, actor, action, subject, version, before, after FROM audit WHERE id < $1 ORDER BY id DESC LIMIT $2";

const AUDIT_OF: &str = "
SELECT id, at, actor, action, subject, version, before, after FROM audit WHERE subject = $3 AND id < $1 ORDER BY id DESC LIMIT $2";

/// For the test that reads the plans.
#[cfg(test)]
pub(super) const HOT: &[&str] = &[AUDIT, AUDIT_OF];

impl Database {
    /// All accounts, by name.
    pub async fn listed_accounts(&self) -> Result<Vec<ListedAccount>, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let statement = connection.prepare_cached(ACCOUNTS).await?;
            let rows = connection.query(&statement, &[]).await?;
            connection.done();
            let account = |row: &tokio_postgres::Row| ListedAccount {
                name: row.get("name"),
                platform: row.get("platform"),
                queue: row.get("queue"),
                enabled: row.get("enabled"),
                capabilities: row.get("capabilities"),
            };
            Ok(rows.iter().map(account).collect())
        })
        .await
    }

    /// What operators changed before the change number `before`, of one subject or of all, the newest first.
    pub async fn audit_page(
        &self,
        subject: Option<&str>,
        before: i64,
        limit: i64,
    ) -> Result<Vec<AuditRow>, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let rows = match subject {
                Some(subject) => {
                    let statement = connection.prepare_cached(AUDIT_OF).await?;
                    connection.query(&statement, &[&before, &limit, &subject]).await?
                }
                None => {
                    let statement = connection.prepare_cached(AUDIT).await?;
                    connection.query(&statement, &[&before, &limit]).await?
                }
            };
            connection.done();
            Ok(rows.iter().map(AuditRow::of).collect())
        })
        .await
    }

    /// What loaders sign their cursors with: the same for all of them, in every copy of the database.
    pub async fn cursor_key(&self) -> Result<Uuid, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let key = connection.query_one("SELECT cursor_key FROM fleet", &[]).await?.get(0);
            connection.done();
            Ok(key)
        })
        .await
    }
}
