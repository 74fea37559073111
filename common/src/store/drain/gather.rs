//! What a batch needs to know beside its locked chats. Each of these questions is rare: the usual batch asks none.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use deadpool_postgres::ClientWrapper;

use super::super::StoreError;
use super::parse::{Item, What};
use super::take::{Batch, Chat};
use crate::model::{AccountId, AgentId, ChatId, ChatState, FeedId};

/// The answers.
#[derive(Default)]
pub(super) struct Known {
    /// New customers and such with a new name: (account, platform id) → id.
    pub(super) customers: HashMap<(AccountId, String), i64>,
    /// Interactions opened for this batch.
    pub(super) opened: HashMap<ChatId, i64>,
    /// Messages of the log that are edited by this batch: (chat, dedupe key) → seq.
    pub(super) edited: HashMap<(ChatId, String), i64>,
    /// Messages of the log that show a file whose end is in this batch: (chat, file) → seq.
    pub(super) shown: HashMap<(ChatId, String), i64>,
    /// Feeds of agents who wrote, and do not have the chat (any more).
    pub(super) agents: HashMap<AgentId, FeedId>,
}

// Sorted by key: batches insert customers while they hold chats, and wait for each other in one order only.
const MEET: &str = "
INSERT INTO customer AS c (account_id, platform_id, name)
SELECT a, p, n FROM unnest($1::int[], $2::text[], $3::text[]) u(a, p, n) ORDER BY a, p COLLATE \"C\"
    ON CONFLICT (account_id, platform_id) DO UPDATE SET name = excluded.name
 WHERE excluded.name IS NOT NULL AND c.name IS DISTINCT FROM excluded.name";

// In a statement of its own: what another connection just inserted is in no snapshot taken before.
const IDENTIFY: &str = "
SELECT c.account_id, c.platform_id, c.id FROM unnest($1::int[], $2::text[]) u(a, p)
 CROSS JOIN LATERAL (SELECT * FROM customer x WHERE x.account_id = u.a AND x.platform_id = u.p LIMIT 1) c";

const OPEN: &str = "
INSERT INTO interaction (account_id, chat_id, queue_id, opened_at)
SELECT a, c, q, now() FROM unnest($1::int[], $2::bigint[], $3::int[]) u(a, c, q) RETURNING chat_id, id";

// `ref` has no index: customers edit what is recent, so the newest 10,000 entries of the chat are looked through.
const FIND_EDITED: &str = "
SELECT h.chat_id, h.ref, max(h.seq) AS seq
  FROM unnest($1::int[], $2::bigint[], $3::bigint[]) u(a, c, s)
  JOIN history h ON h.account_id = u.a AND h.chat_id = u.c AND h.seq > u.s - 10000
 WHERE h.ref = ANY ($4::text[]) AND h.kind = 1
 GROUP BY 1, 2";

const FIND_SHOWN: &str = "
SELECT u.c, u.f, x.chat_seq FROM unnest($1::int[], $2::bigint[], $3::text[]) u(a, c, f)
 CROSS JOIN LATERAL (SELECT * FROM file_use x WHERE x.account_id = u.a AND x.file_id = u.f AND x.chat_id = u.c LIMIT 1) x";

const AGENT_FEEDS: &str = "SELECT id, feed_id FROM agent WHERE id = ANY ($1::int[])";

/// For tests that read them.
#[cfg(any(test, feature = "testkit"))]
pub(super) const HOT: &[&str] = &[MEET, IDENTIFY, OPEN, FIND_EDITED, FIND_SHOWN, AGENT_FEEDS];

/// Asks what has to be asked.
pub(super) async fn gather(client: &ClientWrapper, batch: &Batch, items: &[Item]) -> Result<Known, StoreError> {
    let mut known = Known::default();
    customers(client, batch, items, &mut known).await?;
    interactions(client, batch, items, &mut known).await?;
    edits(client, batch, items, &mut known).await?;
    shown(client, batch, items, &mut known).await?;
    agents(client, batch, items, &mut known).await?;
    Ok(known)
}

