//! Tests against a real Postgres: a database each.
#![allow(clippy::unwrap_used)]

mod accounts;
mod agents;
mod chats;
mod decisions;
mod drain;
mod enclosures;
mod feeds;
mod fetches;
mod files;
mod marks;
mod million;
mod moves;
mod office;
mod opens;
mod outbox;
mod plans;
mod reading;
mod registration;
mod replies;
mod roles;
mod sender;
mod waiting;

use std::time::Duration;

use serde_json::json;

use super::testkit::TestDatabase;
use super::*;
use crate::model::{
    AccountId, AccountName, AddressKind, Author as Person, Capabilities, ChatId, ChatKind, ChatRef, Content, Epoch,
    FeedId, FreezeScope, Inbound, InboundItem, Lane, RawUpdate,
};

/// A queue `support` with agents `a0`, `a1`, … who serve it, and an account whose chats wait there.
struct Fixture {
    test: TestDatabase,
    database: Database,
    account: AccountId,
    agents: Vec<Agent>,
}

impl Fixture {
    async fn new(agents: usize) -> Self {
        let test = TestDatabase::create().await;
        let database = test.database.clone();
        assert!(database.add_queue("support").await.unwrap());
        for n in 0..agents {
            assert!(
                database.add_agent(&format!("a{n}"), &format!("Agent {n}"), &["support".to_owned()]).await.unwrap()
            );
        }
        let name = AccountName::new("main").unwrap();
        let new = NewAccount {
            name: &name,
            platform: "telegram",
            queue: "support",
            settings: &json!({}),
            capabilities: &Capabilities {
                text_max_utf16: 10,
                limits: Vec::new(),
                files: None,
                address: Some(AddressKind::Number),
            },
        };
        assert!(database.add_account(&new).await.unwrap());
        let account = database.account(&name).await.unwrap().unwrap().id;
        let mut found = Vec::new();
        for n in 0..agents {
            found.push(database.agent(&format!("a{n}")).await.unwrap().unwrap());
        }
        Self { test, database, account, agents: found }
    }

    async fn store(&self, facts: Vec<Inbound>) -> Stored {
        let facts: Vec<_> = facts.into_iter().map(|fact| (fact, RawUpdate(b"{}".to_vec()))).collect();
        self.database.store_inbound(self.account, &facts, &[], None).await.unwrap()
    }

    /// A chat of customer `key`, waiting after one message.
    async fn waiting(&self, key: &str) -> ChatId {
        self.store(vec![message(key, 1, "hello")]).await;
        drain(&self.database).await;
        self.chat(key).await
    }

    /// The same, taken by the first agent.
    async fn taken(&self, key: &str) -> ChatId {
        let chat = self.waiting(key).await;
        self.database.take_chat(&self.agents[0], chat).await.unwrap().unwrap();
        chat
    }

    async fn chat(&self, key: &str) -> ChatId {
        ChatId(self.number(&format!("SELECT id FROM chat WHERE platform_key = '{key}'")).await)
    }

    async fn number(&self, sql: &str) -> i64 {
        let connection = self.database.connection().await.unwrap();
        let number = connection.query_one(sql, &[]).await.unwrap().get(0);
        connection.done();
        number
    }

    async fn run(&self, sql: &str) {
        let connection = self.database.connection().await.unwrap();
        connection.batch_execute(sql).await.unwrap();
        connection.done();
    }

    /// Everything after `cursor` in a feed.
    async fn feed(&self, feed: FeedId, mut cursor: i64) -> Vec<Entry> {
        let mut entries = Vec::new();
        loop {
            let lines = self.database.read_feeds(&[(feed, cursor)]).await.unwrap();
            for line in &lines {
                assert_eq!(line.seq, cursor + 1, "a feed has no gap");
                cursor = line.seq;
            }
            if lines.is_empty() {
                return entries;
            }
            entries.extend(lines.into_iter().map(|line| line.entry));
        }
    }

    async fn submit(&self, agent: usize, chat: ChatId, key: &str, text: &str) -> Result<Accepted, Refusal> {
        let agent = &self.agents[agent];
        let new =
            Submission { agent, chat, client_key: key, text, file: None, lane: Lane::Interactive, seen_seq: None };
        self.database.submit(&new).await.unwrap()
    }

