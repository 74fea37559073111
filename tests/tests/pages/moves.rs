//! Chats that are given back, handed over, and come from others.

use serde_json::{Value, json};

use crate::fake::SOON;
use crate::fake::{Fake, bob, chat, entry, picture, said, system};
use crate::{gone, no_complaints, shows, there};

fn anna() -> Value {
    json!({"kind": "agent", "id": "13", "name": "Anna K."})
}

fn moved(chat: &str, seq: u64, author: Value, from: Value, to: Value, note: &str) -> Value {
    entry(chat, seq, "transferred", author, json!({"interaction": "7", "from": from, "to": to, "note": note}))
}

#[tokio::test]
async fn chats_are_given_back_and_handed_over() {
    let mut fake = Fake::start().await;
    let first = said("18", 1, "Olga P.", "one");
    let chats = json!([chat("18", "Olga P.", Some("bob"), 1, 0, first.clone())]);
    let (_browser, page, mut socket) = fake.desk(900, chats).await;
    page.click("#chats [data-chat='18'] [data-action=select]").await.unwrap();
    socket.history("18", json!([first]), Value::Null).await;
    there(&page, "#log [data-seq='1']").await;
    page.click("#transfer").await.unwrap();
    page.type_into("#transfer-to", "nobody").await.unwrap();
    page.type_into("#transfer-note", "speaks Danish").await.unwrap();
    picture(&page, "transfer-900.png").await;
    page.click("#transfer-send").await.unwrap();
    let asked = socket.asked("transfer").await;
    assert_eq!(
        (&asked["agent"], &asked["note"], &asked["chat"]),
        (&json!("nobody"), &json!("speaks Danish"), &json!("18"))
    );
    socket.error(&asked, "bad_target", "nobody of this name", false).await;
    shows(&page, "#alert-text", "nobody of this name").await;
    there(&page, "#transfer-form:not([hidden])").await;
    page.eval("document.querySelector('#transfer-kind').value = 'queue'").await.unwrap();
    page.click("#transfer-send").await.unwrap();
    let asked = socket.asked("transfer").await;
    assert_eq!((&asked["queue"], &asked["agent"]), (&json!("nobody"), &Value::Null));
    socket.ok(&asked, json!({"chat": "18", "seq": 2})).await;
    // It waits in a queue that bob does not serve: it leaves his screen.
    socket.entry("agent:12", 11, moved("18", 2, bob(), json!({"agent": "bob"}), json!({"queue": "nobody"}), "x")).await;
    gone(&page, "nav [data-chat='18']").await;
    there(&page, "#nothing:not([hidden])").await;

    // A colleague gives bob a chat that he has never seen: it comes with the entry.
    let mut frame = json!({"type": "entry", "feed": "agent:12", "seq": 12});
    frame["entry"] = moved("30", 7, anna(), json!({"agent": "anna"}), json!({"agent": "bob"}), "wants an invoice");
    frame["chat"] = chat("30", "Mehmet", Some("bob"), 7, 2, said("30", 6, "Mehmet", "Merhaba"));
    socket.send(frame).await;
    there(&page, "#chats [data-chat='30'][data-unread='2']").await;
    page.click("#chats [data-chat='30'] [data-action=select]").await.unwrap();
    let log = json!([moved("30", 7, anna(), json!({"agent": "anna"}), json!({"agent": "bob"}), "wants an invoice")]);
    socket.history("30", log, Value::Null).await;
    shows(&page, "#log [data-kind=transferred]", "Handed to bob by Anna K.: wants an invoice").await;
    page.click("#release").await.unwrap();
    let asked = socket.asked("release").await;
    assert_eq!(asked["chat"], "30");
    socket.ok(&asked, json!({"chat": "30", "seq": 8})).await;
    let released = entry("30", 8, "released", bob(), json!({"interaction": "7", "queue": "support"}));
    socket.entry("agent:12", 13, released.clone()).await;
    there(&page, "#waiting [data-chat='30']").await;
    gone(&page, "#chats [data-chat='30']").await;
    shows(&page, "#log [data-kind=released]", "Given back to support by Bob Larsen").await;
    there(&page, "#take:not([hidden])").await;
    there(&page, "#release[hidden]").await;
    // The same entry by the queue's feed changes nothing; one that is older than the chat beside it neither.
    let mut frame = json!({"type": "entry", "feed": "queue:3", "seq": 11, "entry": released});
    frame["chat"] = chat("30", "Mehmet", None, 9, 3, said("30", 9, "Mehmet", "?"));
    socket.send(frame).await;
    there(&page, "#waiting [data-chat='30'][data-unread='3']").await;
    socket.entry("queue:3", 12, said("30", 9, "Mehmet", "?")).await;
    socket
        .entry("queue:3", 13, entry("31", 1, "opened", system(), json!({"interaction": "8", "queue": "support"})))
        .await;
    there(&page, "#waiting [data-chat='31']").await;
    there(&page, "#waiting [data-chat='30'][data-unread='3']").await;
    no_complaints(&page);
}

