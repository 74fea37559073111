use futures_util::SinkExt;
use tokio_tungstenite::tungstenite::Message;

use super::*;

#[tokio::test]
async fn large_and_binary_frames_end_the_session() {
    let mut fleet = Fleet::new().await;
    let address = fleet.start("one").await;
    for size in [64 * 1024 + 1, 300 * 1024, 4 * 1024 * 1024] {
        let mut client = Client::enter(address, "anna").await;
        // The server stops reading it, so the rest may never leave.
        let frame = Message::text("x".repeat(size));
        let _ = tokio::time::timeout(Duration::from_millis(500), client.socket.send(frame)).await;
        assert_eq!(client.closed().await, Some(4501), "{size}");
    }
    let mut client = Client::enter(address, "anna").await;
    let blanks = " ".repeat(60 * 1024);
    client.text(&format!(r#"{{"id": 1, "type": "ping"{blanks}}}"#)).await;
    assert_eq!(client.answer_to(json!(1)).await["type"], "ok");
    client.socket.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    assert_eq!(client.closed().await, Some(4501));
    fleet.finish().await;
}

#[tokio::test]
async fn who_asks_too_fast_is_told_so_in_order() {
    let mut fleet = Fleet::new().await;
    let address = fleet.start("one").await;
    let mut client = Client::enter(address, "anna").await;
    let begun = std::time::Instant::now();
    for _ in 0..200 {
        client.send(json!({"type": "ping"})).await;
    }
    let mut admitted = 0;
    for id in 2..=201 {
        let answer = client.answer_to(json!(id)).await;
        match answer["type"].as_str() {
            Some("ok") => admitted += 1,
            _ => assert_eq!((&answer["code"], &answer["retry"]), (&json!("too_fast"), &json!(true))),
        }
    }
    let most = 61 + (begun.elapsed().as_secs_f64() * 20.0) as usize;
    // The hello before them is not counted.
    assert!((60..=most).contains(&admitted), "60 at once and 20 a second: {admitted}, at most {most}");
    fleet.finish().await;
}

#[tokio::test]
async fn an_agent_has_so_many_sessions_and_no_more() {
    let mut fleet = Fleet::new().await;
    let limits = Limits { sessions_per_agent: 2, ..Limits::default() };
    let address = fleet.start_with("one", limits, fleet.test.another()).await;
    let mut first = Client::enter(address, "anna").await;
    let _second = Client::enter(address, "anna").await;
    let mut third = Client::connect(address).await;
    third.send(json!({"type": "hello", "token": token("anna")})).await;
    assert_eq!(third.closed().await, Some(4504));
    Client::enter(address, "bob").await;
    first.socket.close(None).await.unwrap();
    first.closed().await;
    fleet.until("SELECT count(*) FROM agent_session WHERE agent_id = 1", 1).await;
    Client::enter(address, "anna").await;
    fleet.finish().await;
}

#[tokio::test]
async fn an_expired_token_ends_the_session() {
    let mut fleet = Fleet::new().await;
    let address = fleet.start("one").await;
    let mut client = Client::connect(address).await;
    let mut claims = claims("anna");
    // Accepted, because clocks may differ by 30 s, and for four seconds more.
    claims["exp"] = json!(get_current_timestamp() - 26);
    client.ok(json!({"type": "hello", "token": sign(&claims)})).await;
    assert_eq!(client.closed().await, Some(4003));
    fleet.finish().await;
}

#[tokio::test]
async fn who_answers_no_ping_is_gone() {
    let mut fleet = Fleet::new().await;
    let limits = Limits { ping_every: Duration::from_millis(500), ..Limits::default() };
    let address = fleet.start_with("one", limits, fleet.test.another()).await;
    let mut quiet = Client::enter(address, "anna").await;
    // Reading answers pings: this one is alive until the other is gone.
    let mut alive = Client::enter(address, "bob").await;
    let living = tokio::spawn(async move { alive.closed().await });
    fleet.until("SELECT count(*) FROM agent_session", 1).await;
    assert_eq!(quiet.closed().await, Some(4010));
    let shutdown = fleet.running.pop().unwrap();
    shutdown.begin();
    assert_eq!(living.await.unwrap(), Some(4001));
    assert!(shutdown.drained(DEADLINE).await);
    fleet.finish().await;
}

#[tokio::test]
async fn a_stopping_chatserver_tells_everybody() {
    let mut fleet = Fleet::new().await;
    let address = fleet.start("one").await;
    let mut entered = Client::enter(address, "anna").await;
    let mut silent = Client::connect(address).await;
    let shutdown = fleet.running.pop().unwrap();
    shutdown.begin();
    assert_eq!((entered.closed().await, silent.closed().await), (Some(4001), Some(4001)));
    drop((entered, silent));
    assert!(shutdown.drained(DEADLINE).await);
    assert_eq!(fleet.number("SELECT count(*) FROM agent_session").await, 0);
    fleet.finish().await;
}

/// What was asked before the end is answered before the end, also what waits for another answer.
#[tokio::test]
async fn what_was_asked_is_answered_before_the_session_is_sent_away() {
    use futures_util::StreamExt;
    let mut fleet = Fleet::new().await;
    let address = fleet.start("one").await;
    let mut anna = Client::enter(address, "anna").await;
    fleet.say(vec![message("c1", 1, "hello")]).await;
    anna.entries_until(|frame| frame["entry"]["seq"] == 2).await;
    let mut holder = fleet.database.connection().await.unwrap();
    let held = holder.transaction().await.unwrap();
    held.execute("SELECT 1 FROM chat FOR NO KEY UPDATE", &[]).await.unwrap();
    let asked = [
        anna.send(json!({"type": "take", "chat": "1"})).await,
        anna.send(json!({"type": "send", "chat": "1", "client_key": "k", "text": "hi"})).await,
        anna.send(json!({"type": "ping"})).await,
    ];
    // A pong: all that was sent before is read.
    anna.socket.send(Message::Ping(vec![1].into())).await.unwrap();
    let pong = async { while !matches!(anna.socket.next().await, Some(Ok(Message::Pong(_)))) {} };
    tokio::time::timeout(DEADLINE, pong).await.expect("an answer to the ping");
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    fleet.until(waits, 1).await;
    let shutdown = fleet.running.pop().unwrap();
    shutdown.begin();
    held.rollback().await.unwrap();
    holder.done();
    for id in asked {
        assert_eq!(anna.answer_to(json!(id)).await["type"], "ok");
    }
    assert_eq!(anna.closed().await, Some(4001));
    assert!(shutdown.drained(DEADLINE).await);
    assert_eq!(fleet.number("SELECT count(*) FROM outbox").await, 1);
    fleet.finish().await;
}

/// A herd that comes back at once would find the others busy: sessions go one after another, and are served until then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_sent_away_one_after_another() {
    const SESSIONS: usize = 20;
    let mut fleet = Fleet::new().await;
    let limits = Limits { leaving_per_second: 20, ..Limits::default() };
    let address = fleet.start_with("one", limits, fleet.test.another()).await;
    let mut clients = Vec::new();
    for n in 0..SESSIONS {
        clients.push(Client::enter(address, ["anna", "bob"][n % 2]).await);
    }
    let shutdown = fleet.running.pop().unwrap();
    let begun = std::time::Instant::now();
    shutdown.begin();
    fleet.say(vec![message("c1", 1, "hello")]).await;
    let leaving = clients.into_iter().map(|mut client| {
        tokio::spawn(async move {
            let mut heard = 0;
            // What is to be written is written, and then the session is told.
            let code = loop {
                match client.next_or_closed().await {
                    Ok(frame) => heard += usize::from(frame["type"] == "entry"),
                    Err(code) => break code,
                }
            };
            (code, heard, begun.elapsed())
        })
    });
    let (mut heard, mut at) = (0, Vec::new());
    for left in leaving.collect::<Vec<_>>() {
        let (code, entries, elapsed) = left.await.unwrap();
        assert_eq!(code, Some(4001));
        heard += usize::from(entries == 2);
        at.push(elapsed);
    }
    at.sort();
    let (middle, last) = (at[SESSIONS / 2], at[SESSIONS - 1]);
    assert!(middle > Duration::from_millis(300) && last > Duration::from_millis(800), "{at:?}");
    assert!(last < Duration::from_secs(10), "{at:?}");
    assert!(heard >= SESSIONS / 2, "served until told: {heard}");
    assert!(shutdown.drained(DEADLINE).await);
    fleet.finish().await;
}

/// A client that does not read is closed with 4008 and resumes without a gap; nobody else waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_holds_nobody_back() {
    const MESSAGES: i64 = 900;
    let mut fleet = Fleet::new().await;
    let limits = Limits { patience: Duration::from_secs(2), ..Limits::default() };
    let address = fleet.start_with("one", limits, fleet.test.another()).await;
    let mut slow = Client::enter(address, "anna").await;
    let mut quick = Client::enter(address, "bob").await;
    let reading = tokio::spawn(async move {
        while quick.cursors["queue:1"] < MESSAGES + 1 {
            quick.entry().await;
        }
        quick
    });
    let text = "x".repeat(15_000);
    for first in (0..MESSAGES).step_by(50) {
        fleet.say((first..first + 50).map(|n| message("c1", n as usize, &text)).collect()).await;
    }
    let quick = reading.await.unwrap();
    fleet.until("SELECT count(*) FROM agent_session WHERE agent_id = 1", 0).await;
    assert_eq!(slow.closed().await, Some(4008));
    assert!(slow.cursors["queue:1"] < MESSAGES, "it was left out of reading");
    let (mut again, hello) = Client::resume(address, "anna", &slow.cursors, slow.feed_epoch).await;
    assert_eq!(hello["feeds"]["queue:1"]["recovered"], true);
    while again.cursors != quick.cursors.iter().map(|(feed, seq)| (feed.replace("agent:2", "agent:1"), *seq)).collect()
    {
        again.entry().await;
    }
    fleet.finish().await;
}
