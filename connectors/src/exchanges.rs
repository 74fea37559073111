//! Exchanges with the platform that are no sends: they take a slot of the account like any call, and a row before their first
//! byte, so that a successor's limiter counts them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use switchboard_common::model::{AccountId, Epoch};
use switchboard_common::service::clock::Moment;
use switchboard_common::store::{Database, ExchangeId, StoreError};
use tokio::sync::watch;

use crate::http::Deadline;
use crate::http::Fence;
use crate::limiter::{Full, Limiter, Slot};

/// The active's one limiter.
pub type SharedLimiter = Arc<Mutex<Limiter>>;

/// The limiter once it was rebuilt; nothing before: no exchange begins.
pub type Opening = watch::Sender<Option<SharedLimiter>>;

/// Nobody waits longer for the answer of an exchange.
pub(crate) const ANSWER: Duration = Duration::from_secs(30);
/// When room depends on answers that others wait for: look again so soon.
const ANSWERS: Duration = Duration::from_millis(50);
/// Pauses after an answer that could not be recorded double from the first to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Lets exchanges of one tenure through, one by one as the limits allow.
#[derive(Clone)]
pub struct Exchanges {
    /// The account.
    pub account: AccountId,
    /// The tenure.
    pub epoch: Epoch,
    /// Where exchanges are noted.
    pub database: Database,
    /// The limiter, when it is there.
    pub limiter: watch::Receiver<Option<SharedLimiter>>,
}

/// Why an exchange must not begin.
#[derive(Debug, thiserror::Error)]
pub enum NoPermit {
    /// Another connector is active.
    #[error("the tenure is over")]
    Over,
    /// It could not be noted.
    #[error("the exchange could not be noted: {0}")]
    Unnoted(#[from] StoreError),
}

/// One exchange may begin, within [`deadline`](Self::deadline). Say how it ended; dropped, it is held until its answer can no
/// longer come.
#[must_use = "an exchange that nobody ends is held until its answer can no longer come"]
pub struct Permit {
    database: Database,
    account: AccountId,
    held: Held,
    id: ExchangeId,
    deadline: Deadline,
}

impl Exchanges {
    /// Waits until the limits allow an exchange that costs `cost` slots, and notes it. Cancel safe.
    pub async fn permit(&self, cost: usize) -> Result<Permit, NoPermit> {
        let held = self.slot(cost).await?;
        // The clock is read before the statement is sent: the row never ends before the deadline does.
        let end = Moment::now() + ANSWER;
        let noted = self.database.begin_exchange(self.account, self.epoch, cost, ANSWER).await?;
        let id = noted.ok_or(NoPermit::Over)?;
        Ok(Permit::begun((&self.database, self.account), held, id, end).await)
    }

    async fn slot(&self, cost: usize) -> Result<Held, NoPermit> {
        let mut opening = self.limiter.clone();
        loop {
            let open = opening.wait_for(Option::is_some).await.map(|now| now.clone());
            let Ok(Some(limiter)) = open else { return Err(NoPermit::Over) };
            let taken = locked(&limiter).take_for_account(cost);
            match taken {
                Ok(slot) => return Ok(Held { limiter, slot: Some(slot), until: None }),
                Err(Full::Account(later) | Full::Chat(later)) => {
                    tokio::time::sleep(later.unwrap_or(ANSWERS).clamp(Duration::from_millis(1), ANSWER)).await;
                }
            }
        }
    }

    /// Forgets exchanges that no limit counts any more.
    pub async fn prune(&self) -> Result<u64, StoreError> {
        let span = self.limiter.borrow().as_ref().map(|limiter| locked(limiter).longest_window());
        match span {
            Some(span) => self.database.prune_exchanges(self.account, span).await,
            None => Ok(0),
        }
    }
}

impl Permit {
    /// Waits until the slot of an exchange that was noted, to end by `end`, begins.
    async fn begun((database, account): (&Database, AccountId), mut held: Held, id: ExchangeId, end: Moment) -> Self {
        tokio::time::sleep(held.slot.as_ref().map_or(Duration::ZERO, Slot::starts_in)).await;
        held.until = Some(end);
        let deadline = Deadline { write_by: Fence::at(end), answer_by: end };
        Self { database: database.clone(), account, held, id, deadline }
    }

    /// The same of an exchange that no tenure makes, by the limiter that was made for it alone.
    pub(crate) async fn unheld(
        noted: (&Database, AccountId),
        (limiter, slot): (Limiter, Slot),
        id: ExchangeId,
        end: Moment,
    ) -> Self {
        let held = Held { limiter: Arc::new(Mutex::new(limiter)), slot: Some(slot), until: None };
        Self::begun(noted, held, id, end).await
    }

    /// When the exchange must end.
    pub fn deadline(&self) -> &Deadline {
        &self.deadline
    }

    /// The exchange is over: it was answered, or nobody waits for its answer any more.
    pub async fn answered(mut self) {
        self.held.give_back();
        if let Err(error) = self.end(None).await {
            tracing::debug!(%error, "the end of an exchange was not noted; it counts until its answer can no longer come");
        }
    }

    /// The answer was to pause (429).
    pub async fn throttled(mut self, span: Duration) {
        locked(&self.held.limiter).throttle_account(span);
        self.held.give_back();
        tracing::info!(seconds = span.as_secs_f64(), "the platform asks for a pause of the account");
        let mut pause = PAUSES.0;
        // A successor must know of it.
        while let Err(error) = self.end(Some(span)).await {
            tracing::warn!(%error, "a pause of the account could not be recorded yet");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    async fn end(&self, pause: Option<Duration>) -> Result<(), StoreError> {
        self.database.end_exchange(self.account, self.id, pause).await
    }
}

/// A slot that is not lost when whoever holds it is dropped.
struct Held {
    limiter: SharedLimiter,
    slot: Option<Slot>,
    /// Until when an answer may come; none: nothing was sent.
    until: Option<Moment>,
}

impl Held {
    fn give_back(&mut self) {
        if let Some(slot) = self.slot.take() {
            locked(&self.limiter).answered(slot);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(slot) = self.slot.take() else { return };
        match self.until {
            Some(end) => locked(&self.limiter).answered_by(slot, end),
            None => locked(&self.limiter).unused(slot),
        }
    }
}

fn locked(limiter: &Mutex<Limiter>) -> MutexGuard<'_, Limiter> {
    limiter.lock().unwrap_or_else(PoisonError::into_inner)
}