#[tokio::test]
async fn what_is_on_screen_is_read_and_other_pages_of_the_agent_see_it() {
    let mut fake = Fake::start().await;
    let (first, other) = (said("18", 5, "Olga P.", "one"), said("21", 8, "Mehmet", "Merhaba"));
    let chats = json!([
        chat("18", "Olga P.", Some("bob"), 5, 2, first.clone()),
        chat("21", "Mehmet", Some("bob"), 8, 3, other)
    ]);
    let (_browser, page, mut socket) = fake.desk(600, chats).await;
    page.click("#chats [data-chat='18'] [data-action=select]").await.unwrap();
    let mut asked = [socket.asked_any(&["history", "read"]).await, socket.asked_any(&["history", "read"]).await];
    asked.sort_by_key(|request| request["type"].as_str().unwrap().to_owned());
    assert_eq!((&asked[1]["chat"], &asked[1]["seq"]), (&json!("18"), &json!(5)));
    socket.ok(&asked[0], json!({"chat": "18", "entries": [first], "next_before": null})).await;
    socket.ok(&asked[1], json!({"chat": "18", "seq": 5, "unread": 0})).await;
    socket.entry("agent:12", 11, said("18", 6, "Olga P.", "two")).await;
    assert_eq!(socket.asked("read").await["seq"], 6);
    let mark = |seq: u64, unread: u64| json!({"type": "read_mark", "chat": "21", "seq": seq, "unread": unread});
    socket.send(mark(7, 1)).await;
    there(&page, "#chats [data-chat='21'][data-unread='1']").await;
    socket.send(mark(6, 2)).await; // late
    socket.send(mark(8, 0)).await;
    there(&page, "#chats [data-chat='21'][data-unread='0']").await;
    no_complaints(&page);
}

#[tokio::test]
async fn a_chat_is_opened_from_our_side_and_again() {
    let mut fake = Fake::start().await;
    let (_browser, page, mut socket) = fake.desk(900, json!([])).await;
    page.click("#start summary").await.unwrap();
    page.type_into("#start-account", "support-bot").await.unwrap();
    page.type_into("#start-address", "700100").await.unwrap();
    picture(&page, "open-900.png").await;
    page.click("#start-send").await.unwrap();
    let asked = socket.asked("open").await;
    assert_eq!(
        (&asked["account"], &asked["address"], &asked["name"]),
        (&json!("support-bot"), &json!("700100"), &Value::Null)
    );
    socket.ok(&asked, json!({"chat": "40", "seq": 2, "repeated": false})).await;
    let opened = entry("40", 1, "opened", bob(), json!({"interaction": "9", "queue": "support", "by": "bob"}));
    let taken = entry("40", 2, "taken", bob(), json!({"interaction": "9", "agent": "bob"}));
    let mut frame = json!({"type": "entry", "feed": "agent:12", "seq": 11, "entry": opened});
    frame["chat"] = chat("40", "700100", Some("bob"), 2, 0, taken.clone());
    socket.send(frame).await;
    socket.entry("agent:12", 12, taken.clone()).await;
    socket.history("40", json!([opened, taken]), Value::Null).await;
    there(&page, "#chat[data-chat='40'][data-state=mine]").await;
    shows(&page, "#log [data-kind=opened]", "Opened by Bob Larsen").await;
    there(&page, "#chats [data-chat='40']").await;
    socket.entry("agent:12", 13, entry("40", 3, "closed", bob(), json!({"interaction": "9", "outcome": null}))).await;
    there(&page, "#reopen:not([hidden])").await;
    page.click("#reopen").await.unwrap();
    let asked = socket.asked("open").await;
    assert_eq!((&asked["chat"], &asked["account"]), (&json!("40"), &Value::Null));
    socket.error(&asked, "already_taken", "agent anna took this chat", false).await;
    shows(&page, "#alert-text", "agent anna took this chat").await;
    no_complaints(&page);
}

#[tokio::test]
async fn a_canned_reply_is_put_into_the_answer() {
    let mut fake = Fake::start().await;
    let first = said("18", 1, "Olga P.", "one");
    let (_browser, page, mut socket) =
        fake.desk(600, json!([chat("18", "Olga P.", Some("bob"), 1, 0, first.clone())])).await;
    page.click("#chats [data-chat='18'] [data-action=select]").await.unwrap();
    socket.history("18", json!([first]), Value::Null).await;
    there(&page, "#log [data-seq='1']").await;
    page.click("#canned").await.unwrap();
    let reply = |id: &str, key: &str, text: &str| json!({"id": id, "queue": null, "key": key, "text": text});
    let asked = socket.asked("replies").await;
    socket.ok(&asked, json!({"replies": [reply("1", "hi", "Hello!")], "next_after": "1"})).await;
    let asked = socket.asked("replies").await;
    assert_eq!(asked["after"], "1");
    let hostile = "<img src=x onerror=\"window.hacked = 1\">";
    socket.ok(&asked, json!({"replies": [reply("2", hostile, "Good bye!")], "next_after": null})).await;
    shows(&page, "#canned-list", hostile).await;
    picture(&page, "replies-600.png").await;
    page.click("#canned-list li:last-child [data-action=say]").await.unwrap();
    page.wait_for("document.querySelector('#text').value === 'Good bye!'", SOON).await.unwrap();
    there(&page, "#canned-list[hidden]").await;
    no_complaints(&page);
}
