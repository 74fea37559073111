//! Against a real Postgres and a Bot API on loopback that answers as told.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::Mutex;

use axum::body::{Body, Bytes};
use axum::http::{Response, Uri};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use switchboard_common::doorbell::Sweep;
use switchboard_common::model::{
    AccountName, Attachment, Author, Capabilities, ChatKind, ChatRef, Epoch, FileId, FileKind, Inbound, InboundItem,
    RawUpdate, Scope,
};
use switchboard_common::store::testkit::TestDatabase;
use switchboard_common::store::{NewAccount, Raise, Way};
use tokio::sync::watch;

use super::*;
use crate::exchanges::Opening;
use crate::http::Http;
use crate::limiter::Limiter;
use crate::platform::{Limit, Settings};
use crate::platforms::telegram;

const TOKEN: &str = "42:S3CRET-OF-THE-TEST";
const MINUTE: Duration = Duration::from_secs(60);

/// What the stub answers, by file id: to `getFile` (status and envelope), and to the download.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<HashMap<String, (Value, Download)>>>);

#[derive(Clone)]
enum Download {
    Whole(Vec<u8>),
    /// Says that there is one byte more than it sends.
    Short(Vec<u8>),
    Endless,
    Status(u16, Option<&'static str>),
    Labelled(Vec<u8>, &'static str),
}

impl Script {
    fn file(&self, id: &str, download: Download) {
        let found = json!({"ok": true, "result": {"file_id": id, "file_path": format!("photos/{id}")}});
        self.0.lock().unwrap().insert(id.to_owned(), (found, download));
    }

    fn refusal(&self, id: &str, envelope: Value) {
        self.0.lock().unwrap().insert(id.to_owned(), (envelope, Download::Endless));
    }

    async fn serve(&self) -> String {
        let script = self.clone();
        let app = axum::Router::new().fallback(move |uri: Uri, body: Bytes| async move { script.answer(&uri, &body) });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        url
    }

    fn answer(&self, uri: &Uri, body: &[u8]) -> Response<Body> {
        let known = self.0.lock().unwrap();
        let status = |code: u16| Response::builder().status(code);
        if uri.path() == format!("/bot{TOKEN}/getFile") {
            let asked: Value = serde_json::from_slice(body).unwrap();
            let (envelope, _) = &known[asked["file_id"].as_str().unwrap()];
            let code = envelope["error_code"].as_u64().unwrap_or(200) as u16;
            return status(code).body(envelope.to_string().into()).unwrap();
        }
        let id = uri.path().strip_prefix(&format!("/file/bot{TOKEN}/photos/")).expect("the token is in the address");
        match known[id].1.clone() {
            Download::Whole(bytes) => status(200).body(bytes.into()),
            Download::Short(bytes) => {
                let length = bytes.len() + 1;
                let cut = futures_util::stream::iter([Ok(Bytes::from(bytes)), Err(std::io::Error::other("cut"))]);
                status(200).header("content-length", length).body(Body::from_stream(cut))
            }
            Download::Endless => {
                let piece = Bytes::from(vec![7; 64 * 1024]);
                let pieces = futures_util::stream::repeat_with(move || Ok::<_, std::io::Error>(piece.clone()));
                status(200).body(Body::from_stream(pieces))
            }
            Download::Status(code, to) => status(code).header("location", to.unwrap_or("/")).body(Body::empty()),
            Download::Labelled(bytes, coding) => status(200).header("content-encoding", coding).body(bytes.into()),
        }
        .unwrap()
    }
}

/// An account whose bot is the stub, active, with a limiter of its own.
struct Fixture {
    test: TestDatabase,
    script: Script,
    fetcher: Fetcher,
    exchanges: Exchanges,
    opening: Opening,
}

impl Fixture {
    async fn new(limits: &[Limit]) -> Self {
        let test = TestDatabase::create().await;
        let database = test.database.clone();
        assert!(database.add_queue("support").await.unwrap());
        let name = AccountName::new("main").unwrap();
        let script = Script::default();
        let secret = std::env::temp_dir().join(format!("switchboard-fetch-token-{}", std::process::id()));
        std::fs::write(&secret, TOKEN).unwrap();
        let mut settings = Settings::new();
        settings.insert("token".to_owned(), json!(format!("file:{}", secret.display())));
        settings.insert("base_url".to_owned(), json!(script.serve().await));
        let new = NewAccount {
            name: &name,
            platform: "telegram",
            queue: "support",
            settings: &Value::Object(settings.clone()),
            capabilities: &Capabilities { text_max_utf16: 4096, limits: Vec::new(), files: None, address: None },
        };
        assert!(database.add_account(&new).await.unwrap());
        let account = database.account(&name).await.unwrap().unwrap();
        let (opening, limiter) = watch::channel(None);
        let exchanges = Exchanges {
            account: account.id,
            epoch: active(&database, &account).await,
            database: database.clone(),
            limiter,
        };
        let sweep = Sweep { usual: MINUTE, alone: MINUTE };
        let fetcher = Fetcher {
            platform: (telegram::SPEC.open)(&settings, Http::new().unwrap()).unwrap().into(),
            files: test.another(),
            doorbells: Doorbells::memory(sweep),
            news: Arc::default(),
            max_bytes: 3 << 20,
            account,
            database,
        };
        opening.send_replace(Some(Arc::new(Mutex::new(Limiter::new(limits)))));
        Self { test, script, fetcher, exchanges, opening }
    }

    /// A customer sends a file.
    async fn sent(&self, id: &str) {
        let attachment = Attachment {
            kind: FileKind::Photo,
            platform_ref: id.to_owned(),
            name: None,
            mime: Some("image/jpeg".to_owned()),
            size_bytes: None,
        };
        let fact = Inbound {
            dedupe_key: format!("m:1:{id}"),
            chat: ChatRef { key: "1".to_owned(), kind: ChatKind::Private, title: None },
            author: Author { platform_id: "1".to_owned(), name: None },
            item: InboundItem::Message { text: String::new(), attachments: vec![attachment], content: vec![] },
        };
        let facts = [(fact, RawUpdate(b"{}".to_vec()))];
        assert_eq!(
            self.fetcher.database.store_inbound(self.fetcher.account.id, &facts, &[], None).await.unwrap().files,
            1
        );
        self.fetcher.news.notify_one();
    }

    async fn text(&self, sql: &str) -> String {
        let connection = self.test.database.connection().await.unwrap();
        let row = connection.query_one(sql, &[]).await.unwrap();
        connection.done();
        row.get::<_, Option<String>>(0).unwrap_or_default()
    }

    /// What the table says of a file: state, sniffed type, size, reason.
    async fn row(&self, id: &str) -> String {
        self.text(&format!(
            "SELECT concat_ws(' ', state, attempts, coalesce(sniffed, '-'), coalesce(size_bytes, -1), reason) FROM file WHERE platform_ref = '{id}'"
        ))
        .await
    }

    async fn run_until(&self, ids: &[&str], decided: impl Fn(&str) -> bool) {
        let (ending, mut ears) =
            (Shutdown::default(), self.fetcher.doorbells.listen_account(&self.fetcher.account.name));
        let watching = async {
            let deadline = Instant::now() + Duration::from_secs(20);
            for id in ids {
                while !decided(&self.row(id).await) {
                    assert!(Instant::now() < deadline, "{id} is still: {}", self.row(id).await);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            ending.begin();
        };
        tokio::join!(self.fetcher.run(&self.exchanges, &mut ears, &ending), watching);
    }
}

async fn active(database: &Database, account: &Account) -> Epoch {
    let lease = database.lease(account.id).await.unwrap();
    assert!(database.vouch(account.id, &lease.whereabouts).await.unwrap());
    let seen = lease.epoch;
    let raise =
        Raise { holder: "test", seen, way: Way::Anyone, stale: Duration::ZERO, answering: Duration::from_secs(3) };
    database.raise_lease(account.id, &raise).await.unwrap().expect("free or stale")
}

fn tried(row: &str) -> bool {
    !row.starts_with("0 0")
}

#[tokio::test]
async fn files_arrive_byte_for_byte_and_what_cannot_is_told() {
    let f = Fixture::new(&[]).await;
    let png: Vec<u8> =
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".iter().copied().chain((0..1_300_000u32).map(|n| (n % 251) as u8)).collect();
    let said = |code: u16, words: &str| json!({"ok": false, "error_code": code, "description": words});
    f.script.file("whole", Download::Whole(png.clone()));
    f.script.file("empty", Download::Whole(Vec::new()));
    f.script.file("coded", Download::Labelled(b"\x1f\x8b\x08 not really".to_vec(), "gzip"));
    f.script.file("short", Download::Short(png.clone()));
    f.script.file("endless", Download::Endless);
    f.script.file("gone", Download::Status(404, None));
    f.script.file("elsewhere", Download::Status(302, Some("/bot42:S3CRET-OF-THE-TEST/getFile")));
    f.script.refusal("big", said(400, "Bad Request: file is too big"));
    f.script.refusal("odd", said(400, "Bad Request: wrong file_id or the file is temporarily unavailable"));
    f.script.refusal("down", said(401, "Unauthorized"));
    let ids = ["whole", "empty", "coded", "short", "endless", "gone", "elsewhere", "big", "odd", "down"];
    for id in ids {
        f.sent(id).await;
    }
    let done = |row: &str| tried(row) && !row.starts_with("0 1 - -1") || row.len() > "0 1 - -1 ".len();
    f.run_until(&ids, done).await;
    for (id, want) in [
        ("whole", format!("1 1 image/png {}", png.len())),
        ("empty", "1 1 - 0".to_owned()),
        ("coded", "1 1 application/gzip 14".to_owned()),
        ("endless", "2 1 - -1 the file is too large to be fetched".to_owned()),
        ("gone", "0 1 - -1 the platform no longer has the file".to_owned()),
        ("elsewhere", "0 1 - -1 it could not be fetched from the platform: HTTP 302".to_owned()),
        ("big", "2 1 - -1 Telegram gives out files of at most 20 MB, and this one is larger".to_owned()),
        ("odd", "0 1 - -1 Telegram does not give out the file (any more)".to_owned()),
        ("down", "0 0 - -1 the platform refuses us: the token is wrong or revoked; set a new one".to_owned()),
    ] {
        assert_eq!(f.row(id).await, want, "{id}");
    }
    let short = f.row("short").await;
    assert!(short.starts_with("0 1 - -1 it could not be fetched from the platform: "), "{short}");

    let id = FileId::parse(&f.text("SELECT id FROM file WHERE platform_ref = 'whole'").await).unwrap();
    let account = f.fetcher.account.id;
    let stored: Vec<u8> = f.test.database.read_chunks(account, &id, 0, 100).await.unwrap().concat();
    assert!(stored == png, "byte for byte");
    let row = f.test.database.file(account, &id).await.unwrap().unwrap();
    assert_eq!(
        row.sha256.unwrap(),
        sha2::Digest::finalize(sha2::Digest::chain_update(sha2::Sha256::default(), &png)).to_vec()
    );
    let told =
        f.text("SELECT string_agg(item->>'state', ' ' ORDER BY item->>'state') FROM pending WHERE kind = 4").await;
    assert_eq!(told, "failed failed ready ready ready");
    let left = "SELECT count(*)::text FROM file_chunk c JOIN file f ON f.id = c.file_id WHERE f.state = 2";
    assert_eq!(f.text(left).await, "0");
    let rows = "SELECT string_agg(t::text, '') FROM (SELECT to_jsonb(f) AS t FROM file f UNION ALL SELECT to_jsonb(i) FROM inbox i
                 UNION ALL SELECT to_jsonb(p) FROM pending p UNION ALL SELECT to_jsonb(e) FROM exchange e) x";
    assert!(!f.text(rows).await.contains("S3CRET"), "the token is in no row");
    f.test.finish().await;
}

#[tokio::test]
async fn a_file_that_was_cut_short_comes_whole_with_the_next_try() {
    let f = Fixture::new(&[]).await;
    // More than is written beside what comes: of it something is committed when the end is missed.
    let bytes: Vec<u8> = (0..2_200_000u32).map(|n| (n / 7) as u8).collect();
    f.script.file("A", Download::Short(bytes.clone()));
    f.sent("A").await;
    f.run_until(&["A"], |row| row.contains("could not")).await;
    assert_ne!(f.text("SELECT count(*)::text FROM file_chunk").await, "0", "some of it is there");
    let shorter = bytes[..300_000].to_vec();
    f.script.file("A", Download::Whole(shorter.clone()));
    f.text("WITH u AS (UPDATE file SET retry_at = now() RETURNING id) SELECT id FROM u").await;
    f.run_until(&["A"], |row| row.starts_with('1')).await;
    let id = FileId::parse(&f.text("SELECT id FROM file").await).unwrap();
    let stored = f.test.database.read_chunks(f.fetcher.account.id, &id, 0, 100).await.unwrap().concat();
    assert!(stored == shorter, "nothing of the earlier try is left");
    f.test.finish().await;
}

#[tokio::test]
async fn a_look_up_takes_its_place_in_the_limits_of_this_tenure_and_the_next() {
    let limits = [
        Limit { count: 2, window: 2 * MINUTE, scope: Scope::Account },
        Limit { count: 1, window: MINUTE, scope: Scope::Chat },
    ];
    let f = Fixture::new(&limits).await;
    f.opening.send_replace(None);
    let soon = |exchanges: Exchanges| async move {
        tokio::time::timeout(Duration::from_millis(300), exchanges.permit(1)).await.ok().transpose().unwrap()
    };
    assert!(soon(f.exchanges.clone()).await.is_none(), "nothing begins before the limiter was rebuilt");
    let limiter = Arc::new(Mutex::new(Limiter::new(&[limits[1]])));
    f.opening.send_replace(Some(limiter));
    let permit = soon(f.exchanges.clone()).await.expect("no chat's limit counts it");
    permit.answered().await;
    drop(soon(f.exchanges.clone()).await.expect("nor the next one"));
    assert_eq!(f.text("SELECT count(*) || ' ' || count(ended_at) FROM exchange").await, "2 1");

    // The next tenure's limiter counts both, and the one before begins nothing any more.
    let epoch = active(&f.fetcher.database, &f.fetcher.account).await;
    assert!(matches!(f.exchanges.permit(1).await, Err(NoPermit::Over)));
    let left = f.fetcher.database.left_behind(f.fetcher.account.id, epoch, 2 * MINUTE).await.unwrap();
    let mut limiter = Limiter::new(&limits);
    limiter.restore(&left.slots, &left.freezes, |_| Scope::Chat);
    assert!(limiter.take("1", Scope::Chat, 1).is_err(), "two of two");
    let mut wider = Limiter::new(&[Limit { count: 3, ..limits[0] }, limits[1]]);
    wider.restore(&left.slots, &left.freezes, |_| Scope::Chat);
    assert!(wider.take("1", Scope::Chat, 1).is_ok(), "two of three");
    f.test.finish().await;
}

#[tokio::test]
async fn a_429_pauses_the_account_and_the_next_tenure_knows() {
    let f = Fixture::new(&[Limit { count: 30, window: Duration::from_secs(1), scope: Scope::Account }]).await;
    let told = json!({"ok": false, "error_code": 429, "description": "Too Many Requests: retry after 60", "parameters": {"retry_after": 60}});
    f.script.refusal("A", told);
    f.sent("A").await;
    f.run_until(&["A"], |row| row.contains("pause")).await;
    assert!(f.row("A").await.starts_with("0 0 "), "it says nothing about the file");
    let limiter = f.opening.borrow().clone().unwrap();
    assert!(limiter.lock().unwrap().take("7", Scope::Chat, 1).is_err(), "no chat's turn either");
    let freezes = f.fetcher.database.freezes(f.fetcher.account.id).await.unwrap();
    assert!(freezes.len() == 1 && freezes[0].remaining > MINUTE / 2, "{freezes:?}");
    f.test.finish().await;
}

#[tokio::test]
async fn an_address_with_a_token_shows_itself_to_nobody() {
    let at = crate::platform::FileAt { url: format!("https://x/file/bot{TOKEN}/a").into(), size_bytes: None };
    assert!(!format!("{at:?}").contains("S3CRET") && at.url.expose_secret().contains("S3CRET"));
    let http = Http::new().unwrap();
    let nobody = crate::http::Origin::configured("http://127.0.0.1:9").expect("an address");
    let refused =
        http.get_stream(&format!("http://127.0.0.1:9/bot{TOKEN}/a"), &nobody, 1, Moment::now() + MINUTE).await;
    let error = refused.map(drop).expect_err("nobody listens").to_string();
    assert!(!error.contains("S3CRET"), "{error}");
}

#[test]
fn each_failure_has_its_next_move() {
    let file = |attempt, hours: u64| DueFile {
        id: FileId::new(),
        attempt,
        platform_ref: "A".to_owned(),
        age: Duration::from_secs(hours * 3600),
    };
    let after = |failure: Failure, attempt, hours| match next(&failure, &file(attempt, hours)) {
        Next::Later { after, counts, .. } => Some((after.as_secs(), counts)),
        Next::Fail(_) => None,
    };
    let missing = || Failure::Platform(FetchError::Missing("x".to_owned()));
    assert_eq!(
        [1, 2, 3, 4].map(|n| after(missing(), n, 0)),
        [Some((5, true)), Some((30, true)), Some((120, true)), None]
    );
    let trouble = || Failure::Platform(FetchError::Trouble("x".to_owned()));
    assert_eq!(
        [1, 4, 5, 11, 12].map(|n| after(trouble(), n, 0)),
        [Some((5, true)), Some((600, true)), Some((600, true)), Some((600, true)), None]
    );
    assert_eq!(after(trouble(), 1, 24), None, "after a day");
    assert_eq!(after(Failure::Platform(FetchError::Refused("x".to_owned())), 1, 0), None);
    assert_eq!(after(Failure::Platform(FetchError::Throttled(MINUTE)), 40, 0), Some((60, false)));
    assert_eq!(after(Failure::Platform(FetchError::AccountDown("x".to_owned())), 40, 23), Some((30, false)));
    assert_eq!(after(Failure::Own("x".to_owned()), 40, 0), Some((5, false)));
    assert_eq!(after(Failure::Own("x".to_owned()), 40, 48), Some((5, false)), "it says nothing about the file");
}
