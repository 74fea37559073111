//! Uploads that take longer than `write_by`, against a real Postgres and a platform that reads when told to.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use serde_json::json;
use switchboard_common::doorbell::{Doorbells, Sweep};
use switchboard_common::model::{
    AccountName, Author, Capabilities, ChatKind, ChatRef, Epoch, FileKind, FileLimits, Inbound, InboundItem, Lane,
    RawUpdate,
};
use switchboard_common::service::health::Health;
use switchboard_common::store::testkit::TestDatabase;
use switchboard_common::store::{CHUNK_BYTES, Enclosed, NewAccount, NewFile, Raise, Submission, Way};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot, watch};

use super::super::{Sender, SenderOptions};
use super::*;
use crate::http::Http;
use crate::platform::Settings;
use crate::platforms::telegram;

const LONG: Duration = Duration::from_secs(40);
/// Every upload of these tests takes longer; half of it is enough for one statement on a busy machine.
const WRITE_BY: Duration = Duration::from_secs(2);
/// More than all buffers on the way hold.
const CHUNKS: usize = 64;

/// Reads a little, then nothing until told, then all; answers a request that is whole. What it read goes to `read`.
async fn platform(go: Arc<Notify>, begun: oneshot::Sender<()>, read: oneshot::Sender<usize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let (mut request, mut buffer) = (Vec::new(), vec![0; 256 * 1024]);
        let first = socket.read(&mut buffer[..1000]).await.unwrap();
        request.extend_from_slice(&buffer[..first]);
        begun.send(()).unwrap();
        go.notified().await;
        while !is_whole(&request) {
            let Ok(count @ 1..) = socket.read(&mut buffer).await else { break };
            request.extend_from_slice(&buffer[..count]);
        }
        if is_whole(&request) {
            let body = r#"{"ok":true,"result":{"message_id":9}}"#;
            let answer = format!("HTTP/1.1 200 X\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            socket.write_all(answer.as_bytes()).await.unwrap();
        }
        read.send(request.len()).unwrap();
    });
    url
}

fn is_whole(request: &[u8]) -> bool {
    let head = String::from_utf8_lossy(&request[..request.len().min(1000)]);
    let Some((head, _)) = head.split_once("\r\n\r\n") else { return false };
    let length: usize = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
    request.len() >= head.len() + 4 + length
}

/// An account with one chat, in which an agent sends a large document, and its sender.
struct Fixture {
    test: TestDatabase,
    sender: Sender,
    epoch: Epoch,
    go: Arc<Notify>,
    read: oneshot::Receiver<usize>,
    ending: Shutdown,
}

impl Fixture {
    /// Returns once the platform has read the first bytes.
    async fn sending(name: &str) -> Self {
        let test = TestDatabase::create().await;
        let database = test.database.clone();
        let (go, (begun, has_begun), (tell, read)) = (Arc::new(Notify::new()), oneshot::channel(), oneshot::channel());
        let secret = std::env::temp_dir().join(format!("switchboard-{name}-{}", std::process::id()));
        std::fs::write(&secret, "42:SECRET").unwrap();
        let mut settings = Settings::new();
        settings.insert("token".to_owned(), json!(format!("file:{}", secret.display())));
        settings.insert("base_url".to_owned(), json!(platform(go.clone(), begun, tell).await));
        let account = account(&database).await;
        let epoch = raise(&database, account.id, Epoch(0), "a").await.unwrap();
        submit_document(&database, account.id).await;
        let minute = Duration::from_secs(60);
        let sender = Sender {
            account: account.clone(),
            platform: (telegram::SPEC.open)(&settings, Http::new().unwrap()).unwrap().into(),
            limits: Vec::new(),
            files: test.another(),
            database,
            doorbells: Doorbells::memory(Sweep { usual: minute, alone: minute }),
            health: Health::default(),
            options: SenderOptions {
                in_flight: 8,
                write_by: WRITE_BY,
                answer_by: WRITE_BY * 2,
                upload_answer_by: LONG,
                retry: (WRITE_BY, WRITE_BY),
                give_up: LONG,
            },
        };
        let ending = Shutdown::default();
        let (running, ends) = (sender.clone(), ending.clone());
        tokio::spawn(async move {
            let mut ears = running.doorbells.listen_account(&running.account.name);
            running.run(epoch, &mut ears, &watch::channel(None).0, &ends).await;
        });
        tokio::time::timeout(LONG, has_begun).await.unwrap().unwrap();
        Self { test, sender, epoch, go, read, ending }
    }

