//! Looks for uploads that nobody will ask for, and removes them.

use std::time::Duration;

use switchboard_common::model::AccountId;
use switchboard_common::service::shutdown::Shutdown;
use switchboard_common::store::Database;

/// An upload that is not whole after so long has ended without a word.
pub(crate) const UNFINISHED: Duration = Duration::from_secs(3600);

const EVERY: Duration = Duration::from_secs(600);

/// Between two pages: this is in nobody's way.
const BETWEEN_PAGES: Duration = Duration::from_millis(200);

/// Runs until the shutdown begins. Active and standby both do: what one of them holds, the other passes over.
pub(crate) async fn run(database: Database, account: AccountId, unused: Duration, shutdown: Shutdown) {
    let (mut seen, mut pause) = (None, Duration::ZERO);
    while shutdown.pause(pause).await {
        pause = match database.remove_orphans(account, UNFINISHED, unused, seen.clone()).await {
            Ok(swept) => {
                if swept.removed > 0 {
                    tracing::info!(files = swept.removed, "removed uploads that nobody asked for");
                }
                seen = swept.seen;
                if swept.more { BETWEEN_PAGES } else { EVERY }
            }
            Err(error) => {
                tracing::warn!(%error, "could not look for uploads that nobody asks for");
                EVERY
            }
        };
    }
}
