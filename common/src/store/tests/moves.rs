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

fn agent(name: &str) -> ChatPlace {
    ChatPlace::Agent(name.to_owned())
}

fn queue(name: &str) -> ChatPlace {
    ChatPlace::Queue(name.to_owned())
}

async fn transfer(f: &Fixture, by: &Agent, chat: ChatId, to: &ChatPlace) -> Result<i64, Refusal> {
    let transfer = Transfer { by, supervises: false, chat, to, note: Some("wants an invoice") };
    f.database.transfer_chat(&transfer).await.unwrap()
}

/// A queue `billing` with the agent `b0`, who serves no other.
async fn billing(f: &Fixture) -> Agent {
    assert!(f.database.add_queue("billing").await.unwrap());
    assert!(f.database.add_agent("b0", "Billing", &["billing".to_owned()]).await.unwrap());
    f.database.agent("b0").await.unwrap().unwrap()
}

#[tokio::test]
async fn a_transferred_chat_is_told_where_it_was_and_where_it_is() {
    let f = Fixture::new(2).await;
    let b0 = billing(&f).await;
    let [own, others] = [0, 1].map(|n| f.agents[n].own_feed());
    let (support, billing) = (f.agents[0].feeds[1].id, b0.feeds[1].id);
    let chat = f.taken("c1").await;
    // To a colleague, who has it at once; the queue, which does not see it, is not told.
    assert_eq!(transfer(&f, &f.agents[0], chat, &agent("a1")).await, Ok(4));
    assert_eq!(
        (kinds(&f.feed(own, 1).await), kinds(&f.feed(others, 0).await)),
        (vec!["transferred"], vec!["transferred"])
    );
    assert_eq!(f.feed(support, 0).await.len(), 3);
    let shown = beside(&f, others, 0).await.unwrap();
    assert_eq!((shown.id, shown.agent.as_deref(), shown.title.as_deref()), (chat, Some("a1"), Some("Title c1")));
    assert!(beside(&f, own, 1).await.is_none());
    let told = &f.feed(others, 0).await[0];
    assert_eq!((told.seq, &told.author), (4, &Author::Agent { id: 1, name: Some("Agent 0".to_owned()) }));
    let said = EntryBody::Transferred {
        interaction: 1,
        from: agent("a0"),
        to: agent("a1"),
        note: Some("wants an invoice".to_owned()),
    };
    assert_eq!(told.body, said);
    assert_eq!(f.database.take_chat(&f.agents[1], chat).await.unwrap(), Ok(4), "it is taken already: by being given");
    assert_eq!(f.submit(0, chat, "k", "late").await, Err(Refusal::NotYours));
    f.submit(1, chat, "k", "hi").await.unwrap();
    // To another queue, whose agents have never heard of it.
    assert_eq!(transfer(&f, &f.agents[1], chat, &queue("billing")).await, Ok(6));
    assert_eq!(kinds(&f.feed(billing, 0).await), ["transferred"]);
    assert_eq!(beside(&f, billing, 0).await.unwrap().queue.as_deref(), Some("billing"));
    assert!(f.database.history(Some(f.agents[1].id), chat, None, 1).await.unwrap().is_none(), "it is foreign now");
    f.store(vec![message("c1", 2, "hello?")]).await;
    drain(&f.database).await;
    assert_eq!(f.database.take_chat(&b0, chat).await.unwrap(), Ok(8));
    assert_eq!(kinds(&f.feed(billing, 1).await), ["message", "taken"]);
    let with = "SELECT count(*) FROM interaction JOIN agent ON agent.id = agent_id AND agent.name = 'b0'
                 JOIN queue ON queue.id = queue_id AND queue.name = 'billing' WHERE taken_at IS NOT NULL";
    assert_eq!(f.number(with).await, 1);
    // When it is closed and the customer writes again, it waits where the account's chats do.
    f.database.close_chat(&b0, chat, None).await.unwrap().unwrap();
    f.store(vec![message("c1", 3, "again")]).await;
    drain(&f.database).await;
    assert_eq!(kinds(&f.feed(support, 3).await), ["opened", "message"]);
    f.finish().await;
}

