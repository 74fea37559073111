use std::collections::HashMap;

use super::*;

#[tokio::test]
async fn a_first_message_makes_customer_chat_and_interaction() {
    let f = Fixture::new(1).await;
    let stored = f.store(vec![message("c1", 1, "one"), message("c1", 2, "two"), message("c2", 1, "three")]).await;
    assert_eq!(stored.new, 3);
    let drained = drain(&f.database).await;
    assert_eq!((drained.taken, drained.entries, drained.quarantined), (3, 5, 0));
    let queue = f.agents[0].feeds[1].id;
    let entries = f.feed(queue, 0).await;
    assert_eq!(kinds(&entries), ["opened", "message", "message", "opened", "message"]);
    assert_eq!(entries[1].author, Author::Customer { id: 1, name: Some("Name c1".to_owned()) });
    assert_eq!(entries[1].account, "main");
    assert_eq!(f.number("SELECT count(*) FROM chat_day").await, 2);
    assert_eq!(f.number("SELECT count(*) FROM chat WHERE state = 0 AND title LIKE 'Title c%' AND unread > 0").await, 2);
    assert_eq!(f.number("SELECT count(*) FROM interaction WHERE closed_at IS NULL").await, 2);
    f.finish().await;
}

#[tokio::test]
async fn content_is_handed_on_in_its_order_whoever_understands_it() {
    let f = Fixture::new(1).await;
    let announced = |of: &str| Content::Unsupported { of: of.to_owned() };
    let content = vec![announced("poll"), announced("nul\0")];
    f.store(vec![inbound("c1", "m:c1:1", InboundItem::Message { text: String::new(), attachments: vec![], content })])
        .await;
    drain(&f.database).await;
    f.store(vec![message("c1", 2, "see")]).await;
    // As a connector of a later version writes it.
    let later = json!([{"type": "place", "latitude": 55.75}, {"type": "pressed", "data": "menu:2", "of": {"seq": 4}}]);
    f.run(&format!("UPDATE pending SET item = jsonb_set(item, '{{content}}', '{later}')")).await;
    drain(&f.database).await;
    let queue = f.agents[0].feeds[1].id;
    let carried: Vec<_> = f
        .feed(queue, 1)
        .await
        .into_iter()
        .map(|entry| match entry.body {
            EntryBody::CustomerMessage { content, .. } => json!(content),
            other => panic!("{other:?}"),
        })
        .collect();
    let first = json!([{"type": "unsupported", "of": "poll"}, {"type": "unsupported", "of": "nul\u{fffd}"}]);
    assert_eq!(carried, [first, later]);
    f.finish().await;
}

#[tokio::test]
async fn a_new_name_is_kept_and_an_unknown_one_keeps_the_old() {
    let f = Fixture::new(0).await;
    f.waiting("c1").await;
    let named = |n, name: Option<&str>| {
        let mut fact = message("c1", n, "x");
        fact.author.name = name.map(str::to_owned);
        fact
    };
    f.store(vec![named(2, Some("New")), named(3, None)]).await;
    drain(&f.database).await;
    assert_eq!(f.number("SELECT count(*) FROM customer WHERE name = 'New'").await, 1);
    // Within one batch the newest wins, also when it is the one known before.
    f.store(vec![named(4, Some("Other")), named(5, Some("New"))]).await;
    drain(&f.database).await;
    assert_eq!(f.number("SELECT count(*) FROM customer WHERE name = 'New'").await, 1);
    f.finish().await;
}

#[tokio::test]
async fn each_author_of_a_group_is_a_customer_of_their_own() {
    let f = Fixture::new(1).await;
    let in_group = |n: usize, who: &str| {
        let mut fact = message("g1", n, "hi");
        fact.chat.kind = ChatKind::Group;
        fact.author = Person { platform_id: who.to_owned(), name: Some(who.to_owned()) };
        fact
    };
    f.store(vec![in_group(1, "olga"), in_group(2, "ivan"), in_group(3, "olga")]).await;
    drain(&f.database).await;
    assert_eq!(f.number("SELECT count(*) FROM customer").await, 2);
    assert_eq!(f.number("SELECT count(*) FROM chat WHERE customer_id IS NULL").await, 1);
    let names: Vec<_> = f.feed(f.agents[0].feeds[1].id, 1).await.into_iter().map(|entry| entry.author).collect();
    let name = |author: &Author| match author {
        Author::Customer { name, .. } => name.clone().unwrap(),
        _ => panic!("a customer wrote"),
    };
    assert_eq!(names.iter().map(name).collect::<Vec<_>>(), ["olga", "ivan", "olga"]);
    f.finish().await;
}

