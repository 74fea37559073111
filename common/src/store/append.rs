//! Appending to chats' logs and feeds: the one place where an entry is written, whoever writes it.

mod serial;

use std::collections::BTreeSet;

use deadpool_postgres::ClientWrapper;
use futures_util::future::{try_join, try_join3, try_join4};
use serde::Serialize;

use super::StoreError;
use crate::faults::{Sabotage, point, sabotaged};
use crate::model::{AccountId, AgentId, ChatId, EntryKind, FeedId};

/// An entry to append. The caller holds the chat's row lock, so `seq` is the next number of its log.
pub(super) struct NewEntry {
    pub(super) account: AccountId,
    pub(super) chat: ChatId,
    pub(super) seq: i64,
    pub(super) kind: EntryKind,
    pub(super) author: By,
    /// Dedupe key of the inbox row that made it.
    pub(super) reference: Option<String>,
    pub(super) body: Option<String>,
    /// JSON of what the kind carries beside the text.
    pub(super) item: Option<String>,
    /// Who may see it. Without one it is in the log only. Repeats are dropped.
    pub(super) feeds: Vec<FeedId>,
}

/// Who made an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    System,
    Customer(i64),
    Agent(AgentId),
}

impl By {
    fn kind(self) -> i16 {
        match self {
            Self::System => 0,
            Self::Customer(_) => 1,
            Self::Agent(_) => 2,
        }
    }

    fn id(self) -> Option<i64> {
        match self {
            Self::System => None,
            Self::Customer(id) => Some(id),
            Self::Agent(id) => Some(i64::from(id.0)),
        }
    }
}

/// The `item` column's JSON.
pub(super) fn item_json(item: &impl Serialize) -> Option<String> {
    Some(serde_json::to_string(item).expect("plain fields are JSON"))
}

// The time of all entries of one append, read while their chats are locked: the transaction's own now() may be from
// before another transaction had the lock, and then a chat's times would run backwards.
const CLOCK: &str = "SELECT set_config('switchboard.at', clock_timestamp()::text, true)";

const HISTORY: &str = "
INSERT INTO history (account_id, chat_id, seq, at, kind, author_kind, author_id, ref, body, item)
SELECT a, c, s, current_setting('switchboard.at')::timestamptz, k, ak, ai, r, b, i::jsonb
  FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::int2[], $5::int2[], $6::bigint[], $7::text[], $8::text[], $9::text[])
       u(a, c, s, k, ak, ai, r, b, i)";

// Always in id order, after chats and outbox rows: without the order the same statements deadlock.
const LOCK_FEEDS: &str = "SELECT 1 FROM feed WHERE id = ANY ($1::int[]) ORDER BY id FOR NO KEY UPDATE";

const FEED_ENTRIES: &str = "
WITH r AS MATERIALIZED (SELECT * FROM unnest($1::int[], $2::int[], $3::bigint[], $4::bigint[]) WITH ORDINALITY u(f, a, c, s, n)),
uf AS (UPDATE feed SET last_seq = last_seq + k.n FROM (SELECT f, count(*) n FROM r GROUP BY 1) k WHERE feed.id = k.f
       RETURNING feed.id, feed.last_seq - k.n AS base)
INSERT INTO feed_entry (feed_id, seq, account_id, chat_id, chat_seq, at)
SELECT r.f, uf.base + row_number() OVER (PARTITION BY r.f ORDER BY r.n), r.a, r.c, r.s, current_setting('switchboard.at')::timestamptz
  FROM r JOIN uf ON uf.id = r.f ORDER BY r.n";

/// For tests that read them.
#[cfg(any(test, feature = "testkit"))]
pub(super) const HOT: &[&str] = &[CLOCK, HISTORY, LOCK_FEEDS, FEED_ENTRIES];

