//! Whole periods as a stream, read page by page: no transaction, no connection and no more than a few pages in memory are
//! held while a slow reader reads.

mod rows;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream;
use switchboard_common::faults::{armed, point};
use switchboard_common::model::ChatId;
use switchboard_common::service::shutdown::Shutdown;
use switchboard_common::store::{ChatFilter, Database, ListedChat, Place, StoreError};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::Loader;
#[cfg(test)]
pub(crate) use rows::COLUMNS;
use rows::Rows;

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Comma separated values, for tables.
    Csv,
    /// A JSON object a line, for programs.
    NdJson,
}

/// Chats of one look at the list.
const CHATS: usize = 100;
/// Chats of one look into the logs, and entries of each; whoever has more is read on alone, by longer pages.
const CHATS_AT_ONCE: usize = 16;
const ENTRIES: i64 = 32;
const ENTRIES_ALONE: i64 = 256;
/// Bytes of a chunk; so many chunks wait for the reader.
const CHUNK_BYTES: usize = 64 * 1024;
const CHUNKS: usize = 2;
/// A reader who takes nothing for so long is given up: others wait for the permit.
const PATIENCE: Duration = Duration::from_secs(60);

/// Begins an export. Its permit is given back when the last row was taken, or the reader went away.
pub(crate) fn stream(loader: &Loader, filter: ChatFilter, format: Format, permit: OwnedSemaphorePermit) -> Body {
    let (chunks, taken) = mpsc::channel(CHUNKS);
    let whole = Arc::new(AtomicBool::new(false));
    let mut export = Export {
        database: loader.database.clone(),
        shutdown: loader.shutdown.clone(),
        filter,
        rows: Rows::new(format),
        chunks,
    };
    let written = whole.clone();
    loader.shutdown.spawn(async move {
        let _permit = permit;
        match export.run().await {
            Ok(()) => written.store(true, Ordering::Release),
            Err(Broken::Gone) => tracing::info!("an export was not read to its end"),
            Err(Broken::Stopping) => tracing::info!("an export was cut short: this process stops"),
            Err(Broken::Store(error)) => tracing::error!(%error, "an export was cut short"),
        }
    });
    Body::from_stream(stream::unfold((taken, whole), |(mut taken, whole)| async move {
        match taken.recv().await {
            Some(chunk) => Some((Ok(chunk), (taken, whole))),
            None if whole.load(Ordering::Acquire) => None,
            // Ends the answer without its last chunk, by which the reader knows that it is not whole.
            None => Some((Err(io::Error::other("the export was cut short")), (taken, whole))),
        }
    }))
}

/// Why an export ended early.
#[derive(Debug)]
enum Broken {
    Gone,
    Stopping,
    Store(StoreError),
}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

struct Export {
    database: Database,
    shutdown: Shutdown,
    filter: ChatFilter,
    rows: Rows,
    chunks: mpsc::Sender<Bytes>,
}

impl Export {
    async fn run(&mut self) -> Result<(), Broken> {
        let mut after = ChatId(0);
        loop {
            // A filter that lets few chats through gives nothing away for long.
            if self.chunks.is_closed() {
                return Err(Broken::Gone);
            }
            if self.shutdown.has_begun() {
                return Err(Broken::Stopping);
            }
            let page = self.database.chats_page(&self.filter, after, CHATS).await?;
            for chats in page.chats.chunks(CHATS_AT_ONCE) {
                self.chats(chats).await?;
            }
            match page.next {
                Some(next) => after = next,
                None => break,
            }
        }
        let rest = self.rows.take();
        self.give(rest).await
    }

    async fn chats(&mut self, chats: &[ListedChat]) -> Result<(), Broken> {
        let places: Vec<Place> = chats.iter().map(|chat| Place { chat: chat.id, seq: 0 }).collect();
        let entries = self.database.said(self.filter.viewer, &places, self.filter.span, ENTRIES).await?;
        let mut entries = entries.into_iter().peekable();
        for chat in chats {
            let (mut last, mut count) = (0, 0);
            while let Some(entry) = entries.next_if(|entry| entry.chat == chat.id) {
                (last, count) = (entry.seq, count + 1);
                self.rows.add(chat, entry);
                self.full().await?;
            }
            let mut page = ENTRIES;
            while count == page {
                let place = [Place { chat: chat.id, seq: last }];
                (page, count) = (ENTRIES_ALONE, 0);
                for entry in self.database.said(self.filter.viewer, &place, self.filter.span, page).await? {
                    (last, count) = (entry.seq, count + 1);
                    self.rows.add(chat, entry);
                    self.full().await?;
                }
            }
        }
        Ok(())
    }

    /// Gives a chunk away when there is one.
    async fn full(&mut self) -> Result<(), Broken> {
        // The fault tests die in the middle of an export, however short it is.
        if self.rows.len() < CHUNK_BYTES && !armed("H1") {
            return Ok(());
        }
        let chunk = self.rows.take();
        self.give(chunk).await?;
        point("H1");
        Ok(())
    }

    async fn give(&self, chunk: Vec<u8>) -> Result<(), Broken> {
        if chunk.is_empty() {
            return Ok(());
        }
        tokio::select! {
            given = tokio::time::timeout(PATIENCE, self.chunks.send(chunk.into())) => match given {
                Ok(Ok(())) => Ok(()),
                _ => Err(Broken::Gone),
            },
            () = self.shutdown.wait() => Err(Broken::Stopping),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use chrono::Utc;
    use switchboard_common::store::Span;
    use switchboard_common::store::testkit::TestDatabase;

    use super::*;

    /// Also while it has nothing to give away, by which it would notice.
    #[tokio::test]
    async fn an_export_ends_with_its_reader_and_with_the_process() {
        let test = TestDatabase::create().await;
        for (reader_stays, stopping) in [(true, false), (false, false), (true, true)] {
            let (chunks, reader) = mpsc::channel(CHUNKS);
            let reader = reader_stays.then_some(reader);
            let shutdown = Shutdown::default();
            if stopping {
                shutdown.begin();
            }
            let span = Span { from: Utc::now() - chrono::TimeDelta::days(1), to: Utc::now() };
            let filter = ChatFilter { span, viewer: None, account: None, agent: None, queue: None, state: None };
            let (database, rows) = (test.database.clone(), Rows::new(Format::NdJson));
            let ended = Export { database, shutdown, filter, rows, chunks }.run().await;
            match (reader_stays, stopping) {
                (true, false) => assert!(ended.is_ok(), "there is nothing: {ended:?}"),
                (false, _) => assert!(matches!(ended, Err(Broken::Gone)), "{ended:?}"),
                (true, true) => assert!(matches!(ended, Err(Broken::Stopping)), "{ended:?}"),
            }
            drop(reader);
        }
        test.finish().await;
    }
}