    /// Waits until a query says so.
    async fn until(&self, sql: &str) {
        let asking = async {
            loop {
                let connection = self.test.database.connection().await.unwrap();
                let holds: bool = connection.query_one(sql, &[]).await.unwrap().get(0);
                connection.done();
                if holds {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LONG, asking).await.unwrap_or_else(|_| panic!("{sql} never became true"));
    }

    async fn finish(self) {
        self.ending.begin();
        assert!(self.ending.drained(LONG).await, "every task ends");
        self.test.finish().await;
    }
}

async fn account(database: &Database) -> switchboard_common::store::Account {
    assert!(database.add_queue("support").await.unwrap());
    assert!(database.add_agent("anna", "Anna", &["support".to_owned()]).await.unwrap());
    let name = AccountName::new("main").unwrap();
    let files = Some(FileLimits { photo_max_bytes: 1, file_max_bytes: 1 << 30, caption_max_utf16: 100 });
    let new = NewAccount {
        name: &name,
        platform: "telegram",
        queue: "support",
        settings: &json!({}),
        capabilities: &Capabilities { text_max_utf16: 4096, limits: Vec::new(), files, address: None },
    };
    assert!(database.add_account(&new).await.unwrap());
    database.account(&name).await.unwrap().unwrap()
}

async fn raise(database: &Database, account: AccountId, seen: Epoch, holder: &str) -> Option<Epoch> {
    database.vouch(account, &database.lease(account).await.unwrap().whereabouts).await.unwrap();
    let raise = Raise { holder, seen, way: Way::Anyone, stale: Duration::ZERO, answering: LONG };
    database.raise_lease(account, &raise).await.unwrap()
}

async fn submit_document(database: &Database, account: AccountId) {
    let said = Inbound {
        dedupe_key: "m:1:1".to_owned(),
        chat: ChatRef { key: "1".to_owned(), kind: ChatKind::Private, title: None },
        author: Author { platform_id: "1".to_owned(), name: None },
        item: InboundItem::Message { text: "hello".to_owned(), attachments: vec![], content: vec![] },
    };
    database.store_inbound(account, &[(said, RawUpdate(b"{}".to_vec()))], &[], None).await.unwrap();
    database.meet_newcomers().await.unwrap();
    assert_eq!(database.drain_batch().await.unwrap().taken, 1);
    let agent = database.agent("anna").await.unwrap().unwrap();
    let (id, chunk) = (FileId::new(), Bytes::from(vec![7; CHUNK_BYTES]));
    let new = NewFile {
        account,
        id: &id,
        inbound: false,
        kind: FileKind::Document,
        name: Some("film.bin"),
        mime: None,
        agent: Some(agent.id),
        client_key: Some("film"),
    };
    database.begin_upload(&new).await.unwrap();
    for seq in 0..CHUNKS {
        database.write_chunks(account, &id, seq as i32, std::slice::from_ref(&chunk)).await.unwrap();
    }
    let size = (CHUNKS * CHUNK_BYTES) as i64;
    database.finish_upload(account, &id, size, &[0; 32], None).await.unwrap();
    let chat = database.snapshot(&agent).await.unwrap().chats[0].id;
    database.take_chat(&agent, chat).await.unwrap().unwrap();
    let file = Some(Enclosed { id: &id, wanted: None });
    let new =
        Submission { agent: &agent, chat, client_key: "k", text: "", file, lane: Lane::Interactive, seen_seq: None };
    database.submit(&new).await.unwrap().unwrap();
}

/// While the platform reads nothing, nobody asks the body for a piece: the fence moves all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_may_take_longer_than_write_by() {
    let mut f = Fixture::sending("upload-long").await;
    f.until("SELECT write_by > claimed_at + interval '5 s' AND answer_by > claimed_at + interval '6.5 s' FROM attempt")
        .await;
    f.until("SELECT a.write_by = o.write_by AND o.state = 1 FROM attempt a JOIN outbox o ON o.id = a.outbox_id").await;
    f.go.notify_one();
    assert!(tokio::time::timeout(LONG, &mut f.read).await.unwrap().unwrap() > CHUNKS * CHUNK_BYTES);
    f.until("SELECT state = 2 AND platform_id = '9' FROM outbox").await;
    f.finish().await;
}

/// Another is active: the fence is not moved any more, the connection ends with what it holds, and nobody claims that
/// nothing arrived.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_whose_tenure_is_over_breaks_off() {
    let mut f = Fixture::sending("upload-fenced").await;
    f.until("SELECT write_by > claimed_at + interval '3 s' FROM attempt").await;
    let (database, account) = (&f.sender.database, f.sender.account.id);
    let next = raise(database, account, f.epoch, "b").await.expect("stale enough");
    let left = database.left_behind(account, next, Duration::ZERO).await.unwrap();
    assert!(left.write_by.is_some_and(|span| span <= WRITE_BY), "all that a successor waits for: {:?}", left.write_by);
    f.until("SELECT state = 3 AND reason LIKE 'it may have arrived%' FROM outbox").await;
    f.until("SELECT write_by < clock_timestamp() FROM attempt").await;
    f.go.notify_one();
    assert!(tokio::time::timeout(LONG, &mut f.read).await.unwrap().unwrap() < CHUNKS * CHUNK_BYTES, "not whole");
    f.finish().await;
}

/// A stop waits for an upload, for some time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_under_way_outlasts_the_beginning_of_the_end() {
    let mut f = Fixture::sending("upload-ending").await;
    f.ending.begin();
    f.until("SELECT write_by > claimed_at + interval '5 s' FROM attempt").await;
    f.go.notify_one();
    assert!(tokio::time::timeout(LONG, &mut f.read).await.unwrap().unwrap() > CHUNKS * CHUNK_BYTES);
    f.until("SELECT state = 2 FROM outbox").await;
    f.finish().await;
}
