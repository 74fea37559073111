use super::*;

/// A session moves between two chatservers while customers write: every entry once, in order, the same everywhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cursors_are_good_at_every_chatserver() {
    const CHATS: usize = 10;
    const ROUNDS: usize = 30;
    let mut fleet = Fleet::new().await;
    let servers = [fleet.start("one").await, fleet.start("two").await];
    let mut watcher = Client::enter(servers[0], "bob").await;
    let mut roaming = Client::enter(servers[1], "anna").await;
    let total = (CHATS * (ROUNDS + 1)) as i64;
    let writing = async {
        for round in 0..ROUNDS {
            fleet.say((0..CHATS).map(|chat| message(&format!("c{chat}"), round, "text")).collect()).await;
        }
    };
    let reading = async {
        let mut seen = Vec::new();
        while roaming.cursors["queue:1"] < total {
            for _ in 0..(total - roaming.cursors["queue:1"]).min(37) {
                seen.push(roaming.entry().await);
            }
            let next = servers[seen.len() % 2];
            let (cursors, epoch) = (roaming.cursors.clone(), roaming.feed_epoch);
            // Without a word: as when the network breaks.
            let (client, hello) = Client::resume(next, "anna", &cursors, epoch).await;
            assert!(hello["feeds"].as_object().unwrap().values().all(|feed| feed["recovered"] == true), "{hello}");
            roaming = client;
        }
        seen
    };
    let watching = async {
        let mut seen = Vec::new();
        while watcher.cursors["queue:1"] < total {
            seen.push(watcher.entry().await);
        }
        seen
    };
    let ((), roamed, watched) = tokio::join!(writing, reading, watching);
    assert_eq!(roamed.len() as i64, total);
    assert_eq!(roamed, watched, "the same entries, byte for byte the same meaning");
    fleet.finish().await;
}

/// A chatserver stops while customers write: its agents go on at another one, and nothing is missing between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chatserver_that_stops_hands_its_agents_on_without_a_gap() {
    const MESSAGES: usize = 200;
    let mut fleet = Fleet::new().await;
    let limits = Limits { leaving_per_second: 10, ..Limits::default() };
    let old = fleet.start_with("old", limits, fleet.test.another()).await;
    let new = fleet.start("new").await;
    let mut moving = Vec::new();
    for n in 0..6 {
        let mut client = Client::enter(old, ["anna", "bob"][n % 2]).await;
        moving.push(tokio::spawn(async move {
            let agent = ["anna", "bob"][n % 2];
            let mut moved = 0;
            while client.cursors["queue:1"] < MESSAGES as i64 + 1 {
                match client.next_or_closed().await {
                    Ok(frame) => assert_eq!(frame["type"], "entry", "no resync: {frame}"),
                    Err(code) => {
                        assert_eq!(code, Some(4001));
                        let (next, hello) = Client::resume(new, agent, &client.cursors, client.feed_epoch).await;
                        assert!(hello["feeds"].as_object().unwrap().values().all(|feed| feed["recovered"] == true));
                        client = next;
                        moved += 1;
                    }
                }
            }
            moved
        }));
    }
    let stopping = fleet.running.remove(0);
    for n in 0..MESSAGES {
        if n == MESSAGES / 4 {
            stopping.begin();
        }
        fleet.say(vec![message("c1", n, "text")]).await;
    }
    for client in moving {
        assert!(client.await.unwrap() <= 1);
    }
    assert!(stopping.drained(DEADLINE).await);
    fleet.finish().await;
}

#[tokio::test]
async fn unusable_cursors_get_a_resync() {
    let mut fleet = Fleet::new().await;
    let address = fleet.start("one").await;
    fleet.say((0..20).map(|n| message("c1", n, "x")).collect()).await;
    fleet.until("SELECT last_seq FROM feed WHERE name = 'queue:1'", 21).await;
    fleet.run_sql("UPDATE feed SET pruned_seq = 5 WHERE name = 'queue:1'").await;
    fleet.run_sql("DELETE FROM feed_entry WHERE seq <= 5").await;
    let at = |agent: i64, queue: i64| {
        [("agent:1".to_owned(), agent), ("queue:1".to_owned(), queue)]
            .into_iter()
            .collect::<std::collections::BTreeMap<_, _>>()
    };
    let mut without = at(0, 10);
    without.remove("agent:1");
    let mut foreign = at(0, 10);
    foreign.insert("queue:2".to_owned(), 0);
    let mut swapped = at(0, 10);
    swapped.remove("agent:1");
    swapped.insert("agent:2".to_owned(), 0);
    for (cursors, epoch) in
        [(at(0, 10), 2), (at(0, 4), 1), (at(0, 22), 1), (at(-1, 10), 1), (without, 1), (foreign, 1), (swapped, 1)]
    {
        let (mut client, hello) = Client::resume(address, "anna", &cursors, epoch).await;
        assert!(
            hello["feeds"].as_object().unwrap().values().all(|feed| feed["recovered"] == false),
            "{cursors:?}: {hello}"
        );
        assert_eq!(client.frame().await["type"], "resync");
        assert_eq!(client.cursors, at(0, 21));
    }
    for queue in [5, 12, 21] {
        let (mut client, hello) = Client::resume(address, "anna", &at(0, queue), 1).await;
        assert_eq!(hello["feeds"]["queue:1"], json!({"head": 21, "recovered": true}));
        for _ in queue..21 {
            client.entry().await;
        }
    }
    fleet.finish().await;
}

#[tokio::test]
async fn who_loses_a_queue_or_is_shut_out_loses_the_session() {
    let mut fleet = Fleet::new().await;
    let address = fleet.start("one").await;
    let mut anna = Client::enter(address, "anna").await;
    let mut bob = Client::enter(address, "bob").await;
    let mut eve = Client::enter(address, "eve").await;
    assert!(fleet.database.set_agent_queues("anna", &["other".to_owned()]).await.unwrap());
    assert!(fleet.database.enable_agent("bob", false).await.unwrap());
    assert_eq!(anna.closed().await, Some(4011));
    assert_eq!(bob.closed().await, Some(4500));
    let (mut again, hello) = Client::resume(address, "anna", &anna.cursors, 1).await;
    assert_eq!(hello["feeds"]["queue:2"]["recovered"], false);
    again.frame().await;
    // Those whose standing did not change stay.
    assert_eq!(eve.ok(json!({"type": "ping"})).await, json!({}));
    // The database went backwards: what anybody has read means nothing any more.
    fleet.run_sql("UPDATE fleet SET feed_epoch = 2").await;
    assert_eq!(eve.closed().await, Some(4011));
    fleet.finish().await;
}
