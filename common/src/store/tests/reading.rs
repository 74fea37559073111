use std::time::Duration;

use super::*;

const SPAN: Duration = Duration::from_secs(60);

async fn read(f: &Fixture, chat: ChatId, seq: i64) -> (i64, i32) {
    let mark = f.database.mark_read(&f.agents[0], chat, seq).await.unwrap().unwrap();
    (mark.seq, mark.unread)
}

#[tokio::test]
async fn a_read_mark_moves_forward_and_counts_what_is_left() {
    let f = Fixture::new(2).await;
    let chat = f.taken("c1").await;
    f.store((2..6).map(|n| message("c1", n, "more")).collect()).await;
    drain(&f.database).await;
    // opened, message, taken, four messages.
    assert_eq!(read(&f, chat, 3).await, (3, 4));
    assert_eq!(read(&f, chat, 5).await, (5, 2));
    assert_eq!(read(&f, chat, 4).await, (5, 2), "never back");
    assert_eq!(read(&f, chat, 5).await, (5, 2));
    assert_eq!(read(&f, chat, 99).await, (7, 0), "nothing is read ahead");
    f.store(vec![message("c1", 6, "more")]).await;
    drain(&f.database).await;
    assert_eq!(f.number("SELECT unread::bigint FROM chat").await, 1);
    // An agent's answer counts as reading; what came before it is never counted again.
    f.submit(0, chat, "k", "hi").await.unwrap();
    assert_eq!(read(&f, chat, 7).await, (7, 0));
    assert_eq!(read(&f, chat, 8).await, (8, 0));
    let entries = f.number("SELECT count(*) FROM history").await;
    assert_eq!(entries, 9, "a mark is no entry");
    for (agent, chat, want) in [(1, chat, Refusal::NotYours), (0, ChatId(99), Refusal::NotFound)] {
        assert_eq!(f.database.mark_read(&f.agents[agent], chat, 1).await.unwrap(), Err(want));
    }
    let snapshot = f.database.snapshot(&f.agents[0]).await.unwrap();
    assert_eq!((snapshot.chats[0].read_seq, snapshot.chats[0].unread), (8, 0));
    f.database.close_chat(&f.agents[0], chat, None).await.unwrap().unwrap();
    assert_eq!(f.database.mark_read(&f.agents[0], chat, 9).await.unwrap(), Err(Refusal::Closed));

    let said: Vec<_> =
        f.database.whispers(SPAN).await.unwrap().into_iter().map(|heard| (heard.feed, heard.item)).collect();
    let own = f.agents[0].own_feed();
    let mark = |seq, unread| (own, WhisperItem::Read { chat: chat.0, seq, unread });
    assert_eq!(said, [mark(3, 4), mark(5, 2), mark(7, 0), mark(8, 0)], "only what moved it");
    f.finish().await;
}

#[tokio::test]
async fn what_is_said_in_passing_is_forgotten() {
    let f = Fixture::new(1).await;
    f.run(
        "INSERT INTO whisper (at, feed_id, item) VALUES (now() - interval '2 min', 1, '{\"kind\": \"read\"}'),
           (now(), 1, '{\"kind\": \"of a later version\", \"chat\": 1}')",
    )
    .await;
    let said = f.database.whispers(SPAN).await.unwrap();
    assert_eq!(said.iter().map(|heard| &heard.item).collect::<Vec<_>>(), [&WhisperItem::Unknown]);
    f.database.forget_whispers(SPAN).await.unwrap();
    assert_eq!(f.number("SELECT count(*) FROM whisper").await, 1);
    f.finish().await;
}

/// Customers write while their agent reads: what is unread is what came after the mark.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_and_writing_at_once_count_right() {
    let f = Fixture::new(1).await;
    let chat = f.taken("c1").await;
    let (database, agent) = (f.test.another(), f.agents[0].clone());
    let reading = tokio::spawn(async move {
        for seq in 3..60 {
            database.mark_read(&agent, chat, seq).await.unwrap().unwrap();
        }
    });
    for n in 2..60 {
        f.store(vec![message("c1", n, "more")]).await;
        drain(&f.database).await;
    }
    reading.await.unwrap();
    let counted = "SELECT count(*) FROM chat c WHERE unread = (SELECT count(*) FROM history h WHERE h.seq > c.read_seq AND kind = 1)";
    assert_eq!(f.number(counted).await, 1);
    f.finish().await;
}
