//! Parts out: backlog → limiter → claim → step → platform → settle.
//!
//! One task per account claims; each call runs in a task of its own, one per chat and `in_flight` per account
//! at most, outside any transaction. Two deadlines guard an attempt, both counted from a reading of the boot
//! clock taken **before** the claim was sent: after `write_by` no byte is written (the fence, P4), after
//! `answer_by` nobody waits and the agent is shown *unconfirmed*.

mod attempt;
mod backlog;
mod news;
mod recovery;
mod upload;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use switchboard_common::doorbell::{Doorbells, Listener};
use switchboard_common::faults::{Sabotage, point, sabotaged};
use switchboard_common::model::{ChatId, Epoch, OutboxId};
use switchboard_common::service::clock::Moment;
use switchboard_common::service::health::Health;
use switchboard_common::service::metrics::{OUTBOX_DEPTH, OUTBOX_OLDEST, OUTBOX_WAIT};
use switchboard_common::service::shutdown::Shutdown;
use switchboard_common::store::{Account, ClaimSpans, ClaimToken, Claimed, Database, Head, StoreError};
use tokio::sync::mpsc;

use crate::exchanges::{Opening, SharedLimiter};
use crate::http::Fence;
use crate::limiter::{Full, Limiter, Slot};
use crate::platform::{Deadline, Limit, Platform};
use attempt::Attempt;
use backlog::Backlog;
use news::{News, Seldom};

/// How a sender works.
#[derive(Clone, Debug)]
pub struct SenderOptions {
    /// Calls under way at once.
    pub in_flight: usize,
    /// No byte is written later than this after the claim.
    pub write_by: Duration,
    /// Nobody waits longer than this after the claim.
    pub answer_by: Duration,
    /// Nobody waits longer than this after the claim of a part that carries a file.
    pub upload_answer_by: Duration,
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
    /// The limits in force: the platform's, or the account's own.
    pub limits: Vec<Limit>,
    /// Where the outbox is.
    pub database: Database,
    /// The same database, for the bytes of files alone.
    pub files: Database,
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
/// A part whose claim was refused is looked at again after this.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);
/// No wait is longer: the clock of a [`Moment`] runs while the machine is suspended, a timer does not.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What a tenure holds in memory; all of it can be rebuilt from the tables.
struct Run<'a> {
    sender: &'a Sender,
    epoch: Epoch,
    limiter: SharedLimiter,
    backlog: Backlog,
    news: News,
    /// Calls under way, by part.
    under_way: HashMap<OutboxId, Call>,
    /// Claims that were not answered: nothing of them was written, so they are put back until they are old.
    unanswered: Vec<(ClaimToken, Moment)>,
    ended: mpsc::Sender<(OutboxId, Ended)>,
    down_until: Option<Moment>,
    /// Looks that take long when much waits.
    rounds: Seldom,
    /// So long a call of an earlier tenure may still be told to pause: its process stores that.
    heeds_pauses_until: Moment,
}

/// A call under way.
struct Call {
    /// The chat it keeps busy.
    chat: ChatId,
    /// After this no byte of it is written.
    write_by: Fence,
}

/// What the end of an attempt means for the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Usual,
    AccountDown,
}

