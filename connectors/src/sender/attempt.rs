//! One attempt: step by step to the platform, then settled, whatever happens.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use switchboard_common::faults::{Sabotage, armed, point, sabotaged};
use switchboard_common::model::{AttemptOutcome, Epoch};
use switchboard_common::service::metrics::{OUTBOX_ATTEMPTS, PLATFORM_REQUEST};
use switchboard_common::service::shutdown::Shutdown;
use switchboard_common::store::{ClaimToken, Claimed, Settlement};

use super::{Ended, Sender, locked, upload};
use crate::limiter::{Full, Limiter, Slot};
use crate::platform::{Answer, Call, Deadline, FileBody, Outbound, OutboundFile, SendError, Step};

pub(super) struct Attempt {
    pub sender: Sender,
    pub epoch: Epoch,
    pub limiter: Arc<Mutex<Limiter>>,
    pub deadline: Deadline,
    pub part: Claimed,
    /// Which claim it was.
    pub token: ClaimToken,
}

/// A 429 that does not say for how long.
const THROTTLED: Duration = Duration::from_secs(1);
/// When room depends on answers that other calls wait for: look again so soon.
const ANSWERS: Duration = Duration::from_millis(50);
/// How long a part of an account in trouble rests.
const ACCOUNT_DOWN: Duration = Duration::from_secs(30);

impl Attempt {
    /// Makes the attempt and records how it ended.
    pub(super) async fn make(&self, slot: Slot, ending: &Shutdown) -> Ended {
        point("S2");
        let result = match self.part.file {
            Some(_) => tokio::select! {
                result = self.exchange(slot) => result,
                never = self.keep_fence_ahead(ending) => match never {},
            },
            None => self.exchange(slot).await,
        };
        point("S6");
        let end = match &result {
            Err(SendError::AccountDown(_)) => Ended::AccountDown,
            _ => Ended::Usual,
        };
        let settlement = self.settlement(result);
        metrics::counter!(OUTBOX_ATTEMPTS, "outcome" => outcome_word(&settlement)).increment(1);
        self.settle(&settlement).await;
        end
    }

    /// Steps until the part is delivered or refused. Each exchange holds a slot of its own.
    async fn exchange(&self, first: Slot) -> Result<String, SendError> {
        let mut message = self.outbound();
        let mut answers = Vec::new();
        let mut slot = Some(first);
        let mut spent = 1; // the claim has recorded this one
        let mut cost = 0;
        loop {
            match self.sender.platform.step(&message, &answers) {
                Step::Done { platform_id } => return Ok(platform_id),
                Step::Refuse(refusal) => {
                    if let Some(slot) = slot {
                        locked(&self.limiter).unused(slot);
                    }
                    return Err(SendError::Refused(refusal));
                }
                Step::Deliver(call) => {
                    let taken = match slot.take() {
                        Some(slot) if call.cost == 1 => slot,
                        first => {
                            if let Some(one) = first {
                                locked(&self.limiter).unused(one);
                            }
                            self.another_slot(&message.chat_key, call.cost).await?
                        }
                    };
                    let early = taken.starts_in();
                    if !early.is_zero() {
                        tokio::time::sleep(early).await;
                    }
                    cost += call.cost;
                    if cost > spent {
                        if let Err(error) = self.spend(cost, &message.chat_key).await {
                            locked(&self.limiter).unused(taken);
                            return Err(error);
                        }
                        spent = cost;
                    }
                    let begun = Instant::now();
                    let call = Call { epoch: Some(self.epoch), ..call };
                    let answer = self.sender.platform.send(&call, self.body(&call), &self.deadline).await;
                    locked(&self.limiter).answered(taken);
                    metrics::histogram!(PLATFORM_REQUEST).record(begun.elapsed());
                    let answer = answer?;
                    if let Answer::Moved { chat_key } = &answer {
                        message.chat_key.clone_from(chat_key);
                    }
                    answers.push(answer);
                    if armed("S8") && !self.is_done(&message, &answers) {
                        point("S8");
                    }
                }
            }
        }
    }

    /// Whether what was answered so far is all there is to do.
    fn is_done(&self, message: &Outbound, answers: &[Answer]) -> bool {
        matches!(self.sender.platform.step(message, answers), Step::Done { .. })
    }

    fn outbound(&self) -> Outbound {
        let file = self.part.file.as_ref().map(|file| OutboundFile {
            kind: file.kind,
            name: file.name.clone(),
            mime: file.mime.clone(),
            size_bytes: file.size_bytes,
        });
        Outbound { chat_key: self.part.chat_key.clone(), text: self.part.text.clone(), file }
    }

