//! Parts out: due → limiter → claim → step → platform → settle.
//!
//! One task per account claims; each call runs in a task of its own, one per chat and `in_flight` per account
//! at most, outside any transaction. Two deadlines guard an attempt, both counted from a reading of the boot
//! clock taken **before** the claim was sent: after `write_by` no byte is written (the fence, P4), after
//! `answer_by` nobody waits and the agent is shown *unconfirmed*.

mod attempt;
mod recovery;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use switchboard_common::doorbell::{Doorbells, Listener};
use switchboard_common::faults::point;
use switchboard_common::model::{Epoch, OutboxId};
use switchboard_common::service::clock::Moment;
use switchboard_common::service::health::Health;
use switchboard_common::service::metrics::{OUTBOX_DEPTH, OUTBOX_OLDEST};
use switchboard_common::service::shutdown::Shutdown;
use switchboard_common::store::{Account, ClaimToken, Database, Due, StoreError};
use tokio::sync::mpsc;

use crate::limiter::{Limiter, Slot};
use crate::platform::{Deadline, Limit, Platform};
use attempt::Attempt;

/// How a sender works.
#[derive(Clone, Debug)]
pub struct SenderOptions {
    /// Calls under way at once.
    pub in_flight: usize,
    /// No byte is written later than this after the claim.
    pub write_by: Duration,
    /// Nobody waits longer than this after the claim.
    pub answer_by: Duration,
    /// First and longest pause after a call that certainly failed.
    pub retry: (Duration, Duration),
    /// A part that could certainly not be delivered for so long is given up.
    pub give_up: Duration,
}

/// Sends one account's parts.
#[derive(Clone)]
pub struct Sender {
    /// The account.
    pub account: Account,
    /// Its platform.
    pub platform: Arc<dyn Platform>,
    /// The platform's limits, or the account's narrower ones.
    pub limits: Vec<Limit>,
    /// Where the outbox is.
    pub database: Database,
    /// Whom to ring.
    pub doorbells: Doorbells,
    /// Where trouble is shown.
    pub health: Health,
    /// How to work.
    pub options: SenderOptions,
}

/// How often overdue calls and figures are looked at.
const CARE: Duration = Duration::from_secs(1);
/// After the platform refused the account: how long before it is asked again.
const DOWN_PAUSE: Duration = Duration::from_secs(30);

/// What a tenure holds in memory; all of it can be rebuilt from the tables.
struct Run<'a> {
    sender: &'a Sender,
    epoch: Epoch,
    limiter: Arc<Mutex<Limiter>>,
    /// Calls under way, by part: the chat each keeps busy.
    under_way: HashMap<OutboxId, String>,
    /// Claims that were not answered: nothing of them was written, so they are put back until they are old.
    unanswered: Vec<(ClaimToken, Moment)>,
    ended: mpsc::Sender<(OutboxId, Ended)>,
    down_until: Option<Moment>,
}

/// What the end of an attempt means for the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Usual,
    AccountDown,
}

impl Sender {
    /// Sends for one tenure, until it ends; then waits for the calls under way.
    pub async fn run(&self, epoch: Epoch, ears: &mut Listener, ending: &Shutdown) {
        let Some(limiter) = self.recover(epoch, ending).await else { return };
        let (ended, mut ends) = mpsc::channel(self.options.in_flight.max(1));
        let mut run = Run {
            sender: self,
            epoch,
            limiter: Arc::new(Mutex::new(limiter)),
            under_way: HashMap::new(),
            unanswered: Vec::new(),
            ended,
            down_until: None,
        };
        let mut care = tokio::time::interval(CARE);
        while !ending.has_begun() {
            let wait = match run.send_what_is_allowed(ending).await {
                Ok(wait) => wait,
                Err(error) => {
                    tracing::warn!(%error, "the outbox could not be read");
                    Duration::from_millis(300)
                }
            };
            tokio::select! {
                _ = ears.wait() => {}
                Some((id, end)) = ends.recv() => run.ended(id, end),
                // A wait of nothing would spin.
                () = tokio::time::sleep(wait.max(Duration::from_millis(1))) => {}
                _ = care.tick() => run.care().await,
                () = ending.wait() => {}
            }
            // All ends at once: fewer looks at the table.
            while let Ok((id, end)) = ends.try_recv() {
                run.ended(id, end);
            }
        }
        while !run.under_way.is_empty() {
            let Some((id, end)) = ends.recv().await else { break };
            run.ended(id, end);
        }
        if let Err(error) = run.release_unanswered().await {
            tracing::warn!(%error, "parts that were never sent will be shown as unconfirmed");
        }
    }
}

