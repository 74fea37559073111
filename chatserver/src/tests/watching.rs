//! A supervisor watches a chat's own log.

use switchboard_common::access::TokenScopes;

use super::*;

async fn supervisor(fleet: &Fleet) -> String {
    let both = TokenScopes::from_words(["agent", "supervisor"]);
    assert!(fleet.database.set_agent_scopes("eve", both).await.unwrap());
    let mut claims = claims("eve");
    claims["scope"] = json!("supervisor");
    sign(&claims)
}

async fn enter(address: SocketAddr, token: &str) -> Client {
    let mut client = Client::connect(address).await;
    client.ok(json!({"type": "hello", "token": token})).await;
    assert_eq!(client.frame().await["type"], "resync");
    client
}

async fn resume(
    address: SocketAddr,
    token: &str,
    cursors: &std::collections::BTreeMap<String, i64>,
    epoch: i64,
) -> (Client, Value) {
    let mut client = Client::connect(address).await;
    client.cursors = cursors.clone();
    client.feed_epoch = epoch;
    let cursors = json!({"feed_epoch": epoch, "feeds": cursors});
    let hello = client.ok(json!({"type": "hello", "token": token, "cursors": cursors})).await;
    (client, hello)
}

#[tokio::test]
async fn a_watched_chat_is_heard_whoever_has_it() {
    let mut fleet = Fleet::new().await;
    let address = fleet.start("one").await;
    let token = supervisor(&fleet).await;
    fleet.say(vec![message("c1", 1, "hello"), message("c2", 1, "hello")]).await;
    fleet.until("SELECT count(*) FROM history", 4).await;
    let mut anna = Client::enter(address, "anna").await;
    let mut eve = enter(address, &token).await;
    let watched = eve.ok(json!({"type": "watch", "chat": "1"})).await;
    assert_eq!((&watched["feed"], &watched["head"]), (&json!("chat:1"), &json!(2)));
    assert_eq!((&watched["chat"]["state"], &watched["chat"]["title"]), (&json!("waiting"), &json!("c1")));
    anna.ok(json!({"type": "take", "chat": "1"})).await;
    anna.ok(json!({"type": "send", "chat": "1", "client_key": "k", "text": "hi"})).await;
    fleet.say(vec![message("c1", 2, "more"), message("c2", 2, "not watched")]).await;
    // The client sees to it that the numbers grow by one.
    let heard = eve.entries_until(|frame| frame["entry"]["text"] == "more").await;
    let told: Vec<_> = heard
        .iter()
        .map(|frame| (frame["feed"].as_str().unwrap(), frame["seq"].as_i64(), frame["entry"]["seq"].as_i64()))
        .collect();
    assert_eq!(told, [("chat:1", Some(3), Some(3)), ("chat:1", Some(4), Some(4)), ("chat:1", Some(5), Some(5))]);
    // Asked again it is as it is, and goes on without a gap.
    assert_eq!(eve.ok(json!({"type": "watch", "chat": "1"})).await["head"], 5);
    anna.ok(json!({"type": "close", "chat": "1"})).await;
    let closed = eve.entry().await;
    assert_eq!((&closed["entry"]["kind"], &closed["seq"]), (&json!("closed"), &json!(6)));
    eve.ok(json!({"type": "unwatch", "chat": "1"})).await;
    eve.ok(json!({"type": "unwatch", "chat": "1"})).await;
    eve.ok(json!({"type": "watch", "chat": "2"})).await;
    fleet.say(vec![message("c1", 3, "unheard"), message("c2", 3, "heard")]).await;
    let heard = eve.entries_until(|frame| frame["entry"]["text"] == "heard").await;
    assert!(heard.iter().all(|frame| frame["feed"] == "chat:2"), "{heard:?}");
    assert_eq!(eve.refused(json!({"type": "watch", "chat": "99"})).await, "not_found");
    assert_eq!(anna.refused(json!({"type": "watch", "chat": "1"})).await, "forbidden");
    fleet.finish().await;
}

