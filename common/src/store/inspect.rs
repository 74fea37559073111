//! What a doctor wants to know of the server itself.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use super::{Database, StoreError};

/// The server and our standing in it.
#[derive(Clone, Debug)]
pub struct ServerFacts {
    /// `server_version_num`: 150018.
    pub version: i32,
    /// `synchronous_commit`; it is not off, or we would not be connected.
    pub synchronous_commit: String,
    /// The role that we are.
    pub role: String,
    /// Whether that role may do everything.
    pub superuser: bool,
    /// Tables that this role may not even read.
    pub unreadable: Vec<String>,
    /// By how much the server's clock is ahead of ours, seconds; the way there and back is counted half.
    pub clock_ahead_s: f64,
    /// How long that took: the clocks are compared no better.
    pub round_trip: Duration,
    /// `synchronous_standby_names`; empty: a commit waits for nobody.
    pub synchronous_standbys: String,
    /// Standbys connected now, and how many of them commits wait for; `None` when this role may not know.
    pub standbys: Option<(i64, i64)>,
    /// Connections in use, and allowed.
    pub connections: (i64, i64),
    /// `application_name` of every process of the fleet that is connected.
    pub processes: Vec<String>,
}

const FACTS: &str = "
SELECT current_setting('server_version_num')::int AS version, current_setting('synchronous_commit') AS synchronous_commit,
       current_user::text AS role, coalesce((SELECT rolsuper FROM pg_roles WHERE rolname = current_user), false) AS superuser,
       current_setting('synchronous_standby_names') AS standby_names, clock_timestamp() AS now,
       (SELECT count(*) FROM pg_stat_replication) AS standbys,
       (SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')) AS synchronous,
       pg_has_role('pg_read_all_stats', 'USAGE') AS sees_standbys,
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections,
       current_setting('max_connections')::bigint AS allowed,
       ARRAY(SELECT DISTINCT application_name FROM pg_stat_activity
              WHERE datname = current_database() AND starts_with(application_name, 'switchboard/') ORDER BY 1) AS processes,
       ARRAY(SELECT relname::text FROM pg_class
              WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
                AND NOT has_table_privilege(oid, 'SELECT') ORDER BY 1) AS unreadable";

impl Database {
    /// Looks at the server.
    pub async fn inspect(&self) -> Result<ServerFacts, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            connection.batch_execute("SET enable_seqscan = on").await?;
            let (begun, before) = (Instant::now(), Utc::now());
            let row = connection.query_one(FACTS, &[]).await?;
            let round_trip = begun.elapsed();
            // Not given back: the connection's settings were changed.
            drop(connection);
            let server: DateTime<Utc> = row.get("now");
            let halfway = before + round_trip / 2;
            Ok(ServerFacts {
                version: row.get("version"),
                synchronous_commit: row.get("synchronous_commit"),
                role: row.get("role"),
                superuser: row.get("superuser"),
                unreadable: row.get("unreadable"),
                clock_ahead_s: (server - halfway).as_seconds_f64(),
                round_trip,
                synchronous_standbys: row.get("standby_names"),
                standbys: row.get::<_, bool>("sees_standbys").then(|| (row.get("standbys"), row.get("synchronous"))),
                connections: (row.get("connections"), row.get("allowed")),
                processes: row.get("processes"),
            })
        })
        .await
    }
}
