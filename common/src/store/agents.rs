//! Agents, queues, who serves what, and which sessions are open.

use serde_json::json;

use super::audit::Change;
use super::{Database, StoreError};
use crate::model::{AgentId, FeedId, QueueId, TokenScope, TokenScopes};

/// An agent with the feeds their sessions read: their own first, then their queues' by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Key.
    pub id: AgentId,
    /// The `sub` of their token.
    pub name: String,
    /// What colleagues and customers see.
    pub display_name: String,
    /// Whether they may connect.
    pub enabled: bool,
    /// What their tokens may be good for at most.
    pub scopes: TokenScopes,
    /// What a session of theirs reads.
    pub feeds: Vec<AgentFeed>,
    /// The generation of the database that cursors belong to.
    pub feed_epoch: i64,
}

/// One feed of an agent, and how far it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentFeed {
    /// Key.
    pub id: FeedId,
    /// `agent:12` or `queue:3`.
    pub name: String,
    /// The queue whose feed it is.
    pub queue: Option<(QueueId, String)>,
    /// Newest entry.
    pub head: i64,
    /// Entries up to here may be gone.
    pub pruned: i64,
}

impl Agent {
    /// The feed of the agent's own chats.
    pub fn own_feed(&self) -> FeedId {
        self.feeds.first().map_or(FeedId(0), |feed| feed.id)
    }

    /// What decides whether a token's bearer may come in.
    pub fn standing(&self) -> AgentStanding {
        AgentStanding { id: self.id, enabled: self.enabled, scopes: self.scopes }
    }
}

/// What a live session must still be entitled to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whose.
    pub agent: AgentId,
    /// Whether they may be connected.
    pub enabled: bool,
    /// What their tokens may be good for at most.
    pub scopes: TokenScopes,
    /// Their feeds, in the order of [`Agent::feeds`].
    pub feeds: Vec<FeedId>,
}

/// One row of a list of agents.
#[derive(Clone, Debug)]
pub struct AgentRow {
    /// The `sub` of their token.
    pub name: String,
    /// What colleagues and customers see.
    pub display_name: String,
    /// Whether they may connect.
    pub enabled: bool,
    /// Names of their queues.
    pub queues: Vec<String>,
    /// What their tokens may be good for at most.
    pub scopes: TokenScopes,
}

/// What decides whether a token's bearer may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgentStanding {
    /// Key.
    pub id: AgentId,
    /// Whether they may come in at all.
    pub enabled: bool,
    /// What their tokens may be good for at most.
    pub scopes: TokenScopes,
}

// One statement, so one snapshot: the heads belong together. `sort` puts the agent's own feed first.
pub(super) const AGENT: &str = "
SELECT a.id, a.name, a.display_name, a.enabled, a.scopes, f.id AS feed_id, f.name AS feed_name, f.last_seq, f.pruned_seq,
       x.queue_id, x.queue_name, (SELECT feed_epoch FROM fleet WHERE one) AS feed_epoch
  FROM agent a
 CROSS JOIN LATERAL (
   SELECT a.feed_id, NULL::int AS queue_id, NULL::text COLLATE \"C\" AS queue_name, 0 AS sort
    UNION ALL
   SELECT q.feed_id, q.id, q.name, 1 FROM agent_queue aq JOIN queue q ON q.id = aq.queue_id WHERE aq.agent_id = a.id) x
  JOIN feed f ON f.id = x.feed_id
 WHERE a.name = $1
 ORDER BY x.sort, x.queue_name";

/// For the test that reads the plans.
#[cfg(test)]
pub(super) const HOT: &[&str] = &[AGENT];

/// Reads the rows of [`AGENT`].
pub(super) fn agent(rows: &[tokio_postgres::Row]) -> Option<Agent> {
    let first = rows.first()?;
    let feeds = rows.iter().map(|row| AgentFeed {
        id: FeedId(row.get("feed_id")),
        name: row.get("feed_name"),
        queue: row.get::<_, Option<i32>>("queue_id").map(|id| (QueueId(id), row.get("queue_name"))),
        head: row.get("last_seq"),
        pruned: row.get("pruned_seq"),
    });
    Some(Agent {
        id: AgentId(first.get("id")),
        name: first.get("name"),
        display_name: first.get("display_name"),
        enabled: first.get("enabled"),
        scopes: scopes(first),
        feeds: feeds.collect(),
        feed_epoch: first.get("feed_epoch"),
    })
}

