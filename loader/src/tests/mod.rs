//! The routes from outside: real loaders in this process, a real Postgres, an HTTP client.
#![allow(clippy::unwrap_used)]

mod access;
mod answers;
mod document;
mod export;
mod history;
mod hostile;
mod paging;
mod people;
mod period;
mod surface;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use secrecy::SecretString;
use serde_json::{Value, json};
use switchboard_common::access::{Addresses, AuthKey, AuthSettings, TokenAlgorithm, Verifier};
use switchboard_common::model::{
    AccountId, AccountName, Author, Capabilities, ChatKind, ChatRef, Inbound, InboundItem, RawUpdate,
};
use switchboard_common::service::config::Config;
use switchboard_common::service::health::Health;
use switchboard_common::service::http::HttpLimits;
use switchboard_common::service::shutdown::Shutdown;
use switchboard_common::store::testkit::TestDatabase;
use switchboard_common::store::{Database, NewAccount};
use tokio::net::TcpListener;

use self::answers::Answers;
use crate::{Descriptions, LoaderConfig};

const SECRET: &str = "a shared secret of more than 32 bytes";

/// Nothing in these tests takes longer; whoever waits longer has lost something.
const DEADLINE: Duration = Duration::from_secs(20);

/// A database with queues `support`, served by `anna` and `bob`, and `other`, served by `eve`; accounts `main` and
/// `second`, whose chats wait in those; and a loader.
struct Office {
    test: TestDatabase,
    database: Database,
    accounts: [AccountId; 2],
    address: SocketAddr,
    http: reqwest::Client,
    answers: Answers,
    running: Vec<Shutdown>,
}

impl Office {
    async fn new() -> Self {
        let test = TestDatabase::create().await;
        let database = test.database.clone();
        let mut accounts = Vec::new();
        for (queue, account, agents) in [("support", "main", ["anna", "bob"].as_slice()), ("other", "second", &["eve"])]
        {
            assert!(database.add_queue(queue).await.unwrap());
            for agent in agents {
                assert!(database.add_agent(agent, &agent.to_uppercase(), &[queue.to_owned()]).await.unwrap());
            }
            let name = AccountName::new(account).unwrap();
            let capabilities = Capabilities { text_max_utf16: 4096, limits: Vec::new(), files: None, address: None };
            let new = NewAccount {
                name: &name,
                platform: "telegram",
                queue,
                settings: &json!({}),
                capabilities: &capabilities,
            };
            assert!(database.add_account(&new).await.unwrap());
            accounts.push(database.account(&name).await.unwrap().unwrap().id);
        }
        let mut office = Self {
            test,
            database,
            accounts: [accounts[0], accounts[1]],
            address: ([127, 0, 0, 1], 0).into(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            answers: Answers::new(),
            running: Vec::new(),
        };
        office.run_sql("UPDATE agent SET scopes = '{agent,supervisor}' WHERE name = 'bob'").await;
        office.run_sql("SELECT ensure_history_partition(m) FROM unnest('{2026-02-01,2026-03-01}'::date[]) m").await;
        office.address = office.start().await;
        office
    }

    /// Starts another loader on the same database.
    async fn start(&mut self) -> SocketAddr {
        let database = self.test.another();
        self.start_on(database).await
    }

    async fn start_on(&mut self, database: Database) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let key = AuthKey { id: None, algorithm: TokenAlgorithm::Hs256, material: SecretString::from(SECRET) };
        let auth = AuthSettings { issuer: "us".to_owned(), audience: "agents".to_owned(), keys: vec![key] };
        let mut public = Config::load(None, std::iter::empty()).unwrap().public;
        (public.requests_per_second, public.requests_at_once) = (10_000, 10_000);
        let config = LoaderConfig {
            verifier: Arc::new(Verifier::new(&auth).unwrap()),
            origins: vec!["https://desk.example".to_owned()],
            limits: HttpLimits { addresses: Addresses::new(&public).unwrap(), ..HttpLimits::new(&public).unwrap() },
            exports_at_once: 2,
            descriptions: Descriptions { openapi: "{\"openapi\": \"3.1.0\"}".to_owned(), asyncapi: String::new() },
        };
        let shutdown = Shutdown::default();
        let ending = shutdown.clone();
        tokio::spawn(async move {
            crate::run(config, listener, database, ending, Health::default()).await.expect("runs to its end");
        });
        self.running.push(shutdown);
        address
    }

    /// What `path` answers to a token: the status and the body, which is as the document says.
    async fn get(&self, path: &str, token: &str) -> (u16, Value) {
        self.get_from(self.address, path, token).await
    }

    async fn get_from(&self, address: SocketAddr, path: &str, token: &str) -> (u16, Value) {
        let answer = self.http.get(format!("http://{address}{path}")).bearer_auth(token).send().await.unwrap();
        let (status, body) = (answer.status().as_u16(), answer.text().await.unwrap());
        let body = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"));
        self.answers.check(path, status, &body);
        (status, body)
    }

