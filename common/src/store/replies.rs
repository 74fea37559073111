//! Canned replies: words that agents send often, as data.

use serde_json::json;

use super::audit::Change;
use super::{Database, StoreError};
use crate::model::AgentId;

/// Words under a short name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CannedReply {
    /// Its number; grows.
    pub id: i32,
    /// Name of the queue whose agents have it; none: everybody.
    pub queue: Option<String>,
    /// Its short name.
    pub key: String,
    /// What is sent.
    pub text: String,
}

const OF_AGENT: &str = "
SELECT r.id, q.name AS queue, r.key, r.text FROM canned_reply r LEFT JOIN queue q ON q.id = r.queue_id
 WHERE r.id > $2 AND (r.queue_id IS NULL
        OR EXISTS (SELECT 1 FROM agent_queue aq WHERE aq.agent_id = $1 AND aq.queue_id = r.queue_id))
 ORDER BY r.id LIMIT $3";

const ALL: &str = "
SELECT r.id, q.name AS queue, r.key, r.text FROM canned_reply r LEFT JOIN queue q ON q.id = r.queue_id
 ORDER BY q.name NULLS FIRST, r.key";

const KNOWN: &str = "
SELECT r.text FROM canned_reply r
 WHERE coalesce(r.queue_id, 0) = coalesce((SELECT id FROM queue WHERE name = $1), 0) AND r.key = $2 FOR NO KEY UPDATE";

const SET: &str = "
INSERT INTO canned_reply (queue_id, key, text) VALUES ((SELECT id FROM queue WHERE name = $1), $2, $3)
    ON CONFLICT (coalesce(queue_id, 0), key) DO UPDATE SET text = excluded.text, changed_at = now()";

const REMOVE: &str = "
DELETE FROM canned_reply r
 WHERE coalesce(r.queue_id, 0) = coalesce((SELECT id FROM queue WHERE name = $1), 0) AND r.key = $2 RETURNING r.text";

/// For the tests that read them.
#[cfg(test)]
pub(super) const HOT: &[&str] = &[OF_AGENT];

impl Database {
    /// The replies that an agent has, at most `limit` after the one numbered `after`.
    pub async fn replies_of(&self, agent: AgentId, after: i32, limit: i64) -> Result<Vec<CannedReply>, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let statement = connection.prepare_cached(OF_AGENT).await?;
            let rows = connection.query(&statement, &[&agent.0, &after, &limit]).await?;
            connection.done();
            Ok(rows.iter().map(reply).collect())
        })
        .await
    }

    /// All replies: those for everybody first, then by queue and key.
    pub async fn replies(&self) -> Result<Vec<CannedReply>, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let rows = connection.query(ALL, &[]).await?;
            connection.done();
            Ok(rows.iter().map(reply).collect())
        })
        .await
    }

    /// Makes a reply for a queue, or for everybody, or changes its words. False: it is so already.
    pub async fn set_reply(&self, queue: Option<&str>, key: &str, text: &str) -> Result<bool, StoreError> {
        self.within(async {
            let mut connection = self.connection().await?;
            let transaction = connection.transaction().await?;
            known(&transaction, queue).await?;
            let before = transaction.query_opt(KNOWN, &[&queue, &key]).await?.map(|row| row.get::<_, String>(0));
            if before.as_deref() == Some(text) {
                transaction.rollback().await?;
                connection.done();
                return Ok(false);
            }
            transaction.execute(SET, &[&queue, &key, &text]).await?;
            let noted = |text: &str| json!({"queue": queue, "text": text});
            let (before, after) = (before.as_deref().map(noted), Some(noted(text)));
            let change = Change { action: "reply.add", subject: key, version: None, before, after };
            self.record(&*transaction, change).await?;
            transaction.commit().await?;
            connection.done();
            Ok(true)
        })
        .await
    }

    /// Takes a reply away; false: there is none.
    pub async fn remove_reply(&self, queue: Option<&str>, key: &str) -> Result<bool, StoreError> {
        self.within(async {
            let mut connection = self.connection().await?;
            let transaction = connection.transaction().await?;
            known(&transaction, queue).await?;
            let removed = transaction.query_opt(REMOVE, &[&queue, &key]).await?.map(|row| row.get::<_, String>(0));
            if let Some(text) = &removed {
                let before = Some(json!({"queue": queue, "text": text}));
                let change = Change { action: "reply.remove", subject: key, version: None, before, after: None };
                self.record(&*transaction, change).await?;
            }
            transaction.commit().await?;
            connection.done();
            Ok(removed.is_some())
        })
        .await
    }
}

/// Refuses a queue that is not there.
async fn known(transaction: &deadpool_postgres::Transaction<'_>, queue: Option<&str>) -> Result<(), StoreError> {
    let Some(name) = queue else { return Ok(()) };
    match transaction.query_opt("SELECT 1 FROM queue WHERE name = $1", &[&name]).await? {
        Some(_) => Ok(()),
        None => Err(StoreError::Unexpected(format!("there is no queue \"{name}\""))),
    }
}

fn reply(row: &tokio_postgres::Row) -> CannedReply {
    CannedReply { id: row.get("id"), queue: row.get("queue"), key: row.get("key"), text: row.get("text") }
}
