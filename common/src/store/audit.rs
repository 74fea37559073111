//! What operators changed: a row each, written in the transaction of the change itself.

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio_postgres::GenericClient;

use super::{Database, StoreError};

/// A change an operator made.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditRow {
    /// Its number.
    pub id: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub actor: String,
    /// What: `account.set`, `agent.disable`, `outbox.cancel`.
    pub action: String,
    /// Of what: the account's, agent's or queue's name.
    pub subject: String,
    /// The account's version after it.
    pub version: Option<i64>,
    /// What was there.
    pub before: Option<Value>,
    /// What is there now.
    pub after: Option<Value>,
}

impl AuditRow {
    /// Reads a row of the table.
    pub(super) fn of(row: &tokio_postgres::Row) -> Self {
        Self {
            id: row.get("id"),
            at: row.get("at"),
            actor: row.get("actor"),
            action: row.get("action"),
            subject: row.get("subject"),
            version: row.get("version"),
            before: row.get("before"),
            after: row.get("after"),
        }
    }
}

/// A change to be written down.
#[derive(Debug, Default)]
pub(super) struct Change<'a> {
    pub action: &'a str,
    pub subject: &'a str,
    pub version: Option<i64>,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

impl Database {
    /// The same database for changes by `actor`: a person's name on their system, or whoever a program acts for.
    pub fn by(mut self, actor: &str) -> Self {
        self.actor = actor.into();
        self
    }

    /// Writes a change down; `client` is the transaction that makes it.
    pub(super) async fn record(&self, client: &impl GenericClient, change: Change<'_>) -> Result<(), StoreError> {
        const SQL: &str = "
            INSERT INTO audit (actor, action, subject, version, before, after) VALUES ($1, $2, $3, $4, $5, $6)";
        let Change { action, subject, version, before, after } = change;
        client.execute(SQL, &[&&*self.actor, &action, &subject, &version, &before, &after]).await?;
        Ok(())
    }

    /// Writes down a change that was made in many transactions, or whose statement is not ours.
    pub async fn note(&self, action: &str, subject: &str, after: Value) -> Result<(), StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let client: &tokio_postgres::Client = &connection;
            self.record(client, Change { action, subject, after: Some(after), ..Change::default() }).await?;
            connection.done();
            Ok(())
        })
        .await
    }

    /// The newest `limit` changes, newest first, of one subject or of all.
    pub async fn audit(&self, subject: Option<&str>, limit: i64) -> Result<Vec<AuditRow>, StoreError> {
        self.audit_page(subject, i64::MAX, limit).await
    }
}
