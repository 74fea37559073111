//! Bytes of customers' files: claim → limiter → locate → download into chunks → ready, told to the chatservers.
//!
//! A message never waits for its files: intake has stored it, and only then are they fetched here, a few at a time, beside poll
//! and sender of the same tenure. Bytes go into the file's chunks as they come; the row becomes ready in the transaction that
//! tells the chatservers. Whatever cuts a fetch short, the next try overwrites what it left.

mod transfer;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use switchboard_common::doorbell::{Doorbells, Listener};
use switchboard_common::faults::point;
use switchboard_common::model::Epoch;
use switchboard_common::service::clock::Moment;
use switchboard_common::service::metrics::{FILE_FETCHES, FILES_PENDING};
use switchboard_common::service::shutdown::Shutdown;
use switchboard_common::store::{Account, Database, DueFile, FetchEnd, StoreError};
use switchboard_fileserver::{Counted, WriteError};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::exchanges::{Exchanges, NoPermit};
use crate::http::DownloadError;
use crate::platform::{FetchError, Platform};
use transfer::Fetched;

/// Fetches what one account's customers sent.
#[derive(Clone)]
pub struct Fetcher {
    /// The account.
    pub account: Account,
    /// Its platform.
    pub platform: Arc<dyn Platform>,
    /// Where rows are.
    pub database: Database,
    /// The same, for bytes alone.
    pub files: Database,
    /// Whom to ring.
    pub doorbells: Doorbells,
    /// Told by intake when files have come.
    pub news: Arc<Notify>,
    /// Largest file that is taken.
    pub max_bytes: u64,
}

/// Fetches at once: a photo a second from each of many customers waits its turn, and replies still have the limits' room.
const AT_ONCE: usize = 2;
/// No fetch takes longer.
const WHOLE: Duration = Duration::from_secs(180);
/// A claim that nobody ends is good for so long: the wait for the limits, the look-up and the transfer.
const LEASE: Duration = Duration::from_secs(300);
/// Pauses between tries; the last one repeats.
const PAUSES: [Duration; 4] =
    [Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(120), Duration::from_secs(600)];
/// A file that the platform does not seem to have is asked for so often.
const MISSING_TRIES: i32 = 4;
/// Any other is given up after so many tries, or so long.
const TRIES: i32 = 12;
const GIVE_UP: Duration = Duration::from_secs(24 * 3600);
/// After the platform refused the account.
const DOWN_PAUSE: Duration = Duration::from_secs(30);
/// Without news the table is looked at so seldom, and after a ring of which we know nothing at most so often.
const SWEEP: Duration = Duration::from_secs(10);
const SOON: Duration = Duration::from_secs(1);
/// No wait is shorter.
const SHORTEST: Duration = Duration::from_millis(50);
/// How often what no limit counts any more is forgotten.
const PRUNE: Duration = Duration::from_secs(60);

impl Fetcher {
    /// Fetches until `ending` begins. What is under way then is left to the next tenure.
    pub async fn run(&self, exchanges: &Exchanges, ears: &mut Listener, ending: &Shutdown) {
        tokio::select! {
            () = self.work(exchanges, ears) => {}
            () = ending.wait() => {}
        }
    }

    async fn work(&self, exchanges: &Exchanges, ears: &mut Listener) {
        let mut under_way = FuturesUnordered::new();
        // At first those of an earlier tenure, later those whose claim was not answered, or whose end was not recorded.
        let mut left_behind = true;
        let mut prune = tokio::time::interval(PRUNE);
        let mut look = Instant::now();
        loop {
            if look <= Instant::now() {
                let pause = match left_behind {
                    true => self.take_back(under_way.is_empty(), &mut left_behind).await,
                    false => None,
                };
                look = Instant::now()
                    + match pause {
                        Some(pause) => pause,
                        None => self.begin_due(exchanges, &mut under_way, &mut left_behind).await,
                    };
            }
            tokio::select! {
                Some(recorded) = under_way.next() => {
                    left_behind |= !recorded;
                    look = Instant::now();
                }
                () = self.news.notified() => look = Instant::now(),
                _ = ears.wait() => look = look.min(Instant::now() + SOON),
                () = tokio::time::sleep_until(look) => {}
                _ = prune.tick() => if let Err(error) = exchanges.prune().await {
                    tracing::debug!(%error, "old exchanges could not be removed");
                },
            }
        }
    }

    /// Gives back every claim, once none of them is under way; returns how long to wait when it cannot yet.
    async fn take_back(&self, idle: bool, left_behind: &mut bool) -> Option<Duration> {
        if !idle {
            return Some(SWEEP);
        }
        match self.database.inherit_fetches(self.account.id).await {
            Ok(_) => {
                *left_behind = false;
                None
            }
            Err(error) => {
                tracing::warn!(%error, "files left behind could not be looked for");
                Some(SOON)
            }
        }
    }

