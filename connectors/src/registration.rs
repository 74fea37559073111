//! Where the platform delivers: set and looked after by the active connector, which writes down what it learns. Nobody else may
//! ask meanwhile: its limiter would not count that.

mod said;

use std::sync::Arc;
use std::time::{Duration, Instant};

use secrecy::SecretString;
use switchboard_common::service::health::Health;
use switchboard_common::service::shutdown::Shutdown;
use switchboard_common::tenure::Tenure;
use tokio::sync::Mutex;

use crate::exchanges::Exchanges;
use crate::platform::{Deadline, PollError, Webhook, WebhookInfo};
use crate::settings::InForce;
pub use said::Said;

/// How often the platform is asked where it delivers.
pub const CHECK: Duration = Duration::from_secs(600);
/// The same after trouble, doubling to the second.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How often the secret is looked at, so that the platform soon has a new one; an account that polls asks first after it.
const LOOK: Duration = Duration::from_secs(1);
/// A stranger's webhook is removed so often at most: whoever sets it should notice before we fight.
const REMOVAL: Duration = Duration::from_secs(60);
/// Until then polls are refused.
const REFUSED: Duration = Duration::from_secs(5);

/// An account's registration at its platform.
pub(crate) struct Registration {
    now: Arc<InForce>,
    exchanges: Exchanges,
    health: Health,
    /// One after the other: what was asked later is written down later.
    looking: Mutex<()>,
}

/// What one tenure knows of the platform's side.
#[derive(Default)]
struct Known {
    /// The secrets whose first one the platform was given. It never tells which it has.
    given: Option<Arc<[SecretString]>>,
    /// The refusal that was already answered by registering again.
    refused_at: Option<i64>,
}

/// How long until the platform is asked again.
struct Pace(Duration);

impl Pace {
    fn after(&mut self, checked: Result<(), PollError>) -> Duration {
        let now = self.0;
        self.0 = if checked.is_ok() { AGAIN.0 } else { (now * 2).min(AGAIN.1) };
        match checked {
            Ok(()) => CHECK,
            Err(PollError::Throttled(span)) => span.max(now),
            Err(_) => now,
        }
    }
}

impl Registration {
    /// Of the settings in force, for one tenure.
    pub fn new(now: Arc<InForce>, exchanges: Exchanges, health: Health) -> Self {
        Self { now, exchanges, health, looking: Mutex::new(()) }
    }

    /// Sees to it, until `ending` begins, that the platform delivers to us.
    pub async fn keep(&self, ending: &Shutdown) {
        let (Some(url), Some(secrets)) = (&self.now.webhook_url, &self.now.secrets) else { return };
        let mut known = Known::default();
        let mut pace = Pace(AGAIN.0);
        while !ending.has_begun() {
            let current = secrets.current();
            let checked = tokio::select! {
                checked = self.check(url, &current, &mut known) => checked,
                () = ending.wait() => return,
            };
            if let Err(error) = &checked {
                self.health.fact("webhook", error.to_string());
                tracing::warn!(%error, "the webhook could not be looked after");
            }
            let until = Instant::now() + pace.after(checked);
            while Instant::now() < until && Arc::ptr_eq(&current, &secrets.current()) {
                if !ending.pause(LOOK.min(until - Instant::now())).await {
                    return;
                }
            }
        }
    }

    /// Of an account that polls: asks from time to time, until `ending` begins. What is wrong the polls themselves show and mend.
    pub async fn watch(&self, ending: &Shutdown) {
        let mut pace = Pace(AGAIN.0);
        // What waited for this tenure goes first.
        ending.pause(LOOK).await;
        while !ending.has_begun() {
            let looked = tokio::select! {
                looked = self.look() => looked.map(drop),
                () = ending.wait() => return,
            };
            if let Err(error) = &looked {
                tracing::debug!(%error, "the platform does not say where it delivers");
            }
            ending.pause(pace.after(looked)).await;
        }
    }

    /// Asks where the platform delivers, and writes down what it says.
    async fn look(&self) -> Result<WebhookInfo, PollError> {
        let _one = self.looking.lock().await;
        let info = self.exchange(None, async |by| self.now.platform.webhook_info(by).await).await?;
        self.note(Some(&info), None).await;
        Ok(info)
    }

