use std::sync::Mutex;

use axum::http::Method;
use serde_json::json;
use switchboard_common::model::{AccountId, AccountName, QueueId};
use switchboard_common::service::config::Config;
use switchboard_common::service::http::{HttpLimits, serve};
use switchboard_common::store::Account;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;

use super::*;
use crate::platform::{
    Answer, Batch, Call, Deadline, Download, FetchError, FileAt, FileBody, Moment, Opened, Outbound, ParseError,
    Platform, PollError, Scope, SendError, Step,
};
use crate::settings::{InForce, Outside};

const SECRET: &str = "a-secret-of-32-characters_000001";
const HEADER: &str = "x-telegram-bot-api-secret-token";

/// A database that takes everything, or nothing.
#[derive(Default)]
struct Kept {
    updates: Mutex<Vec<Vec<u8>>>,
    away: std::sync::atomic::AtomicBool,
}

#[async_trait]
impl Store for Kept {
    async fn store(&self, updates: &[RawUpdate]) -> bool {
        if self.away.load(std::sync::atomic::Ordering::SeqCst) {
            return false;
        }
        self.updates.lock().expect("no panic").extend(updates.iter().map(|update| update.0.clone()));
        true
    }
}

struct Connector {
    url: String,
    kept: Arc<Kept>,
    settings: watch::Sender<Arc<InForce>>,
    client: reqwest::Client,
    shutdown: Shutdown,
}

impl Drop for Connector {
    fn drop(&mut self) {
        self.shutdown.begin();
    }
}

fn in_force(secret: bool, enabled: bool) -> Arc<InForce> {
    static FILES: std::sync::LazyLock<(String, String)> = std::sync::LazyLock::new(|| {
        let write = |name: &str, text: &str| {
            let path = std::env::temp_dir().join(format!("switchboard-hook-{name}-{}", std::process::id()));
            std::fs::write(&path, text).expect("writable");
            format!("file:{}", path.display())
        };
        (write("token", "42:TOKEN"), write("secret", SECRET))
    });
    let mut settings = json!({"token": FILES.0});
    if secret {
        settings["webhook_secret"] = json!(FILES.1);
    }
    let account = Account {
        id: AccountId(1),
        name: AccountName::new("support").expect("a name"),
        platform: "telegram".to_owned(),
        queue_id: QueueId(1),
        settings,
        enabled,
        version: 1,
    };
    Arc::new(crate::settings::open(account, &Outside::default()).expect("the settings are right"))
}

async fn connector(genuine: u32, change: impl FnOnce(&mut switchboard_common::service::config::Public)) -> Connector {
    let mut public = Config::load(None, std::iter::empty()).expect("the defaults").public;
    change(&mut public);
    let limits = HttpLimits::new(&public).expect("limits");
    let (settings, follow) = watch::channel(in_force(true, true));
    let (kept, shutdown) = (Arc::new(Kept::default()), Shutdown::default());
    let genuine = NonZeroU32::new(genuine).expect("not 0");
    let door = Door::onto(kept.clone(), follow, &limits.addresses, (genuine, genuine), &shutdown);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let (router, ending) = (door.routes(), shutdown.clone());
    shutdown.spawn(async move { serve(listener, router, limits, &ending).await });
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    Connector { url, kept, settings, client, shutdown }
}

impl Connector {
    async fn post(&self, path: &str, secret: Option<&str>, body: impl Into<reqwest::Body>) -> reqwest::Response {
        let mut request = self.client.request(Method::POST, format!("{}{path}", self.url)).body(body);
        if let Some(secret) = secret {
            request = request.header(HEADER, secret);
        }
        request.send().await.expect("an answer")
    }

    fn count(&self) -> usize {
        self.kept.updates.lock().expect("no panic").len()
    }
}

const PATH: &str = "/webhooks/support/telegram";

#[tokio::test]
async fn genuine_requests_are_kept_byte_by_byte() {
    let connector = connector(1000, |_| {}).await;
    // What is no update is kept too: the platform would bring it for ever.
    let bodies: [&[u8]; 5] = [br#"{ "update_id":1 }"#, b"", b"\xff\xfe", b"[[[[", br#"{"a":1,"a":2}"#];
    for body in bodies {
        let answer = connector.post(PATH, Some(SECRET), body).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.text().await.expect("text"), "", "an answer's body could be taken for a call");
    }
    assert_eq!(*connector.kept.updates.lock().expect("no panic"), bodies.map(<[u8]>::to_vec));
}

