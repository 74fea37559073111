//! Which chats had customer messages in a period, page by page, in the order of their ids.
//!
//! `chat_day` proposes: of every day of the period the next chats after the cursor, merged. The log decides: a proposed
//! chat belongs to the page when it has a customer message in the very interval. So a page costs as many index entries
//! as the period has days, times its size, and nothing that grows with the number of messages. A filter that lets few
//! chats through could make a page look at many: it looks for [`PATIENCE`], then it is short and says where to go on.

use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveDate, Utc};
use tokio_postgres::types::ToSql;

use super::super::{Connection, Database, StoreError};
use super::details::ListedChat;
use super::{Span, details};
use crate::model::{AgentId, ChatId, ChatState};

/// Which chats are listed.
#[derive(Clone, Debug)]
pub struct ChatFilter {
    /// With a customer message in here.
    pub span: Span,
    /// Whose eyes decide; none: every chat may be seen.
    pub viewer: Option<AgentId>,
    /// Of the account of this name.
    pub account: Option<String>,
    /// Which the agent of this name has now.
    pub agent: Option<String>,
    /// Which wait now, or waited last, in the queue of this name.
    pub queue: Option<String>,
    /// Which stand so now.
    pub state: Option<ChatState>,
}

/// A page of the list.
#[derive(Debug)]
pub struct ChatsPage {
    /// By their ids.
    pub chats: Vec<ListedChat>,
    /// Where the next page begins: after this chat. None: this was the last.
    pub next: Option<ChatId>,
}

/// How long a page looks on when the filter lets few chats through.
const PATIENCE: Duration = Duration::from_millis(50);

/// Index entries that one look may read, over all days.
const ENTRIES: i64 = 30_000;

/// Proposed chats whose logs are looked at in one trip, at most.
const CHUNK: usize = 128;

pub(in crate::store) const PROPOSED: &str = "
SELECT x.chat_id FROM generate_series($1::date, $2::date, interval '1 day') g(day)
 CROSS JOIN LATERAL (SELECT d.chat_id FROM chat_day d WHERE d.day = g.day::date AND d.chat_id > $3 ORDER BY d.chat_id LIMIT $4) x
 GROUP BY x.chat_id ORDER BY x.chat_id LIMIT $4";

pub(in crate::store) const PROPOSED_OF_ACCOUNT: &str = "
SELECT x.chat_id FROM generate_series($1::date, $2::date, interval '1 day') g(day)
 CROSS JOIN LATERAL (SELECT d.chat_id FROM chat_day d
                      WHERE d.account_id = $5 AND d.day = g.day::date AND d.chat_id > $3 ORDER BY d.chat_id LIMIT $4) x
 GROUP BY x.chat_id ORDER BY x.chat_id LIMIT $4";

// The look into the log is a sub-select with a limit: as a join it could become one over all messages of the period. A
// chat whose last customer message is older than the period needs none.
pub(in crate::store) const DECIDED: &str = "
SELECT c.id FROM unnest($1::bigint[]) u(id) JOIN chat c ON c.id = u.id
 WHERE c.last_in_at >= $2::timestamptz - interval '1 min'
   AND ($4::int IS NULL OR chat_visible(c, $4))
   AND ($5::text IS NULL OR c.agent_id = (SELECT g.id FROM agent g WHERE g.name = $5))
   AND ($6::text IS NULL OR c.queue_id = (SELECT q.id FROM queue q WHERE q.name = $6))
   AND ($7::int2 IS NULL OR c.state = $7)
   AND (SELECT true FROM history h WHERE h.account_id = c.account_id AND h.chat_id = c.id AND h.at >= $2 AND h.at < $3
           AND h.kind = 1 AND h.author_kind = 1 LIMIT 1)";

/// For the test that reads the plans.
#[cfg(test)]
pub(super) const HOT: &[&str] = &[PROPOSED, PROPOSED_OF_ACCOUNT, DECIDED];

impl Database {
    /// The next `limit` chats after `after`, or fewer.
    pub async fn chats_page(&self, filter: &ChatFilter, after: ChatId, limit: usize) -> Result<ChatsPage, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let (found, next) = look(&connection, filter, after, limit).await?;
            let chats = details::read(&connection, &found, filter).await?;
            connection.done();
            Ok(ChatsPage { chats, next })
        })
        .await
    }
}

/// The chats of the page, and where the next one begins.
async fn look(
    connection: &Connection,
    filter: &ChatFilter,
    after: ChatId,
    limit: usize,
) -> Result<(Vec<i64>, Option<ChatId>), StoreError> {
    let begun = Instant::now();
    let (first, last) = days(filter.span);
    let days = (last - first).num_days() + 1;
    // One more than the page shows that there is a next one. Usually all of them are taken; when not, looks grow.
    let (mut batch, largest) = (limit as i64 + 1, (ENTRIES / days).clamp(limit as i64 + 1, 1024));
    let account = match &filter.account {
        None => None,
        Some(name) => match account(connection, name).await? {
            Some(id) => Some(id),
            None => return Ok((Vec::new(), None)),
        },
    };
    let (mut found, mut seen) = (Vec::new(), after.0);
    loop {
        let proposed = propose(connection, first, last, seen, batch, account).await?;
        for chunk in proposed.chunks(CHUNK.min(limit + 1)) {
            found.extend(decide(connection, filter, chunk).await?);
            if found.len() > limit {
                found.truncate(limit);
                let next = found.last().copied().map(ChatId);
                return Ok((found, next));
            }
            seen = chunk.last().copied().unwrap_or(seen);
            if begun.elapsed() > PATIENCE {
                return Ok((found, Some(ChatId(seen))));
            }
        }
        if (proposed.len() as i64) < batch {
            return Ok((found, None));
        }
        batch = (4 * batch).min(largest);
    }
}

/// The first and the last day of a period, in UTC as `chat_day` has them.
fn days(span: Span) -> (NaiveDate, NaiveDate) {
    let last: DateTime<Utc> = span.to - chrono::TimeDelta::microseconds(1);
    (span.from.date_naive(), last.date_naive())
}

async fn account(connection: &Connection, name: &str) -> Result<Option<i32>, StoreError> {
    let statement = connection.prepare_cached("SELECT id FROM account WHERE name = $1").await?;
    Ok(connection.query_opt(&statement, &[&name]).await?.map(|row| row.get(0)))
}

async fn propose(
    connection: &Connection,
    first: NaiveDate,
    last: NaiveDate,
    after: i64,
    batch: i64,
    account: Option<i32>,
) -> Result<Vec<i64>, StoreError> {
    let mut values: Vec<&(dyn ToSql + Sync)> = vec![&first, &last, &after, &batch];
    let sql = match &account {
        Some(account) => {
            values.push(account);
            PROPOSED_OF_ACCOUNT
        }
        None => PROPOSED,
    };
    let statement = connection.prepare_cached(sql).await?;
    Ok(connection.query(&statement, &values).await?.iter().map(|row| row.get(0)).collect())
}

async fn decide(connection: &Connection, filter: &ChatFilter, chats: &[i64]) -> Result<Vec<i64>, StoreError> {
    let statement = connection.prepare_cached(DECIDED).await?;
    let (viewer, state) = (filter.viewer.map(|agent| agent.0), filter.state.map(|state| state as i16));
    let rows = connection
        .query(&statement, &[&chats, &filter.span.from, &filter.span.to, &viewer, &filter.agent, &filter.queue, &state])
        .await?;
    let mut found: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    found.sort_unstable();
    Ok(found)
}
