//! A platform that only says that it did what it was asked.

use serde_json::{Value, json};

use crate::platform::{OLGA, Platform};

async fn conversation(platform: &Platform) -> Vec<Value> {
    let conversation = platform.look(&format!("chat?acct=support&chat={OLGA}")).await;
    conversation["messages"].as_array().expect("a list").clone()
}

#[tokio::test]
async fn muted_calls_are_answered_and_forgotten() {
    let platform = Platform::start().await;
    platform.say("hello").await;
    let before = platform.ok("sendMessage", json!({ "chat_id": OLGA, "text": "before" })).await;
    platform.order("fault", json!({ "method": "*", "mode": "mute", "count": 0 })).await;
    let muted = platform.ok("sendMessage", json!({ "chat_id": OLGA, "text": "muted [[m-1]]" })).await;
    assert_eq!(muted["text"], "muted [[m-1]]");
    let id = &before["message_id"];
    platform.ok("editMessageText", json!({ "chat_id": OLGA, "message_id": id, "text": "changed" })).await;
    platform.ok("deleteMessage", json!({ "chat_id": OLGA, "message_id": id })).await;
    let like = json!([{ "type": "emoji", "emoji": "👍" }]);
    platform.ok("setMessageReaction", json!({ "chat_id": OLGA, "message_id": 1, "reaction": like })).await;
    platform.ok("setMyCommands", json!({ "commands": [{ "command": "help", "description": "d" }] })).await;
    let rows = conversation(&platform).await;
    assert_eq!((rows.len(), &rows[1]["text"], &rows[0]["reactions"]), (2, &json!("before"), &json!([])));
    assert_eq!(platform.ok("getMyCommands", json!({})).await, json!([]));
    let calls = platform.log("call");
    let line = calls.iter().find(|call| call["tag"] == "m-1").expect("it was logged");
    assert_eq!((&line["applied"], &line["reply"], &line["pmid"]), (&json!(false), &json!("200"), &Value::Null));
    let asks = calls.last().expect("a line");
    assert_eq!(
        (&asks["method"], &asks["applied"]),
        (&json!("getMyCommands"), &json!(true)),
        "who only asks is answered"
    );
    let refused = platform.refused("sendMessage", json!({ "chat_id": OLGA, "text": "" })).await;
    assert_eq!(refused.1, "Bad Request: message text is empty", "what is wrong is still told");

    let withdrawn = platform.client.delete(format!("{}/control/faults", platform.base)).send().await;
    assert!(withdrawn.expect("answered").status().is_success());
    let after = platform.ok("sendMessage", json!({ "chat_id": OLGA, "text": "after" })).await;
    let number = |message: &Value| message["message_id"].as_i64().expect("a number");
    assert!(number(&after) > number(&muted), "no number is given twice");
    assert_eq!(conversation(&platform).await.len(), 3);
}
