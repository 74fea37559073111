//! The control API: what customers do, and what the log says of it.

use futures_util::StreamExt as _;
use reqwest::StatusCode;
use serde_json::{Value, json};
use telegram_simulator::text::sha256_hex;

use crate::platform::{OLGA, Platform};

#[tokio::test]
async fn deeds_are_typed_with_their_keys() {
    let platform = Platform::start().await;
    let said = platform.order("message", json!({ "chat": OLGA, "text": "hi [[m-1]]", "first_name": "Olga" })).await;
    assert_eq!(said, json!({ "update_id": 500_100_000, "message_id": 1, "key": format!("m:{OLGA}:1"), "pseq": 1 }));
    let edited = platform.order("edit", json!({ "chat": OLGA, "message_id": 1, "text": "ho [[m-2]]" })).await;
    let hash = sha256_hex(b"ho [[m-2]]");
    let key = edited["key"].as_str().expect("a key");
    let date =
        key.strip_prefix(&format!("e:{OLGA}:1:")).and_then(|rest| rest.strip_suffix(&format!(":{}", &hash[..16])));
    assert!(date.is_some_and(|date| date.parse::<i64>().is_ok()), "{key}");
    assert_eq!(edited["pseq"], 2);
    platform.order("message", json!({ "chat": OLGA + 1, "text": "other chat" })).await;

    let typed = platform.log("typed");
    assert_eq!(typed.iter().map(|line| line["pseq"].clone()).collect::<Vec<_>>(), [1, 2, 1]);
    let second = &typed[1];
    assert_eq!((&second["key"], &second["hash"], &second["tag"]), (&edited["key"], &json!(hash), &json!("m-2")));
    assert_eq!((&second["acct"], &second["chat"]), (&json!("support"), &json!(OLGA.to_string())));
    assert!(typed.windows(2).all(|pair| pair[0]["t"].as_u64() <= pair[1]["t"].as_u64()));
}

#[tokio::test]
async fn customers_are_known_by_what_was_told_last() {
    let platform = Platform::start().await;
    let told = json!({ "chat": OLGA, "text": "1", "first_name": "Olga", "username": "olga_p", "language_code": "ru" });
    platform.order("message", told).await;
    platform.order("message", json!({ "chat": OLGA, "text": "2" })).await;
    let updates = platform.ok("getUpdates", json!({})).await;
    let want =
        json!({ "id": OLGA, "is_bot": false, "first_name": "Olga", "username": "olga_p", "language_code": "ru" });
    assert_eq!(updates[1]["message"]["from"], want);
    assert_eq!(updates[1]["message"]["chat"]["type"], "private");
    let chats = platform.look("chats?acct=support").await;
    assert_eq!(chats["chats"][0]["chat"]["username"], "olga_p");
}

