//! Updates in: poll → raw update → parse → store → ring.
//!
//! The platform is told that we have an update only by the next poll's cursor, and that cursor is the
//! committed one: stored in the same transaction as the rows, and only under the tenure's epoch.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use switchboard_common::doorbell::Doorbells;
use switchboard_common::faults::{Sabotage, during, point, sabotaged};
use switchboard_common::model::{Inbound, Quarantined, RawUpdate, text};
use switchboard_common::service::health::Health;
use switchboard_common::service::metrics::{INBOX_COMMIT, INBOX_REPEATED, INBOX_STORED, QUARANTINED};
use switchboard_common::service::shutdown::Shutdown;
use switchboard_common::store::{Account, CursorMove, Database, StoreError, Stored};
use switchboard_common::tenure::Tenure;
use tokio::sync::Notify;

use crate::platform::{ParseError, Platform, PollError};
use crate::registration::Registration;
use crate::settings::InForce;

/// Takes in what one account's platform tells.
#[derive(Clone)]
pub struct Intake {
    /// The account.
    pub account: Account,
    /// Its platform.
    pub platform: Arc<dyn Platform>,
    /// Where rows go.
    pub database: Database,
    /// Whom to ring.
    pub doorbells: Doorbells,
    /// Whom to tell that files are to be fetched, when this process is the active one.
    pub news: Arc<Notify>,
    /// Where trouble is shown.
    pub health: Health,
}

/// Of an [`Intake`], what stays when settings change.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub database: Database,
    pub doorbells: Doorbells,
    pub news: Arc<Notify>,
    pub health: Health,
}

/// Pauses after trouble double from the first to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// Another reader of the same account: 5-30 s is what the platform's own advice comes to.
const CONFLICT_PAUSE: Duration = Duration::from_secs(5);
/// Credentials refused: an operator must act, so there is no hurry.
const DOWN_PAUSE: Duration = Duration::from_secs(30);

impl Intake {
    /// What an account's settings in force ask for.
    pub(crate) fn new(now: &InForce, around: &Surroundings) -> Self {
        Self {
            account: now.account.clone(),
            platform: now.platform.clone(),
            database: around.database.clone(),
            doorbells: around.doorbells.clone(),
            news: around.news.clone(),
            health: around.health.clone(),
        }
    }

    /// Polls for one tenure, until `ending` begins; begins it itself when the tenure is over.
    pub(crate) async fn poll(&self, tenure: &Tenure, ending: &Shutdown, wait: Duration, registration: &Registration) {
        let epoch = tenure.epoch;
        let mut renewed = tenure.renewed.clone();
        let mut cursor = self.committed_cursor(ending).await;
        let mut pause = PAUSES.0;
        let mut webhook_removed = None;
        while !ending.has_begun() {
            let begun = Instant::now();
            let polled = tokio::select! {
                polled = during("P5", self.platform.poll(cursor.as_deref(), wait)) => Some(polled),
                () = ending.wait() => return,
                _ = renewed.wait_for(|renewed| !renewed) => None,
            };
            let Some(polled) = polled else {
                // What came could not be stored, and another connector may poll by now.
                tracing::warn!("the lease cannot be renewed: polling stops until it can");
                tokio::select! {
                    _ = renewed.wait_for(|renewed| *renewed) => continue,
                    () = ending.wait() => return,
                }
            };
            let batch = match polled {
                Ok(batch) => {
                    if !batch.updates.is_empty() {
                        point("P1");
                    }
                    batch
                }
                Err(PollError::WebhookSet(words)) => {
                    self.health.fact("platform", words);
                    ending.pause(registration.remove(&mut webhook_removed, tenure, ending).await).await;
                    continue;
                }
                Err(error) => {
                    ending.pause(self.trouble(&error, &mut pause)).await;
                    continue;
                }
            };
            self.health.fact("platform", "answers");
            let Some(next) = batch.next else {
                if !batch.updates.is_empty() {
                    tracing::error!(
                        count = batch.updates.len(),
                        "updates without a number cannot be acknowledged; they are stored"
                    );
                    if let Err(error) = self.take_in(&batch.updates, None).await {
                        tracing::warn!(%error, "they could not be stored yet");
                    }
                }
                // An empty answer before its time: do not hammer.
                if begun.elapsed() < PAUSES.0 {
                    ending.pause(PAUSES.0).await;
                }
                continue;
            };
            if sabotaged(Sabotage::AckBeforeCommit) {
                let _ = self.platform.poll(Some(&next), Duration::ZERO).await;
            }
            point("P3");
            match self.take_in(&batch.updates, Some(&CursorMove { epoch, cursor: next.clone() })).await {
                Ok(stored) if !stored.cursor_moved => {
                    tracing::warn!(epoch = epoch.0, "the tenure is over: the poll position was not moved");
                    ending.begin();
                }
                Ok(stored) => {
                    point("P4");
                    pause = PAUSES.0;
                    let again = cursor.as_ref() == Some(&next) || stored.new + stored.quarantined == 0;
                    cursor = Some(next);
                    if again && begun.elapsed() < PAUSES.0 {
                        ending.pause(PAUSES.0).await;
                    }
                }
                // Not acknowledged: the platform gives the batch again, and what was stored is a repeat then.
                Err(error) => {
                    tracing::warn!(%error, updates = batch.updates.len(), "updates could not be stored; they will be asked for again");
                    ending.pause(pause).await;
                    pause = (pause * 2).min(PAUSES.1);
                    cursor = self.committed_cursor(ending).await;
                }
            }
        }
    }

