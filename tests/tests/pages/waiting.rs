//! What a message waits for: shown after a second, asked again, and gone once it is decided.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fake::{Fake, answered, chat, outcome, picture, said};
use crate::{gone, no_complaints, shows, text, there};

fn waits(seq: u64, position: u64, expected_s: Value, reason: &str, until: Value) -> Value {
    json!({"seq": seq, "part": 0, "lane": "interactive", "state": "queued", "position": position, "exact": position < 1000,
           "expected_s": expected_s, "reason": reason, "until": until})
}

#[tokio::test]
async fn a_waiting_message_shows_its_place_its_time_and_its_reason() {
    let mut fake = Fake::start().await;
    let last = said("18", 2, "Olga P.", "Where is my parcel?");
    let chats = json!([
        chat("18", "Olga P.", Some("bob"), 2, 0, last.clone()),
        chat("19", "Jan", Some("bob"), 1, 0, last.clone())
    ]);
    let (_browser, page, mut socket) = fake.desk(900, chats).await;
    page.click("#chats [data-chat='18'] [data-action=select]").await.unwrap();
    socket.history("18", json!([last]), Value::Null).await;
    there(&page, "#log [data-seq='2']").await;

    let begun = Instant::now();
    socket.entry("agent:12", 11, answered("18", 3, "k3", "It left our store this morning.", 1)).await;
    socket.entry("agent:12", 12, answered("18", 4, "k4", "You can follow it by the number 1042.", 1)).await;
    there(&page, "#log [data-seq='4'] [data-part='0'][data-state=queued]").await;
    let first = socket.asked("waiting").await;
    assert!(begun.elapsed() >= Duration::from_secs(1), "most are sent sooner");
    assert_eq!((&first["chat"], first.get("seq")), (&json!("18"), None));
    let parts = json!([
        waits(3, 123, json!(4.2), "account_limit", Value::Null),
        waits(4, 1000, json!(372.4), "earlier_message", Value::Null),
    ]);
    let begun = Instant::now();
    socket.ok(&first, json!({"chat": "18", "parts": parts})).await;
    shows(&page, "#log [data-seq='3'] .wait", "123rd in line, about 4 s: other messages of this account go first")
        .await;
    shows(&page, "#log [data-seq='4'] .wait", "999 or more before it, about 6 min: an earlier message to this chat")
        .await;
    picture(&page, "waiting-900.png").await;

    // Every two seconds, one request for both; a time is said in the reader's own way.
    let second = socket.asked("waiting").await;
    assert!(begun.elapsed() >= Duration::from_millis(1900), "{:?}", begun.elapsed());
    let until = "2026-11-21T09:00:30.000Z";
    let parts = json!([waits(3, 1, json!(0.0), "next", Value::Null), waits(4, 2, json!(30.0), "paused", json!(until))]);
    socket.ok(&second, json!({"chat": "18", "parts": parts})).await;
    shows(&page, "#log [data-seq='3'] .wait[data-position='1']", "1st in line, any moment: it goes out next").await;
    let time = page.eval(&format!("new Date('{until}').toLocaleTimeString()")).await.unwrap();
    let pause = format!("2nd in line, about 30 s: the platform asked for a pause until {}", time.as_str().unwrap());
    shows(&page, "#log [data-seq='4'] .wait[data-reason=paused]", &pause).await;

    // Decided: nothing is shown, and nothing more is asked.
    socket.entry("agent:12", 13, outcome("18", 5, 3, 0, "sent", None)).await;
    gone(&page, "#log [data-seq='3'] .wait").await;
    let third = socket.asked("waiting").await;
    socket.ok(&third, json!({"chat": "18", "parts": [waits(4, 1, Value::Null, "no_connector", Value::Null)]})).await;
    shows(&page, "#log [data-seq='4'] .wait", "1st in line: nobody serves this account").await;
    picture(&page, "waiting-nobody-900.png").await;
    socket.entry("agent:12", 14, outcome("18", 6, 4, 0, "sent", None)).await;
    gone(&page, "#log .wait").await;
    assert_eq!(text(&page, "#log [data-seq='4'] .part").await, "✓ sent");
    socket.is_asked_nothing_for(Duration::from_secs(3)).await;
    no_complaints(&page);
}

#[tokio::test]
async fn a_message_that_is_sent_at_once_asks_nothing_and_neither_does_another_chat() {
    let mut fake = Fake::start().await;
    let last = said("18", 2, "Olga P.", "Where is my parcel?");
    let chats = json!([
        chat("18", "Olga P.", Some("bob"), 2, 0, last.clone()),
        chat("19", "Jan", Some("bob"), 1, 0, Value::Null)
    ]);
    let (_browser, page, mut socket) = fake.desk(900, chats).await;
    page.click("#chats [data-chat='18'] [data-action=select]").await.unwrap();
    socket.history("18", json!([last]), Value::Null).await;
    socket.entry("agent:12", 11, answered("18", 3, "k3", "On its way.", 1)).await;
    socket.entry("agent:12", 12, outcome("18", 4, 3, 0, "sent", None)).await;
    there(&page, "#log [data-seq='3'] [data-state=sent]").await;
    socket.is_asked_nothing_for(Duration::from_secs(2)).await;
    // One waits, but its chat leaves the screen before the second is over.
    socket.entry("agent:12", 13, answered("18", 5, "k5", "And thanks.", 1)).await;
    there(&page, "#log [data-seq='5'] [data-state=queued]").await;
    page.click("#chats [data-chat='19'] [data-action=select]").await.unwrap();
    socket.history("19", json!([said("19", 1, "Jan", "Hi")]), Value::Null).await;
    there(&page, "#log [data-seq='1']").await;
    socket.is_asked_nothing_for(Duration::from_secs(2)).await;
    no_complaints(&page);
}
