//! Up to where a chat is read, and who hears of it.

use super::*;

#[tokio::test]
async fn a_read_mark_reaches_the_agent_s_other_sessions_wherever_they_are() {
    let mut fleet = Fleet::new().await;
    let addresses = [fleet.start("one").await, fleet.start("two").await];
    let mut here = Client::enter(addresses[0], "anna").await;
    let mut there = Client::enter(addresses[1], "anna").await;
    fleet.say((1..5).map(|n| message("c1", n, "hello")).collect()).await;
    for client in [&mut here, &mut there] {
        client.entries_until(|frame| frame["entry"]["seq"] == 5).await;
    }
    let read = |seq: i64| json!({"type": "read", "chat": "1", "seq": seq});
    assert_eq!(here.refused(read(3)).await, "not_yours");
    here.ok(json!({"type": "take", "chat": "1"})).await;
    for client in [&mut here, &mut there] {
        client.entries_until(|frame| frame["feed"] == "agent:1").await;
    }
    assert_eq!(here.ok(read(3)).await, json!({"chat": "1", "seq": 3, "unread": 2}));
    for client in [&mut here, &mut there] {
        let told = told(client).await;
        assert_eq!(told, json!({"type": "read_mark", "chat": "1", "seq": 3, "unread": 2}));
    }
    assert_eq!(there.ok(read(2)).await, json!({"chat": "1", "seq": 3, "unread": 2}), "never back");
    let chat = there.ok(json!({"type": "snapshot"})).await["chats"][0].clone();
    assert_eq!((&chat["read_seq"], &chat["unread"]), (&json!(3), &json!(2)));
    assert_eq!(there.ok(read(999)).await, json!({"chat": "1", "seq": 6, "unread": 0}), "nothing is read ahead");
    assert_eq!(told(&mut here).await["seq"], 6);
    fleet.say(vec![message("c1", 5, "more")]).await;
    assert_eq!(here.entry().await["entry"]["text"], "more");
    assert_eq!(here.ok(json!({"type": "snapshot"})).await["chats"][0]["unread"], 1);
    assert_eq!(here.refused(json!({"type": "read", "chat": "1", "seq": 0})).await, "bad_request");
    let mut bob = Client::enter(addresses[0], "bob").await;
    assert_eq!(bob.refused(read(7)).await, "not_yours");
    fleet.finish().await;
}

/// The next frame that is no entry.
async fn told(client: &mut Client) -> Value {
    loop {
        let frame = client.frame().await;
        if frame["type"] != "entry" {
            return frame;
        }
    }
}
