//! Reading feeds from a copy that may be behind: a known bug, which the fault tests switch on.

use std::sync::LazyLock;
use std::time::Duration;

use super::Database;
use crate::faults::standby;
use crate::store::DatabaseOptions;

static STANDBY: LazyLock<Option<Database>> = LazyLock::new(|| {
    let options = DatabaseOptions {
        url: standby()?,
        password: None,
        pool_size: 4,
        application_name: "switchboard-standby".to_owned(),
        statement_timeout: Duration::from_secs(5),
    };
    Some(Database::for_reading(&options).expect("SWITCHBOARD_SABOTAGE_STANDBY is an address"))
});

/// The copy, if there is one.
pub(super) fn or(database: &Database) -> &Database {
    STANDBY.as_ref().unwrap_or(database)
}