    /// Stores updates, whatever they are; when this returns they may be acknowledged.
    pub async fn take_in(&self, updates: &[RawUpdate], cursor: Option<&CursorMove>) -> Result<Stored, StoreError> {
        let begun = Instant::now();
        let mut facts: Vec<(Inbound, RawUpdate)> = Vec::with_capacity(updates.len());
        let mut aside = Vec::new();
        for (number, raw) in updates.iter().enumerate() {
            if number == updates.len() / 2 {
                point("P2");
            }
            match read(&*self.platform, raw) {
                Ok(read) => facts.extend(read.into_iter().map(|fact| (fact, raw.clone()))),
                Err(error) => aside.push(quarantined(raw, error.0)),
            }
        }
        let stored = match self.database.store_inbound(self.account.id, &facts, &aside, cursor).await {
            Err(error) if error.refuses_values() => self.one_by_one(facts, aside, cursor, error).await?,
            other => other?,
        };
        point("W5");
        self.doorbells.ring_chatservers();
        if stored.files > 0 {
            self.news.notify_one();
            // Another process may be the active one.
            self.doorbells.ring_account(&self.account.name);
        }
        metrics::histogram!(INBOX_COMMIT).record(begun.elapsed());
        metrics::counter!(INBOX_STORED).increment(stored.new as u64);
        metrics::counter!(INBOX_REPEATED).increment(stored.repeated as u64);
        if stored.quarantined > 0 {
            metrics::counter!(QUARANTINED).increment(stored.quarantined as u64);
            tracing::warn!(count = stored.quarantined, "updates put into quarantine: see `switchboard inbox list`");
        }
        Ok(stored)
    }

    /// The database refuses the batch itself: one poisonous row must not hold up the others.
    async fn one_by_one(
        &self,
        facts: Vec<(Inbound, RawUpdate)>,
        mut aside: Vec<Quarantined>,
        cursor: Option<&CursorMove>,
        error: StoreError,
    ) -> Result<Stored, StoreError> {
        tracing::warn!(%error, "a batch was refused; storing its updates one by one");
        let mut total = Stored::default();
        for fact in facts {
            match self.database.store_inbound(self.account.id, std::slice::from_ref(&fact), &[], None).await {
                Ok(stored) => {
                    total.new += stored.new;
                    total.repeated += stored.repeated;
                    total.files += stored.files;
                }
                Err(error) if error.refuses_values() => {
                    aside.push(quarantined(&fact.1, format!("the database refuses it: {error}")));
                }
                Err(error) => return Err(error),
            }
        }
        let last = self.database.store_inbound(self.account.id, &[], &aside, cursor).await?;
        Ok(Stored { new: total.new, repeated: total.repeated, files: total.files, ..last })
    }

    async fn committed_cursor(&self, ending: &Shutdown) -> Option<String> {
        loop {
            match self.database.cursor(self.account.id).await {
                Ok(cursor) => return cursor,
                Err(error) => {
                    tracing::warn!(%error, "the poll position could not be read");
                    if !ending.pause(PAUSES.0).await {
                        return None;
                    }
                }
            }
        }
    }

    /// Shows the trouble and says how long to pause.
    fn trouble(&self, error: &PollError, pause: &mut Duration) -> Duration {
        self.health.fact("platform", error.to_string());
        match error {
            PollError::Throttled(span) => *span,
            PollError::Conflict(_) | PollError::WebhookSet(_) => {
                tracing::error!(%error, "somebody else reads this account's updates: stop the other program, or revoke the token");
                CONFLICT_PAUSE
            }
            PollError::AccountDown(_) => {
                tracing::error!(%error, "the platform refuses the account");
                DOWN_PAUSE
            }
            PollError::Trouble(_) => {
                tracing::warn!(%error, "polling failed");
                let now = *pause;
                *pause = (now * 2).min(PAUSES.1);
                now
            }
        }
    }
}

/// Reads an update. A parser that fails at one is to be mended; until then the update waits in quarantine like any that
/// cannot be read, and holds up no other.
pub fn read(platform: &dyn Platform, raw: &RawUpdate) -> Result<Vec<Inbound>, ParseError> {
    caught(|| platform.parse(raw))
}

fn caught(parse: impl FnOnce() -> Result<Vec<Inbound>, ParseError>) -> Result<Vec<Inbound>, ParseError> {
    // It is pure: nothing half done is left behind.
    std::panic::catch_unwind(AssertUnwindSafe(parse))
        .unwrap_or_else(|_| Err(ParseError("the parser failed at it: a mistake of ours".to_owned())))
}

fn quarantined(raw: &RawUpdate, reason: String) -> Quarantined {
    let hash = text::hex(&Sha256::digest(&raw.0));
    Quarantined { dedupe_key: format!("q:{hash}"), reason, raw: raw.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parser_that_fails_puts_the_update_aside() {
        let failed = caught(|| panic!("index out of bounds"));
        assert!(failed.is_err_and(|error| error.0.contains("mistake of ours")));
        assert_eq!(caught(|| Ok(Vec::new())).map(|read| read.len()), Ok(0));
    }
}
