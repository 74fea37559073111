//! The file server from outside: a real Postgres, real connections.
#![allow(clippy::unwrap_used)]

mod answers;
mod bytes;
mod eyes;
mod memory;
mod raw;
mod shown;
mod slow;
mod sweep;
mod uploads;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::middleware::from_fn_with_state;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use reqwest::{Client, RequestBuilder, Response};
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use switchboard_common::access::rules::ALL;
use switchboard_common::access::{AuthKey, AuthSettings, Gate, Surface, TokenAlgorithm, Verifier};
use switchboard_common::model::{AccountId, AccountName, Capabilities, FileLimits};
use switchboard_common::service::config::{Config, SecretFile};
use switchboard_common::service::http::{HttpLimits, serve};
use switchboard_common::service::shutdown::Shutdown;
use switchboard_common::store::testkit::TestDatabase;
use switchboard_common::store::{Database, DatabaseOptions, NewAccount};
use tokio::net::TcpListener;
use tokio::sync::watch;

use answers::{Answers, checked};

use crate::{Bounds, FileServer, FileServerOptions, routes};

const SECRET: &str = "a shared secret of more than 32 bytes";

/// Where no Postgres is.
const NOBODY: &str = "postgresql://postgres@127.0.0.1:1/nothing";

/// Nothing in these tests takes longer; whoever waits longer has lost something.
const DEADLINE: Duration = Duration::from_secs(30);

/// What differs between the servers of these tests.
struct Wishes {
    pool_size: usize,
    /// The database of bytes cannot be reached.
    away: bool,
    at_once: usize,
    bounds: Bounds,
    taken_within: Duration,
    link_secret: Option<&'static str>,
    public_url: &'static str,
    origins: Vec<&'static str>,
}

impl Default for Wishes {
    fn default() -> Self {
        Self {
            pool_size: 2,
            away: false,
            at_once: 32,
            bounds: Bounds::default(),
            taken_within: DEADLINE,
            link_secret: Some("a secret of links, more than 32 bytes"),
            public_url: "",
            origins: Vec::new(),
        }
    }
}

/// The files of account `main`. Queue `support` is served by `anna` and `bob`, queue `other` by `eve`; `sue` supervises.
struct Server {
    test: TestDatabase,
    account: AccountId,
    address: SocketAddr,
    limits: watch::Sender<Option<FileLimits>>,
    shutdown: Shutdown,
    client: Client,
    answers: &'static Answers,
}

fn limits(file_max_bytes: u64) -> Option<FileLimits> {
    Some(FileLimits { photo_max_bytes: 1024, file_max_bytes, caption_max_utf16: 1024 })
}

impl Server {
    async fn start() -> Self {
        Self::start_with(Wishes::default()).await
    }

    async fn start_with(wishes: Wishes) -> Self {
        let test = TestDatabase::create().await;
        let account = people(&test.database).await;
        let (sender, receiver) = watch::channel(limits(8 << 20));
        let key = AuthKey { id: None, algorithm: TokenAlgorithm::Hs256, material: SecretString::from(SECRET) };
        let auth = AuthSettings { issuer: "us".to_owned(), audience: "agents".to_owned(), keys: vec![key] };
        let shutdown = Shutdown::default();
        let server = FileServer::new(FileServerOptions {
            gate: Gate::new(Arc::new(Verifier::new(&auth).unwrap()), test.database.clone()),
            account,
            account_name: AccountName::new("main").unwrap(),
            database: pool(if wishes.away { NOBODY } else { &test.url }, wishes.pool_size),
            limits: Arc::new(move || *receiver.borrow()),
            link_secret: wishes.link_secret.map(|secret| SecretFile::fixed(SecretString::from(secret))),
            link_good_for: Duration::from_secs(300),
            public_url: wishes.public_url.to_owned(),
            at_once: wishes.at_once,
            orphans_after: Duration::from_secs(24 * 3600),
            origins: wishes.origins.iter().map(|origin| (*origin).to_owned()).collect(),
            bounds: wishes.bounds,
            shutdown: shutdown.clone(),
        })
        .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut bounds = HttpLimits::new(&Config::load(None, std::iter::empty()).unwrap().public).unwrap();
        (bounds.taken_within, bounds.last_requests) = (wishes.taken_within, Duration::from_secs(1));
        let ending = shutdown.clone();
        let answers: &'static Answers = Box::leak(Box::new(Answers::new()));
        let routes = routes(server).layer(from_fn_with_state(answers, checked));
        tokio::spawn(async move { serve(listener, routes, bounds, &ending).await });
        let client = Client::builder().no_proxy().no_gzip().timeout(4 * DEADLINE).build().unwrap();
        Self { test, account, address, limits: sender, shutdown, client, answers }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/files/{path}", self.address)
    }

