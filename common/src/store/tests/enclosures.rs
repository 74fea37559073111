//! Agents' messages with a file: who may send which, and how long a claim of one is good.

use std::time::Duration;

use super::*;
use crate::model::{FileId, FileKind, FileLimits, OutboxId};

const SPAN: Duration = Duration::from_secs(3);

impl Fixture {
    /// Two agents, an account that takes files, and another one that has nothing to do with it.
    async fn with_files() -> Self {
        let f = Self::new(2).await;
        let files = Some(FileLimits { photo_max_bytes: 100, file_max_bytes: 500, caption_max_utf16: 12 });
        let capabilities = Capabilities { text_max_utf16: 10, limits: Vec::new(), files, address: None };
        f.database.set_capabilities(f.account, &capabilities).await.unwrap();
        let name = AccountName::new("second").unwrap();
        let new = NewAccount {
            name: &name,
            platform: "telegram",
            queue: "support",
            settings: &json!({}),
            capabilities: &capabilities,
        };
        assert!(f.database.add_account(&new).await.unwrap());
        f
    }

    /// A file as an upload leaves it, or as it is before its last byte.
    async fn file(&self, account: i32, agent: usize, ready: bool, sniffed: &str, size: i64) -> FileId {
        let (id, agent, state) = (FileId::new(), self.agents[agent].id.0, i32::from(ready));
        self.run(&format!(
            "INSERT INTO file (account_id, id, inbound, state, kind, name, mime, sniffed, size_bytes, agent_id, client_key)
             VALUES ({account}, '{id}', false, {state}, 'document', 'a \"b\".png', 'text/plain', '{sniffed}', {size}, {agent}, '{id}')"
        ))
        .await;
        id
    }

    async fn send(
        &self,
        agent: usize,
        chat: ChatId,
        key: &str,
        text: &str,
        file: (&FileId, Option<FileKind>),
    ) -> Result<Accepted, Refusal> {
        let new = Submission {
            agent: &self.agents[agent],
            chat,
            client_key: key,
            text,
            file: Some(Enclosed { id: file.0, wanted: file.1 }),
            lane: Lane::Interactive,
            seen_seq: None,
        };
        self.database.submit(&new).await.unwrap()
    }

    async fn bodies(&self, seq: i64) -> Vec<(String, Option<String>, Option<String>)> {
        let connection = self.database.connection().await.unwrap();
        let rows = connection
            .query("SELECT body, item->>'file', item->>'as' FROM outbox WHERE chat_seq = $1 ORDER BY part", &[&seq])
            .await
            .unwrap();
        connection.done();
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
    }
}

#[tokio::test]
async fn a_file_goes_with_the_first_part_and_is_seen_by_who_sees_the_chat() {
    let f = Fixture::with_files().await;
    let chat = f.taken("c1").await;
    let file = f.file(1, 0, true, "image/png", 100).await;
    let first = f.send(0, chat, "k1", "a caption", (&file, None)).await.unwrap();
    assert_eq!((first.parts, first.repeated), (1, false));
    let id = Some(file.to_string());
    let photo = Some("photo".to_owned());
    assert_eq!(f.bodies(first.seq).await, [("a caption".to_owned(), id.clone(), photo.clone())]);
    assert_eq!(f.number(&format!("SELECT chat_seq FROM file_use WHERE file_id = '{file}'")).await, first.seq);
    let entries = f.feed(f.agents[0].own_feed(), 1).await;
    let EntryBody::AgentMessage { files, .. } = &entries[0].body else { panic!("{entries:?}") };
    let item = FileItem {
        file: file.to_string(),
        kind: "photo".to_owned(),
        name: Some("a \"b\".png".to_owned()),
        mime: Some("image/png".to_owned()),
        size_bytes: Some(100),
    };
    assert_eq!(*files, [item], "what its bytes show, not what was declared");

    // The same key is the same message only with the same file, asked for in the same way.
    assert_eq!(f.send(0, chat, "k1", "a caption", (&file, None)).await.unwrap(), Accepted { repeated: true, ..first });
    let other = f.file(1, 0, true, "image/png", 100).await;
    assert_eq!(f.send(0, chat, "k1", "a caption", (&other, None)).await, Err(Refusal::KeyConflict));
    let document = Some(FileKind::Document);
    assert_eq!(f.send(0, chat, "k1", "a caption", (&file, document)).await, Err(Refusal::KeyConflict));
    assert_eq!(f.submit(0, chat, "k1", "a caption").await, Err(Refusal::KeyConflict));

    // Without words, and with more of them than go with a file.
    let bare = f.send(0, chat, "k2", "", (&file, document)).await.unwrap();
    assert_eq!(f.bodies(bare.seq).await, [(String::new(), id.clone(), Some("document".to_owned()))]);
    let long = f.send(0, chat, "k3", "one two three four", (&file, None)).await.unwrap();
    assert_eq!(long.parts, 3);
    let parts = f.bodies(long.seq).await;
    assert_eq!(parts[0], (String::new(), id, photo));
    assert_eq!(parts[1].0.clone() + &parts[2].0, "one two three four");
    assert!(parts[1..].iter().all(|(_, file, kind)| file.is_none() && kind.is_none()));
    assert_eq!(f.number("SELECT count(*) FROM file_use").await, 1, "once a chat");
    f.finish().await;
}

