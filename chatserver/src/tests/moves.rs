//! Chats that go from one to another.

use super::*;

#[tokio::test]
async fn a_released_chat_is_offered_to_whoever_serves_its_queue() {
    let mut fleet = Fleet::new().await;
    let address = fleet.start("one").await;
    let mut anna = Client::enter(address, "anna").await;
    fleet.say(vec![message("c1", 1, "hello")]).await;
    anna.entries_until(|frame| frame["entry"]["seq"] == 2).await;
    anna.ok(json!({"type": "take", "chat": "1"})).await;
    // Bob comes now: no snapshot of his has ever shown the chat.
    let mut bob = Client::enter(address, "bob").await;
    assert_eq!(bob.refused(json!({"type": "release", "chat": "1"})).await, "not_yours");
    assert_eq!(anna.ok(json!({"type": "release", "chat": "1"})).await, json!({"chat": "1", "seq": 4}));
    assert_eq!(anna.refused(json!({"type": "release", "chat": "1"})).await, "not_yours");
    let told = bob.entry().await;
    assert_eq!(
        (&told["feed"], &told["entry"]["kind"], &told["entry"]["queue"]),
        (&json!("queue:1"), &json!("released"), &json!("support"))
    );
    let chat = &told["chat"];
    assert_eq!((&chat["chat"], &chat["state"], &chat["title"]), (&json!("1"), &json!("waiting"), &json!("c1")));
    assert_eq!(
        (&chat["customer"]["name"], &chat["last_seq"], &chat["unread"]),
        (&json!("Name c1"), &json!(4), &json!(1))
    );
    let released = anna.entries_until(|frame| frame["entry"]["kind"] == "released" && frame["feed"] == "agent:1").await;
    assert!(released.last().unwrap().get("chat").is_none(), "she has it no more");
    assert_eq!(bob.ok(json!({"type": "take", "chat": "1"})).await["seq"], 5);
    assert_eq!(anna.refused(json!({"type": "send", "chat": "1", "client_key": "k", "text": "x"})).await, "not_yours");
    fleet.finish().await;
}

#[tokio::test]
async fn a_transferred_chat_goes_to_a_colleague_and_to_another_queue() {
    let mut fleet = Fleet::new().await;
    let addresses = [fleet.start("one").await, fleet.start("two").await];
    let mut anna = Client::enter(addresses[0], "anna").await;
    fleet.say(vec![message("c1", 1, "hello")]).await;
    anna.entries_until(|frame| frame["entry"]["seq"] == 2).await;
    anna.ok(json!({"type": "take", "chat": "1"})).await;
    let mut bob = Client::enter(addresses[1], "bob").await;
    let mut eve = Client::enter(addresses[1], "eve").await;
    let transfer = |more: Value| {
        let mut request = json!({"type": "transfer", "chat": "1"});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request
    };
    for (bad, code) in [
        (json!({}), "bad_request"),
        (json!({"agent": "bob", "queue": "other"}), "bad_request"),
        (json!({"agent": "bob", "note": "x".repeat(201)}), "bad_text"),
        (json!({"agent": "bob", "note": "a\u{0}b"}), "bad_text"),
        (json!({"agent": "anna"}), "bad_target"),
        (json!({"agent": "mallory"}), "bad_target"),
        (json!({"queue": "nowhere"}), "bad_target"),
    ] {
        assert_eq!(anna.refused(transfer(bad.clone())).await, code, "{bad}");
    }
    assert_eq!(bob.refused(transfer(json!({"agent": "bob"}))).await, "not_yours");
    let moved = anna.ok(transfer(json!({"agent": "bob", "note": "speaks Danish 🇩🇰"}))).await;
    assert_eq!(moved, json!({"chat": "1", "seq": 4}));
    let told = bob.entry().await;
    let entry = &told["entry"];
    assert_eq!(
        (&told["feed"], &entry["kind"], &entry["note"]),
        (&json!("agent:2"), &json!("transferred"), &json!("speaks Danish 🇩🇰"))
    );
    assert_eq!((&entry["from"], &entry["to"]), (&json!({"agent": "anna"}), &json!({"agent": "bob"})));
    assert_eq!((&told["chat"]["agent"], &told["chat"]["state"]), (&json!("bob"), &json!("taken")));
    assert_eq!(anna.refused(transfer(json!({"agent": "bob"}))).await, "not_yours", "the answer was lost: asked again");
    bob.ok(json!({"type": "send", "chat": "1", "client_key": "k", "text": "hej"})).await;
    bob.ok(transfer(json!({"queue": "other"}))).await;
    let told = eve.entry().await;
    assert_eq!(
        (&told["feed"], &told["entry"]["to"], &told["chat"]["state"]),
        (&json!("queue:2"), &json!({"queue": "other"}), &json!("waiting"))
    );
    assert_eq!(bob.refused(json!({"type": "history", "chat": "1"})).await, "not_found");
    assert_eq!(eve.ok(json!({"type": "history", "chat": "1"})).await["entries"].as_array().unwrap().len(), 6);
    eve.ok(json!({"type": "take", "chat": "1"})).await;
    fleet.finish().await;
}

#[tokio::test]
async fn a_supervisor_gives_a_chat_that_somebody_else_has() {
    let mut fleet = Fleet::new().await;
    let address = fleet.start("one").await;
    let both = switchboard_common::access::TokenScopes::from_words(["agent", "supervisor"]);
    assert!(fleet.database.set_agent_scopes("eve", both).await.unwrap());
    fleet.say(vec![message("c1", 1, "hello")]).await;
    fleet.until("SELECT count(*) FROM history", 2).await;
    let mut anna = Client::enter(address, "anna").await;
    anna.ok(json!({"type": "take", "chat": "1"})).await;
    let mut claims = claims("eve");
    claims["scope"] = json!("supervisor");
    let mut eve = Client::connect(address).await;
    eve.ok(json!({"type": "hello", "token": sign(&claims)})).await;
    let give = |to: &str| json!({"type": "transfer", "chat": "1", "agent": to});
    assert_eq!(
        Client::enter(address, "eve").await.refused(give("eve")).await,
        "not_found",
        "as an agent she does not see it"
    );
    assert_eq!(eve.ok(give("bob")).await["seq"], 4);
    let told = anna.entries_until(|frame| frame["entry"]["kind"] == "transferred").await;
    let told = told.last().unwrap();
    assert_eq!((&told["entry"]["author"]["name"], &told["entry"]["to"]), (&json!("EVE"), &json!({"agent": "bob"})));
    assert_eq!(anna.refused(json!({"type": "close", "chat": "1"})).await, "not_yours");
    fleet.finish().await;
}