impl Run<'_> {
    /// Claims and starts what limits allow now; returns how long nothing more can be expected.
    async fn send_what_is_allowed(&mut self, ending: &Shutdown) -> Result<Duration, StoreError> {
        const LONG: Duration = Duration::from_secs(3600);
        if let Some(until) = self.down_until.filter(|until| until.is_ahead()) {
            return Ok(until.remaining());
        }
        self.release_unanswered().await?;
        let (due, next_due) = self.sender.database.due_parts(self.sender.account.id).await?;
        let mut wait = next_due.unwrap_or(LONG);
        let mut chosen: Vec<(Due, Slot)> = Vec::new();
        for part in due {
            if self.under_way.len() + chosen.len() >= self.sender.options.in_flight {
                break; // the end of a call wakes us
            }
            if self.under_way.values().any(|chat| *chat == part.chat_key) {
                continue;
            }
            let scope = self.sender.platform.scope(&part.chat_key);
            match locked(&self.limiter).take(&part.chat_key, scope) {
                Ok(slot) => chosen.push((part, slot)),
                Err(Some(later)) => wait = wait.min(later),
                Err(None) => {}
            }
        }
        if !chosen.is_empty() && !ending.has_begun() {
            self.claim_and_start(chosen, ending).await?;
        }
        Ok(wait)
    }

    async fn claim_and_start(&mut self, chosen: Vec<(Due, Slot)>, ending: &Shutdown) -> Result<(), StoreError> {
        let SenderOptions { write_by, answer_by, .. } = self.sender.options;
        let ids: Vec<OutboxId> = chosen.iter().map(|(part, _)| part.id).collect();
        let token = ClaimToken::new();
        let begun = Moment::now();
        let deadline = Deadline { write_by: begun + write_by, answer_by: begun + answer_by };
        point("S1");
        let claimed =
            self.sender.database.claim(self.sender.account.id, self.epoch, token, &ids, write_by, answer_by).await;
        let mut slots: HashMap<OutboxId, Slot> = chosen.into_iter().map(|(part, slot)| (part.id, slot)).collect();
        let claimed = match claimed {
            Ok(claimed) => claimed,
            Err(error) => {
                self.unanswered.push((token, deadline.answer_by));
                slots.into_values().for_each(|slot| locked(&self.limiter).unused(slot));
                return Err(error);
            }
        };
        if claimed.is_empty() {
            self.look_at_the_lease(ending).await;
        }
        for part in claimed {
            let Some(slot) = slots.remove(&part.id) else { continue };
            self.under_way.insert(part.id, part.chat_key.clone());
            let attempt = Attempt {
                sender: self.sender.clone(),
                epoch: self.epoch,
                limiter: self.limiter.clone(),
                deadline: deadline.clone(),
                part,
            };
            let ended = self.ended.clone();
            ending.spawn(async move {
                let id = attempt.part.id;
                let end = attempt.make(slot).await;
                // The run may be gone; the attempt is settled all the same.
                let _ = ended.send((id, end)).await;
            });
        }
        slots.into_values().for_each(|slot| locked(&self.limiter).unused(slot));
        Ok(())
    }

    /// Nothing could be claimed: perhaps the tenure is over.
    async fn look_at_the_lease(&self, ending: &Shutdown) {
        if let Ok(lease) = self.sender.database.lease(self.sender.account.id).await
            && lease.epoch != self.epoch
        {
            tracing::warn!(epoch = self.epoch.0, now = lease.epoch.0, "the tenure is over: a claim was refused");
            ending.begin();
        }
    }

    fn ended(&mut self, id: OutboxId, end: Ended) {
        self.under_way.remove(&id);
        match end {
            Ended::AccountDown => {
                self.down_until = Some(Moment::now() + DOWN_PAUSE);
                self.sender.health.fact("platform", "refuses the account: see the log");
            }
            Ended::Usual => {}
        }
    }

    async fn release_unanswered(&mut self) -> Result<(), StoreError> {
        self.unanswered.retain(|(_, until)| until.is_ahead());
        for (token, _) in &self.unanswered {
            self.sender.database.release_unsent(self.sender.account.id, *token).await?;
        }
        Ok(())
    }

    /// Once a second: decides what nobody will answer any more, and shows figures.
    async fn care(&mut self) {
        locked(&self.limiter).tidy();
        let (database, account) = (&self.sender.database, self.sender.account.id);
        let mine: Vec<OutboxId> = self.under_way.keys().copied().collect();
        match database.unconfirm_overdue(account, self.epoch, CARE, &mine).await {
            Ok(0) => {}
            Ok(count) => {
                tracing::warn!(count, "interrupted calls are shown as unconfirmed");
                self.sender.doorbells.ring_chatservers();
            }
            Err(error) => tracing::debug!(%error, "overdue calls could not be looked for"),
        }
        if let Ok((depth, oldest)) = database.outbox_depth(account).await {
            metrics::gauge!(OUTBOX_DEPTH).set(depth as f64);
            metrics::gauge!(OUTBOX_OLDEST).set(oldest.as_secs_f64());
        }
    }
}

fn locked(limiter: &Mutex<Limiter>) -> MutexGuard<'_, Limiter> {
    limiter.lock().unwrap_or_else(PoisonError::into_inner)
}
