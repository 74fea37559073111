//! New entries of feeds go to the sessions that read them.
//!
//! One query per wake for all feeds of all sessions, from the lowest cursor of each feed. A session joins with its cursor
//! and only then is read for ("subscribe, then read from the cursor until empty, then live"); an entry is pushed only when
//! it is the session's next, so what is read twice is seen once.

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::sync::Arc;

use switchboard_common::model::FeedId;
use switchboard_common::service::shutdown::Shutdown;
use switchboard_common::store::{Database, FEED_PAGE, FeedEntry, StoreError};
use tokio::sync::mpsc;

use crate::agents::hub::{Command, Sessions};
use crate::backoff::Backoff;
use crate::config::Limits;
use crate::wakes::Wakes;

type Read = (BTreeMap<FeedId, i64>, Result<Vec<FeedEntry>, StoreError>);
type Reading = Pin<Box<dyn Future<Output = Read> + Send>>;

/// Relays until the shutdown. Commands are carried out while a read is under way: a database that hangs does not keep
/// sessions from joining and leaving.
pub(crate) async fn run(
    database: Database,
    limits: Limits,
    mut commands: mpsc::Receiver<Command>,
    wakes: Arc<Wakes>,
    shutdown: Shutdown,
) {
    let mut sessions = Sessions::default();
    let mut backoff = Backoff::default();
    let mut reading: Option<Reading> = None;
    let mut again = false;
    loop {
        if again && reading.is_none() {
            again = false;
            let asked = sessions.wanted();
            if !asked.is_empty() {
                reading = Some(Box::pin(read(database.clone(), asked)));
            }
        }
        tokio::select! {
            () = shutdown.wait() => return,
            () = wakes.relay.notified() => again = true,
            command = commands.recv() => match command {
                Some(command) => again |= sessions.apply(command, limits.sessions_per_agent),
                None => return,
            },
            (asked, result) = under_way(&mut reading) => {
                reading = None;
                match result {
                    Ok(lines) => {
                        backoff.succeeded();
                        let whole = !has_full_page(&lines);
                        sessions.deliver(&asked, &lines, whole);
                        again |= !whole;
                    }
                    Err(error) => {
                        if backoff.is_first() {
                            tracing::warn!(%error, "cannot read feeds; trying again until it works");
                        }
                        let (pause, wakes) = (backoff.next(), wakes.clone());
                        shutdown.spawn(async move {
                            tokio::time::sleep(pause).await;
                            wakes.relay.notify_one();
                        });
                    }
                }
            }
        }
    }
}

async fn read(database: Database, asked: BTreeMap<FeedId, i64>) -> Read {
    let cursors: Vec<_> = asked.iter().map(|(feed, cursor)| (*feed, *cursor)).collect();
    let result = database.read_feeds(&cursors).await;
    (asked, result)
}

async fn under_way(reading: &mut Option<Reading>) -> Read {
    match reading {
        Some(reading) => reading.await,
        None => std::future::pending().await,
    }
}

/// Whether some feed has more than one read returns.
fn has_full_page(lines: &[FeedEntry]) -> bool {
    let mut count: HashMap<FeedId, usize> = HashMap::new();
    lines.iter().any(|line| {
        let count = count.entry(line.feed).or_default();
        *count += 1;
        *count >= FEED_PAGE
    })
}
