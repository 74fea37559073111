//! New entries of feeds go to the sessions that read them.
//!
//! One query per wake for all feeds of all sessions (and one for all watched chats, when there are any), from the lowest cursor of each feed. A session joins with its cursor
//! and only then is read for ("subscribe, then read from the cursor until empty, then live"); an entry is pushed only when
//! it is the session's next, so what is read twice is seen once.

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::sync::Arc;

use futures_util::future::try_join;
use switchboard_common::service::shutdown::Shutdown;
use switchboard_common::store::{Database, Entry, FEED_PAGE, FeedEntry, StoreError};
use tokio::sync::mpsc;

use crate::agents::hub::{Command, Line, Sessions, Source};
use crate::backoff::Backoff;
use crate::config::Limits;
use crate::wakes::Wakes;

type Read = (BTreeMap<Source, i64>, Result<Vec<Line>, StoreError>);
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

async fn read(database: Database, asked: BTreeMap<Source, i64>) -> Read {
    let (mut feeds, mut chats) = (Vec::new(), Vec::new());
    for (source, cursor) in &asked {
        match source {
            Source::Feed(feed) => feeds.push((*feed, *cursor)),
            Source::Chat(chat) => chats.push((*chat, *cursor)),
        }
    }
    let of_feeds = async { database.read_feeds(&feeds).await };
    // Seldom is a chat watched.
    let of_chats = async {
        match chats.is_empty() {
            true => Ok(Vec::new()),
            false => database.read_logs(&chats).await,
        }
    };
    let result = try_join(of_feeds, of_chats).await.map(|(feeds, chats)| {
        let of_feed = |FeedEntry { feed, seq, entry, chat }| Line { source: Source::Feed(feed), seq, entry, chat };
        let of_chat = |entry: Entry| Line { source: Source::Chat(entry.chat), seq: entry.seq, entry, chat: None };
        feeds.into_iter().map(of_feed).chain(chats.into_iter().map(of_chat)).collect()
    });
    (asked, result)
}

async fn under_way(reading: &mut Option<Reading>) -> Read {
    match reading {
        Some(reading) => reading.await,
        None => std::future::pending().await,
    }
}

/// Whether some feed has more than one read returns.
fn has_full_page(lines: &[Line]) -> bool {
    let mut count: HashMap<Source, usize> = HashMap::new();
    lines.iter().any(|line| {
        let count = count.entry(line.source).or_default();
        *count += 1;
        *count >= FEED_PAGE
    })
}
