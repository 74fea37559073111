use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_eight_agents_who_take_a_chat_one_wins() {
    let f = Fixture::new(8).await;
    for round in 0..10 {
        let chat = f.waiting(&format!("c{round}")).await;
        let takes = f.agents.iter().cloned().map(|agent| {
            let database = f.database.clone();
            tokio::spawn(async move { (agent.name.clone(), database.take_chat(&agent, chat).await.unwrap()) })
        });
        let mut results = Vec::new();
        for take in takes.collect::<Vec<_>>() {
            results.push(take.await.unwrap());
        }
        let winner = results.iter().find(|(_, result)| result.is_ok()).unwrap().0.clone();
        for (name, result) in results {
            match name == winner {
                true => assert_eq!(result, Ok(3)),
                false => assert_eq!(result, Err(Refusal::AlreadyTaken(winner.clone()))),
            }
        }
    }
    assert_eq!(f.number("SELECT count(*) FROM history WHERE kind = 4").await, 10);
    f.finish().await;
}

#[tokio::test]
async fn a_chat_goes_from_its_queue_to_its_agent_and_back() {
    let f = Fixture::new(2).await;
    let (own, queue) = (f.agents[0].own_feed(), f.agents[0].feeds[1].id);
    let chat = f.waiting("c1").await;
    assert_eq!(f.database.take_chat(&f.agents[0], chat).await.unwrap(), Ok(3));
    assert_eq!(f.database.take_chat(&f.agents[0], chat).await.unwrap(), Ok(3), "the answer was lost: asked again");
    assert_eq!(f.database.close_chat(&f.agents[1], chat, None).await.unwrap(), Err(Refusal::NotYours));
    f.store(vec![message("c1", 2, "only for the agent")]).await;
    drain(&f.database).await;
    assert_eq!(f.database.close_chat(&f.agents[0], chat, Some("solved")).await.unwrap(), Ok(5));
    assert_eq!(f.database.close_chat(&f.agents[0], chat, None).await.unwrap(), Err(Refusal::Closed));
    assert_eq!(f.database.take_chat(&f.agents[0], chat).await.unwrap(), Err(Refusal::Closed));
    assert_eq!(kinds(&f.feed(queue, 0).await), ["opened", "message", "taken"]);
    assert_eq!(kinds(&f.feed(own, 0).await), ["taken", "message", "closed"]);
    f.store(vec![message("c1", 3, "again")]).await;
    drain(&f.database).await;
    assert_eq!(kinds(&f.feed(queue, 3).await), ["opened", "message"]);
    let done =
        "SELECT count(*) FROM interaction WHERE agent_id IS NOT NULL AND taken_at IS NOT NULL AND outcome = 'solved'";
    assert_eq!((f.number(done).await, f.number("SELECT count(*) FROM interaction").await), (1, 2));
    f.finish().await;
}

#[tokio::test]
async fn a_foreign_chat_is_like_an_absent_one() {
    let f = Fixture::new(1).await;
    assert!(f.database.add_queue("other").await.unwrap());
    assert!(f.database.add_agent("stranger", "S", &["other".to_owned()]).await.unwrap());
    let stranger = f.database.agent("stranger").await.unwrap().unwrap();
    let foreign = f.taken("c1").await;
    f.submit(0, foreign, "k", "hi").await.unwrap();
    for chat in [foreign, ChatId(999)] {
        let new = Submission {
            agent: &stranger,
            chat,
            client_key: "k",
            text: "hi",
            file: None,
            lane: Lane::Interactive,
            seen_seq: None,
        };
        assert_eq!(f.database.submit(&new).await.unwrap(), Err(Refusal::NotFound));
        assert_eq!(f.database.take_chat(&stranger, chat).await.unwrap(), Err(Refusal::NotFound));
        assert_eq!(f.database.close_chat(&stranger, chat, None).await.unwrap(), Err(Refusal::NotFound));
        for decision in [Decision::Cancel, Decision::Resend(0), Decision::MarkSent(0), Decision::Drop(0)] {
            assert_eq!(f.database.decide(&stranger, chat, 4, decision).await.unwrap(), Err(Refusal::NotFound));
        }
        assert!(f.database.history(Some(stranger.id), chat, None, 50).await.unwrap().is_none());
    }
    let snapshot = f.database.snapshot(&stranger).await.unwrap();
    assert!(snapshot.chats.is_empty());
    f.finish().await;
}

#[tokio::test]
async fn the_snapshot_has_own_and_waiting_chats() {
    let f = Fixture::new(2).await;
    let mine = f.taken("c1").await;
    let waiting = f.waiting("c2").await;
    f.submit(0, mine, "k", "hi").await.unwrap();
    let snapshot = f.database.snapshot(&f.agents[0]).await.unwrap();
    let seen: Vec<_> =
        snapshot.chats.iter().map(|chat| (chat.id, chat.unread, chat.last_seq, chat.agent.as_deref())).collect();
    assert_eq!(seen, [(mine, 0, 4, Some("a0")), (waiting, 1, 2, None)]);
    assert_eq!(kinds(&[snapshot.chats[0].last.clone().unwrap()]), ["answer"]);
    assert_eq!(snapshot.chats[1].customer, Some((2, Some("Name c2".to_owned()), None)));
    let heads: Vec<_> = snapshot.agent.feeds.iter().map(|feed| (feed.name.as_str(), feed.head)).collect();
    assert_eq!(heads, [("agent:1", 2), ("queue:1", 5)]);
    let other = f.database.snapshot(&f.agents[1]).await.unwrap();
    assert_eq!(other.chats.iter().map(|chat| chat.id).collect::<Vec<_>>(), [waiting]);
    f.finish().await;
}

#[tokio::test]
async fn history_comes_in_pages_with_the_state_of_parts() {
    let f = Fixture::new(1).await;
    let chat = f.taken("c1").await;
    f.submit(0, chat, "k", "one two three four").await.unwrap();
    f.store((2..6).map(|n| message("c1", n, "more")).collect()).await;
    drain(&f.database).await;
    let page = f.database.history(Some(f.agents[0].id), chat, None, 5).await.unwrap().unwrap();
    assert_eq!(page.entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [4, 5, 6, 7, 8]);
    let queued = |part| Delivery { seq: 4, part, state: crate::model::PartState::Queued, reason: None };
    assert_eq!(page.delivery, [queued(0), queued(1)]);
    let page = f.database.history(Some(f.agents[0].id), chat, Some(4), 5).await.unwrap().unwrap();
    assert_eq!(page.entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [1, 2, 3]);
    f.finish().await;
}
