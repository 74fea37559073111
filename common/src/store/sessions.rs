//! Which sessions of agents are open, and where.

use std::time::Duration;

use uuid::Uuid;

use super::{Database, StoreError};
use crate::model::AgentId;

impl Database {
    /// Writes down that a session is open.
    pub async fn open_session(&self, session: Uuid, agent: AgentId, chatserver: &str) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO agent_session (id, agent_id, chatserver) VALUES ($1, $2, $3)",
            &[&session, &agent.0, &chatserver],
        )
        .await
    }

    /// Forgets a session that has ended.
    pub async fn close_session(&self, session: Uuid) -> Result<(), StoreError> {
        self.execute("DELETE FROM agent_session WHERE id = $1", &[&session]).await
    }

    /// Says that exactly these sessions of `chatserver` live; its others, and anybody's that were silent for
    /// `silence`, are forgotten.
    pub async fn refresh_sessions(&self, chatserver: &str, live: &[Uuid], silence: Duration) -> Result<(), StoreError> {
        let live = live.to_vec();
        self.execute("UPDATE agent_session SET seen_at = now() WHERE id = ANY ($1::uuid[])", &[&live]).await?;
        // A session is written down before it is counted as live: leave the young ones alone.
        self.execute(
            "DELETE FROM agent_session
              WHERE (chatserver = $1 AND NOT (id = ANY ($2::uuid[])) AND seen_at < now() - interval '20 s')
                 OR seen_at < now() - make_interval(secs => $3)",
            &[&chatserver, &live, &silence.as_secs_f64()],
        )
        .await
    }
}