    /// Begins what is due while there is room; returns how long nothing more can be expected.
    async fn begin_due<'a>(
        &'a self,
        exchanges: &'a Exchanges,
        under_way: &mut FuturesUnordered<BoxFuture<'a, bool>>,
        left_behind: &mut bool,
    ) -> Duration {
        while under_way.len() < AT_ONCE {
            match self.due(exchanges.epoch).await {
                Ok(Due::File(file)) => under_way.push(self.fetch(exchanges, file).boxed()),
                Ok(Due::In(wait)) => return wait,
                Err(error) => {
                    tracing::warn!(%error, "files to fetch could not be looked for");
                    // One may have been claimed all the same.
                    *left_behind = true;
                    return SOON;
                }
            }
        }
        SWEEP
    }

    async fn due(&self, epoch: Epoch) -> Result<Due, StoreError> {
        if let Some(file) = self.database.claim_fetch(self.account.id, epoch, LEASE).await? {
            return Ok(Due::File(file));
        }
        let left = self.database.unfetched(self.account.id).await?;
        metrics::gauge!(FILES_PENDING).set(left.count as f64);
        Ok(Due::In(left.next.unwrap_or(SWEEP).clamp(SHORTEST, SWEEP)))
    }

    /// One try; whether its end was recorded.
    async fn fetch(&self, exchanges: &Exchanges, file: DueFile) -> bool {
        point("M1");
        let next = match self.bytes(exchanges, &file).await {
            Ok(fetched) => {
                point("M3");
                let Fetched { counted: Counted { size_bytes, chunks, sha256 }, sniffed } = fetched;
                self.end(&file, &FetchEnd::Ready { size_bytes, sha256: &sha256, sniffed, chunks }).await;
                return true;
            }
            Err(failure) => next(&failure, &file),
        };
        match next {
            Next::Fail(reason) => {
                tracing::warn!(file = file.id.as_str(), reason, tries = file.attempt, "a customer's file is given up");
                self.end(&file, &FetchEnd::Failed { reason: &reason }).await;
                true
            }
            Next::Later { after, counts, reason } => {
                metrics::counter!(FILE_FETCHES, "outcome" => "put_off").increment(1);
                tracing::info!(
                    file = file.id.as_str(),
                    reason,
                    seconds = after.as_secs(),
                    "a customer's file is put off"
                );
                let put_off = self.database.put_off_fetch(self.account.id, &file, after, &reason, counts).await;
                put_off.inspect_err(|error| tracing::warn!(%error, "that could not be recorded")).is_ok()
            }
        }
    }

    async fn bytes(&self, exchanges: &Exchanges, file: &DueFile) -> Result<Fetched, Failure> {
        let permit = exchanges.permit(1).await?;
        let located = self.platform.locate(&file.platform_ref, permit.deadline()).await;
        match &located {
            Err(FetchError::Throttled(span)) => permit.throttled(*span).await,
            _ => permit.answered().await,
        }
        let at = located?;
        if at.size_bytes.is_some_and(|size| size > self.max_bytes) {
            return Err(FetchError::from(DownloadError::TooLarge).into());
        }
        let download = self.platform.fetch(&at, self.max_bytes, Moment::now() + WHOLE).await?;
        transfer::transfer(&self.files, self.account.id, &file.id, download, at.size_bytes).await
    }

    /// Records the end, however long the database is away: the tenure's end leaves it to the next one.
    async fn end(&self, file: &DueFile, end: &FetchEnd<'_>) {
        let mut pause = SHORTEST;
        loop {
            match self.database.end_fetch(self.account.id, file, end).await {
                Ok(true) => break,
                Ok(false) => {
                    return tracing::info!(file = file.id.as_str(), "a customer's file was ended by another try");
                }
                Err(error) => tracing::warn!(%error, "the end of a fetch could not be recorded yet"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(SOON);
        }
        let outcome = if matches!(end, FetchEnd::Ready { .. }) { "ready" } else { "failed" };
        metrics::counter!(FILE_FETCHES, "outcome" => outcome).increment(1);
        self.doorbells.ring_chatservers();
    }
}

enum Due {
    File(DueFile),
    In(Duration),
}

/// Why a try brought no file.
#[derive(Debug)]
enum Failure {
    /// The platform's doing.
    Platform(FetchError),
    /// Ours: it says nothing about the file.
    Own(String),
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        Self::Platform(error)
    }
}

impl From<DownloadError> for Failure {
    fn from(error: DownloadError) -> Self {
        Self::Platform(error.into())
    }
}

impl From<NoPermit> for Failure {
    fn from(error: NoPermit) -> Self {
        Self::Own(error.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Own(format!("the bytes could not be stored: {error}"))
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Store(error) => error.into(),
            WriteError::Gone => Self::Own("another try has ended it".to_owned()),
        }
    }
}

/// What becomes of a file whose try failed.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Fail(String),
    Later {
        after: Duration,
        /// Whether the try counts: one that says nothing about the file does not.
        counts: bool,
        reason: String,
    },
}

fn next(failure: &Failure, file: &DueFile) -> Next {
    let backoff = PAUSES[usize::try_from(file.attempt - 1).unwrap_or(0).min(PAUSES.len() - 1)];
    let (after, tries, reason) = match failure {
        Failure::Platform(FetchError::Refused(reason)) => return Next::Fail(reason.clone()),
        Failure::Platform(FetchError::Missing(reason)) => (backoff, Some(MISSING_TRIES), reason.clone()),
        Failure::Platform(FetchError::Trouble(why)) => {
            (backoff, Some(TRIES), format!("it could not be fetched from the platform: {why}"))
        }
        Failure::Platform(FetchError::Throttled(span)) => (*span, None, "the platform asked for a pause".to_owned()),
        Failure::Platform(FetchError::AccountDown(why)) => {
            (DOWN_PAUSE, None, format!("the platform refuses us: {why}"))
        }
        // However old the file is.
        Failure::Own(why) => return Next::Later { after: PAUSES[0], counts: false, reason: why.clone() },
    };
    match tries.is_some_and(|tries| file.attempt >= tries) || file.age >= GIVE_UP {
        true => Next::Fail(reason),
        false => Next::Later { after, counts: tries.is_some(), reason },
    }
}

#[cfg(test)]
#[path = "fetch_tests.rs"]
mod tests;
