//! The protocol from outside: real chatservers in this process, a real Postgres, a foreign websocket client.
#![allow(clippy::unwrap_used)]

mod addresses;
mod client;
mod described;
mod enclosures;
mod hello;
mod isolation;
mod limits;
mod matrix;
mod moves;
mod opens;
mod outage;
mod reading;
mod replies;
mod requests;
mod resume;
mod rotation;
mod waiting;
mod watching;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use secrecy::SecretString;
use serde_json::{Value, json};
use switchboard_common::access::{AuthKey, AuthSettings, TokenAlgorithm, Verifier};
use switchboard_common::doorbell::{Doorbells, Sweep};
use switchboard_common::model::{
    AccountId, AccountName, AddressKind, Author, Capabilities, ChatKind, ChatRef, Inbound, InboundItem, RawUpdate,
};
use switchboard_common::service::config::{Config, Public};
use switchboard_common::service::health::Health;
use switchboard_common::service::http::HttpLimits;
use switchboard_common::service::shutdown::Shutdown;
use switchboard_common::store::testkit::TestDatabase;
use switchboard_common::store::{Database, NewAccount};
use tokio::net::TcpListener;

use self::client::Client;
use crate::{ChatserverConfig, Limits};

const SECRET: &str = "a shared secret of more than 32 bytes";

/// Nothing in these tests takes longer; whoever waits longer has lost something.
const DEADLINE: Duration = Duration::from_secs(20);

/// A database with a queue `support` served by `anna` and `bob`, and a queue `other` served by `eve`.
struct Fleet {
    test: TestDatabase,
    database: Database,
    doorbells: Doorbells,
    account: AccountId,
    /// Checks tokens for the chatservers that are started from now on.
    verifier: Arc<Verifier>,
    /// Limits per address of the chatservers that are started from now on.
    public: Public,
    running: Vec<Shutdown>,
}

impl Fleet {
    async fn new() -> Self {
        let test = TestDatabase::create().await;
        let database = test.database.clone();
        for (queue, agents) in [("support", ["anna", "bob"].as_slice()), ("other", &["eve"])] {
            assert!(database.add_queue(queue).await.unwrap());
            for agent in agents {
                assert!(database.add_agent(agent, &agent.to_uppercase(), &[queue.to_owned()]).await.unwrap());
            }
        }
        let name = AccountName::new("main").unwrap();
        let capabilities =
            Capabilities { text_max_utf16: 4096, limits: Vec::new(), files: None, address: Some(AddressKind::Number) };
        let settings = json!({});
        let new = NewAccount {
            name: &name,
            platform: "telegram",
            queue: "support",
            settings: &settings,
            capabilities: &capabilities,
        };
        assert!(database.add_account(&new).await.unwrap());
        let account = database.account(&name).await.unwrap().unwrap().id;
        // A sweep that no test waits for: what works, works by rings.
        let sweep = Sweep { usual: Duration::from_secs(3600), alone: Duration::from_secs(3600) };
        let public = Config::load(None, std::iter::empty()).unwrap().public;
        let key = AuthKey { id: None, algorithm: TokenAlgorithm::Hs256, material: SecretString::from(SECRET) };
        let auth = AuthSettings { issuer: "us".to_owned(), audience: "agents".to_owned(), keys: vec![key] };
        let verifier = Arc::new(Verifier::new(&auth).unwrap());
        Self { test, database, doorbells: Doorbells::memory(sweep), account, verifier, public, running: Vec::new() }
    }

    async fn start(&mut self, name: &str) -> SocketAddr {
        self.start_with(name, Limits::default(), self.test.another()).await
    }

    async fn start_with(&mut self, name: &str, limits: Limits, database: Database) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let config = ChatserverConfig {
            name: name.to_owned(),
            verifier: self.verifier.clone(),
            origins: vec!["https://desk.example".to_owned()],
            limits,
            openapi: "{}".to_owned(),
            http: HttpLimits::new(&self.public).unwrap(),
            lease_good_for: Duration::from_secs(5),
            feed_retention: Duration::from_secs(7 * 86_400),
        };
        let shutdown = Shutdown::default();
        let (doorbells, ending) = (self.doorbells.clone(), shutdown.clone());
        tokio::spawn(async move {
            crate::run(config, listener, database, doorbells, ending, Health::default())
                .await
                .expect("runs to its end");
        });
        self.running.push(shutdown);
        address
    }

    /// What the connector does with what customers wrote.
    async fn say(&self, facts: Vec<Inbound>) {
        let facts: Vec<_> = facts.into_iter().map(|fact| (fact, RawUpdate(b"{}".to_vec()))).collect();
        self.database.store_inbound(self.account, &facts, &[], None).await.unwrap();
        self.doorbells.ring_chatservers();
    }

    async fn run_sql(&self, sql: &str) {
        let connection = self.database.connection().await.unwrap();
        connection.batch_execute(sql).await.unwrap();
        connection.done();
    }

    async fn number(&self, sql: &str) -> i64 {
        let connection = self.database.connection().await.unwrap();
        let number = connection.query_one(sql, &[]).await.unwrap().get(0);
        connection.done();
        number
    }

    /// Waits until a query says so.
    async fn until(&self, sql: &str, want: i64) {
        let waiting = async {
            while self.number(sql).await != want {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(DEADLINE, waiting).await.unwrap_or_else(|_| panic!("{sql} never became {want}"));
    }

    /// Stops all chatservers, and sees that nothing of them is left.
    async fn finish(mut self) {
        for shutdown in std::mem::take(&mut self.running) {
            shutdown.begin();
            assert!(shutdown.drained(DEADLINE).await, "every task ends");
        }
        self.test.finish().await;
    }
}

fn claims(agent: &str) -> Value {
    json!({ "sub": agent, "iss": "us", "aud": "agents", "exp": get_current_timestamp() + 600 })
}

fn sign(claims: &Value) -> String {
    encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

fn token(agent: &str) -> String {
    sign(&claims(agent))
}

fn message(chat: &str, n: usize, text: &str) -> Inbound {
    Inbound {
        dedupe_key: format!("m:{chat}:{n}"),
        chat: ChatRef { key: chat.to_owned(), kind: ChatKind::Private, title: Some(chat.to_owned()) },
        author: Author { platform_id: chat.to_owned(), name: Some(format!("Name {chat}")) },
        item: InboundItem::Message { text: text.to_owned(), attachments: vec![], content: vec![] },
    }
}