#[tokio::test]
async fn an_edit_names_its_message_from_an_earlier_batch() {
    let f = Fixture::new(1).await;
    f.waiting("c1").await;
    let edit = |n: usize, of: &str| {
        inbound("c1", &format!("e:{n}"), InboundItem::Edit { of_key: of.to_owned(), text: "better".to_owned() })
    };
    f.store(vec![edit(1, "m:c1:1"), edit(2, "m:c1:99")]).await;
    drain(&f.database).await;
    let entries = f.feed(f.agents[0].feeds[1].id, 2).await;
    let edited = |of| EntryBody::Edited { text: "better".to_owned(), of };
    assert_eq!(entries.iter().map(|entry| entry.body.clone()).collect::<Vec<_>>(), [edited(Some(2)), edited(None)]);
    assert_eq!(f.number("SELECT unread::bigint FROM chat").await, 1, "an edit is no new message");
    f.finish().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_put_aside_and_stops_nothing() {
    let f = Fixture::new(1).await;
    f.waiting("c1").await;
    f.run(
        "INSERT INTO pending (account_id, chat_key, kind, dedupe_key, item) VALUES
           (1, 'c1', 77, 'later kind', '{}'), (1, 'c1', 1, 'no author', '{\"group\": true}'), (1, 'c1', 1, 'no item', NULL),
           (1, 'stranger', 77, 'later kind of a stranger', '{}'), (1, 'c1', 9, 'bad outcome', '{\"of\": \"x\"}'),
           (1, 'nobody', 9, 'outcome of no chat', '{\"of\":1,\"part\":0,\"parts\":1,\"state\":\"sent\",\"agent_id\":1}'),
           (1, 'c1', 9, 'odd state', '{\"of\":1,\"part\":0,\"parts\":1,\"state\":\"odd\",\"agent_id\":1}')",
    )
    .await;
    f.store(vec![message("c1", 2, "still here"), message("c2", 1, "and here")]).await;
    let drained = drain(&f.database).await;
    assert_eq!((drained.entries, drained.quarantined), (3, 7));
    assert_eq!(f.number("SELECT count(*) FROM pending").await, 0);
    assert_eq!(f.number("SELECT count(*) FROM quarantine WHERE convert_from(raw, 'UTF8')::jsonb ? 'kind'").await, 7);

    // Given back: what can be read now becomes an entry, what still cannot be read is put aside again.
    f.run(
        "UPDATE quarantine SET raw = convert_to(replace(convert_from(raw, 'UTF8'), '\"group\":true', '\"author_id\":\"c1\"'), 'UTF8')
          WHERE dedupe_key = 'p:no author'",
    )
    .await;
    let account = crate::model::AccountId(1);
    for row in f.database.quarantined(account, false, 0, 100).await.unwrap() {
        assert!(f.database.requeue_pending(account, row.id).await.unwrap());
        assert!(!f.database.requeue_pending(account, row.id).await.unwrap(), "given back once");
    }
    assert_eq!(f.number("SELECT count(*) FROM quarantine WHERE replayed_at IS NULL").await, 0);
    let drained = drain(&f.database).await;
    assert_eq!((drained.entries, drained.quarantined), (1, 6));
    assert_eq!(f.number("SELECT count(*) FROM quarantine WHERE replayed_at IS NULL").await, 6);
    f.finish().await;
}

#[tokio::test]
async fn a_locked_chat_is_skipped_and_the_others_go_on() {
    let f = Fixture::new(0).await;
    let (first, _) = (f.waiting("c1").await, f.waiting("c2").await);
    let mut holder = f.database.connection().await.unwrap();
    let transaction = holder.transaction().await.unwrap();
    transaction.execute("SELECT 1 FROM chat WHERE id = $1 FOR NO KEY UPDATE", &[&first.0]).await.unwrap();
    f.store(vec![message("c1", 2, "held"), message("c2", 2, "free")]).await;
    let batch = f.database.drain_batch().await.unwrap();
    assert_eq!((batch.taken, batch.skipped), (1, 1));
    transaction.rollback().await.unwrap();
    holder.done();
    assert_eq!(drain(&f.database).await.taken, 1);
    f.finish().await;
}

/// Two chatservers drain while agents write in the same chats: no gap, no double, order kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_drainers_and_submits_at_once() {
    const CHATS: usize = 30;
    const MESSAGES: usize = 40;
    let f = Fixture::new(2).await;
    let mut chats = Vec::new();
    for chat in 0..CHATS {
        f.store(vec![message(&format!("c{chat}"), 0, "first")]).await;
    }
    drain(&f.database).await;
    for chat in 0..CHATS {
        let id = f.chat(&format!("c{chat}")).await;
        f.database.take_chat(&f.agents[chat % 2], id).await.unwrap().unwrap();
        chats.push(id);
    }
    let draining = |database: Database| async move {
        let mut taken = 0;
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
        while taken < CHATS * MESSAGES && tokio::time::Instant::now() < deadline {
            let batch = database.drain_batch().await.unwrap();
            taken += batch.taken;
            let left = database.connection().await.unwrap();
            let pending: i64 = left.query_one("SELECT count(*) FROM inbox", &[]).await.unwrap().get(0);
            let open: bool = left.query_one("SELECT EXISTS (SELECT 1 FROM pending)", &[]).await.unwrap().get(0);
            left.done();
            if pending as usize == CHATS * (MESSAGES + 1) && !open {
                break;
            }
        }
        taken
    };
    let writing = async {
        for n in 1..=MESSAGES {
            f.store((0..CHATS).map(|chat| message(&format!("c{chat}"), n, &format!("text {n}"))).collect()).await;
        }
    };
    let submitting = async {
        for n in 0..10 {
            for (index, chat) in chats.iter().enumerate() {
                f.submit(index % 2, *chat, &format!("{index}-{n}"), "an answer of parts").await.unwrap();
            }
        }
    };
    let (one, two, (), ()) = tokio::join!(
        tokio::spawn(draining(f.test.another())),
        tokio::spawn(draining(f.test.another())),
        writing,
        submitting
    );
    assert_eq!(one.unwrap() + two.unwrap(), CHATS * MESSAGES);
    assert_eq!(f.number("SELECT count(*) FROM history WHERE kind = 1 AND author_kind = 2").await, (CHATS * 10) as i64);
    // Each message once, in the customer's order.
    let connection = f.database.connection().await.unwrap();
    let rows = connection
        .query("SELECT chat_id, ref FROM history WHERE kind = 1 AND author_kind = 1 ORDER BY chat_id, seq", &[])
        .await
        .unwrap();
    connection.done();
    let mut seen: HashMap<i64, usize> = HashMap::new();
    for row in rows {
        let (chat, key): (i64, &str) = (row.get(0), row.get(1));
        let n: usize = key.rsplit(':').next().unwrap().parse().unwrap();
        let next = seen.entry(chat).or_default();
        assert_eq!(n, *next, "chat {chat}");
        *next += 1;
    }
    assert!(seen.len() == CHATS && seen.values().all(|next| *next == MESSAGES + 1));
    f.finish().await;
}

/// The same strangers drained by two chatservers at once become one chat each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_drainers_meet_the_same_strangers() {
    let f = Fixture::new(0).await;
    for round in 0..10 {
        f.store((0..20).map(|n| message(&format!("r{round}c{n}"), 1, "hello")).collect()).await;
        let (a, b) = (f.test.another(), f.test.another());
        let (a, b) =
            tokio::join!(tokio::spawn(async move { drain(&a).await }), tokio::spawn(async move { drain(&b).await }));
        assert_eq!(a.unwrap().taken + b.unwrap().taken, 20);
    }
    assert_eq!(f.number("SELECT count(*) FROM chat").await, 200);
    assert_eq!(f.number("SELECT count(*) FROM customer").await, 200);
    f.finish().await;
}
