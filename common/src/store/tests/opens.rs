use super::*;

async fn open(f: &Fixture, agent: &Agent, whom: Whom<'_>) -> Result<OpenedChat, Refusal> {
    f.database.open_chat(agent, &whom).await.unwrap()
}

fn at(address: &str) -> Whom<'_> {
    Whom::Address { account: "main", address, name: Some("Olga P.") }
}

#[tokio::test]
async fn an_agent_writes_to_somebody_who_never_wrote() {
    let f = Fixture::new(2).await;
    let (own, queue) = (f.agents[0].own_feed(), f.agents[0].feeds[1].id);
    let opened = open(&f, &f.agents[0], at("007001")).await.unwrap();
    assert_eq!((opened.seq, opened.repeated), (2, false));
    assert_eq!(kinds(&f.feed(own, 0).await), ["opened", "taken"]);
    assert!(f.feed(queue, 0).await.is_empty(), "it never waited");
    let lines = f.database.read_feeds(&[(own, 0)]).await.unwrap();
    let EntryBody::Opened { by, queue: home, .. } = &lines[0].entry.body else { panic!("{lines:?}") };
    assert_eq!((by.as_deref(), home.as_str()), (Some("a0"), "support"));
    let shown = lines[0].chat.as_ref().unwrap();
    assert_eq!((shown.title.as_deref(), shown.agent.as_deref()), (Some("Olga P."), Some("a0")));
    assert_eq!(shown.customer, Some((1, Some("Olga P.".to_owned()), None)));
    assert_eq!(f.number("SELECT count(*) FROM chat WHERE platform_key = '7001'").await, 1);
    // Asked again, by number or by chat, it is as it was; a colleague is told who has it.
    let again = OpenedChat { repeated: true, ..opened };
    assert_eq!(open(&f, &f.agents[0], at("7001")).await, Ok(again));
    assert_eq!(open(&f, &f.agents[0], Whom::Chat(opened.chat)).await, Ok(again));
    assert_eq!(open(&f, &f.agents[1], at("7001")).await, Err(Refusal::AlreadyTaken("a0".to_owned())));
    f.submit(0, opened.chat, "k", "good day").await.unwrap();
    // The customer answers: the same chat and customer, and the name that the platform gives.
    f.store(vec![message("7001", 1, "hello")]).await;
    drain(&f.database).await;
    assert_eq!(kinds(&f.feed(own, 3).await), ["message"]);
    assert_eq!(f.number("SELECT count(*) FROM chat").await + f.number("SELECT count(*) FROM customer").await, 2);
    assert_eq!(f.number("SELECT count(*) FROM customer WHERE name = 'Name 7001'").await, 1);
    assert_eq!(f.number("SELECT count(*) FROM interaction WHERE taken_at IS NOT NULL AND agent_id = 1").await, 1);
    // It can be given back like any other: it has a queue.
    f.database.release_chat(&f.agents[0], opened.chat).await.unwrap().unwrap();
    assert_eq!(kinds(&f.feed(queue, 0).await), ["released"]);
    f.finish().await;
}

#[tokio::test]
async fn a_closed_chat_is_opened_again_and_a_waiting_one_is_taken() {
    let f = Fixture::new(2).await;
    let (own, queue) = (f.agents[0].own_feed(), f.agents[0].feeds[1].id);
    let chat = f.taken("5").await;
    f.database.close_chat(&f.agents[0], chat, None).await.unwrap().unwrap();
    assert_eq!(open(&f, &f.agents[1], at("5")).await.unwrap().seq, 6);
    assert_eq!(f.number("SELECT count(*) FROM interaction").await, 2);
    assert_eq!(kinds(&f.feed(f.agents[1].own_feed(), 0).await), ["opened", "taken"]);
    assert_eq!(f.number("SELECT count(*) FROM customer WHERE name = 'Name 5'").await, 1, "the platform's name stays");
    let waiting = f.waiting("6").await;
    assert_eq!(open(&f, &f.agents[0], Whom::Chat(waiting)).await.unwrap().seq, 3);
    assert_eq!(kinds(&f.feed(queue, 3).await), ["opened", "message", "taken"], "as by `take`");
    assert_eq!(kinds(&f.feed(own, 2).await), ["taken"]);
    f.finish().await;
}