/// Appends entries to their chats' logs and to the feeds that see them, in the given order, in one trip.
/// Fails, before anything is committed, when a row is missing: a feed without its row would lose the entry silently.
pub(super) async fn append(client: &ClientWrapper, entries: &[NewEntry]) -> Result<(), StoreError> {
    if entries.is_empty() {
        return Ok(());
    }
    let columns = Columns::of(entries);
    let pointers = Pointers::of(entries);
    let locked: Vec<i32> = pointers.feeds.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let clock = client.prepare_cached(CLOCK).await?;
    let history = client.prepare_cached(HISTORY).await?;
    let lock = client.prepare_cached(LOCK_FEEDS).await?;
    let entries_of_feeds = client.prepare_cached(FEED_ENTRIES).await?;
    let values = columns.values();
    // Sent in this order, answered in one trip.
    let read = client.execute(&clock, &[]);
    let written = client.execute(&history, &values);
    let (written, held, pointed) = if locked.is_empty() {
        (try_join(read, written).await?.1, 0, 0)
    } else if sabotaged(Sabotage::SerialCursor) {
        let numbers = serial::numbers(client, &pointers).await?;
        let pointed = serial::point(client, &pointers, &numbers);
        let (_, written, pointed) = try_join3(read, written, pointed).await?;
        (written, locked.len() as u64, pointed)
    } else {
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
            [&pointers.feeds, &pointers.accounts, &pointers.chats, &pointers.seqs];
        let feeds: [&(dyn tokio_postgres::types::ToSql + Sync); 1] = [&locked];
        let (held, pointed) = (client.execute(&lock, &feeds), client.execute(&entries_of_feeds, &values));
        let (_, written, held, pointed) = try_join4(read, written, held, pointed).await?;
        (written, held, pointed)
    };
    point("C0");
    expect("history rows", written, entries.len())?;
    expect("feed rows", held, locked.len())?;
    expect("feed entries", pointed, pointers.feeds.len())
}

/// Refuses to go on when a statement touched another number of rows than it had to.
pub(super) fn expect(what: &str, got: u64, want: usize) -> Result<(), StoreError> {
    match got == want as u64 {
        true => Ok(()),
        false => Err(StoreError::Unexpected(format!("{got} {what} instead of {want}"))),
    }
}

#[derive(Default)]
struct Columns<'a> {
    accounts: Vec<i32>,
    chats: Vec<i64>,
    seqs: Vec<i64>,
    kinds: Vec<i16>,
    author_kinds: Vec<i16>,
    author_ids: Vec<Option<i64>>,
    references: Vec<Option<&'a str>>,
    bodies: Vec<Option<&'a str>>,
    items: Vec<Option<&'a str>>,
}

impl<'a> Columns<'a> {
    fn of(entries: &'a [NewEntry]) -> Self {
        let mut columns = Self::default();
        for entry in entries {
            columns.accounts.push(entry.account.0);
            columns.chats.push(entry.chat.0);
            columns.seqs.push(entry.seq);
            columns.kinds.push(entry.kind as i16);
            columns.author_kinds.push(entry.author.kind());
            columns.author_ids.push(entry.author.id());
            columns.references.push(entry.reference.as_deref());
            columns.bodies.push(entry.body.as_deref());
            columns.items.push(entry.item.as_deref());
        }
        columns
    }

    fn values(&self) -> [&(dyn tokio_postgres::types::ToSql + Sync); 9] {
        [
            &self.accounts,
            &self.chats,
            &self.seqs,
            &self.kinds,
            &self.author_kinds,
            &self.author_ids,
            &self.references,
            &self.bodies,
            &self.items,
        ]
    }
}

#[derive(Default)]
struct Pointers {
    feeds: Vec<i32>,
    accounts: Vec<i32>,
    chats: Vec<i64>,
    seqs: Vec<i64>,
}

impl Pointers {
    fn of(entries: &[NewEntry]) -> Self {
        let mut pointers = Self::default();
        for entry in entries {
            for feed in entry.feeds.iter().collect::<BTreeSet<_>>() {
                pointers.feeds.push(feed.0);
                pointers.accounts.push(entry.account.0);
                pointers.chats.push(entry.chat.0);
                pointers.seqs.push(entry.seq);
            }
        }
        pointers
    }
}
