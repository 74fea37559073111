use super::*;

#[tokio::test]
async fn an_agent_takes_answers_and_closes_a_chat() {
    let mut fleet = Fleet::new().await;
    let address = fleet.start("one").await;
    let mut anna = Client::enter(address, "anna").await;
    let mut second = Client::enter(address, "anna").await;
    let mut bob = Client::enter(address, "bob").await;
    fleet.say(vec![message("c1", 1, "hello")]).await;
    for client in [&mut anna, &mut second, &mut bob] {
        assert_eq!(client.entry().await["entry"]["kind"], "opened");
        assert_eq!(client.entry().await["entry"]["text"], "hello");
    }
    let hello = json!({"type": "send", "chat": "1", "client_key": "k1", "text": "hi", "seen_seq": 2});
    assert_eq!(anna.refused(hello.clone()).await, "not_yours");
    assert_eq!(anna.ok(json!({"type": "take", "chat": "1"})).await, json!({"chat": "1", "seq": 3}));
    assert_eq!(bob.refused(json!({"type": "take", "chat": "1"})).await, "already_taken");
    assert_eq!(bob.entry().await["entry"]["agent"], "anna", "bob's queue is told");
    assert_eq!(bob.refused(hello.clone()).await, "not_yours");

    let mut ear = fleet.doorbells.listen_account(&AccountName::new("main").unwrap());
    ear.wait().await;
    let accepted = anna.ok(hello.clone()).await;
    assert_eq!(accepted, json!({"chat": "1", "seq": 4, "parts": 1, "state": "queued", "repeated": false}));
    tokio::time::timeout(DEADLINE, ear.wait()).await.expect("the sender is told");
    assert_eq!(anna.ok(hello.clone()).await["repeated"], true);
    let other = json!({"type": "send", "chat": "1", "client_key": "k1", "text": "other"});
    assert_eq!(anna.refused(other).await, "key_conflict");
    // The taken entry comes in both feeds, the answer only in her own; to all her sessions.
    for client in [&mut anna, &mut second] {
        let entries = client.entries_until(|frame| frame["entry"]["client_key"] == "k1").await;
        let feeds: Vec<_> = entries
            .iter()
            .map(|frame| (frame["feed"].as_str().unwrap(), frame["entry"]["seq"].as_i64().unwrap()))
            .collect();
        assert_eq!((feeds.len(), feeds[2]), (3, ("agent:1", 4)));
        assert!(feeds.contains(&("queue:1", 3)) && feeds.contains(&("agent:1", 3)));
    }
    fleet.say(vec![message("c1", 2, "more")]).await;
    assert_eq!(anna.entry().await["entry"]["text"], "more");
    let stale = json!({"type": "send", "chat": "1", "client_key": "k2", "text": "late", "seen_seq": 4});
    assert_eq!(anna.refused(stale).await, "stale");
    assert_eq!(anna.ok(json!({"type": "cancel", "chat": "1", "seq": 4})).await, json!({"cancelled": [0]}));
    assert_eq!(anna.refused(json!({"type": "cancel", "chat": "1", "seq": 4})).await, "too_late");
    let cancelled = anna.entry().await["entry"].clone();
    assert_eq!(
        (&cancelled["state"], &cancelled["of"], &cancelled["by"]),
        (&json!("cancelled"), &json!(4), &json!("anna"))
    );
    for decision in ["resend", "mark_sent", "drop"] {
        assert_eq!(anna.refused(json!({"type": decision, "chat": "1", "seq": 4, "part": 0})).await, "too_late");
    }
    assert_eq!(bob.refused(json!({"type": "close", "chat": "1"})).await, "not_yours");
    let long = "x".repeat(201);
    assert_eq!(anna.refused(json!({"type": "close", "chat": "1", "outcome": long})).await, "bad_text");
    assert_eq!(anna.ok(json!({"type": "close", "chat": "1", "outcome": "solved"})).await["seq"], 7);
    assert_eq!(anna.refused(json!({"type": "close", "chat": "1"})).await, "closed");
    assert_eq!(anna.entry().await["entry"]["outcome"], "solved");

    let page = anna.ok(json!({"type": "history", "chat": "1", "limit": 4})).await;
    let seqs: Vec<_> = page["entries"].as_array().unwrap().iter().map(|entry| entry["seq"].as_i64().unwrap()).collect();
    assert_eq!((seqs, &page["next_before"]), (vec![4, 5, 6, 7], &json!(4)));
    assert_eq!(page["entries"][0]["delivery"], json!([{"part": 0, "state": "cancelled", "reason": null}]));
    let page = anna.ok(json!({"type": "history", "chat": "1", "before": 4})).await;
    assert_eq!((page["entries"].as_array().unwrap().len(), &page["next_before"]), (3, &json!(null)));
    assert_eq!(anna.refused(json!({"type": "history", "chat": "1", "limit": 201})).await, "bad_request");
    fleet.finish().await;
}