#[tokio::test]
async fn nothing_is_made_of_an_address_that_is_none() {
    let f = Fixture::new(1).await;
    assert!(f.database.add_queue("other").await.unwrap());
    assert!(f.database.add_agent("stranger", "S", &["other".to_owned()]).await.unwrap());
    let stranger = f.database.agent("stranger").await.unwrap().unwrap();
    for bad in ["", "-5", "five", "99999999999999999999"] {
        assert!(matches!(open(&f, &f.agents[0], at(bad)).await, Err(Refusal::BadAddress(_))), "{bad}");
    }
    assert_eq!(open(&f, &stranger, at("7001")).await, Err(Refusal::NotFound), "an account of others");
    let nowhere = Whom::Address { account: "nowhere", address: "7001", name: None };
    assert_eq!(open(&f, &f.agents[0], nowhere).await, Err(Refusal::NotFound));
    f.run("UPDATE account SET capabilities = capabilities - 'address'").await;
    assert!(matches!(open(&f, &f.agents[0], at("7001")).await, Err(Refusal::Unsupported(_))));
    f.run("UPDATE account SET capabilities = capabilities || '{\"address\": \"of a later version\"}'").await;
    assert!(matches!(open(&f, &f.agents[0], at("7001")).await, Err(Refusal::Unsupported(_))));
    assert_eq!(f.number("SELECT count(*) FROM chat").await + f.number("SELECT count(*) FROM customer").await, 0);
    // Foreign chats, whatever their state.
    let chat = f.waiting("c1").await;
    assert_eq!(open(&f, &stranger, Whom::Chat(chat)).await, Err(Refusal::NotFound));
    f.database.take_chat(&f.agents[0], chat).await.unwrap().unwrap();
    assert_eq!(open(&f, &stranger, Whom::Chat(chat)).await, Err(Refusal::NotFound));
    f.database.close_chat(&f.agents[0], chat, None).await.unwrap().unwrap();
    assert_eq!(open(&f, &stranger, Whom::Chat(chat)).await, Err(Refusal::NotFound));
    // Who closed it in another queue opens it there again.
    f.run("UPDATE chat SET queue_id = (SELECT id FROM queue WHERE name = 'other')").await;
    open(&f, &stranger, Whom::Chat(chat)).await.unwrap();
    assert_eq!(
        f.number("SELECT count(*) FROM interaction JOIN queue ON queue.id = queue_id WHERE queue.name = 'other'").await,
        1
    );
    f.finish().await;
}

/// Eight agents write to the same stranger at once, while that one writes, too: one chat, one has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_eight_who_open_a_chat_one_has_it() {
    let f = Fixture::new(8).await;
    for round in 1..8 {
        let address = format!("{round}");
        let opening = f.agents.iter().cloned().map(|agent| {
            let (database, address) = (f.database.clone(), address.clone());
            tokio::spawn(async move {
                let whom = Whom::Address { account: "main", address: &address, name: None };
                database.open_chat(&agent, &whom).await.unwrap()
            })
        });
        let opening: Vec<_> = opening.collect();
        f.store(vec![message(&address, 1, "hello")]).await;
        drain(&f.database).await;
        let mut has = 0;
        for one in opening {
            match one.await.unwrap() {
                Ok(opened) => has += usize::from(!opened.repeated),
                Err(refusal) => assert!(matches!(refusal, Refusal::AlreadyTaken(_)), "{refusal:?}"),
            }
        }
        assert_eq!(has, 1);
        drain(&f.database).await;
    }
    assert_eq!(f.number("SELECT count(*) FROM chat WHERE customer_id IS NOT NULL AND state = 1").await, 7);
    assert_eq!(f.number("SELECT count(*) FROM customer").await, 7);
    f.finish().await;
}