    async fn note(&self, found: Option<&WebhookInfo>, error: Option<&PollError>) {
        let said = Said::new(found, error, self.now.webhook_url.as_deref());
        let Exchanges { database, account, epoch, .. } = &self.exchanges;
        match database.note_registration(*account, *epoch, &said.to_json()).await {
            Ok(true) => {}
            Ok(false) => tracing::debug!("another connector is active and writes down what the platform says"),
            Err(error) => tracing::warn!(%error, "what the platform says could not be written down"),
        }
    }

    /// One exchange, as the limits allow and only while the tenure is ours. Trouble is written down, beside what was `found`
    /// before.
    async fn exchange<T>(
        &self,
        found: Option<&WebhookInfo>,
        ask: impl AsyncFnOnce(&Deadline) -> Result<T, PollError>,
    ) -> Result<T, PollError> {
        let permit = self.exchanges.permit(1).await.map_err(|why| PollError::Trouble(why.to_string()))?;
        let answer = ask(permit.deadline()).await;
        match &answer {
            Err(PollError::Throttled(span)) => permit.throttled(*span).await,
            _ => permit.answered().await,
        }
        if let Err(error) = &answer {
            self.note(found, Some(error)).await;
        }
        answer
    }

    /// Asks, and registers when the platform has anything else than it should.
    async fn check(&self, url: &str, secrets: &Arc<[SecretString]>, known: &mut Known) -> Result<(), PollError> {
        let mut info = self.look().await?;
        let elsewhere = info.url != url;
        if elsewhere && !info.url.is_empty() {
            tracing::error!(to = info.place(), "updates of this account are delivered elsewhere: taking them back");
        }
        let refused = info.refused_at.filter(|at| known.refused_at != Some(*at));
        let renewed = match &known.given {
            Some(given) => !Arc::ptr_eq(given, secrets),
            // Two secrets: one is being replaced, and the platform may still have the old one.
            None => secrets.len() > 1,
        };
        let wrong = elsewhere || !info.as_wanted || refused.is_some() || renewed;
        if wrong {
            let Some(secret) = secrets.first().cloned() else { return Ok(()) };
            let hook = Webhook { url: url.to_owned(), secret };
            self.exchange(Some(&info), async |by| self.now.platform.register(Some(&hook), by).await).await?;
            tracing::info!(elsewhere, renewed, refused = refused.is_some(), "the webhook was registered");
        }
        known.given = Some(secrets.clone());
        known.refused_at = info.refused_at;
        if wrong {
            // What is written down is the platform's own word.
            info = self.look().await?;
        }
        self.health.fact("webhook", format!("registered, {} waiting", info.pending));
        if let Some(error) = info.last_error {
            tracing::warn!(error, "the platform could not deliver an update some time ago");
        }
        Ok(())
    }

    /// Polls are refused because a webhook is set: removes it. Returns how long to pause before the next poll.
    pub async fn remove(&self, removed: &mut Option<Instant>, tenure: &Tenure, ending: &Shutdown) -> Duration {
        // Another connector may be active by now, and the webhook its own.
        if !*tenure.renewed.borrow() || removed.is_some_and(|at| at.elapsed() < REMOVAL) {
            return REFUSED;
        }
        let gone = async {
            let info = self.look().await?;
            if self.now.webhook_url.as_ref() == Some(&info.url) {
                tracing::info!(waiting = info.pending, "this account polls from now on: removing its webhook");
            } else {
                *removed = Some(Instant::now());
                tracing::error!(
                    to = info.place(),
                    waiting = info.pending,
                    "a webhook that is not ours takes this account's updates: removing it; whoever set it knows the token"
                );
            }
            self.exchange(Some(&info), async |by| self.now.platform.register(None, by).await).await?;
            // For who reads what is written down; whether it is gone the next poll tells.
            drop(self.look().await);
            Ok::<(), PollError>(())
        };
        let gone = tokio::select! {
            gone = gone => gone,
            () = ending.wait() => return Duration::ZERO,
        };
        match gone {
            Ok(()) => Duration::ZERO,
            Err(error) => {
                tracing::warn!(%error, "the webhook could not be removed");
                *removed = None;
                REFUSED
            }
        }
    }
}