impl Sender {
    /// Sends for one tenure, until it ends; then waits until no call under way can write a byte any more. Those that still wait
    /// for their answer record it later. `opening` is told the limiter once it counts what earlier tenures did.
    pub async fn run(&self, epoch: Epoch, ears: &mut Listener, opening: &Opening, ending: &Shutdown) {
        let Some(limiter) = self.recover(epoch, ending).await else { return };
        let limiter = Arc::new(Mutex::new(limiter));
        opening.send_replace(Some(limiter.clone()));
        let (ended, mut ends) = mpsc::channel(self.options.in_flight.max(1));
        let mut run = Run {
            sender: self,
            epoch,
            limiter,
            backlog: Backlog::default(),
            news: News::default(),
            under_way: HashMap::new(),
            unanswered: Vec::new(),
            ended,
            down_until: None,
            rounds: Seldom::every(CARE),
            heeds_pauses_until: Moment::now() + self.options.answer_by.max(self.options.upload_answer_by) + CARE,
        };
        let mut care = tokio::time::interval(CARE);
        while !ending.has_begun() {
            let wait = match run.send_what_is_allowed(ending).await {
                Ok(wait) => wait,
                Err(error) => {
                    tracing::warn!(%error, "nothing could be claimed");
                    Duration::from_millis(300)
                }
            };
            tokio::select! {
                _ = ears.wait() => run.news.heard(),
                Some((id, end)) = ends.recv() => run.ended(id, end),
                // A wait of nothing would spin.
                () = tokio::time::sleep(wait.clamp(Duration::from_millis(1), LONGEST_WAIT)) => {}
                _ = care.tick() => run.care().await,
                () = ending.wait() => {}
            }
            // All ends at once: fewer looks at the table.
            while let Ok((id, end)) = ends.try_recv() {
                run.ended(id, end);
            }
        }
        while let Some(last) = run.under_way.values().map(|call| call.write_by.end()).max().filter(|at| at.is_ahead()) {
            tokio::select! {
                Some((id, end)) = ends.recv() => run.ended(id, end),
                () = tokio::time::sleep(last.remaining()) => {}
            }
        }
        if let Err(error) = run.release_unanswered().await {
            tracing::warn!(%error, "parts that were never sent will be shown as unconfirmed");
        }
    }
}

