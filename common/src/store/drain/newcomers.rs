//! Chats and customers seen for the first time.
//!
//! They are made in statements of their own, before any chat is locked: a statement that inserted a chat and looked it
//! up at once would neither insert nor see one that another chatserver is just inserting, and lose its message.

use std::collections::{BTreeMap, HashSet};

use deadpool_postgres::ClientWrapper;

use super::super::work::Work;
use super::super::{Connection, Database, StoreError};
use super::parse::{self, Unreadable};
use super::take::Row;
use super::write;
use crate::model::{AccountId, ChatId};

const STRANGERS: &str = "
SELECT p.id, p.account_id, p.chat_key, p.kind, p.dedupe_key, p.body, p.item::text AS item
  FROM (SELECT * FROM pending ORDER BY id LIMIT 400) p
 WHERE NOT EXISTS (SELECT 1 FROM chat c WHERE c.account_id = p.account_id AND c.platform_key = p.chat_key)
 ORDER BY p.id";

// Sorted by key, or two chatservers inserting the same ones would deadlock.
const CUSTOMERS: &str = "
INSERT INTO customer (account_id, platform_id, name)
SELECT a, p, n FROM unnest($1::int[], $2::text[], $3::text[]) u(a, p, n) ORDER BY a, p COLLATE \"C\" ON CONFLICT DO NOTHING";

const CHATS: &str = "
INSERT INTO chat (account_id, platform_key, customer_id, title)
SELECT u.a, u.k, c.id, u.t
  FROM unnest($1::int[], $2::text[], $3::text[], $4::text[]) u(a, k, p, t)
  LEFT JOIN LATERAL (SELECT x.id FROM customer x WHERE x.account_id = u.a AND x.platform_id = u.p LIMIT 1) c ON true
 ORDER BY u.a, u.k COLLATE \"C\" ON CONFLICT DO NOTHING";

// The delete is the claim here, too: of two chatservers one puts the row aside.
const CLAIM: &str = "DELETE FROM pending WHERE id = ANY ($1::bigint[]) RETURNING id";

/// For tests that read them.
#[cfg(any(test, feature = "testkit"))]
pub(super) const HOT: &[&str] = &[STRANGERS, CUSTOMERS, CHATS, CLAIM];

/// A chat to be made. In a group the author is no property of the chat.
struct Newcomer {
    group: bool,
    title: Option<String>,
    author: String,
    name: Option<String>,
}

impl Database {
    /// Makes the customers and chats that pending rows name and nobody has made yet. Returns how many rows were put
    /// aside because no chat can be made from them.
    pub async fn meet_newcomers(&self) -> Result<usize, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let strangers = connection.prepare_cached(STRANGERS).await?;
            let mut newcomers = BTreeMap::new();
            let (mut unreadable, mut nobodys) = (Vec::new(), Vec::new());
            for row in connection.query(&strangers, &[]).await? {
                let (id, row) = (row.get("id"), pending(&row));
                match newcomer(&row) {
                    Ok(Some(new)) => {
                        newcomers.entry((row.account, row.chat_key)).or_insert(new);
                    }
                    Ok(None) => nobodys.push((id, row)),
                    Err(aside) => unreadable.push((id, aside)),
                }
            }
            // A file may be here before its message is drained: its end waits for the chat that the message makes now.
            nobodys.retain(|(_, row)| !newcomers.contains_key(&(row.account, row.chat_key.clone())));
            let aside = |(id, row): (i64, Row)| (id, parse::put_aside(&row, "it belongs to no chat".to_owned()));
            unreadable.extend(nobodys.into_iter().map(aside));
            if !newcomers.is_empty() {
                make(&connection, &newcomers).await?;
            }
            put_aside(connection, unreadable).await
        })
        .await
    }
}

async fn put_aside(connection: Connection, unreadable: Vec<(i64, Unreadable)>) -> Result<usize, StoreError> {
    if unreadable.is_empty() {
        connection.done();
        return Ok(0);
    }
    let ids: Vec<i64> = unreadable.iter().map(|(id, _)| *id).collect();
    let claim = connection.prepare_cached(CLAIM).await?;
    let (work, rows) = Work::begin(connection, &claim, &[&ids]).await?;
    let claimed: HashSet<i64> = rows.iter().map(|row| row.get("id")).collect();
    let ours: Vec<Unreadable> =
        unreadable.into_iter().filter(|(id, _)| claimed.contains(id)).map(|(_, aside)| aside).collect();
    write::quarantine(work.client(), &ours).await?;
    work.commit().await?;
    Ok(ours.len())
}

fn pending(row: &tokio_postgres::Row) -> Row {
    Row {
        account: AccountId(row.get("account_id")),
        chat: ChatId(0),
        chat_key: row.get("chat_key"),
        kind: row.get("kind"),
        key: row.get("dedupe_key"),
        body: row.get("body"),
        item: row.get("item"),
        customer: None,
    }
}

/// The chat of a row, when it is one that a customer made.
fn newcomer(row: &Row) -> Result<Option<Newcomer>, Unreadable> {
    let what = parse::parse(row.kind, row.item.as_deref()).map_err(|reason| parse::put_aside(row, reason))?;
    Ok(what.author().map(|author| Newcomer {
        group: author.group,
        title: author.title.clone(),
        author: author.author_id.clone(),
        name: author.author_name.clone(),
    }))
}

async fn make(client: &ClientWrapper, newcomers: &BTreeMap<(AccountId, String), Newcomer>) -> Result<(), StoreError> {
    let mut people: BTreeMap<(AccountId, &str), Option<&str>> = BTreeMap::new();
    for ((account, _), new) in newcomers {
        people.insert((*account, &new.author), new.name.as_deref());
    }
    let accounts: Vec<i32> = people.keys().map(|(account, _)| account.0).collect();
    let ids: Vec<&str> = people.keys().map(|(_, id)| *id).collect();
    let names: Vec<Option<&str>> = people.values().copied().collect();
    let customers = client.prepare_cached(CUSTOMERS).await?;
    client.execute(&customers, &[&accounts, &ids, &names]).await?;

    let accounts: Vec<i32> = newcomers.keys().map(|(account, _)| account.0).collect();
    let keys: Vec<&str> = newcomers.keys().map(|(_, key)| key.as_str()).collect();
    let authors: Vec<Option<&str>> =
        newcomers.values().map(|new| (!new.group).then_some(new.author.as_str())).collect();
    let titles: Vec<Option<&str>> =
        newcomers.values().map(|new| new.title.as_deref().or(new.name.as_deref().filter(|_| !new.group))).collect();
    let chats = client.prepare_cached(CHATS).await?;
    client.execute(&chats, &[&accounts, &keys, &authors, &titles]).await?;
    Ok(())
}
