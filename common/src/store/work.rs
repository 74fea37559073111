//! A transaction whose `BEGIN` travels together with its first statement.

use futures_util::future::{try_join, try_join3};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

use super::{Connection, StoreError};

/// An open transaction. It saves the round trip that `BEGIN` alone costs on the hot paths; dropped without
/// [`commit`](Self::commit) or [`rollback`](Self::rollback) it closes its connection, and the server rolls back.
pub(super) struct Work {
    connection: Connection,
}

impl Work {
    /// Begins.
    pub(super) async fn open(connection: Connection) -> Result<Self, StoreError> {
        connection.batch_execute("BEGIN").await?;
        Ok(Self { connection })
    }

    /// Begins, and runs the first statement, in one trip.
    pub(super) async fn begin(
        connection: Connection,
        first: &Statement,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<(Self, Vec<Row>), StoreError> {
        // Both are sent in this order at their first poll; an error of either drops the connection.
        let ((), rows) = try_join(connection.batch_execute("BEGIN"), connection.query(first, values)).await?;
        Ok((Self { connection }, rows))
    }

    /// Begins, and runs the first two statements, in one trip. The second sees what was committed while the first
    /// waited for its locks.
    pub(super) async fn begin_pair(
        connection: Connection,
        first: (&Statement, &[&(dyn ToSql + Sync)]),
        second: (&Statement, &[&(dyn ToSql + Sync)]),
    ) -> Result<(Self, Vec<Row>, Vec<Row>), StoreError> {
        let ((), one, two) = try_join3(
            connection.batch_execute("BEGIN"),
            connection.query(first.0, first.1),
            connection.query(second.0, second.1),
        )
        .await?;
        Ok((Self { connection }, one, two))
    }

    /// What further statements run on.
    pub(super) fn client(&self) -> &deadpool_postgres::ClientWrapper {
        &self.connection
    }

    /// Commits. When this fails, nothing is known: the commit may have happened.
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        self.connection.batch_execute("COMMIT").await?;
        self.connection.done();
        Ok(())
    }

    /// Runs the last statement and commits, in one trip: nothing that it locks waits for us. Returns how many rows it changed.
    pub(super) async fn commit_with(self, last: &Statement, values: &[&(dyn ToSql + Sync)]) -> Result<u64, StoreError> {
        // After an error the commit rolls back, and the error is what is told.
        let (changed, ()) =
            try_join(self.connection.execute(last, values), self.connection.batch_execute("COMMIT")).await?;
        self.connection.done();
        Ok(changed)
    }

    /// Gives up what was done, and keeps the connection.
    pub(super) async fn rollback(self) -> Result<(), StoreError> {
        self.connection.batch_execute("ROLLBACK").await?;
        self.connection.done();
        Ok(())
    }

    /// Commits a transaction that found an earlier one's result. Its answer acknowledges that result, and must not
    /// return before the original is replicated: so it writes a record, too.
    pub(super) async fn commit_repeat(self) -> Result<(), StoreError> {
        self.connection.batch_execute("SELECT pg_logical_emit_message(true, 'switchboard', '')").await?;
        self.commit().await
    }
}
