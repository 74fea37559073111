//! What must be done now and then: sessions' standing, partitions ahead, old feed entries away.

use std::sync::Arc;
use std::time::Duration;

use switchboard_common::access::Verifier;
use switchboard_common::service::shutdown::Shutdown;
use switchboard_common::store::{Database, Standing, StoreError};

use crate::agents::CloseCode;
use crate::agents::hub::{Hub, Live};

/// An agent who is shut out, or loses a queue or a scope, or whose token's key is taken away, loses the sessions within five
/// seconds: this, and the look.
const STANDING_EVERY: Duration = Duration::from_secs(4);

/// Sessions' rows are refreshed every so many checks of standing.
const REFRESH_EVERY: u32 = 8;

/// Rows of a chatserver that was silent for so long are forgotten.
const SILENCE: Duration = Duration::from_secs(600);

/// What was said in passing is forgotten after so long.
const WHISPERS: Duration = Duration::from_secs(60);

/// How often old feed entries are looked for, and the log's partitions made sure of.
const LOG_EVERY: Duration = Duration::from_secs(3600);

/// Ends sessions of agents who may not be there any more, or read other feeds by now; and keeps the sessions' rows.
pub(crate) async fn watch_sessions(
    database: Database,
    hub: Hub,
    verifier: Arc<Verifier>,
    name: String,
    shutdown: Shutdown,
) {
    let mut epoch = None;
    let mut round = 0;
    loop {
        let mut live = hub.list().await;
        // Whoever has the key may make tokens for anybody: what it let in ends with it, whatever the database says.
        let withdrawn: Vec<Live> = live.extract_if(.., |live| !verifier.believes(live.key)).collect();
        for live in withdrawn {
            hub.kick(live.session, CloseCode::Unauthorized).await;
        }
        if let Err(error) = check_standing(&database, &hub, &live, &mut epoch).await {
            tracing::debug!(%error, "sessions' standing was not checked");
        }
        if round % REFRESH_EVERY == 0 {
            let ids: Vec<_> = live.iter().map(|live| live.session).collect();
            if let Err(error) = database.refresh_sessions(&name, &ids, SILENCE).await {
                tracing::debug!(%error, "sessions' rows were not refreshed");
            }
            if let Err(error) = database.forget_whispers(WHISPERS).await {
                tracing::debug!(%error, "what was said in passing stays until the next round");
            }
        }
        round += 1;
        if !shutdown.pause(STANDING_EVERY).await {
            return;
        }
    }
}

async fn check_standing(
    database: &Database,
    hub: &Hub,
    live: &[Live],
    epoch: &mut Option<i64>,
) -> Result<(), StoreError> {
    let agents: Vec<_> = live.iter().map(|live| live.agent).collect();
    let (standings, present) = database.standings(&agents).await?;
    let went_backwards = epoch.replace(present).is_some_and(|before| before != present);
    for live in live {
        let standing = standings.iter().find(|standing| standing.agent == live.agent);
        let code = match standing {
            // The cursors of all sessions mean nothing any more: they come back, and are told.
            _ if went_backwards => CloseCode::Internal,
            Some(Standing { enabled: true, scopes, .. }) if *scopes != live.scopes => CloseCode::RoleChanged,
            Some(Standing { enabled: true, feeds, .. }) if *feeds == live.feeds => continue,
            Some(Standing { enabled: true, .. }) => CloseCode::Internal,
            _ => CloseCode::Unauthorized,
        };
        hub.kick(live.session, code).await;
    }
    Ok(())
}

/// The log's partitions are made ahead, and feed entries older than `retention` are deleted, in small batches.
pub(crate) async fn keep_log(database: Database, retention: Duration, shutdown: Shutdown) {
    loop {
        if let Err(error) = database.ensure_history_partitions().await {
            tracing::error!(%error, "the log's next partitions were not made");
        }
        if let Err(error) = prune(&database, retention, &shutdown).await {
            tracing::warn!(%error, "old feed entries stay until the next round");
        }
        if !shutdown.pause(LOG_EVERY).await {
            return;
        }
    }
}

async fn prune(database: &Database, retention: Duration, shutdown: &Shutdown) -> Result<(), StoreError> {
    for feed in database.prunable_feeds(retention).await? {
        while !shutdown.has_begun() && database.prune_feed(feed, retention).await? > 0 {}
    }
    Ok(())
}
