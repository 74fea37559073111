use bytes::Bytes;

use super::*;
use crate::model::{Attachment, Epoch, FileId, FileKind};

const MINUTE: Duration = Duration::from_secs(60);

fn photo(reference: &str) -> Attachment {
    Attachment {
        kind: FileKind::Photo,
        platform_ref: reference.to_owned(),
        name: Some("a\0\u{202e}b.jpg".to_owned()),
        mime: Some("Image/JPEG".to_owned()),
        size_bytes: Some(1200),
    }
}

fn with_files(key: &str, n: usize, files: &[&str]) -> Inbound {
    let attachments = files.iter().map(|reference| photo(reference)).collect();
    let item = InboundItem::Message { text: "see".to_owned(), attachments, content: vec![] };
    inbound(key, &format!("m:{key}:{n}"), item)
}

impl Fixture {
    async fn due(&self) -> Option<DueFile> {
        self.database.claim_fetch(self.account, Epoch(0), MINUTE).await.unwrap()
    }

    async fn bytes(&self, file: &DueFile, first_seq: i32, chunks: &[&'static str]) {
        let chunks: Vec<Bytes> = chunks.iter().map(|text| Bytes::from_static(text.as_bytes())).collect();
        assert!(self.database.write_chunks(self.account, &file.id, first_seq, &chunks).await.unwrap());
    }

    async fn ready(&self, file: &DueFile, size_bytes: i64, chunks: i32) -> bool {
        let end = FetchEnd::Ready { size_bytes, sha256: &[0x5f; 32], sniffed: Some("image/png"), chunks };
        self.database.end_fetch(self.account, file, &end).await.unwrap()
    }

    async fn failed(&self, file: &DueFile, reason: &str) -> bool {
        self.database.end_fetch(self.account, file, &FetchEnd::Failed { reason }).await.unwrap()
    }
}

/// The chat's first message came with a file, and was not drained before that was fetched.
#[tokio::test]
async fn a_file_that_is_there_before_its_chat_is_told_in_it() {
    let f = Fixture::new(1).await;
    f.store(vec![with_files("c1", 1, &["A"])]).await;
    let file = f.due().await.unwrap();
    f.bytes(&file, 0, &["a"]).await;
    assert!(f.ready(&file, 1, 1).await);
    let drained = drain(&f.database).await;
    assert_eq!((drained.entries, drained.quarantined), (3, 0));
    assert_eq!(kinds(&f.feed(f.agents[0].feeds[1].id, 0).await), ["opened", "message", "file"]);
    f.finish().await;
}

#[tokio::test]
async fn a_message_shows_its_files_at_once_and_tells_when_they_are_there() {
    let f = Fixture::new(1).await;
    let stored = f.store(vec![with_files("c1", 1, &["A", "B"])]).await;
    assert_eq!((stored.new, stored.files), (1, 2));
    drain(&f.database).await;
    let feed = f.agents[0].feeds[1].id;
    let [_, shown] = &f.feed(feed, 0).await[..] else { panic!("opened and message") };
    let EntryBody::CustomerMessage { text, files, .. } = &shown.body else { panic!("{shown:?}") };
    assert_eq!((text.as_str(), files.len()), ("see", 2));
    let first = FileItem {
        file: files[0].file.clone(),
        kind: "photo".to_owned(),
        name: Some("ab.jpg".to_owned()),
        mime: Some("image/jpeg".to_owned()),
        size_bytes: Some(1200),
    };
    assert_eq!(files[0], first);
    let viewer = Some(f.agents[0].id);
    let id = FileId::parse(&files[0].file).unwrap();
    let row = f.database.file_for(f.account, &id, viewer).await.unwrap().expect("the agent of the queue sees it");
    assert_eq!((row.state as i16, row.inbound), (0, true));
    assert!(f.database.read_chunks(f.account, &id, 0, 1).await.unwrap().is_empty());

    // One is fetched, the other refused; both are told in the chat.
    let (one, two) = (f.due().await.unwrap(), f.due().await.unwrap());
    assert!(f.due().await.is_none(), "both are claimed");
    assert_eq!(f.database.unfetched(f.account).await.unwrap().count, 2);
    let (one, two) = if one.platform_ref == "A" { (one, two) } else { (two, one) };
    f.bytes(&one, 0, &["0123", "45"]).await;
    assert!(f.ready(&one, 6, 2).await && f.failed(&two, "too large").await);
    assert!(!f.ready(&one, 6, 2).await && !f.failed(&two, "again").await, "ended once");
    drain(&f.database).await;
    let ends: Vec<EntryBody> = f.feed(feed, 2).await.into_iter().map(|entry| entry.body).collect();
    let end = |file: &DueFile, state: &str| FileEndItem {
        file: file.id.to_string(),
        of: Some(2),
        state: state.to_owned(),
        size_bytes: None,
        mime: None,
        sha256: None,
        reason: None,
    };
    let (mime, sha256) = (Some("image/png".to_owned()), Some("5f".repeat(32)));
    assert_eq!(
        ends,
        [
            EntryBody::File(FileEndItem { size_bytes: Some(6), mime, sha256, ..end(&one, "ready") }),
            EntryBody::File(FileEndItem { reason: Some("too large".to_owned()), ..end(&two, "failed") }),
        ]
    );
    assert_eq!(f.number("SELECT count(*) FROM inbox WHERE kind = 4 AND starts_with(dedupe_key, 'f:')").await, 2);
    assert_eq!(f.number("SELECT count(*) FROM file_use WHERE chat_seq = 2").await, 2);
    assert_eq!(f.database.unfetched(f.account).await.unwrap(), Unfetched { count: 0, next: None });
    f.finish().await;
}

#[tokio::test]
async fn a_message_that_comes_again_brings_no_further_file() {
    let f = Fixture::new(1).await;
    let again = || with_files("c1", 1, &["A"]);
    let stored = f.store(vec![again(), again(), message("c1", 2, "x"), with_files("c2", 1, &["B"])]).await;
    assert_eq!((stored.new, stored.files), (3, 2));
    assert_eq!(f.store(vec![again(), with_files("c3", 1, &["C"])]).await.files, 1);
    assert_eq!(f.number("SELECT count(*) FROM file").await, 3);
    drain(&f.database).await;
    let shown = "SELECT count(*) FROM file_use u JOIN history h ON h.chat_id = u.chat_id AND h.seq = u.chat_seq
                  JOIN file f ON f.id = u.file_id AND h.item->'files'->0->>'file' = f.id AND f.dedupe_key = h.ref";
    assert_eq!(f.number(shown).await, 3, "entries name the files that are kept");
    f.finish().await;
}

#[tokio::test]
async fn a_file_whose_message_was_put_aside_is_told_all_the_same() {
    let f = Fixture::new(1).await;
    let chat = f.waiting("c1").await;
    f.store(vec![with_files("c1", 2, &["A"])]).await;
    f.run("UPDATE pending SET item = item - 'author_id'").await;
    let due = f.due().await.unwrap();
    assert!(f.failed(&due, "gone").await);
    assert_eq!(drain(&f.database).await.quarantined, 1);
    let page = f.database.history(Some(f.agents[0].id), chat, None, 1).await.unwrap().unwrap();
    assert!(matches!(&page.entries[0].body, EntryBody::File(FileEndItem { of: None, .. })), "{page:?}");
    f.finish().await;
}

#[tokio::test]
async fn what_was_put_off_waits_and_what_an_ended_tenure_held_does_not() {
    let f = Fixture::new(1).await;
    f.store(vec![with_files("c1", 1, &["A"]), with_files("c2", 1, &["B"])]).await;
    let (one, two) = (f.due().await.unwrap(), f.due().await.unwrap());
    assert_eq!((one.attempt, two.attempt), (1, 1));
    f.database.put_off_fetch(f.account, &one, MINUTE, "HTTP 500", true).await.unwrap();
    let left = f.database.unfetched(f.account).await.unwrap();
    assert!(left.count == 2 && left.next.is_some_and(|next| next > MINUTE / 2 && next <= MINUTE), "{left:?}");
    assert_eq!(f.database.inherit_fetches(f.account).await.unwrap(), 1, "the one under way");
    let again = f.due().await.unwrap();
    assert_eq!((&again.id, again.attempt), (&two.id, 2));
    assert!(f.due().await.is_none(), "the other was put off");

    // The try of the ended tenure ends nothing, whatever it wrote; the bytes of the last one count.
    f.bytes(&two, 0, &["old", "longer"]).await;
    assert!(!f.ready(&two, 9, 2).await && !f.failed(&two, "late").await);
    f.bytes(&again, 0, &["new"]).await;
    assert!(!f.ready(&again, 4, 1).await, "counted is not stored");
    assert!(f.ready(&again, 3, 1).await);
    assert_eq!(f.database.read_chunks(f.account, &two.id, 0, 8).await.unwrap(), [Bytes::from_static(b"new")]);
    let late = f.database.write_chunks(f.account, &two.id, 0, &[Bytes::from_static(b"late")]).await.unwrap();
    assert!(!late, "a ready file gets no byte");

    // A try that says nothing about the file does not count.
    f.run("UPDATE file SET retry_at = now() WHERE state = 0").await;
    let one = f.due().await.unwrap();
    assert_eq!(one.attempt, 2);
    f.database.put_off_fetch(f.account, &one, Duration::ZERO, "a pause", false).await.unwrap();
    assert_eq!(f.due().await.unwrap().attempt, 2);
    f.finish().await;
}

#[tokio::test]
async fn nobody_claims_after_their_tenure() {
    let f = Fixture::new(1).await;
    f.store(vec![with_files("c1", 1, &["A"])]).await;
    f.run("UPDATE account_lease SET epoch = 7").await;
    assert!(f.due().await.is_none(), "the successor has inherited what there was");
    assert!(f.database.claim_fetch(f.account, Epoch(7), MINUTE).await.unwrap().is_some());
    f.finish().await;
}

#[tokio::test]
async fn a_failed_file_leaves_no_bytes_behind() {
    let f = Fixture::new(1).await;
    f.store(vec![with_files("c1", 1, &["A"])]).await;
    let due = f.due().await.unwrap();
    f.bytes(&due, 0, &["half"]).await;
    assert!(f.failed(&due, "too large").await);
    assert_eq!(f.number("SELECT count(*) FROM file_chunk").await, 0);
    f.finish().await;
}

#[tokio::test]
async fn an_exchange_is_counted_by_a_successor_and_begun_by_no_predecessor() {
    let f = Fixture::new(1).await;
    let epoch = f.active("a").await;
    let begin = |epoch, cost| f.database.begin_exchange(f.account, epoch, cost, MINUTE);
    let (open, done) = (begin(epoch, 2).await.unwrap().unwrap(), begin(epoch, 1).await.unwrap().unwrap());
    f.database.end_exchange(f.account, done, None).await.unwrap();
    let next = f.active("b").await;
    assert_eq!(begin(epoch, 1).await.unwrap(), None, "the tenure is over");
    let left = || f.database.left_behind(f.account, next, MINUTE);
    let slots: Vec<_> = left()
        .await
        .unwrap()
        .slots
        .iter()
        .map(|slot| (slot.chat_key.clone(), slot.cost, slot.ended_ago > 0.0))
        .collect();
    assert_eq!(slots, [(None, 2, false), (None, 1, true)]);
    assert!(left().await.unwrap().freezes.is_empty());
    f.database.end_exchange(f.account, open, Some(MINUTE)).await.unwrap();
    let freezes = left().await.unwrap().freezes;
    assert!(
        matches!(&freezes[..], [Freeze { scope: FreezeScope::Account, remaining }] if *remaining > MINUTE / 2),
        "{freezes:?}"
    );

    // Nothing goes that a window or a pause needs.
    f.run("UPDATE exchange SET begun_at = begun_at - interval '11 min'").await;
    assert_eq!(f.database.prune_exchanges(f.account, 2 * MINUTE).await.unwrap(), 0);
    assert_eq!(f.database.prune_exchanges(f.account, MINUTE / 2).await.unwrap(), 1, "one still pauses the account");
    f.finish().await;
}