    /// The same, of a request that succeeds.
    async fn read(&self, path: &str, token: &str) -> Value {
        let (status, body) = self.get(path, token).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// The ids of all chats of a list, page by page.
    async fn chats(&self, query: &str, token: &str) -> Vec<i64> {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.read(&format!("/v1/chats?{query}{cursor}"), token).await;
            found.extend(ids(&page));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return found,
            }
        }
    }

    /// What the connector and the chatserver do with what customers wrote.
    async fn say(&self, account: usize, facts: Vec<Inbound>) {
        let facts: Vec<_> = facts.into_iter().map(|fact| (fact, RawUpdate(b"{}".to_vec()))).collect();
        self.database.store_inbound(self.accounts[account], &facts, &[], None).await.unwrap();
        loop {
            let batch = self.database.drain_batch().await.unwrap();
            if batch.unknown > 0 {
                self.database.meet_newcomers().await.unwrap();
            } else if batch.taken == 0 && batch.skipped == 0 {
                return;
            }
        }
    }

    async fn chat(&self, key: &str) -> i64 {
        self.number(&format!("SELECT id FROM chat WHERE platform_key = '{key}'")).await
    }

    /// A closed chat of the account whose log has one entry: at `at`, by 1 a customer, 2 an agent.
    async fn wrote(&self, account: usize, key: &str, by: i16, at: &str) -> i64 {
        let account = self.accounts[account].0;
        self.run_sql(&format!(
            "WITH c AS (INSERT INTO chat (account_id, platform_key, last_seq, queue_id, last_in_at)
               SELECT {account}, '{key}', 0, a.queue_id, '-infinity' FROM account a WHERE a.id = {account}
               ON CONFLICT (account_id, platform_key) DO UPDATE SET title = chat.title RETURNING id, last_seq),
             u AS (UPDATE chat SET last_seq = chat.last_seq + 1 FROM c WHERE chat.id = c.id)
             INSERT INTO history (account_id, chat_id, seq, at, kind, author_kind, author_id, body, item)
             SELECT {account}, c.id, c.last_seq + 1, '{at}', 1, {by}, 1, 'at {at}',
                    CASE WHEN {by} = 2 THEN '{{\"client_key\": \"k\", \"parts\": 1}}'::jsonb END FROM c"
        ))
        .await;
        let chat = self.chat(key).await;
        // The row was made by the statement above, which its own update does not see.
        self.run_sql(&format!(
            "UPDATE chat SET last_seq = (SELECT max(seq) FROM history WHERE chat_id = {chat}) WHERE id = {chat}"
        ))
        .await;
        if by == 1 {
            self.run_sql(&format!(
                "INSERT INTO chat_day VALUES ({account}, ('{at}'::timestamptz AT TIME ZONE 'UTC')::date, {chat})
                     ON CONFLICT DO NOTHING;
                 UPDATE chat SET last_in_at = greatest(last_in_at, '{at}') WHERE id = {chat}"
            ))
            .await;
        }
        chat
    }

    async fn run_sql(&self, sql: &str) {
        let connection = self.database.connection().await.unwrap();
        connection.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        connection.done();
    }

    async fn number(&self, sql: &str) -> i64 {
        let connection = self.database.connection().await.unwrap();
        let number = connection.query_one(sql, &[]).await.unwrap().get(0);
        connection.done();
        number
    }

    /// Stops all loaders, and sees that nothing of them is left.
    async fn finish(mut self) {
        for shutdown in std::mem::take(&mut self.running) {
            shutdown.begin();
            assert!(shutdown.drained(DEADLINE).await, "every task ends");
        }
        self.test.finish().await;
    }
}

/// The ids of the chats on a page.
fn ids(page: &Value) -> Vec<i64> {
    page["items"].as_array().unwrap().iter().map(|chat| chat["chat"].as_str().unwrap().parse().unwrap()).collect()
}

/// A token with these scopes.
fn token(subject: &str, scope: &str) -> String {
    let claims = json!({
        "sub": subject, "iss": "us", "aud": "agents", "exp": get_current_timestamp() + 600, "scope": scope,
    });
    encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

/// A program's that reads everything.
fn reader() -> String {
    token("reports", "loader")
}

fn message(chat: &str, n: usize, text: &str) -> Inbound {
    let item = InboundItem::Message { text: text.to_owned(), attachments: Vec::new(), content: Vec::new() };
    inbound(chat, &format!("m:{chat}:{n}"), item)
}

fn inbound(chat: &str, dedupe_key: &str, item: InboundItem) -> Inbound {
    Inbound {
        dedupe_key: dedupe_key.to_owned(),
        chat: ChatRef { key: chat.to_owned(), kind: ChatKind::Private, title: Some(chat.to_owned()) },
        author: Author { platform_id: chat.to_owned(), name: Some(format!("Name {chat}")) },
        item,
    }
}

/// An hour ago and in an hour, as parameters of a list.
fn around_now() -> String {
    let at = |minutes| (chrono::Utc::now() + chrono::TimeDelta::minutes(minutes)).format("%FT%TZ").to_string();
    format!("from={}&to={}", at(-60), at(60))
}