#[tokio::test]
async fn made_up_updates_are_sent_byte_by_byte() {
    let platform = Platform::start().await;
    let odd = "{ \"message\": {\"text\":\"\\ud800 \\u0000\", \"b\":1,\"a\":2} }";
    let first = platform.order("update", json!({ "text_raw": odd })).await;
    let sent = format!("{{\"update_id\":500100000, {}", &odd[2..]);
    assert_eq!(first["key"], format!("q:{}", sha256_hex(sent.as_bytes())));
    let kept = json!({ "body": { "update_id": 500_100_050, "what_is_this": {} }, "keep_id": true, "chat": OLGA });
    assert_eq!(platform.order("update", kept).await["update_id"], 500_100_050);
    let nameless = platform.order("update", json!({ "text_raw": "{\"update_id\":\"x\"}", "keep_id": true })).await;
    assert_eq!(nameless["update_id"], 500_100_051);
    assert_eq!(nameless["key"], format!("q:{}", sha256_hex(b"{\"update_id\":\"x\"}")));

    let request = platform.client.get(platform.url("getUpdates"));
    let mut bodies = Vec::new();
    for request in [request.try_clone().expect("no body"), request] {
        bodies.push(request.send().await.expect("answered").text().await.expect("text"));
    }
    assert_eq!(bodies[0], bodies[1]);
    let kept = "{\"update_id\":500100050,\"what_is_this\":{}}";
    assert_eq!(bodies[0], format!("{{\"ok\":true,\"result\":[{sent},\n{kept},\n{{\"update_id\":\"x\"}}]}}"));
    let typed = platform.log("typed");
    assert_eq!((&typed[0]["chat"], &typed[0]["hash"]), (&Value::Null, &Value::Null));
    assert_eq!((&typed[1]["chat"], &typed[1]["pseq"]), (&json!(OLGA.to_string()), &json!(1)));
    let both = json!({ "acct": "support", "body": {}, "text_raw": "{}" });
    assert_eq!(platform.try_order("update", both).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn orders_that_make_no_sense_are_refused_with_a_reason() {
    let platform = Platform::start().await;
    for (path, body, status) in [
        ("message", json!({ "acct": "nobody", "chat": OLGA, "text": "x" }), 404),
        ("message", json!({ "acct": "support", "chat": OLGA, "text": "x", "typo": 1 }), 400),
        ("message", json!({ "acct": "support", "chat": OLGA, "text": "" }), 400),
        ("message", json!({ "acct": "support", "chat": -5, "text": "x", "from": OLGA }), 400),
        ("message", json!({ "acct": "support", "chat": OLGA, "text": "x", "reply_to": 9 }), 400),
        ("edit", json!({ "acct": "support", "chat": OLGA, "message_id": 9, "text": "x" }), 400),
        ("block", json!({ "acct": "support", "chat": 12345 }), 400),
        ("group", json!({ "acct": "support", "chat": 5, "title": "x" }), 400),
        ("clock", json!({ "advance": 5 }), 422),
    ] {
        let (got, answer) = platform.try_order(path, body.clone()).await;
        assert_eq!(got.as_u16(), status, "{path} {body}: {answer}");
        assert!(answer["error"].is_string(), "{path} {body}: {answer}");
    }
    assert!(platform.log("typed").is_empty());
}

#[tokio::test]
async fn conversations_show_both_sides_in_order() {
    let platform = Platform::start().await;
    platform.say("question").await;
    platform.ok("sendMessage", json!({ "chat_id": OLGA, "text": "answer" })).await;
    platform.order("photo", json!({ "chat": OLGA, "caption": "look" })).await;
    platform.ok("deleteMessage", json!({ "chat_id": OLGA, "message_id": 2 })).await;
    let conversation = platform.look(&format!("chat?acct=support&chat={OLGA}")).await;
    let rows: Vec<_> = conversation["messages"].as_array().expect("a list").iter().collect();
    assert_eq!(rows.len(), 3);
    assert_eq!((&rows[0]["from"], &rows[0]["text"]), (&json!("customer"), &json!("question")));
    assert_eq!((&rows[1]["from"], &rows[1]["deleted"]), (&json!("bot"), &json!(true)));
    assert_eq!((&rows[2]["file"]["kind"], &rows[2]["text"]), (&json!("photo"), &json!("look")));
    assert_eq!(conversation["standing"], "open");
}

#[tokio::test]
async fn changes_are_told_as_they_happen() {
    let platform = Platform::start().await;
    let url = format!("{}/control/events?acct=support", platform.base);
    let mut stream = platform.client.get(url).send().await.expect("answered").bytes_stream();
    platform.say("hi").await;
    let mut told = String::new();
    while !told.contains("\n\n") {
        let piece = tokio::time::timeout(crate::platform::DEADLINE, stream.next()).await.expect("in time");
        told.push_str(std::str::from_utf8(&piece.expect("more").expect("bytes")).expect("text"));
    }
    assert!(told.starts_with(&format!("data: {{\"chat\":{OLGA},\"what\":\"message\"}}")), "{told}");
}

#[tokio::test]
async fn pages_are_there_and_load_nothing_foreign() {
    let platform = Platform::start().await;
    for (path, mark) in [
        ("/", "id=\"phone\""),
        ("/phone", "id=\"log\""),
        ("/pages/phone.js", "EventSource"),
        ("/pages/messages.js", "function bubble"),
        ("/pages/keys.js", "function showKeys"),
        ("/pages/style.css", ".phone"),
    ] {
        let response = platform.client.get(format!("{}{path}", platform.base)).send().await.expect("answered");
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let text = response.text().await.expect("text");
        assert!(text.contains(mark), "{path}");
        assert!(!text.contains("http://") && !text.contains("https://"), "{path} names a foreign address");
    }
    let phone = platform.client.get(format!("{}/phone", platform.base)).send().await.expect("answered");
    let phone = phone.text().await.expect("text");
    for id in [
        "text",
        "send",
        "log",
        "acct",
        "customers",
        "block",
        "standing",
        "bot-status",
        "contact",
        "location",
        "keys",
        "menu",
        "answering",
    ] {
        assert!(phone.contains(&format!("id=\"{id}\"")), "{id}");
    }
    assert!(phone.contains("<option>support</option><option>sales</option>"));
}
