//! What can go wrong with the database, sorted by what the caller does next.

use tokio_postgres::error::SqlState;

/// A failure of the store. After any of them nothing is known to have happened unless the variant says so.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection could be had in time.
    #[error("no database connection: {0}")]
    NoConnection(String),
    /// The database did not answer in time. The connection is closed; a commit may have happened.
    #[error("the database did not answer within {0} ms")]
    Timeout(u128),
    /// The database answered with an error, or the connection broke.
    #[error("database: {0}")]
    Database(#[from] tokio_postgres::Error),
    /// A row holds what this version cannot read.
    #[error("unexpected data: {0}")]
    Unexpected(String),
}

impl StoreError {
    /// Whether waiting and trying again may help: the database is away, restarting or read-only.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::NoConnection(_) | Self::Timeout(_) => true,
            Self::Unexpected(_) => false,
            // Without SQLSTATE the connection itself failed.
            Self::Database(error) => error.code().is_none_or(|code| {
                let class = &code.code()[..2];
                // 08 connection, 57 operator intervention (restart), 53 out of resources, 40 rolled back,
                // 25006 a server that became a standby, 55P03 lock timeout.
                ["08", "57", "53", "40"].contains(&class)
                    || *code == SqlState::READ_ONLY_SQL_TRANSACTION
                    || *code == SqlState::LOCK_NOT_AVAILABLE
            }),
        }
    }

    /// Whether a unique key refused the row.
    pub fn is_unique_violation(&self) -> bool {
        matches!(self, Self::Database(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION))
    }
}