async fn customers(client: &ClientWrapper, batch: &Batch, items: &[Item], known: &mut Known) -> Result<(), StoreError> {
    let mut wanted: BTreeMap<(AccountId, &str), Option<&str>> = BTreeMap::new();
    for item in items {
        let (row, Some(author)) = (&batch.rows[item.row], item.what.author()) else { continue };
        let name = author.author_name.as_deref();
        let same = row.customer.as_ref().is_some_and(|(_, old)| name.is_none() || name == old.as_deref());
        let key = (row.account, author.author_id.as_str());
        // The newest name in the batch wins: one that is known already must not be overtaken by an older new one.
        if !same || wanted.contains_key(&key) {
            let newest = wanted.entry(key).or_default();
            *newest = name.or(*newest);
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let accounts: Vec<i32> = wanted.keys().map(|(account, _)| account.0).collect();
    let ids: Vec<&str> = wanted.keys().map(|(_, id)| *id).collect();
    let names: Vec<Option<&str>> = wanted.values().copied().collect();
    let meet = client.prepare_cached(MEET).await?;
    client.execute(&meet, &[&accounts, &ids, &names]).await?;
    let identify = client.prepare_cached(IDENTIFY).await?;
    for row in client.query(&identify, &[&accounts, &ids]).await? {
        known.customers.insert((AccountId(row.get("account_id")), row.get("platform_id")), row.get("id"));
    }
    Ok(())
}

async fn interactions(
    client: &ClientWrapper,
    batch: &Batch,
    items: &[Item],
    known: &mut Known,
) -> Result<(), StoreError> {
    let opening: BTreeSet<ChatId> = items
        .iter()
        .filter(|item| matches!(item.what, What::Message { .. }))
        .map(|item| batch.rows[item.row].chat)
        .filter(|chat| batch.chats[chat].state == ChatState::Closed)
        .collect();
    if opening.is_empty() {
        return Ok(());
    }
    let chats: Vec<(&ChatId, &Chat)> = opening.iter().map(|id| (id, &batch.chats[id])).collect();
    let accounts: Vec<i32> = chats.iter().map(|(_, chat)| chat.account.0).collect();
    let ids: Vec<i64> = chats.iter().map(|(id, _)| id.0).collect();
    let queues: Vec<i32> = chats.iter().map(|(_, chat)| chat.home.queue.0).collect();
    let open = client.prepare_cached(OPEN).await?;
    for row in client.query(&open, &[&accounts, &ids, &queues]).await? {
        known.opened.insert(ChatId(row.get("chat_id")), row.get("id"));
    }
    Ok(())
}

async fn edits(client: &ClientWrapper, batch: &Batch, items: &[Item], known: &mut Known) -> Result<(), StoreError> {
    let mut chats: BTreeMap<ChatId, &Chat> = BTreeMap::new();
    let mut keys = Vec::new();
    for item in items {
        let What::Edited { of_key, .. } = &item.what else { continue };
        let chat = batch.rows[item.row].chat;
        chats.insert(chat, &batch.chats[&chat]);
        keys.push(of_key.as_str());
    }
    if keys.is_empty() {
        return Ok(());
    }
    let accounts: Vec<i32> = chats.values().map(|chat| chat.account.0).collect();
    let ids: Vec<i64> = chats.keys().map(|id| id.0).collect();
    let heads: Vec<i64> = chats.values().map(|chat| chat.last_seq).collect();
    let find = client.prepare_cached(FIND_EDITED).await?;
    for row in client.query(&find, &[&accounts, &ids, &heads, &keys]).await? {
        known.edited.insert((ChatId(row.get("chat_id")), row.get("ref")), row.get("seq"));
    }
    Ok(())
}

async fn shown(client: &ClientWrapper, batch: &Batch, items: &[Item], known: &mut Known) -> Result<(), StoreError> {
    let (mut accounts, mut chats, mut files) = (Vec::new(), Vec::new(), Vec::new());
    for item in items {
        let What::File(end) = &item.what else { continue };
        let row = &batch.rows[item.row];
        accounts.push(row.account.0);
        chats.push(row.chat.0);
        files.push(end.file.as_str());
    }
    if files.is_empty() {
        return Ok(());
    }
    let find = client.prepare_cached(FIND_SHOWN).await?;
    for row in client.query(&find, &[&accounts, &chats, &files]).await? {
        known.shown.insert((ChatId(row.get("c")), row.get("f")), row.get("chat_seq"));
    }
    Ok(())
}

async fn agents(client: &ClientWrapper, batch: &Batch, items: &[Item], known: &mut Known) -> Result<(), StoreError> {
    let mut others = BTreeSet::new();
    for item in items {
        let What::Outcome(outcome) = &item.what else { continue };
        let present = batch.chats[&batch.rows[item.row].chat].agent;
        match present {
            Some((agent, feed)) if agent.0 == outcome.agent_id => {
                known.agents.insert(agent, feed);
            }
            _ => {
                others.insert(outcome.agent_id);
            }
        }
    }
    if others.is_empty() {
        return Ok(());
    }
    let others: Vec<i32> = others.into_iter().collect();
    let statement = client.prepare_cached(AGENT_FEEDS).await?;
    for row in client.query(&statement, &[&others]).await? {
        known.agents.insert(AgentId(row.get("id")), FeedId(row.get("feed_id")));
    }
    Ok(())
}