    /// The file's bytes, from the first, when the call takes them.
    fn body(&self, call: &Call) -> Option<FileBody> {
        let file = self.part.file.as_ref().filter(|_| call.upload.is_some())?;
        Some(upload::body(self.sender.files.clone(), self.sender.account.id, file.id.clone()))
    }

    /// A slot for a further step, or for one that costs more than one: waited for while the claim is good.
    async fn another_slot(&self, chat_key: &str, cost: usize) -> Result<Slot, SendError> {
        let scope = self.sender.platform.scope(chat_key);
        loop {
            let (Full::Account(later) | Full::Chat(later)) = match locked(&self.limiter).take(chat_key, scope, cost) {
                Ok(slot) => return Ok(slot),
                Err(full) => full,
            };
            let pause = later.unwrap_or(ANSWERS);
            // The fence of an upload moves ahead meanwhile.
            let good_until = match self.part.file {
                Some(_) => self.deadline.answer_by,
                None => self.deadline.write_by.end(),
            };
            if pause >= good_until.remaining() || !self.deadline.write_by.is_ahead() {
                return Err(SendError::NotSent("the platform's limit leaves no room for the next step".to_owned()));
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Writes down, before it happens, that this attempt takes so many slots: a successor counts them.
    async fn spend(&self, cost: usize, chat_key: &str) -> Result<(), SendError> {
        let part = &self.part;
        match self.sender.database.spend(self.sender.account.id, part.id, part.n, cost, chat_key).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(SendError::NotSent("the attempt has been decided meanwhile".to_owned())),
            Err(error) => Err(SendError::NotSent(format!("a further exchange could not be recorded: {error}"))),
        }
    }

    /// What becomes of the part: each kind of error names its own next move.
    fn settlement(&self, result: Result<String, SendError>) -> Settlement {
        let options = &self.sender.options;
        match result {
            Ok(platform_id) => Settlement::Sent { platform_id },
            Err(SendError::Throttled { retry_after }) => {
                let span = retry_after.unwrap_or(THROTTLED);
                let freeze = locked(&self.limiter).throttled(&self.part.chat_key, span);
                tracing::info!(scope = ?freeze.scope, seconds = freeze.remaining.as_secs_f64(), "the platform asks for a pause");
                Settlement::Retry {
                    outcome: AttemptOutcome::Throttled,
                    after: span,
                    freeze: Some(freeze),
                    reason: "throttled".to_owned(),
                }
            }
            Err(SendError::Unclear(why)) if sabotaged(Sabotage::ResendOnTimeout) => Settlement::Retry {
                outcome: AttemptOutcome::NotSent,
                after: options.retry.0,
                freeze: None,
                reason: why,
            },
            Err(SendError::Unclear(why)) if sabotaged(Sabotage::FailOnTimeout) => Settlement::Failed { reason: why },
            Err(SendError::Unclear(why)) => Settlement::Unconfirmed { reason: format!("it may have arrived: {why}") },
            Err(SendError::Refused(refusal)) => Settlement::Failed { reason: refusal.to_string() },
            Err(SendError::NotSent(why)) if self.part.age >= options.give_up => {
                Settlement::Failed { reason: format!("it could not be delivered: {why}") }
            }
            Err(SendError::NotSent(reason)) => {
                let doubled = options.retry.0 * 2u32.saturating_pow(self.part.failures.min(16) as u32);
                let after = doubled.min(options.retry.1);
                Settlement::Retry { outcome: AttemptOutcome::NotSent, after, freeze: None, reason }
            }
            Err(SendError::AccountDown(reason)) => {
                tracing::error!(reason, "the platform refuses the account: its outbox waits");
                Settlement::Retry { outcome: AttemptOutcome::AccountDown, after: ACCOUNT_DOWN, freeze: None, reason }
            }
        }
    }

    /// Records the end, however long the database is away: a fact is never given up.
    async fn settle(&self, settlement: &Settlement) {
        let mut pause = Duration::from_millis(50);
        loop {
            let sender = &self.sender;
            match sender.database.settle(sender.account.id, self.part.id, self.part.n, settlement).await {
                Ok(told) => {
                    point("S7");
                    if told {
                        sender.doorbells.ring_chatservers();
                    }
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, part.id = self.part.id.0, "the end of a call could not be recorded yet");
                    // Ends with the process: a drain waits for it, a kill leaves the part to the successor.
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(1));
                }
            }
        }
    }
}

fn outcome_word(settlement: &Settlement) -> &'static str {
    match settlement {
        Settlement::Sent { .. } => AttemptOutcome::Sent.as_str(),
        Settlement::Retry { outcome, .. } => outcome.as_str(),
        Settlement::Unconfirmed { .. } => AttemptOutcome::Unclear.as_str(),
        Settlement::Failed { .. } => AttemptOutcome::Refused.as_str(),
    }
}