    /// Begins a tenure.
    async fn active(&self, holder: &str) -> Epoch {
        let lease = self.database.lease(self.account).await.unwrap();
        assert!(self.database.vouch(self.account, &lease.whereabouts).await.unwrap());
        let seen = lease.epoch;
        let raise = Raise { holder, seen, way: Way::Anyone, stale: Duration::ZERO, answering: Duration::from_secs(3) };
        self.database.raise_lease(self.account, &raise).await.unwrap().expect("free or stale")
    }

    async fn finish(self) {
        assert_gapless(&self.database).await;
        self.test.finish().await;
    }
}

fn message(key: &str, n: usize, text: &str) -> Inbound {
    inbound(
        key,
        &format!("m:{key}:{n}"),
        InboundItem::Message { text: text.to_owned(), attachments: vec![], content: vec![] },
    )
}

fn inbound(key: &str, dedupe_key: &str, item: InboundItem) -> Inbound {
    Inbound {
        dedupe_key: dedupe_key.to_owned(),
        chat: ChatRef { key: key.to_owned(), kind: ChatKind::Private, title: Some(format!("Title {key}")) },
        author: Person { platform_id: key.to_owned(), name: Some(format!("Name {key}")) },
        item,
    }
}

/// Drains until nothing is left; returns the sum.
async fn drain(database: &Database) -> Drained {
    let mut sum = Drained::default();
    loop {
        let batch = database.drain_batch().await.unwrap();
        sum.taken += batch.taken;
        sum.entries += batch.entries;
        sum.quarantined += batch.quarantined;
        if batch.unknown > 0 {
            sum.quarantined += database.meet_newcomers().await.unwrap();
        } else if batch.taken == 0 && batch.skipped == 0 {
            return sum;
        }
    }
}

fn kinds(entries: &[Entry]) -> Vec<&'static str> {
    let word = |entry: &Entry| match &entry.body {
        EntryBody::CustomerMessage { .. } => "message",
        EntryBody::AgentMessage { .. } => "answer",
        EntryBody::Edited { .. } => "edited",
        EntryBody::Opened { .. } => "opened",
        EntryBody::Released { .. } => "released",
        EntryBody::Transferred { .. } => "transferred",
        EntryBody::Taken { .. } => "taken",
        EntryBody::Closed { .. } => "closed",
        EntryBody::File(_) => "file",
        EntryBody::Outcome { .. } => "outcome",
        EntryBody::Membership { .. } => "membership",
        EntryBody::Unknown => "unknown",
    };
    entries.iter().map(word).collect()
}

/// Every chat's log and every feed is 1, 2, 3 … up to its head, and nobody met a deadlock.
async fn assert_gapless(database: &Database) {
    let connection = database.connection().await.unwrap();
    for (what, sql) in [
        (
            "chats",
            "SELECT c.id::bigint, c.last_seq, count(h.seq), coalesce(min(h.seq), 1), coalesce(max(h.seq), 0) FROM chat c
               LEFT JOIN history h ON h.account_id = c.account_id AND h.chat_id = c.id GROUP BY c.id, c.last_seq",
        ),
        (
            "feeds",
            "SELECT f.id::bigint, f.last_seq - f.pruned_seq, count(e.seq), coalesce(min(e.seq) - f.pruned_seq, 1),
                    coalesce(max(e.seq) - f.pruned_seq, 0)
               FROM feed f LEFT JOIN feed_entry e ON e.feed_id = f.id GROUP BY f.id, f.last_seq, f.pruned_seq",
        ),
    ] {
        for row in connection.query(sql, &[]).await.unwrap() {
            let (id, head, count, min, max): (i64, i64, i64, i64, i64) =
                (row.get(0), row.get(1), row.get(2), row.get(3), row.get(4));
            assert_eq!((count, min, max), (head, 1, head), "{what}: {id}");
        }
    }
    let dangling = "SELECT count(*) FROM feed_entry e WHERE NOT EXISTS (
        SELECT 1 FROM history h WHERE h.account_id = e.account_id AND h.chat_id = e.chat_id AND h.seq = e.chat_seq AND h.at = e.at)";
    assert_eq!(connection.query_one(dangling, &[]).await.unwrap().get::<_, i64>(0), 0, "every pointer has its entry");
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(connection.query_one(deadlocks, &[]).await.unwrap().get::<_, i64>(0), 0, "deadlocks");
    connection.done();
}