#[tokio::test]
async fn a_watch_goes_on_by_its_cursor_at_another_chatserver() {
    let mut fleet = Fleet::new().await;
    let addresses = [fleet.start("one").await, fleet.start("two").await];
    let token = supervisor(&fleet).await;
    fleet.say(vec![message("c1", 1, "hello")]).await;
    fleet.until("SELECT count(*) FROM history", 2).await;
    let mut eve = enter(addresses[0], &token).await;
    eve.ok(json!({"type": "watch", "chat": "1"})).await;
    fleet.say(vec![message("c1", 2, "two")]).await;
    eve.entries_until(|frame| frame["entry"]["text"] == "two").await;
    let (cursors, epoch) = (eve.cursors.clone(), eve.feed_epoch);
    drop(eve);
    fleet.say((3..150).map(|n| message("c1", n, &format!("message {n}"))).collect()).await;
    fleet.until("SELECT count(*) FROM history", 150).await;
    let (mut eve, hello) = resume(addresses[1], &token, &cursors, epoch).await;
    assert_eq!(hello["feeds"]["chat:1"], json!({"head": 150, "recovered": true}));
    let heard = eve.entries_until(|frame| frame["entry"]["text"] == "message 149").await;
    assert_eq!(heard.len(), 147, "all that was missed, in pages");
    // The session knows what it watches.
    eve.ok(json!({"type": "unwatch", "chat": "1"})).await;
    fleet.finish().await;
}

#[tokio::test]
async fn a_cursor_that_is_no_good_ends_the_watch_by_a_resync() {
    let mut fleet = Fleet::new().await;
    let address = fleet.start("one").await;
    let token = supervisor(&fleet).await;
    fleet.say(vec![message("c1", 1, "hello")]).await;
    fleet.until("SELECT count(*) FROM history", 2).await;
    let own = [("agent:3".to_owned(), 0), ("queue:2".to_owned(), 0)];
    let with = |chat: &str, cursor: i64| {
        own.clone().into_iter().chain([(chat.to_owned(), cursor)]).collect::<std::collections::BTreeMap<_, _>>()
    };
    for (chat, cursor) in [("chat:1", 3), ("chat:1", -1), ("chat:99", 0), ("chat:01", 1), ("chat:x", 1), ("chat:", 1)] {
        let (mut eve, hello) = resume(address, &token, &with(chat, cursor), 1).await;
        assert!(hello["feeds"].as_object().unwrap().values().all(|feed| feed["recovered"] == false), "{chat}: {hello}");
        assert_eq!(hello["feeds"].as_object().unwrap().len(), 2, "nothing is watched");
        assert_eq!(eve.frame().await["type"], "resync");
    }
    let (mut eve, hello) = resume(address, &token, &with("chat:1", 0), 1).await;
    assert_eq!(hello["feeds"]["chat:1"]["recovered"], true);
    assert_eq!(eve.entry().await["entry"]["kind"], "opened");
    // Not by another epoch, and not by whoever may not watch.
    let (_, hello) = resume(address, &token, &with("chat:1", 0), 2).await;
    assert!(hello["feeds"].get("chat:1").is_none());
    let (_, hello) = resume(address, &super::token("eve"), &with("chat:1", 0), 1).await;
    assert_eq!((hello["feeds"].get("chat:1"), &hello["feeds"]["agent:3"]["recovered"]), (None, &json!(false)));
    fleet.finish().await;
}

#[tokio::test]
async fn a_session_watches_so_many_chats_and_no_more() {
    let mut fleet = Fleet::new().await;
    let address = fleet.start("one").await;
    let token = supervisor(&fleet).await;
    fleet.say((1..=21).map(|n| message(&format!("c{n}"), 1, "hello")).collect()).await;
    fleet.until("SELECT count(*) FROM history", 42).await;
    let mut eve = enter(address, &token).await;
    let watch = |chat: usize| json!({"type": "watch", "chat": chat.to_string()});
    for chat in 1..=20 {
        eve.ok(watch(chat)).await;
    }
    assert_eq!(eve.refused(watch(21)).await, "too_many");
    eve.ok(watch(20)).await;
    eve.ok(json!({"type": "unwatch", "chat": "7"})).await;
    eve.ok(watch(21)).await;
    let mut cursors = eve.cursors.clone();
    assert_eq!(cursors.len(), 2 + 21, "with the one that is not watched any more");
    let (_, hello) = resume(address, &token, &cursors, 1).await;
    assert_eq!(hello["feeds"]["agent:3"]["recovered"], false, "too many to go on with");
    cursors.remove("chat:7");
    let (mut eve, hello) = resume(address, &token, &cursors, 1).await;
    assert_eq!(hello["feeds"].as_object().unwrap().len(), 2 + 20);
    assert_eq!(eve.refused(watch(7)).await, "too_many");
    // Who may not watch any more is sent away, and comes back without.
    assert!(fleet.database.set_agent_scopes("eve", TokenScopes::from_words(["agent"])).await.unwrap());
    assert_eq!(eve.closed().await, Some(4012));
    fleet.finish().await;
}
