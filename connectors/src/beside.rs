//! Questions to the platform by a program that is no connector.
//!
//! The active's limiter is in its memory and learns of nobody else. So while a connector holds the lease nobody asks beside it:
//! what it learned itself is written down ([`crate::Said`]). While nobody holds it, a question is made as a new tenure would make
//! its first exchange: by a limiter rebuilt from the tables, and noted in the transaction that holds the lease row, so that a
//! connector which begins meanwhile counts it. A holder that died, or seems to have, is fenced first.

use std::time::Duration;

use switchboard_common::service::clock::Moment;
use switchboard_common::store::{Account, Database, LeftBehind, Raise, StoreError, Unheld, Way};

use crate::exchanges::{ANSWER, Permit};
use crate::limiter::{Full, Limiter};
use crate::platform::{Limit, Platform};

/// It is looked at again after this at most.
const AGAIN: Duration = Duration::from_millis(200);
/// However short the session timeout: who has renewed the lease within this lives.
const LIVES: Duration = Duration::from_secs(10);

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// What the ledger of tenures calls it, should it have to end a dead one's.
    pub name: &'a str,
    /// T: the session timeout.
    pub session_timeout: Duration,
}

/// Why nothing can be asked now.
#[derive(Debug, thiserror::Error)]
pub enum NotNow {
    /// A connector is active, or may be: it asks itself, and writes down what it is told.
    #[error("a connector holds the lease, and alone may ask")]
    Held,
    /// A holder that died could not be fenced.
    #[error("the database was started anew since a connector last held the lease, and none has looked at it")]
    Unvouched,
    /// The limits leave no room, or the platform asked for a pause.
    #[error("the account's limits leave no room, or it pauses")]
    Busy,
    /// It could not be looked at or noted.
    #[error("the exchange could not be noted: {0}")]
    Unnoted(#[from] StoreError),
}

/// Waits, at most for `patience`, until the limits allow exchanges that cost `cost` slots while nobody holds the lease, and notes
/// them.
pub async fn permit(
    (database, account): (&Database, &Account),
    (platform, limits): (&dyn Platform, &[Limit]),
    asker: Asker<'_>,
    cost: usize,
    patience: Duration,
) -> Result<Permit, NotNow> {
    let dead = (asker.session_timeout * 2).max(LIVES);
    let give_up = Moment::now() + patience;
    let mut answers_since = None;
    loop {
        let lease = database.lease(account.id).await?;
        let answering = answers_since.get_or_insert_with(Moment::now).elapsed();
        let mut why = NotNow::Held;
        let mut pause = AGAIN;
        let free = lease.released || lease.stale.is_none();
        match lease.stale {
            _ if free => {}
            Some(stale) if stale > dead && lease.whereabouts.here.vouched => {}
            Some(stale) if stale > dead => return Err(NotNow::Unvouched),
            _ => return Err(NotNow::Held),
        }
        // As for a candidate: after a restart of the database every lease looks stale, and the holder must have its chance.
        let raise = Raise { holder: asker.name, seen: lease.epoch, way: Way::Anyone, stale: dead, answering };
        let raise = (answering >= asker.session_timeout / 2).then_some(&raise);
        if free || raise.is_some() {
            // The clock is read before the statement is sent: the row never ends before the deadline does.
            let end = Moment::now() + ANSWER;
            let room = |left: &LeftBehind| {
                let mut limiter = Limiter::new(limits);
                limiter.restore(&left.slots, &left.freezes, |chat| platform.scope(chat));
                limiter.take_for_account(cost).map(|slot| (limiter, slot))
            };
            let window = Limiter::new(limits).longest_window();
            match database.begin_unheld_exchange(account.id, raise, (cost, ANSWER), window, room).await? {
                Unheld::Noted(id, taken) => return Ok(Permit::unheld((database, account.id), taken, id, end).await),
                Unheld::Full(Full::Account(later) | Full::Chat(later)) => {
                    why = NotNow::Busy;
                    pause = later.map_or(AGAIN, |later| later.min(AGAIN));
                }
                // It is another's by now: the next look tells.
                Unheld::Held => {}
            }
        }
        if !give_up.is_ahead() {
            return Err(why);
        }
        tokio::time::sleep(pause.max(Duration::from_millis(1))).await;
    }
}

#[cfg(test)]
#[path = "beside_tests.rs"]
mod tests;
