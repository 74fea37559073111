use super::*;

#[tokio::test]
async fn a_message_is_split_and_stored_once_per_key() {
    let f = Fixture::new(1).await;
    let chat = f.taken("c1").await;
    let first = f.submit(0, chat, "k1", "one two three four").await.unwrap();
    assert_eq!((first.seq, first.parts, first.repeated), (4, 2, false));
    let again = f.submit(0, chat, "k1", "one two three four").await.unwrap();
    assert_eq!(again, Accepted { repeated: true, ..first });
    assert_eq!(f.submit(0, chat, "k1", "other").await, Err(Refusal::KeyConflict));
    assert_eq!(f.number("SELECT count(*) FROM outbox WHERE string_to_array(body, ' ') IS NOT NULL").await, 2);
    assert_eq!(f.number("SELECT count(*) FROM history WHERE kind = 1 AND author_kind = 2").await, 1);
    assert_eq!(f.number("SELECT unread::bigint FROM chat").await, 0);
    let entries = f.feed(f.agents[0].own_feed(), 1).await;
    let (text, client_key) = ("one two three four".to_owned(), "k1".to_owned());
    let body =
        EntryBody::AgentMessage { text, files: vec![], content: vec![], client_key, parts: 2, lane: Lane::Interactive };
    assert_eq!(entries[0].body, body);
    assert_eq!(entries[0].author, Author::Agent { id: 1, name: Some("Agent 0".to_owned()) });
    f.finish().await;
}

/// The key is the account's: the tables can be distributed by it.
#[tokio::test]
async fn the_same_key_names_another_message_in_another_account() {
    let f = Fixture::new(1).await;
    let chat = f.taken("c1").await;
    f.run("INSERT INTO account (name, platform, queue_id) SELECT 'other', platform, queue_id FROM account").await;
    let other = AccountId(f.number("SELECT id::bigint FROM account WHERE name = 'other'").await as i32);
    f.database
        .store_inbound(other, &[(message("o1", 1, "hello"), RawUpdate(b"{}".to_vec()))], &[], None)
        .await
        .unwrap();
    drain(&f.database).await;
    let there = f.chat("o1").await;
    f.database.take_chat(&f.agents[0], there).await.unwrap().unwrap();
    for (chat, text) in [(chat, "here"), (there, "there")] {
        let first = f.submit(0, chat, "k1", text).await.unwrap();
        assert!(!first.repeated);
        assert_eq!(f.submit(0, chat, "k1", text).await, Ok(Accepted { repeated: true, ..first }));
        assert_eq!(f.submit(0, chat, "k1", "else").await, Err(Refusal::KeyConflict));
    }
    assert_eq!(f.number("SELECT count(*) FROM outbox").await, 2);
    f.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_key_at_once_is_one_message() {
    let f = Fixture::new(1).await;
    let (chat, other) = (f.taken("c1").await, f.taken("c2").await);
    for round in 0..10 {
        let key = format!("k{round}");
        let tries = (0..8).map(|n| {
            let (database, agent, client_key) = (f.database.clone(), f.agents[0].clone(), key.clone());
            // The last goes to another chat, whose lock holds nobody back.
            let chat = if n == 7 { other } else { chat };
            tokio::spawn(async move {
                let new = Submission {
                    agent: &agent,
                    chat,
                    client_key: &client_key,
                    text: "same",
                    lane: Lane::Interactive,
                    file: None,
                    seen_seq: None,
                };
                (chat, database.submit(&new).await.unwrap())
            })
        });
        let mut results = Vec::new();
        for one in tries.collect::<Vec<_>>() {
            results.push(one.await.unwrap());
        }
        let first: Vec<_> = results.iter().filter(|(_, result)| matches!(result, Ok(new) if !new.repeated)).collect();
        let [(winner, Ok(accepted))] = first.as_slice() else { panic!("one is the first: {results:?}") };
        for (chat, result) in &results {
            match (chat == winner, result) {
                (true, Ok(same)) => assert_eq!(same.seq, accepted.seq),
                (false, Err(refusal)) => assert_eq!(*refusal, Refusal::KeyConflict),
                _ => panic!("{results:?}"),
            }
        }
    }
    assert_eq!(f.number("SELECT count(*) FROM outbox").await, 10);
    assert_eq!(f.number("SELECT count(*) FROM history WHERE kind = 1 AND author_kind = 2").await, 10);
    f.finish().await;
}

#[tokio::test]
async fn only_who_has_the_chat_and_has_seen_it_may_write() {
    let f = Fixture::new(2).await;
    let waiting = f.waiting("c1").await;
    assert_eq!(f.submit(0, waiting, "k", "hi").await, Err(Refusal::NotYours));
    f.database.take_chat(&f.agents[0], waiting).await.unwrap().unwrap();
    assert_eq!(f.submit(1, waiting, "k", "hi").await, Err(Refusal::NotYours));
    let seen = |seen_seq, client_key| {
        let new = Submission {
            agent: &f.agents[0],
            chat: waiting,
            client_key,
            text: "hi",
            lane: Lane::Interactive,
            file: None,
            seen_seq,
        };
        let database = &f.database;
        async move { database.submit(&new).await.unwrap().map(|accepted| accepted.seq) }
    };
    assert_eq!(seen(Some(1), "s").await, Err(Refusal::Stale));
    assert_eq!(seen(Some(2), "s").await, Ok(4), "the newest customer message is 2, whatever came after");
    assert_eq!(f.submit(0, waiting, "b", "0123456789          x").await, Err(Refusal::BadText));
    f.database.close_chat(&f.agents[0], waiting, None).await.unwrap().unwrap();
    assert_eq!(f.submit(0, waiting, "late", "hi").await, Err(Refusal::Closed));
    assert_eq!(seen(Some(1), "s").await, Ok(4), "a repeat is answered wherever the chat is by now");
    f.finish().await;
}