    fn get(&self, who: &str, path: &str) -> RequestBuilder {
        self.client.get(self.url(path)).bearer_auth(token(who))
    }

    fn post(&self, who: &str, path: &str) -> RequestBuilder {
        self.client.post(self.url(path)).bearer_auth(token(who))
    }

    fn put(&self, who: &str, path: &str) -> RequestBuilder {
        self.client.put(self.url(path)).bearer_auth(token(who))
    }

    /// Uploads bytes as `who`; their id.
    async fn upload(&self, who: &str, bytes: impl Into<reqwest::Body>) -> String {
        let answer = self.post(who, "main?name=a.bin").body(bytes).send().await.unwrap();
        assert_eq!(answer.status(), 201);
        answer.json::<Value>().await.unwrap()["file"].as_str().unwrap().to_owned()
    }

    async fn run(&self, sql: &str) {
        let connection = self.test.database.connection().await.unwrap();
        connection.batch_execute(sql).await.unwrap();
        connection.done();
    }

    async fn number(&self, sql: &str) -> i64 {
        let connection = self.test.database.connection().await.unwrap();
        let number = connection.query_one(sql, &[]).await.unwrap().get(0);
        connection.done();
        number
    }

    /// Rows and chunks, once removals in the background are done.
    async fn has(&self, files: i64, chunks: i64) {
        let (mut have, limit) = ((-1, -1), tokio::time::Instant::now() + DEADLINE);
        while have != (files, chunks) {
            assert!(tokio::time::Instant::now() < limit, "{have:?} instead of {:?}", (files, chunks));
            tokio::time::sleep(Duration::from_millis(10)).await;
            let rows = self.number("SELECT count(*) FROM file").await;
            have = (rows, self.number("SELECT count(*) FROM file_chunk").await);
        }
    }

    async fn has_rows(&self, files: i64) {
        let limit = tokio::time::Instant::now() + DEADLINE;
        while self.number("SELECT count(*) FROM file").await != files {
            assert!(tokio::time::Instant::now() < limit, "{files} files in time");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn stop(self) {
        self.shutdown.begin();
        assert!(self.shutdown.drained(DEADLINE).await, "every task ends");
        self.answers.were_as_described();
        self.test.finish().await;
    }
}

async fn people(database: &Database) -> AccountId {
    for (queue, agents) in [("support", ["anna", "bob"].as_slice()), ("other", &["eve", "sue"])] {
        assert!(database.add_queue(queue).await.unwrap());
        for agent in agents {
            assert!(database.add_agent(agent, agent, &[queue.to_owned()]).await.unwrap());
        }
    }
    let connection = database.connection().await.unwrap();
    connection.batch_execute("UPDATE agent SET scopes = '{supervisor}' WHERE name = 'sue'").await.unwrap();
    connection.done();
    let name = AccountName::new("main").unwrap();
    let capabilities = Capabilities { text_max_utf16: 4096, limits: Vec::new(), files: limits(8 << 20), address: None };
    let (platform, queue, settings) = ("telegram", "support", json!({}));
    let new = NewAccount { name: &name, platform, queue, settings: &settings, capabilities: &capabilities };
    assert!(database.add_account(&new).await.unwrap());
    database.account(&name).await.unwrap().unwrap().id
}

fn pool(url: &str, pool_size: usize) -> Database {
    Database::new(&DatabaseOptions {
        url: url.to_owned(),
        password: None,
        pool_size,
        application_name: "files".to_owned(),
        statement_timeout: Duration::from_secs(10),
    })
    .unwrap()
}

/// A token of `who`, whose scope stands behind a colon; `anna` is an agent.
fn token(who: &str) -> String {
    let (subject, scope) = who.split_once(':').unwrap_or((who, "agent"));
    let exp = get_current_timestamp() + 600;
    let claims = json!({ "sub": subject, "iss": "us", "aud": "agents", "exp": exp, "scope": scope });
    encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

#[test]
fn every_rule_of_files_is_described() {
    let described = serde_json::to_value(crate::openapi()).unwrap();
    for rule in ALL.iter().filter(|rule| rule.surface == Surface::Files) {
        let (method, path) = rule.name.split_once(' ').unwrap();
        let operation = &described["paths"][path][method.to_lowercase()];
        assert!(operation["operationId"].is_string() && operation["responses"]["404"].is_object(), "{}", rule.name);
    }
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// Status and code of a problem.
async fn problem(answer: Response) -> (u16, String) {
    assert_eq!(header(&answer, "content-type"), "application/problem+json");
    assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["status"], status);
    (status, body["code"].as_str().unwrap().to_owned())
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

fn sha256(bytes: &[u8]) -> String {
    switchboard_common::model::text::hex(&Sha256::digest(bytes))
}

/// Bytes that look like nothing, each time the same for a seed.
fn noise(length: usize, mut seed: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        bytes.extend_from_slice(&seed.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
