use super::*;

/// The chat that stands beside the newest entry of a feed.
async fn beside(f: &Fixture, feed: FeedId, cursor: i64) -> Option<ChatView> {
    let lines = f.database.read_feeds(&[(feed, cursor)]).await.unwrap();
    lines.into_iter().last().unwrap().chat.map(|chat| *chat)
}

#[tokio::test]
async fn a_released_chat_waits_again_and_is_shown_to_its_queue() {
    let f = Fixture::new(2).await;
    let (own, queue) = (f.agents[0].own_feed(), f.agents[0].feeds[1].id);
    let chat = f.taken("c1").await;
    f.submit(0, chat, "k", "hi").await.unwrap();
    f.store(vec![message("c1", 2, "more")]).await;
    drain(&f.database).await;
    assert_eq!(f.database.release_chat(&f.agents[1], chat).await.unwrap(), Err(Refusal::NotYours));
    assert_eq!(f.database.release_chat(&f.agents[0], chat).await.unwrap(), Ok(6));
    assert_eq!(f.database.release_chat(&f.agents[0], chat).await.unwrap(), Err(Refusal::NotYours));
    assert_eq!(kinds(&f.feed(queue, 0).await), ["opened", "message", "taken", "released"]);
    assert_eq!(kinds(&f.feed(own, 0).await), ["taken", "answer", "message", "released"]);
    // Whoever serves the queue and never saw the chat can show it; who had it may still see it by the queue alone.
    let shown = beside(&f, queue, 3).await.unwrap();
    assert_eq!((shown.id, shown.title.as_deref(), shown.unread, shown.last_seq), (chat, Some("Title c1"), 1, 6));
    assert_eq!((shown.agent, shown.queue.as_deref()), (None, Some("support")));
    assert!(beside(&f, own, 3).await.is_none());
    let waits = "SELECT count(*) FROM interaction WHERE agent_id IS NULL AND taken_at IS NULL AND closed_at IS NULL";
    assert_eq!(f.number(waits).await, 1);
    let snapshot = f.database.snapshot(&f.agents[1]).await.unwrap();
    assert_eq!(snapshot.chats.iter().map(|chat| chat.id).collect::<Vec<_>>(), [chat]);
    // What comes now is the queue's; the next one takes it as if it had just been opened.
    f.store(vec![message("c1", 3, "still there?")]).await;
    drain(&f.database).await;
    assert_eq!(f.database.take_chat(&f.agents[1], chat).await.unwrap(), Ok(8));
    assert_eq!(kinds(&f.feed(queue, 4).await), ["message", "taken"]);
    assert!(f.feed(own, 4).await.is_empty());
    f.finish().await;
}

#[tokio::test]
async fn a_moved_chat_is_shown_as_it_is_and_to_those_who_see_it() {
    let f = Fixture::new(1).await;
    let queue = f.agents[0].feeds[1].id;
    let chat = f.taken("c1").await;
    f.database.release_chat(&f.agents[0], chat).await.unwrap().unwrap();
    f.store(vec![message("c1", 2, "more")]).await;
    drain(&f.database).await;
    let lines = f.database.read_feeds(&[(queue, 3)]).await.unwrap();
    let beside: Vec<_> = lines.iter().map(|line| line.chat.as_ref().map(|chat| chat.last_seq)).collect();
    assert_eq!(beside, [Some(5), None], "beside the entry that moves it, and later than that entry");
    // Since then it went where the readers of this feed do not see it.
    assert!(f.database.add_queue("elsewhere").await.unwrap());
    f.run("UPDATE chat SET queue_id = (SELECT id FROM queue WHERE name = 'elsewhere')").await;
    assert!(f.database.read_feeds(&[(queue, 3)]).await.unwrap().iter().all(|line| line.chat.is_none()));
    f.finish().await;
}