#[tokio::test]
async fn a_chat_is_not_given_to_just_anybody() {
    let f = Fixture::new(2).await;
    let b0 = billing(&f).await;
    let scopes = |words: [&str; 1]| crate::model::TokenScopes::from_words(words);
    assert!(f.database.add_agent_with("robot", "R", &[], scopes(["bot"])).await.unwrap());
    assert!(
        f.database.add_agent("gone", "G", &[]).await.unwrap() && f.database.enable_agent("gone", false).await.unwrap()
    );
    let (taken, waiting) = (f.taken("c1").await, f.waiting("c2").await);
    for to in
        [agent("a0"), agent("robot"), agent("gone"), agent("nobody"), agent("billing"), queue("a1"), queue("nowhere")]
    {
        assert_eq!(transfer(&f, &f.agents[0], taken, &to).await, Err(Refusal::BadTarget), "{to:?}");
    }
    assert_eq!(transfer(&f, &f.agents[1], taken, &agent("a1")).await, Err(Refusal::NotYours));
    assert_eq!(
        transfer(&f, &f.agents[0], waiting, &agent("a1")).await,
        Err(Refusal::NotYours),
        "nobody's: take it first"
    );
    assert_eq!(transfer(&f, &b0, taken, &agent("b0")).await, Err(Refusal::NotFound));
    assert_eq!(transfer(&f, &f.agents[0], ChatId(99), &agent("a1")).await, Err(Refusal::NotFound));
    let entries = f.number("SELECT count(*) FROM history").await;
    // A supervisor gives any chat to anybody else.
    let by = async |chat, to: ChatPlace| {
        let transfer = Transfer { by: &b0, supervises: true, chat, to: &to, note: None };
        f.database.transfer_chat(&transfer).await.unwrap()
    };
    assert_eq!(by(taken, agent("a0")).await, Err(Refusal::BadTarget), "has it already");
    assert_eq!(by(waiting, queue("support")).await, Err(Refusal::BadTarget), "waits there already");
    assert_eq!(by(taken, agent("b0")).await, Ok(4), "also to themselves");
    assert_eq!(by(waiting, agent("a1")).await, Ok(3));
    assert_eq!(by(waiting, queue("billing")).await, Ok(4));
    assert_eq!(by(waiting, queue("support")).await, Ok(5), "from queue to queue");
    let places = "SELECT count(*) FROM history WHERE kind = 21 AND item->'from' = '{\"queue\": \"billing\"}' AND item->'to' = '{\"queue\": \"support\"}'";
    assert_eq!(f.number(places).await, 1);
    f.database.close_chat(&b0, taken, None).await.unwrap().unwrap();
    assert_eq!(by(taken, agent("a1")).await, Err(Refusal::Closed));
    assert_eq!(by(ChatId(99), agent("a1")).await, Err(Refusal::NotFound));
    assert_eq!(f.number("SELECT count(*) FROM history").await, entries + 5);
    f.finish().await;
}

/// Customers write and agents throw chats about, all at once: no gap, no double, no deadlock, and each entry is heard by
/// whoever had the chat or got it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chats_thrown_about_while_customers_write() {
    const ROUNDS: usize = 25;
    let f = Fixture::new(3).await;
    let mut chats = Vec::new();
    for n in 0..6 {
        chats.push(f.waiting(&format!("c{n}")).await);
    }
    let throwing = |me: usize| {
        let (database, agent, chats) = (f.test.another(), f.agents[me].clone(), chats.clone());
        tokio::spawn(async move {
            let to = ChatPlace::Agent(format!("a{}", (me + 1) % 3));
            for round in 0..ROUNDS {
                for chat in &chats {
                    let _ = database.take_chat(&agent, *chat).await.unwrap();
                    match (round + me) % 2 {
                        0 => _ = database.release_chat(&agent, *chat).await.unwrap(),
                        _ => {
                            let note = None;
                            let transfer = Transfer { by: &agent, supervises: false, chat: *chat, to: &to, note };
                            _ = database.transfer_chat(&transfer).await.unwrap();
                        }
                    }
                }
            }
        })
    };
    let throwers: Vec<_> = (0..3).map(throwing).collect();
    for n in 2..ROUNDS {
        f.store((0..6).map(|chat| message(&format!("c{chat}"), n, "more")).collect()).await;
        drain(&f.database).await;
    }
    for thrower in throwers {
        thrower.await.unwrap();
    }
    drain(&f.database).await;
    let moved = f.number("SELECT count(*) FROM history WHERE kind IN (20, 21)").await;
    assert!(moved > 20, "{moved}");
    // A message is told to the one who has the chat then, or to the queue: to one feed; what moves a chat, to two.
    assert_eq!(
        f.number("SELECT count(*) FROM feed_entry JOIN history h USING (chat_id) WHERE h.seq = chat_seq AND kind = 1")
            .await,
        f.number("SELECT count(*) FROM history WHERE kind = 1").await
    );
    assert_eq!(
        f.number(
            "SELECT count(*) FROM feed_entry JOIN history h USING (chat_id) WHERE h.seq = chat_seq AND kind IN (20, 21)"
        )
        .await,
        2 * moved
    );
    f.finish().await;
}
