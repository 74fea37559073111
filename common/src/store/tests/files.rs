use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::model::{AgentId, FileId, FileKind, FileState};

const HOUR: Duration = Duration::from_secs(3600);

/// Begins an upload of an agent.
async fn begin(f: &Fixture, agent: usize, client_key: Option<&str>) -> FileId {
    let id = FileId::new();
    let new = NewFile {
        account: f.account,
        id: &id,
        inbound: false,
        kind: FileKind::Document,
        name: Some("a.txt"),
        mime: Some("text/html"),
        agent: Some(f.agents[agent].id),
        client_key,
    };
    f.database.begin_upload(&new).await.unwrap();
    id
}

fn chunks(text: &str) -> Vec<Bytes> {
    text.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect()
}

/// The same, whole: chunks `one two three`.
async fn uploaded(f: &Fixture, agent: usize, client_key: Option<&str>) -> FileId {
    let id = begin(f, agent, client_key).await;
    assert!(f.database.write_chunks(f.account, &id, 0, &chunks("one two three")).await.unwrap());
    assert_eq!(finish(f, &id, 11, 7).await, Finished::Ready);
    id
}

async fn finish(f: &Fixture, id: &FileId, size: i64, hash: u8) -> Finished {
    f.database.finish_upload(f.account, id, size, &[hash; 32], Some("text/plain")).await.unwrap()
}

async fn files(f: &Fixture) -> (i64, i64) {
    (f.number("SELECT count(*) FROM file").await, f.number("SELECT count(*) FROM file_chunk").await)
}

async fn seen_by(f: &Fixture, id: &FileId, viewer: Option<AgentId>) -> bool {
    f.database.file_for(f.account, id, viewer).await.unwrap().is_some()
}

#[tokio::test]
async fn a_file_is_readable_once_it_is_whole() {
    let f = Fixture::new(1).await;
    let id = begin(&f, 0, None).await;
    let (database, account) = (&f.database, f.account);
    assert!(database.write_chunks(account, &id, 0, &chunks("one two")).await.unwrap());
    assert!(database.write_chunks(account, &id, 2, &chunks("three")).await.unwrap());
    // A commit whose answer was lost is repeated.
    assert!(database.write_chunks(account, &id, 2, &chunks("three")).await.unwrap());
    assert!(database.read_chunks(account, &id, 0, 8).await.unwrap().is_empty());
    assert!(!seen_by(&f, &id, None).await && !seen_by(&f, &id, Some(f.agents[0].id)).await);
    // Fewer bytes than were counted are never a file.
    assert!(database.finish_upload(account, &id, 12, &[7; 32], None).await.is_err());
    assert_eq!(database.file(account, &id).await.unwrap().unwrap().state, FileState::Pending);
    assert_eq!(finish(&f, &id, 11, 7).await, Finished::Ready);
    assert_eq!(finish(&f, &id, 11, 7).await, Finished::Ready, "said again");
    assert!(!database.write_chunks(account, &id, 3, &chunks("four")).await.unwrap(), "nothing is added");
    assert_eq!(database.read_chunks(account, &id, 1, 8).await.unwrap(), chunks("two three"));
    assert_eq!(database.read_chunks(account, &id, 0, 2).await.unwrap(), chunks("one two"));
    let row = database.file_for(account, &id, Some(f.agents[0].id)).await.unwrap().unwrap();
    assert_eq!((row.state, row.size_bytes, row.sha256), (FileState::Ready, Some(11), Some(vec![7; 32])));
    assert_eq!((row.name.as_deref(), row.sniffed.as_deref()), (Some("a.txt"), Some("text/plain")));
    let elsewhere = AccountId(account.0 + 1);
    assert!(database.file(elsewhere, &id).await.unwrap().is_none());
    assert!(database.read_chunks(elsewhere, &id, 0, 8).await.unwrap().is_empty());
    database.abandon_upload(account, &id).await.unwrap();
    assert_eq!(files(&f).await, (1, 3), "what is ready is not given up");
    f.finish().await;
}

#[tokio::test]
async fn the_first_whole_upload_has_the_key() {
    let f = Fixture::new(2).await;
    let (one, two, three) =
        (begin(&f, 0, Some("k")).await, begin(&f, 0, Some("k")).await, begin(&f, 0, Some("k")).await);
    assert!(f.database.file_of_key(f.account, f.agents[0].id, "k").await.unwrap().is_none());
    assert_eq!(finish(&f, &two, 0, 7).await, Finished::Ready);
    assert_eq!(finish(&f, &one, 0, 7).await, Finished::Repeated(two.clone()));
    assert_eq!(finish(&f, &three, 0, 8).await, Finished::KeyConflict);
    assert_eq!(f.database.file_of_key(f.account, f.agents[0].id, "k").await.unwrap().unwrap().id, two);
    for id in [one, three] {
        f.database.abandon_upload(f.account, &id).await.unwrap();
    }
    assert_eq!(files(&f).await.0, 1);
    uploaded(&f, 1, Some("k")).await; // a key is one agent's
    uploaded(&f, 1, None).await;
    uploaded(&f, 1, None).await;
    assert_eq!(files(&f).await.0, 4);
    f.finish().await;
}

