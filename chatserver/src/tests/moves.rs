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
    assert_eq!((&told["feed"], &told["entry"]["kind"], &told["entry"]["queue"]), (&json!("queue:1"), &json!("released"), &json!("support")));
    let chat = &told["chat"];
    assert_eq!((&chat["chat"], &chat["state"], &chat["title"]), (&json!("1"), &json!("waiting"), &json!("c1")));
    assert_eq!((&chat["customer"]["name"], &chat["last_seq"], &chat["unread"]), (&json!("Name c1"), &json!(4), &json!(1)));
    let released = anna.entries_until(|frame| frame["entry"]["kind"] == "released" && frame["feed"] == "agent:1").await;
    assert!(released.last().unwrap().get("chat").is_none(), "she has it no more");
    assert_eq!(bob.ok(json!({"type": "take", "chat": "1"})).await["seq"], 5);
    assert_eq!(anna.refused(json!({"type": "send", "chat": "1", "client_key": "k", "text": "x"})).await, "not_yours");
    fleet.finish().await;
}