#[tokio::test]
async fn nobody_sends_a_file_that_is_not_theirs_to_see() {
    let f = Fixture::with_files().await;
    let chat = f.taken("c1").await;
    let theirs = f.file(1, 1, true, "image/png", 100).await;
    let foreign = f.file(2, 0, true, "image/png", 100).await;
    let pending = f.file(1, 0, false, "image/png", 100).await;
    let unknown = FileId::new();
    for file in [&theirs, &foreign, &pending, &unknown] {
        assert_eq!(f.send(0, chat, "k", "x", (file, None)).await, Err(Refusal::NotFound));
    }
    // Shown in a chat of the queue that both serve, it is for both.
    f.run(&format!("INSERT INTO file_use VALUES (1, '{theirs}', {chat}, 2)")).await;
    f.send(0, chat, "k", "x", (&theirs, None)).await.unwrap();

    let large = f.file(1, 0, true, "image/png", 501).await;
    let plain = f.file(1, 0, true, "text/plain", 100).await;
    assert_eq!(f.send(0, chat, "l", "x", (&large, None)).await, Err(Refusal::TooLarge(500)));
    assert_eq!(f.send(0, chat, "l", "x", (&large, Some(FileKind::Photo))).await, Err(Refusal::TooLarge(100)));
    let refused = f.send(0, chat, "l", "x", (&plain, Some(FileKind::Photo))).await;
    assert!(matches!(refused, Err(Refusal::Unsupported(_))), "{refused:?}");
    assert_eq!(f.send(0, chat, "l", &" ".repeat(20), (&plain, None)).await, Err(Refusal::BadText));
    let none = Capabilities { text_max_utf16: 10, limits: Vec::new(), files: None, address: None };
    f.database.set_capabilities(f.account, &none).await.unwrap();
    let refused = f.send(0, chat, "l", "x", (&plain, None)).await;
    assert!(matches!(refused, Err(Refusal::Unsupported(_))), "{refused:?}");
    assert_eq!(f.number("SELECT count(*) FROM outbox").await, 1, "a refusal leaves nothing");
    f.finish().await;
}

#[tokio::test]
async fn a_claim_of_an_upload_is_extended_only_under_its_epoch() {
    let f = Fixture::with_files().await;
    let chat = f.taken("c1").await;
    let file = f.file(1, 0, true, "image/png", 77).await;
    f.send(0, chat, "k1", "x", (&file, None)).await.unwrap();
    let text_only = f.taken("c2").await;
    f.submit(0, text_only, "k2", "x").await.unwrap();
    let epoch = f.active("a").await;
    let spans = ClaimSpans { write_by: SPAN, answer_by: SPAN * 2 };
    let token = ClaimToken::new();
    let ids = [OutboxId(1), OutboxId(2)];
    let claimed = f.database.claim(f.account, epoch, token, &ids, spans).await.unwrap();
    let [upload, text] = claimed.as_slice() else { panic!("{claimed:?}") };
    assert!(text.file.is_none());
    let facts = ClaimedFile {
        id: file,
        kind: FileKind::Photo,
        name: Some("a \"b\".png".to_owned()),
        mime: Some("image/png".to_owned()),
        size_bytes: 77,
    };
    assert_eq!(upload.file, Some(facts));

    let claim = Claim { id: upload.id, n: upload.n, token };
    let extend = |epoch, claim| {
        let (database, account) = (f.database.clone(), f.account);
        async move {
            let spans = ClaimSpans { write_by: SPAN * 5, answer_by: SPAN * 9 };
            database.extend(account, epoch, &claim, spans).await.unwrap()
        }
    };
    assert!(extend(epoch, claim).await);
    let moved = "SELECT count(*) FROM attempt t JOIN outbox o ON o.id = t.outbox_id AND o.write_by = t.write_by AND o.answer_by = t.answer_by
                  WHERE t.write_by > t.claimed_at + interval '14 s' AND t.answer_by > t.claimed_at + interval '26 s'";
    assert_eq!(f.number(moved).await, 1, "in both rows, of this part alone");
    assert!(!extend(epoch, Claim { token: ClaimToken::new(), ..claim }).await, "another claim");
    assert!(!extend(epoch, Claim { n: 2, ..claim }).await, "another attempt");
    let left = f.database.left_behind(f.account, Epoch(epoch.0 + 1), SPAN).await.unwrap();
    assert!(left.write_by.is_some_and(|span| span > SPAN * 4), "a successor waits for what was extended");

    let next = f.active("b").await;
    assert!(!extend(epoch, claim).await, "the tenure is over");
    assert!(!extend(next, claim).await, "not the next one's either");
    let sent = Settlement::Sent { platform_id: "9".to_owned() };
    assert!(f.database.settle(f.account, upload.id, upload.n, &sent).await.unwrap(), "a fact is a fact");
    assert_eq!(f.number("SELECT state::bigint FROM outbox WHERE id = 1").await, 2);
    f.finish().await;
}
