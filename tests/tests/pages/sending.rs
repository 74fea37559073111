//! What becomes of an agent's words: the key kept until accepted, the state of every part, decisions.

use serde_json::{Value, json};

use crate::fake::{Fake, answered, chat, outcome, picture, said, snapshot};
use crate::{gone, no_complaints, shows, there};

#[tokio::test]
async fn a_text_keeps_its_key_through_broken_sockets_and_reloads() {
    let mut fake = Fake::start().await;
    let last = said("18", 2, "Olga P.", "Where is my parcel?");
    let chats = json!([chat("18", "Olga P.", Some("bob"), 2, 0, last.clone())]);
    let (_browser, page, mut socket) = fake.desk(900, chats.clone()).await;
    page.click("#chats [data-chat='18'] [data-action=select]").await.unwrap();
    socket.history("18", json!([last.clone()]), Value::Null).await;
    there(&page, "#log [data-seq='2']").await;

    // the answer is lost with the socket: the same key and words again, from the kept cursors
    page.type_into("#text", "On its way.").await.unwrap();
    page.press_enter().await.unwrap();
    let first = socket.asked("send").await;
    assert_eq!((&first["chat"], &first["text"], &first["seen_seq"]), (&json!("18"), &json!("On its way."), &json!(2)));
    drop(socket);
    there(&page, "#log [data-key][data-state=waiting]").await;
    let mut socket = fake.accept().await;
    let hello = socket.welcome(true).await;
    assert_eq!(hello["cursors"], json!({"feed_epoch": 1, "feeds": {"agent:12": 10, "queue:3": 10}}));
    let again = socket.asked("send").await;
    assert_eq!((&again["client_key"], &again["text"]), (&first["client_key"], &first["text"]));

    // the database is away for a moment: the same key once more
    socket.error(&again, "unavailable", "the database did not answer", true).await;
    let third = socket.asked("send").await;
    assert_eq!(third["client_key"], first["client_key"]);
    let key = first["client_key"].as_str().unwrap();
    socket.ok(&third, json!({"chat": "18", "seq": 3, "parts": 1, "state": "queued", "repeated": true})).await;
    socket.entry("agent:12", 11, answered("18", 3, key, "On its way.", 1)).await;
    there(&page, "#log [data-seq='3'] [data-part='0'][data-state=queued]").await;
    gone(&page, "#log [data-key]").await;
    socket.entry("agent:12", 12, outcome("18", 4, 3, 0, "sent", None)).await;
    there(&page, "#log [data-seq='3'] [data-part='0'][data-state=sent]").await;

    // the customer was quicker: the agent looks, and sends it anyway, with what is on screen now
    page.type_into("#text", "Anything else?").await.unwrap();
    page.click("#send").await.unwrap();
    let stale = socket.asked("send").await;
    assert_ne!(stale["client_key"], first["client_key"]);
    socket.entry("agent:12", 13, said("18", 5, "Olga P.", "Thanks, it came.")).await;
    socket.error(&stale, "stale", "the customer wrote meanwhile", false).await;
    shows(&page, "#log [data-key][data-state=refused]", "the customer wrote meanwhile").await;
    page.click("#log [data-key] [data-action=again]").await.unwrap();
    let anyway = socket.asked("send").await;
    assert_eq!((&anyway["text"], &anyway["seen_seq"]), (&json!("Anything else?"), &json!(5)));

    // reloaded before the answer: cursors, token and text are kept; what was shown comes by a snapshot
    page.eval("location.reload()").await.unwrap();
    let mut socket = fake.accept().await;
    let hello = socket.welcome(true).await;
    assert_eq!(hello["token"], "secret-token");
    assert_eq!(hello["cursors"]["feeds"]["agent:12"], 13);
    // an entry before the snapshot's answer belongs after it
    socket.entry("agent:12", 14, said("18", 6, "Olga P.", "One more thing")).await;
    let (mut asked_snapshot, mut asked_send) = (Value::Null, Value::Null);
    for _ in 0..2 {
        let request = socket.asked_any(&["snapshot", "send"]).await;
        if request["type"] == "send" { asked_send = request } else { asked_snapshot = request }
    }
    assert_eq!(asked_send["client_key"], anyway["client_key"]);
    socket.ok(&asked_snapshot, snapshot(13, json!([chat("18", "Olga P.", Some("bob"), 5, 1, last)]))).await;
    there(&page, "#chats [data-chat='18'][data-unread='2']").await;
    shows(&page, "#chats [data-chat='18']", "One more thing").await;
    socket.error(&asked_send, "not_yours", "take it first", false).await;
    shows(&page, "#alert-text", "take it first").await;
    no_complaints(&page);
}