impl Database {
    /// An agent by the name in their token.
    pub async fn agent(&self, name: &str) -> Result<Option<Agent>, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let statement = connection.prepare_cached(AGENT).await?;
            let rows = connection.query(&statement, &[&name]).await?;
            connection.done();
            Ok(agent(&rows))
        })
        .await
    }

    /// Whether an agent may come in, and with which scopes; none: there is no such agent.
    pub async fn agent_standing(&self, name: &str) -> Result<Option<AgentStanding>, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let statement = connection.prepare_cached("SELECT id, enabled, scopes FROM agent WHERE name = $1").await?;
            let row = connection.query_opt(&statement, &[&name]).await?;
            connection.done();
            Ok(row.map(|row| AgentStanding {
                id: AgentId(row.get("id")),
                enabled: row.get("enabled"),
                scopes: scopes(&row),
            }))
        })
        .await
    }

    /// What the agents of live sessions may read now, and the present `feed_epoch`.
    pub async fn standings(&self, agents: &[AgentId]) -> Result<(Vec<Standing>, i64), StoreError> {
        const SQL: &str = "
            SELECT a.id, a.enabled, a.scopes,
                   array_prepend(a.feed_id, ARRAY(SELECT q.feed_id FROM agent_queue aq JOIN queue q ON q.id = aq.queue_id
                                                   WHERE aq.agent_id = a.id ORDER BY q.name)) AS feeds
              FROM agent a WHERE a.id = ANY ($1::int[])";
        self.within(async {
            let ids: Vec<i32> = agents.iter().map(|id| id.0).collect();
            let connection = self.connection().await?;
            let statement = connection.prepare_cached(SQL).await?;
            let rows = connection.query(&statement, &[&ids]).await?;
            let epoch = connection.query_one("SELECT feed_epoch FROM fleet WHERE one", &[]).await?.get(0);
            connection.done();
            let standing = |row: &tokio_postgres::Row| Standing {
                agent: AgentId(row.get("id")),
                enabled: row.get("enabled"),
                scopes: scopes(row),
                feeds: row.get::<_, Vec<i32>>("feeds").into_iter().map(FeedId).collect(),
            };
            Ok((rows.iter().map(standing).collect(), epoch))
        })
        .await
    }

    /// Makes a queue with its feed; false when one of this name is there already.
    pub async fn add_queue(&self, name: &str) -> Result<bool, StoreError> {
        const SQL: &str = "
            WITH f AS (INSERT INTO feed (name) SELECT 'new:' || gen_random_uuid() WHERE NOT EXISTS (SELECT 1 FROM queue WHERE name = $1)
                       RETURNING id)
            INSERT INTO queue (name, feed_id) SELECT $1, id FROM f RETURNING id, feed_id";
        self.within(async {
            let mut connection = self.connection().await?;
            let transaction = connection.transaction().await?;
            let row = transaction.query_opt(SQL, &[&name]).await?;
            if let Some(row) = &row {
                name_feed(&transaction, row, "queue").await?;
                self.record(&*transaction, Change { action: "queue.add", subject: name, ..Change::default() }).await?;
            }
            transaction.commit().await?;
            connection.done();
            Ok(row.is_some())
        })
        .await
    }

    /// Makes an agent who answers, with their feed, serving `queues`; false when one of this name is there already.
    pub async fn add_agent(&self, name: &str, display_name: &str, queues: &[String]) -> Result<bool, StoreError> {
        let scopes = TokenScopes::from_iter([TokenScope::Agent]);
        self.add_agent_with(name, display_name, queues, scopes).await
    }

    /// The same with other scopes.
    pub async fn add_agent_with(
        &self,
        name: &str,
        display_name: &str,
        queues: &[String],
        scopes: TokenScopes,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "
            WITH f AS (INSERT INTO feed (name) SELECT 'new:' || gen_random_uuid() WHERE NOT EXISTS (SELECT 1 FROM agent WHERE name = $1)
                       RETURNING id)
            INSERT INTO agent (name, display_name, scopes, feed_id) SELECT $1, $2, $3, id FROM f RETURNING id, feed_id";
        let words: Vec<&str> = scopes.words().collect();
        self.within(async {
            let mut connection = self.connection().await?;
            let transaction = connection.transaction().await?;
            let row = transaction.query_opt(SQL, &[&name, &display_name, &words]).await?;
            if let Some(row) = &row {
                name_feed(&transaction, row, "agent").await?;
                serve(&transaction, row.get("id"), queues).await?;
                let after = Some(json!({"display_name": display_name, "queues": queues, "scopes": words}));
                let change = Change { action: "agent.add", subject: name, after, ..Change::default() };
                self.record(&*transaction, change).await?;
            }
            transaction.commit().await?;
            connection.done();
            Ok(row.is_some())
        })
        .await
    }

    /// Sets which queues an agent serves; live sessions are closed and come back with the new feeds. False: no such agent.
    pub async fn set_agent_queues(&self, name: &str, queues: &[String]) -> Result<bool, StoreError> {
        self.within(async {
            let mut connection = self.connection().await?;
            let transaction = connection.transaction().await?;
            let row = transaction.query_opt("SELECT id FROM agent WHERE name = $1 FOR NO KEY UPDATE", &[&name]).await?;
            if let Some(row) = &row {
                let id: i32 = row.get("id");
                let before = transaction
                    .query("DELETE FROM agent_queue WHERE agent_id = $1 RETURNING (SELECT name FROM queue WHERE id = queue_id)", &[&id])
                    .await?;
                let mut before: Vec<String> = before.iter().map(|row| row.get(0)).collect();
                before.sort();
                serve(&transaction, id, queues).await?;
                let (before, after) = (Some(json!({"queues": before})), Some(json!({"queues": queues})));
                let change = Change { action: "agent.serve", subject: name, version: None, before, after };
                self.record(&*transaction, change).await?;
            }
            transaction.commit().await?;
            connection.done();
            Ok(row.is_some())
        })
        .await
    }

    /// Sets what tokens of an agent may be good for at most; live sessions are closed within seconds and come back with
    /// what is left. False: no such agent.
    pub async fn set_agent_scopes(&self, name: &str, scopes: TokenScopes) -> Result<bool, StoreError> {
        self.within(async {
            let words: Vec<&str> = scopes.words().collect();
            let mut connection = self.connection().await?;
            let transaction = connection.transaction().await?;
            let before = "SELECT scopes FROM agent WHERE name = $1 FOR NO KEY UPDATE";
            let before = transaction.query_opt(before, &[&name]).await?.map(|row| row.get::<_, Vec<String>>(0));
            if let Some(before) = &before {
                transaction.execute("UPDATE agent SET scopes = $2 WHERE name = $1", &[&name, &words]).await?;
                let (before, after) = (Some(json!({"scopes": before})), Some(json!({"scopes": words})));
                let change = Change { action: "agent.scopes", subject: name, version: None, before, after };
                self.record(&*transaction, change).await?;
            }
            transaction.commit().await?;
            connection.done();
            Ok(before.is_some())
        })
        .await
    }

    /// Lets an agent in, or shuts them out: live sessions are closed within seconds. False: no such agent.
    pub async fn enable_agent(&self, name: &str, enabled: bool) -> Result<bool, StoreError> {
        self.within(async {
            let mut connection = self.connection().await?;
            let transaction = connection.transaction().await?;
            let changed =
                transaction.execute("UPDATE agent SET enabled = $2 WHERE name = $1", &[&name, &enabled]).await?;
            if changed == 1 {
                let action = if enabled { "agent.enable" } else { "agent.disable" };
                self.record(&*transaction, Change { action, subject: name, ..Change::default() }).await?;
            }
            transaction.commit().await?;
            connection.done();
            Ok(changed == 1)
        })
        .await
    }

    /// All agents by name.
    pub async fn agents(&self) -> Result<Vec<AgentRow>, StoreError> {
        const SQL: &str = "
            SELECT a.name, a.display_name, a.enabled, a.scopes,
                   ARRAY(SELECT q.name FROM agent_queue aq JOIN queue q ON q.id = aq.queue_id WHERE aq.agent_id = a.id ORDER BY 1) AS queues
              FROM agent a ORDER BY a.name";
        self.within(async {
            let connection = self.connection().await?;
            let rows = connection.query(SQL, &[]).await?;
            connection.done();
            let agent = |row: &tokio_postgres::Row| AgentRow {
                name: row.get("name"),
                display_name: row.get("display_name"),
                enabled: row.get("enabled"),
                queues: row.get("queues"),
                scopes: scopes(row),
            };
            Ok(rows.iter().map(agent).collect())
        })
        .await
    }

    /// All queues by name.
    pub async fn queues(&self) -> Result<Vec<(QueueId, String)>, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let rows = connection.query("SELECT id, name FROM queue ORDER BY name", &[]).await?;
            connection.done();
            Ok(rows.iter().map(|row| (QueueId(row.get("id")), row.get("name"))).collect())
        })
        .await
    }

    pub(super) async fn execute(
        &self,
        sql: &'static str,
        values: &[&(dyn tokio_postgres::types::ToSql + Sync)],
    ) -> Result<(), StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let statement = connection.prepare_cached(sql).await?;
            connection.execute(&statement, values).await?;
            connection.done();
            Ok(())
        })
        .await
    }
}