#[tokio::test]
async fn a_stranger_is_turned_away_before_the_body() {
    let connector = connector(1000, |_| {}).await;
    let almost = format!("{}2", &SECRET[..SECRET.len() - 1]);
    for wrong in [None, Some(""), Some(&almost[..]), Some(&SECRET[1..]), Some("42:TOKEN")] {
        let answer = connector.post(PATH, wrong, "{}").await;
        assert_eq!((answer.status().as_u16(), answer.text().await.expect("text")), (401, String::new()), "{wrong:?}");
    }
    for two in [["guess", SECRET], [SECRET, "guess"], [SECRET, SECRET]] {
        let request = connector.client.post(format!("{}{PATH}", connector.url)).body("{}");
        let answer = request.header(HEADER, two[0]).header(HEADER, two[1]).send().await.expect("an answer");
        assert_eq!(answer.status(), 401, "{two:?}");
    }
    for path in
        ["/webhooks/sales/telegram", "/webhooks/support/viber", "/webhooks/%2e%2e/telegram", "/webhooks/support"]
    {
        assert_eq!(connector.post(path, Some(SECRET), "{}").await.status(), 404, "{path}");
    }
    // The answer comes although not one byte of the announced gigabyte does.
    let mut stream = tokio::net::TcpStream::connect(&connector.url[7..]).await.expect("a connection");
    let head = format!("POST {PATH} HTTP/1.1\r\nHost: x\r\n{HEADER}: guess\r\nContent-Length: 1000000000\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("written");
    let mut answer = [0; 12];
    tokio::time::timeout(Duration::from_secs(5), stream.read_exact(&mut answer))
        .await
        .expect("in time")
        .expect("12 bytes");
    assert_eq!(&answer, b"HTTP/1.1 401");
    assert_eq!(connector.count(), 0);
}

#[tokio::test]
async fn bodies_have_a_bound_whatever_they_say() {
    let connector = connector(1000, |_| {}).await;
    let large = vec![b' '; BODY_BYTES + 1];
    assert_eq!(connector.post(PATH, Some(SECRET), large.clone()).await.status(), 413);
    let chunks: Vec<Result<Vec<u8>, std::io::Error>> = large.chunks(100_000).map(|chunk| Ok(chunk.to_vec())).collect();
    let unannounced = reqwest::Body::wrap_stream(futures_util::stream::iter(chunks));
    assert_eq!(connector.post(PATH, Some(SECRET), unannounced).await.status(), 413);
    assert_eq!(connector.count(), 0);
    assert_eq!(connector.post(PATH, Some(SECRET), vec![b' '; BODY_BYTES]).await.status(), 200);
}

#[tokio::test]
async fn nothing_is_acknowledged_that_is_not_stored() {
    let connector = connector(1000, |_| {}).await;
    connector.kept.away.store(true, std::sync::atomic::Ordering::SeqCst);
    let answer = connector.post(PATH, Some(SECRET), "{}").await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"] == "1"), (503, true));
    connector.kept.away.store(false, std::sync::atomic::Ordering::SeqCst);
    connector.settings.send_replace(in_force(true, false));
    assert_eq!(connector.post(PATH, Some(SECRET), "{}").await.status(), 503, "a disabled account takes nothing");
    connector.settings.send_replace(in_force(false, true));
    assert_eq!(connector.post(PATH, Some(SECRET), "{}").await.status(), 404, "without a secret there are no webhooks");
    connector.settings.send_replace(in_force(true, true));
    assert_eq!(connector.post(PATH, Some(SECRET), "{}").await.status(), 200);
}

#[tokio::test]
async fn too_many_are_told_to_come_again() {
    let strangers = |public: &mut switchboard_common::service::config::Public| {
        (public.requests_per_second, public.requests_at_once) = (1, 3);
    };
    let connector = connector(5, strangers).await;
    let mut seen = Vec::new();
    for _ in 0..8 {
        seen.push(connector.post(PATH, Some("guess"), "{}").await.status().as_u16());
    }
    assert!(seen.starts_with(&[401, 401, 401, 429]), "{seen:?}");
    // Guessing does not keep the platform out.
    let mut seen = Vec::new();
    for _ in 0..8 {
        let answer = connector.post(PATH, Some(SECRET), "{}").await;
        assert_eq!(answer.status() == 429, answer.headers().contains_key("retry-after"));
        seen.push(answer.status().as_u16());
    }
    assert!(seen.starts_with(&[200, 200, 200, 200, 200]) && seen.contains(&429), "{seen:?}");
}

/// A platform that wants to hear `ok`, and the answer to its question: with that it brings nothing.
struct Asking;

#[async_trait]
impl Platform for Asking {
    fn knock(&self, _: &HeaderMap, _: &[secrecy::SecretString]) -> Result<(), Forged> {
        Ok(())
    }

    fn admit(&self, request: &WebhookRequest<'_>) -> Result<Admitted, Forged> {
        let text = |body: &str| WebhookAnswer { mime: "text/plain", body: body.into() };
        Ok(match request.body {
            b"who are you?" => Admitted { updates: vec![], answer: text("0f8a") },
            body => Admitted { updates: vec![RawUpdate(body.to_vec())], answer: text("ok") },
        })
    }

    fn parse(&self, _: &RawUpdate) -> Result<Vec<switchboard_common::model::Inbound>, ParseError> {
        unreachable!("the door does not ask for it")
    }
    fn step(&self, _: &Outbound, _: &[Answer]) -> Step {
        unreachable!("the door does not ask for it")
    }
    fn scope(&self, _: &str) -> Scope {
        Scope::Chat
    }
    async fn poll(&self, _: Option<&str>, _: Duration) -> Result<Batch, PollError> {
        unreachable!("the door does not ask for it")
    }
    async fn send(&self, _: &Call, _: Option<FileBody>, _: &Deadline) -> Result<Answer, SendError> {
        unreachable!("the door does not ask for it")
    }
    async fn locate(&self, _: &str, _: &Deadline) -> Result<FileAt, FetchError> {
        unreachable!("the door does not ask for it")
    }
    async fn fetch(&self, _: &FileAt, _: u64, _: Moment) -> Result<Download, FetchError> {
        unreachable!("the door does not ask for it")
    }
    async fn probe(&self, _: &Deadline) -> Result<(), PollError> {
        unreachable!("the door does not ask for it")
    }
}

#[tokio::test]
async fn the_platform_hears_what_it_wants_to_once_its_updates_are_stored() {
    let connector = connector(1000, |_| {}).await;
    connector.settings.send_modify(|now| {
        let before = in_force(true, true);
        let InForce { account, capabilities, receive, webhook_url, secrets, .. } =
            Arc::into_inner(before).expect("ours");
        let platform = Arc::new(Asking);
        *now = Arc::new(InForce { account, platform, capabilities, receive, webhook_url, secrets });
    });
    let ask = async |body: &'static str| {
        let answer = connector.post(PATH, Some(SECRET), body).await;
        let mime = answer.headers().get("content-type").map(|mime| mime.to_str().expect("text").to_owned());
        (answer.status().as_u16(), mime, answer.text().await.expect("text"))
    };
    let said = |text: &str| (200, Some("text/plain".to_owned()), text.to_owned());
    assert_eq!(ask("news").await, said("ok"));
    assert_eq!(connector.count(), 1);
    connector.kept.away.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(ask("news").await, (503, None, String::new()), "not stored: not what it wants to hear");
    assert_eq!(ask("who are you?").await, said("0f8a"), "nothing to store");
    assert_eq!(connector.count(), 1);
}

#[test]
fn settings_say_what_is_missing() {
    let spec = crate::platforms::find("telegram").expect("it is there");
    let refused = |more: serde_json::Value| {
        let mut settings = json!({"token": "env:PATH"});
        settings.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        let opened: Result<Opened, _> = spec.open(&settings, crate::platform::Http::new().expect("a client"));
        opened.err().map(|error| error.0).unwrap_or_default()
    };
    assert_eq!(refused(json!({})), "");
    assert!(refused(json!({"receive": "webhook"})).contains("needs webhook_secret"));
    assert!(refused(json!({"receive": "push"})).contains("poll or webhook"));
    assert!(refused(json!({"webhook_secret": "hunter2"})).contains("reference"));
    assert!(refused(json!({"webhook_secret": "env:PATH"})).contains("A-Z"), "a secret that the platform refuses");
}
