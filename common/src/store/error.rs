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
    #[error("database: {}", words(.0))]
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
            Self::Database(error) => match error.code() {
                // 08 connection, 57 operator intervention (restart), 53 out of resources, 58 the server's system,
                // 40 rolled back, 25006 a server that became a standby, 25P03 cut while idle, 55P03 lock timeout.
                Some(code) => {
                    ["08", "57", "53", "58", "40"].contains(&class(code))
                        || *code == SqlState::READ_ONLY_SQL_TRANSACTION
                        || *code == SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
                        || *code == SqlState::LOCK_NOT_AVAILABLE
                }
                // Without SQLSTATE: the connection failed, or the request could never have been sent.
                None => error.is_closed() || sources(error).any(|cause| cause.is::<std::io::Error>()),
            },
        }
    }

    /// Whether the database refuses the very values, so that the same rows would be refused again: bad data (22), a
    /// broken constraint (23), too large (54).
    pub fn refuses_values(&self) -> bool {
        match self {
            Self::Database(error) => error.code().is_some_and(|code| ["22", "23", "54"].contains(&class(code))),
            Self::NoConnection(_) | Self::Timeout(_) | Self::Unexpected(_) => false,
        }
    }

    /// Whether a unique key refused the row.
    pub fn is_unique_violation(&self) -> bool {
        matches!(self, Self::Database(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION))
    }
}

/// The first two characters of a SQLSTATE.
fn class(code: &SqlState) -> &str {
    &code.code()[..2]
}

/// What happened, with SQLSTATE and cause; never the detail, which holds values of rows.
pub(super) fn words(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => format!("{} {}", said.code().code(), said.message()),
        None => std::iter::once(error.to_string())
            .chain(sources(error).map(ToString::to_string))
            .collect::<Vec<_>>()
            .join(": "),
    }
}

/// The chain of causes.
pub(super) fn sources<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |cause| cause.source())
}