fn scopes(row: &tokio_postgres::Row) -> TokenScopes {
    TokenScopes::from_words(row.get::<_, Vec<&str>>("scopes"))
}

/// The feed's name holds the id of what it belongs to, which is known only now.
async fn name_feed(
    transaction: &deadpool_postgres::Transaction<'_>,
    row: &tokio_postgres::Row,
    word: &str,
) -> Result<(), StoreError> {
    let (id, feed): (i32, i32) = (row.get("id"), row.get("feed_id"));
    transaction.execute("UPDATE feed SET name = $2 WHERE id = $1", &[&feed, &format!("{word}:{id}")]).await?;
    Ok(())
}

async fn serve(
    transaction: &deadpool_postgres::Transaction<'_>,
    agent: i32,
    queues: &[String],
) -> Result<(), StoreError> {
    let queues = queues.to_vec();
    let rows = transaction
        .query(
            "INSERT INTO agent_queue (agent_id, queue_id) SELECT $1, id FROM queue WHERE name = ANY ($2::text[])
             RETURNING (SELECT name FROM queue WHERE id = queue_id)",
            &[&agent, &queues],
        )
        .await?;
    let known: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    match queues.iter().find(|queue| !known.contains(queue)) {
        Some(missing) => Err(StoreError::Unexpected(format!("there is no queue \"{missing}\""))),
        None => Ok(()),
    }
}