impl Run<'_> {
    /// Claims and starts what limits allow now; returns how long nothing more can be expected.
    async fn send_what_is_allowed(&mut self, ending: &Shutdown) -> Result<Duration, StoreError> {
        if let Some(until) = self.down_until.filter(|until| until.is_ahead()) {
            return Ok(until.remaining());
        }
        if let Err(error) = self.news.read(&self.sender.database, self.sender.account.id, &mut self.backlog).await {
            tracing::warn!(%error, "the outbox could not be read; what is known goes on");
        }
        let (chosen, wait) = self.choose();
        let wait = self.news.wait().map_or(wait, |soon| soon.min(wait));
        if !chosen.is_empty() && !ending.has_begun() {
            self.claim_and_start(chosen, ending).await?;
        }
        Ok(wait)
    }

    /// Takes heads out of the backlog, each with its slot, while limits and `in_flight` allow; and how long until more can be.
    fn choose(&mut self) -> (Vec<(Head, Slot)>, Duration) {
        let mut chosen: Vec<(Head, Slot)> = Vec::new();
        let mut busy: HashSet<ChatId> = self.under_way.values().map(|call| call.chat).collect();
        let mut wait = LONGEST_WAIT;
        // The end of a call wakes us in any case.
        while busy.len() < self.sender.options.in_flight {
            let Some(head) = self.backlog.next(|chat| busy.contains(&chat)) else { break };
            let scope = self.sender.platform.scope(&head.chat_key);
            let taken = locked(&self.limiter).take(&head.chat_key, scope, 1);
            match taken {
                Ok(slot) => {
                    self.backlog.went(head.lane);
                    busy.insert(head.chat);
                    chosen.push((head, slot));
                }
                Err(Full::Chat(later)) => {
                    // Without a time it depends on an answer for this chat, which nobody here waits for.
                    self.backlog.postpone(head, Moment::now() + later.unwrap_or(REFUSED_PAUSE));
                }
                Err(Full::Account(later)) => {
                    self.backlog.put_back(head);
                    wait = later.unwrap_or(LONGEST_WAIT);
                    break;
                }
            }
        }
        let due = self.backlog.next_due().map_or(LONGEST_WAIT, Moment::remaining);
        (chosen, wait.min(due))
    }

    async fn claim_and_start(&mut self, chosen: Vec<(Head, Slot)>, ending: &Shutdown) -> Result<(), StoreError> {
        let SenderOptions { write_by, answer_by, upload_answer_by, .. } = self.sender.options;
        let spans = ClaimSpans { write_by, answer_by };
        let ids: Vec<OutboxId> = chosen.iter().map(|(head, _)| head.id).collect();
        let token = ClaimToken::new();
        let begun = Moment::now();
        point("S1");
        let claimed = self.sender.database.claim(self.sender.account.id, self.epoch, token, &ids, spans).await;
        let mut chosen: HashMap<OutboxId, (Head, Slot)> =
            chosen.into_iter().map(|(head, slot)| (head.id, (head, slot))).collect();
        if claimed.is_err() {
            self.unanswered.push((token, begun + answer_by));
        }
        let nothing = claimed.as_ref().is_ok_and(Vec::is_empty);
        for part in claimed.iter().flatten() {
            if let Some((head, slot)) = chosen.remove(&part.id) {
                if part.n == 1 {
                    metrics::histogram!(OUTBOX_WAIT).record(part.age);
                }
                let answer_by = if part.file.is_some() { upload_answer_by } else { answer_by };
                let deadline = Deadline { write_by: Fence::at(begun + write_by), answer_by: begun + answer_by };
                self.under_way.insert(part.id, Call { chat: head.chat, write_by: deadline.write_by.clone() });
                self.start((part.clone(), token), slot, deadline, ending);
            }
        }
        // What was not claimed: its row tells why, when it is looked at again.
        for (head, slot) in chosen.into_values() {
            locked(&self.limiter).unused(slot);
            self.backlog.postpone(head, Moment::now() + REFUSED_PAUSE);
        }
        if nothing {
            self.look_at_the_lease(ending).await;
        }
        claimed.map(drop)
    }

    fn start(&self, (part, token): (Claimed, ClaimToken), slot: Slot, deadline: Deadline, ending: &Shutdown) {
        let (sender, limiter) = (self.sender.clone(), self.limiter.clone());
        let attempt = Attempt { sender, epoch: self.epoch, limiter, deadline, part, token };
        let (ended, ends) = (self.ended.clone(), ending.clone());
        ending.spawn(async move {
            let id = attempt.part.id;
            let end = attempt.make(slot, &ends).await;
            // The run may be gone; the attempt is settled all the same.
            let _ = ended.send((id, end)).await;
        });
    }

    /// Nothing could be claimed: perhaps the tenure is over.
    async fn look_at_the_lease(&self, ending: &Shutdown) {
        if let Ok(lease) = self.sender.database.lease(self.sender.account.id).await
            && lease.epoch != self.epoch
            && !sabotaged(Sabotage::PermissionByZooKeeper)
        {
            tracing::warn!(epoch = self.epoch.0, now = lease.epoch.0, "the tenure is over: a claim was refused");
            ending.begin();
        }
    }

    fn ended(&mut self, id: OutboxId, end: Ended) {
        if let Some(call) = self.under_way.remove(&id) {
            self.news.ask(call.chat);
        }
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

    /// Once a second, or less often when much waits: decides what nobody will answer any more, and shows figures.
    async fn care(&mut self) {
        locked(&self.limiter).tidy();
        if !self.rounds.is_due() {
            return;
        }
        let begun = Moment::now();
        if let Err(error) = self.go_round().await {
            tracing::debug!(%error, "overdue calls could not be looked for");
        }
        self.rounds.done(begun);
    }

    async fn go_round(&mut self) -> Result<(), StoreError> {
        self.release_unanswered().await?;
        let (database, account) = (&self.sender.database, self.sender.account.id);
        if self.heeds_pauses_until.is_ahead() {
            let freezes = database.freezes(account).await?;
            locked(&self.limiter).heed(&freezes);
        }
        let mine: Vec<OutboxId> = self.under_way.keys().copied().collect();
        let count = database.unconfirm_overdue(account, self.epoch, CARE, &mine).await?;
        if count > 0 {
            tracing::warn!(count, "interrupted calls are shown as unconfirmed");
            self.sender.doorbells.ring_chatservers();
            // What waited behind them may go now.
            self.news.heard();
        }
        let (depth, oldest) = database.outbox_depth(account).await?;
        metrics::gauge!(OUTBOX_DEPTH).set(depth as f64);
        metrics::gauge!(OUTBOX_OLDEST).set(oldest.as_secs_f64());
        Ok(())
    }
}

fn locked(limiter: &Mutex<Limiter>) -> MutexGuard<'_, Limiter> {
    limiter.lock().unwrap_or_else(PoisonError::into_inner)
}