#[tokio::test]
async fn a_file_is_seen_by_its_agent_and_by_those_who_see_its_chat() {
    let f = Fixture::new(3).await;
    let chat = f.taken("c1").await;
    let id = uploaded(&f, 1, None).await;
    let sees = |agent: usize| seen_by(&f, &id, Some(f.agents[agent].id));
    assert_eq!((sees(0).await, sees(1).await, sees(2).await), (false, true, false));
    f.run(&format!("INSERT INTO file_use VALUES ({}, '{id}', {chat}, 1)", f.account)).await;
    assert_eq!((sees(0).await, sees(1).await, sees(2).await), (true, true, true), "all serve the queue");
    f.run("DELETE FROM agent_queue").await;
    assert_eq!((sees(0).await, sees(1).await, sees(2).await), (true, true, false), "whoever has the chat");
    assert!(seen_by(&f, &id, None).await);
    f.finish().await;
}

#[tokio::test]
async fn what_nobody_asks_for_is_removed() {
    let f = Fixture::new(1).await;
    let broken = begin(&f, 0, None).await;
    assert!(f.database.write_chunks(f.account, &broken, 0, &chunks("one two")).await.unwrap());
    let (used, unused) = (uploaded(&f, 0, None).await, uploaded(&f, 0, None).await);
    f.run(&format!("INSERT INTO file_use VALUES ({}, '{used}', 1, 1)", f.account)).await;
    let inbound = FileId::new();
    f.run(&format!(
        "INSERT INTO file (account_id, id, inbound, kind) VALUES ({}, '{inbound}', true, 'photo')",
        f.account
    ))
    .await;
    let sweep = async |seen| f.database.remove_orphans(f.account, HOUR, 24 * HOUR, seen).await.unwrap();
    assert_eq!(sweep(None).await, Swept { removed: 0, seen: None, more: false }, "all too young");
    assert_eq!(files(&f).await, (4, 8));
    f.run("UPDATE file SET created_at = created_at - interval '2 h'").await;
    assert_eq!(sweep(None).await.removed, 1);
    assert_eq!(files(&f).await, (3, 6));
    f.run("UPDATE file SET created_at = created_at - interval '2 d', ready_at = ready_at - interval '2 d'").await;
    let swept = sweep(None).await;
    assert_eq!((swept.removed, swept.more), (1, false));
    assert_eq!(swept.seen.as_ref().map(|(_, id)| id), Some(&unused), "the younger one");
    assert_eq!(files(&f).await, (2, 3));
    assert_eq!(sweep(swept.seen.clone()).await, Swept { removed: 0, ..swept });
    assert!(seen_by(&f, &used, None).await && seen_by(&f, &inbound, None).await);
    // A customer's file that broke off can be fetched again.
    assert!(f.database.write_chunks(f.account, &inbound, 0, &chunks("one two")).await.unwrap());
    f.database.abandon_upload(f.account, &inbound).await.unwrap();
    assert_eq!(files(&f).await, (2, 3));
    f.finish().await;
}

/// A message names a file at the moment at which it would be removed.
#[tokio::test]
async fn a_file_being_named_is_no_orphan() {
    let f = Fixture::new(1).await;
    let id = uploaded(&f, 0, None).await;
    f.run("UPDATE file SET ready_at = ready_at - interval '2 d'").await;
    let mut naming = f.database.connection().await.unwrap();
    let transaction = naming.transaction().await.unwrap();
    transaction.execute("SELECT FROM file WHERE id = $1 FOR SHARE", &[&id.as_str()]).await.unwrap();
    transaction.execute("INSERT INTO file_use VALUES ($1, $2, 1, 1)", &[&f.account.0, &id.as_str()]).await.unwrap();
    let sweep = || f.database.remove_orphans(f.account, HOUR, HOUR, None);
    assert_eq!(sweep().await.unwrap().removed, 0);
    transaction.commit().await.unwrap();
    naming.done();
    assert_eq!(sweep().await.unwrap().removed, 0);
    f.run("DELETE FROM file_use").await;
    assert_eq!(sweep().await.unwrap().removed, 1);
    assert_eq!(files(&f).await, (0, 0));
    f.finish().await;
}

/// Of an upload that is being given up nothing stays, whoever is quicker.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_chunk_outlives_its_file() {
    let f = Fixture::new(1).await;
    for _ in 0..40 {
        let id = begin(&f, 0, None).await;
        let (writer, another) = (f.database.clone(), id.clone());
        let account = f.account;
        let writing = tokio::spawn(async move {
            for seq in (0..).step_by(3) {
                if !writer.write_chunks(account, &another, seq, &chunks("one two three")).await.unwrap() {
                    return;
                }
            }
        });
        f.database.abandon_upload(f.account, &id).await.unwrap();
        writing.await.unwrap();
        assert_eq!(files(&f).await, (0, 0));
    }
    f.finish().await;
}
