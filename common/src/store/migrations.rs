//! Migrations: embedded SQL files, run once, under a lock, expand first and contract a release later.

use super::error::{sources, words};
use super::{Database, StoreError};
use crate::faults::{during, later_migrations};

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// Any two migrations of one database exclude each other by this advisory lock ("swb").
const LOCK: i64 = 0x73_77_62;

/// Brings the schema to this version; returns the names of the migrations that ran.
pub async fn migrate(database: &Database) -> Result<Vec<String>, StoreError> {
    let mut connection = database.connection().await?;
    // A migration may take its time, but never waits long for a lock that live services hold.
    connection.batch_execute("SET statement_timeout = 0; SET lock_timeout = '2s'").await?;
    connection.batch_execute("SET enable_seqscan = on").await?;
    // The wait for another migration is not a wait on live services.
    connection
        .batch_execute(&format!("SET lock_timeout = 0; SELECT pg_advisory_lock({LOCK}); SET lock_timeout = '2s'"))
        .await?;
    let client: &mut tokio_postgres::Client = &mut connection;
    let mut migrations = embedded::migrations::runner().get_migrations().clone();
    if let Some(folder) = later_migrations() {
        let later = refinery::load_sql_migrations(folder);
        migrations.extend(later.map_err(|error| StoreError::Unexpected(format!("migration: {error}")))?);
    }
    let report = during("A2", refinery::Runner::new(&migrations).run_async(client)).await.map_err(|error| {
        let cause = sources(&error).filter_map(|cause| cause.downcast_ref().map(words)).next();
        StoreError::Unexpected(format!(
            "migration: {error}{}",
            cause.map(|words| format!(": {words}")).unwrap_or_default()
        ))
    })?;
    connection.batch_execute("ANALYZE account, agent, queue, feed, chat, outbox").await?;
    // The connection carries changed settings and the lock: dropping it closes both.
    Ok(report.applied_migrations().iter().map(ToString::to_string).collect())
}

/// The newest migration in the database; `None` before the first. Services refuse to work below theirs.
pub async fn schema_version(database: &Database) -> Result<Option<i32>, StoreError> {
    database
        .within(async {
            let connection = database.connection().await?;
            let exists: bool =
                connection.query_one("SELECT to_regclass('refinery_schema_history') IS NOT NULL", &[]).await?.get(0);
            let version = match exists {
                true => connection.query_one("SELECT max(version) FROM refinery_schema_history", &[]).await?.get(0),
                false => None,
            };
            connection.done();
            Ok(version)
        })
        .await
}

/// The migration this version of the services needs.
pub fn needed_version() -> i32 {
    embedded::migrations::runner()
        .get_migrations()
        .iter()
        .map(|migration| migration.version())
        .max()
        .unwrap_or_default()
}