#[tokio::test]
async fn every_part_shows_its_state_and_a_person_decides_the_unconfirmed() {
    let mut fake = Fake::start().await;
    let chats = json!([chat("18", "Olga P.", Some("bob"), 7, 0, said("18", 1, "Olga P.", "Hello"))]);
    let (_browser, page, mut socket) = fake.desk(1200, chats).await;
    page.click("#chats [data-chat='18'] [data-action=select]").await.unwrap();
    let with = |mut entry: Value, delivery: Value| {
        entry["delivery"] = delivery;
        entry
    };
    let part = |part: u64, state: &str, reason: Option<&str>| json!({"part": part, "state": state, "reason": reason});
    let unclear = || part(0, "unconfirmed", Some("no answer within 10 s"));
    let entries = json!([
        said("18", 1, "Olga P.", "Hello"),
        with(answered("18", 2, "k2", "Good morning, how can I help?", 1), json!([part(0, "sent", None)])),
        with(
            answered("18", 3, "k3", "A long answer in three parts", 3),
            json!([part(0, "sent", None), part(1, "unconfirmed", Some("connection reset")), part(2, "queued", None)])
        ),
        with(
            answered("18", 4, "k4", "Your refund is booked.", 1),
            json!([part(0, "failed", Some("the customer blocked this account"))])
        ),
        with(answered("18", 5, "k5", "Is the address right?", 1), json!([unclear()])),
        with(answered("18", 6, "k6", "Shall I call you?", 1), json!([unclear()])),
        with(answered("18", 7, "k7", "Good bye!", 1), json!([part(0, "queued", None)])),
    ]);
    socket.history("18", entries, Value::Null).await;
    for (seq, part, state, words) in [
        (2, 0, "sent", "sent"),
        (3, 0, "sent", "Part 1 of 3"),
        (3, 1, "unconfirmed", "Part 2 of 3"),
        (3, 2, "queued", "waits"),
        (4, 0, "failed", "the customer blocked this account"),
        (5, 0, "unconfirmed", "no answer within 10 s"),
    ] {
        shows(&page, &format!("#log [data-seq='{seq}'] [data-part='{part}'][data-state={state}]"), words).await;
    }
    picture(&page, "delivery-1200.png").await;

    for (at, (seq, part, action, state, reason)) in [
        (3, 1, "resend", "queued", None),
        (5, 0, "mark_sent", "closed", Some("marked_sent")),
        (6, 0, "drop", "closed", Some("dropped")),
    ]
    .into_iter()
    .enumerate()
    {
        let button = format!("#log [data-seq='{seq}'] [data-action={action}][data-part='{part}']");
        page.click(&button).await.unwrap();
        let request = socket.asked(action).await;
        assert_eq!((&request["chat"], &request["seq"], &request["part"]), (&json!("18"), &json!(seq), &json!(part)));
        there(&page, &format!("{button}:disabled")).await;
        socket.ok(&request, json!({})).await;
        let mut decided = outcome("18", 8 + at as u64, seq, part, state, reason);
        decided["by"] = "Bob Larsen".into();
        socket.entry("agent:12", 11 + at as u64, decided).await;
        there(&page, &format!("#log [data-seq='{seq}'] .part[data-part='{part}'][data-state={state}]")).await;
        gone(&page, &button).await;
        shows(&page, &format!("#log [data-seq='{}'][data-kind=outcome]", 8 + at), "Bob Larsen: message").await;
    }

    // too late to cancel says so; in time, it is cancelled
    page.click("#log [data-seq='7'] [data-action=cancel]").await.unwrap();
    let cancel = socket.asked("cancel").await;
    assert_eq!((&cancel["chat"], &cancel["seq"], cancel.get("part")), (&json!("18"), &json!(7), None));
    socket.error(&cancel, "too_late", "no part is waiting any more", false).await;
    shows(&page, "#alert-text", "no part is waiting any more").await;
    page.click("#log [data-seq='7'] [data-action=cancel]").await.unwrap();
    let cancel = socket.asked("cancel").await;
    socket.ok(&cancel, json!({"cancelled": [0]})).await;
    socket.entry("agent:12", 14, outcome("18", 11, 7, 0, "cancelled", None)).await;
    there(&page, "#log [data-seq='7'] [data-state=cancelled]").await;
    no_complaints(&page);
}