#[tokio::test]
async fn a_foreign_chat_is_answered_like_an_absent_one() {
    let mut fleet = Fleet::new().await;
    let address = fleet.start("one").await;
    let mut anna = Client::enter(address, "anna").await;
    fleet.say(vec![message("c1", 1, "hello")]).await;
    anna.entries_until(|frame| frame["entry"]["seq"] == 2).await;
    anna.ok(json!({"type": "take", "chat": "1"})).await;
    anna.ok(json!({"type": "send", "chat": "1", "client_key": "k", "text": "hi"})).await;
    let mut eve = Client::enter(address, "eve").await;
    for request in [
        json!({"type": "take"}),
        json!({"type": "close"}),
        json!({"type": "release"}),
        json!({"type": "transfer", "agent": "bob"}),
        json!({"type": "read", "seq": 2}),
        json!({"type": "open"}),
        json!({"type": "send", "client_key": "k", "text": "hi"}),
        json!({"type": "history"}),
        json!({"type": "waiting"}),
        json!({"type": "waiting", "seq": 4}),
        json!({"type": "cancel", "seq": 4}),
        json!({"type": "resend", "seq": 4, "part": 0}),
        json!({"type": "mark_sent", "seq": 4, "part": 0}),
        json!({"type": "drop", "seq": 4, "part": 0}),
    ] {
        let mut answers = Vec::new();
        for chat in ["1", "999999"] {
            let mut request = request.clone();
            request["chat"] = json!(chat);
            let mut answer = eve.ask(request).await;
            assert_eq!(answer["code"], "not_found", "{answer}");
            answer["re"] = json!(0);
            answers.push(answer);
        }
        assert_eq!(answers[0], answers[1]);
    }
    let snapshot = eve.ok(json!({"type": "snapshot"})).await;
    assert_eq!((&snapshot["chats"], &snapshot["feeds"]), (&json!([]), &json!({"agent:3": 0, "queue:2": 0})));
    fleet.finish().await;
}

#[tokio::test]
async fn bad_requests_are_answered_and_close_nothing() {
    let mut fleet = Fleet::new().await;
    let address = fleet.start("one").await;
    let mut anna = Client::enter(address, "anna").await;
    for (frame, id) in [
        ("not JSON", Value::Null),
        ("{", Value::Null),
        ("[]", Value::Null),
        (r#"{"type":"ping"}"#, Value::Null),
        (r#"{"id":"a","type":"fly"}"#, json!("a")),
        (r#"{"id":"b","type":"take"}"#, json!("b")),
        (r#"{"id":"c","type":"take","chat":1}"#, json!("c")),
        (r#"{"id":"d","type":"send","chat":"1","client_key":"k","text":"\ud800"}"#, json!("d")),
        (r#"{"id":"e","type":"send","chat":"1","client_key":"","text":"x"}"#, json!("e")),
        (r#"{"id":"g","type":"send","chat":"1","client_key":"k","text":"x","lane":"urgent"}"#, json!("g")),
        (r#"{"id":"f","type":"send","chat":"1","client_key":"\u0000","text":"x"}"#, json!("f")),
    ] {
        anna.text(frame).await;
        let answer = anna.answer_to(id).await;
        assert_eq!((&answer["type"], &answer["code"]), (&json!("error"), &json!("bad_request")), "{frame}: {answer}");
    }
    fleet.say(vec![message("c1", 1, "hello")]).await;
    anna.entries_until(|frame| frame["entry"]["seq"] == 2).await;
    anna.ok(json!({"type": "take", "chat": "1"})).await;
    let long = "x".repeat(20_001);
    let blank_part = format!("{}{}x", "y".repeat(4096), " ".repeat(8192));
    for text in ["", " \n\t", "a\u{0}b", &long, &blank_part] {
        let send = json!({"type": "send", "chat": "1", "client_key": "k", "text": text});
        assert_eq!(anna.refused(send).await, "bad_text", "{:?}", &text[..text.len().min(20)]);
    }
    let odd = "emoji 👩‍👩‍👧‍👦, combining e\u{301}, right-to-left \u{202e}, quote \" and \\ and \u{7}";
    anna.ok(json!({"type": "send", "chat": "1", "client_key": "k", "text": odd})).await;
    let entries = anna.entries_until(|frame| frame["entry"]["client_key"] == "k").await;
    assert_eq!(entries.last().unwrap()["entry"]["text"], odd);
    fleet.finish().await;
}
