//! Requests, sending, and the platform's refusals.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::platform::{OLGA, Platform, TOKEN};

async fn with_olga() -> Platform {
    let platform = Platform::start().await;
    platform.order("start", json!({ "chat": OLGA })).await;
    platform
}

#[tokio::test]
async fn tokens_and_methods_are_checked() {
    let platform = Platform::start().await;
    for (path, status, body) in [
        ("/bot42:WRONG/getMe", 401, json!({ "ok": false, "error_code": 401, "description": "Unauthorized" })),
        ("/botnonsense/getMe", 404, json!({ "ok": false, "error_code": 404, "description": "Not Found" })),
        ("/bot42:TESTTOKEN/fly", 404, json!({ "ok": false, "error_code": 404, "description": "Not Found" })),
        ("/elsewhere", 404, json!({ "ok": false, "error_code": 404, "description": "Not Found" })),
    ] {
        let response = platform.client.get(format!("{}{path}", platform.base)).send().await.expect("answered");
        assert_eq!(response.status().as_u16(), status, "{path}");
        assert_eq!(response.json::<Value>().await.expect("JSON"), body, "{path}");
    }
    assert_eq!(platform.ok("GETME", json!({})).await["id"], 42);
    let alive = platform.client.get(format!("{}/livez", platform.base)).send().await.expect("answered");
    assert_eq!(alive.status(), StatusCode::OK);
}

#[tokio::test]
async fn parameters_come_in_four_ways() {
    let platform = with_olga().await;
    let url = platform.url("sendMessage");
    let boundary = "--b\r\nContent-Disposition: form-data; name=\"chat_id\"\r\n\r\n700100200\r\n\
        --b\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\nпривет 👋\r\n--b--\r\n";
    let client = &platform.client;
    let requests = [
        client.get(format!("{url}?chat_id={OLGA}&text=%D0%BF%D1%80%D0%B8%D0%B2%D0%B5%D1%82%20%F0%9F%91%8B")),
        client.post(&url).form(&[("chat_id", "700100200"), ("text", "привет 👋")]),
        client.post(&url).json(&json!({ "chat_id": OLGA, "text": "привет 👋" })),
        client.post(&url).header("content-type", "multipart/form-data; boundary=b").body(boundary),
        client.post(format!("{url}?chat_id={OLGA}")).form(&[("text", "привет 👋")]),
    ];
    for request in requests {
        let body: Value = request.send().await.expect("answered").json().await.expect("JSON");
        assert_eq!(body["result"]["text"], "привет 👋", "{body}");
    }
    let broken = client.post(&url).header("content-type", "application/json").body("{\"chat_id\":");
    assert_eq!(broken.send().await.expect("answered").status(), StatusCode::BAD_REQUEST);
    let calls = platform.log("call");
    assert_eq!(calls.iter().filter(|call| call["applied"] == true).count(), 5);
    assert!(calls.iter().all(|call| call["method"] == "sendMessage"));
}

#[tokio::test]
async fn equal_sends_make_two_messages_and_ids_are_shared() {
    let platform = with_olga().await;
    platform.order("start", json!({ "chat": OLGA + 1 })).await;
    let send = |chat: i64| platform.ok("sendMessage", json!({ "chat_id": chat, "text": "same" }));
    let ids = [send(OLGA).await, send(OLGA).await, send(OLGA + 1).await].map(|sent| sent["message_id"].clone());
    assert_eq!(ids, [3, 4, 5], "private chats share one counter; two starts came before");
}

#[tokio::test]
async fn texts_are_measured_after_parsing_in_utf16_units() {
    let platform = with_olga().await;
    let send = |text: String, mode: &'static str| {
        platform.call("sendMessage", json!({ "chat_id": OLGA, "text": text, "parse_mode": mode }))
    };
    assert_eq!(send("👋".repeat(2048), "").await.0, StatusCode::OK);
    assert_eq!(send(format!("<b>{}</b>", "x".repeat(4096)), "HTML").await.0, StatusCode::OK);
    for (text, words) in [
        ("👋".repeat(2048) + "x", "Bad Request: message is too long"),
        ("x".repeat(32_769), "Bad Request: text is too long"),
        ("  \n \t".into(), "Bad Request: text must be non-empty"),
        (String::new(), "Bad Request: message text is empty"),
    ] {
        let (status, body) = send(text, "").await;
        assert_eq!((status.as_u16(), &body["description"]), (400, &json!(words)));
    }
    let (_, body) = send("<b>x".into(), "HTML").await;
    assert!(body["description"].as_str().is_some_and(|words| words.starts_with("Bad Request: can't parse entities: ")));
    assert_eq!(send("x".into(), "BBCode").await.1["description"], "Bad Request: unsupported parse_mode");
}

#[tokio::test]
async fn chats_that_cannot_be_written_to() {
    let platform = with_olga().await;
    let send = |chat: i64| platform.refused("sendMessage", json!({ "chat_id": chat, "text": "hi" }));
    assert_eq!(send(5).await, (400, "Bad Request: chat not found".into()));
    let nowhere = platform.refused("sendMessage", json!({ "text": "hi" })).await;
    assert_eq!(nowhere, (400, "Bad Request: chat_id is empty".into()));
    platform.order("customer", json!({ "chat": 6, "first_name": "Shy" })).await;
    assert_eq!(send(6).await, (403, "Forbidden: bot can't initiate conversation with a user".into()));
    platform.order("block", json!({ "chat": OLGA })).await;
    assert_eq!(send(OLGA).await, (403, "Forbidden: bot was blocked by the user".into()));
    let said = json!({ "acct": "support", "chat": OLGA, "text": "?" });
    assert_eq!(
        platform.try_order("message", said).await.0,
        StatusCode::BAD_REQUEST,
        "nobody writes to whom they blocked"
    );
    platform.order("unblock", json!({ "chat": OLGA })).await;
    platform.ok("sendMessage", json!({ "chat_id": OLGA, "text": "hi" })).await;
    platform.order("deactivate", json!({ "chat": OLGA })).await;
    assert_eq!(send(OLGA).await, (403, "Forbidden: user is deactivated".into()));

    platform.order("group", json!({ "chat": -7, "title": "Office" })).await;
    platform.ok("sendMessage", json!({ "chat_id": -7, "text": "hi" })).await;
    platform.order("migrate", json!({ "chat": -7, "to": -1007, "from": OLGA })).await;
    let (status, body) = platform.call("sendMessage", json!({ "chat_id": -7, "text": "hi" })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(body["parameters"], json!({ "migrate_to_chat_id": -1007 }));
    platform.ok("sendMessage", json!({ "chat_id": -1007, "text": "hi" })).await;
    platform.order("kick", json!({ "chat": -1007, "from": OLGA })).await;
    assert_eq!(send(-1007).await, (403, "Forbidden: bot was kicked from the supergroup chat".into()));
}

#[tokio::test]
async fn replies_need_their_message() {
    let platform = with_olga().await;
    let send =
        |reply: Value| platform.call("sendMessage", json!({ "chat_id": OLGA, "text": "x", "reply_parameters": reply }));
    let (_, quoted) = send(json!({ "message_id": 1 })).await;
    assert_eq!(quoted["result"]["reply_to_message"]["text"], "/start");
    let (status, body) = send(json!({ "message_id": 99 })).await;
    assert_eq!((status.as_u16(), &body["description"]), (400, &json!("Bad Request: message to be replied not found")));
    let (status, body) = send(json!({ "message_id": 99, "allow_sending_without_reply": true })).await;
    assert_eq!((status.as_u16(), &body["result"]["reply_to_message"]), (200, &Value::Null));
    assert_eq!(send(json!([1])).await.1["description"], "Bad Request: object expected as reply parameters");
}

#[tokio::test]
async fn edits_and_deletions() {
    let platform = with_olga().await;
    let id = platform.ok("sendMessage", json!({ "chat_id": OLGA, "text": "first" })).await["message_id"].clone();
    let edit = |id: Value, text: &'static str| json!({ "chat_id": OLGA, "message_id": id, "text": text });
    let edited = platform.ok("editMessageText", edit(id.clone(), "second")).await;
    assert_eq!((&edited["text"], edited["edit_date"].is_i64()), (&json!("second"), true));
    let same = platform.refused("editMessageText", edit(id.clone(), "second")).await;
    assert!(same.1.starts_with("Bad Request: message is not modified"), "{same:?}");
    let foreign = platform.refused("editMessageText", edit(json!(1), "second")).await;
    assert_eq!(foreign, (400, "Bad Request: message can't be edited".into()));
    let missing = platform.refused("editMessageText", edit(json!(99), "second")).await;
    assert_eq!(missing, (400, "Bad Request: message to edit not found".into()));

    let delete = |id: Value| json!({ "chat_id": OLGA, "message_id": id });
    assert_eq!(platform.ok("deleteMessage", delete(json!(1))).await, true, "incoming ones of a private chat too");
    let gone = platform.refused("deleteMessage", delete(json!(1))).await;
    assert_eq!(gone, (400, "Bad Request: message to delete not found".into()));
    platform.order("clock", json!({ "advance_s": 48 * 3600 })).await;
    let old = platform.refused("deleteMessage", delete(id)).await;
    assert_eq!(old, (400, "Bad Request: message can't be deleted for everyone".into()));
}

#[tokio::test]
async fn presses_are_answered_once_and_in_time() {
    let platform = with_olga().await;
    let buttons = json!({ "inline_keyboard": [[{ "text": "Yes", "callback_data": "y" }]] });
    let asked = platform.ok("sendMessage", json!({ "chat_id": OLGA, "text": "?", "reply_markup": buttons })).await;
    let press = json!({ "chat": OLGA, "message_id": asked["message_id"], "data": "y" });
    let mut queries = Vec::new();
    for _ in 0..2 {
        platform.order("callback", press.clone()).await;
    }
    for update in platform.ok("getUpdates", json!({})).await.as_array().expect("a list") {
        queries.extend(update["callback_query"]["id"].as_str().map(str::to_owned));
    }
    let answer = |id: &String| json!({ "callback_query_id": id, "text": "thanks" });
    assert_eq!(platform.ok("answerCallbackQuery", answer(&queries[0])).await, true);
    let too_old = (400, "Bad Request: query is too old and response timeout expired or query ID is invalid".to_owned());
    assert_eq!(platform.refused("answerCallbackQuery", answer(&queries[0])).await, too_old);
    platform.order("clock", json!({ "advance_s": 151 })).await;
    assert_eq!(platform.refused("answerCallbackQuery", answer(&queries[1])).await, too_old);
    let wrong = json!({ "acct": "support", "chat": OLGA, "message_id": asked["message_id"], "data": "n" });
    assert_eq!(platform.try_order("callback", wrong).await.0, StatusCode::BAD_REQUEST, "there is no such button");
}

#[tokio::test]
async fn chat_actions_and_commands_are_checked() {
    let platform = with_olga().await;
    platform.ok("sendChatAction", json!({ "chat_id": OLGA, "action": "typing" })).await;
    let conversation = platform.look(&format!("chat?acct=support&chat={OLGA}")).await;
    assert_eq!(conversation["action"], "typing");
    platform.ok("sendMessage", json!({ "chat_id": OLGA, "text": "done" })).await;
    let conversation = platform.look(&format!("chat?acct=support&chat={OLGA}")).await;
    assert_eq!(conversation["action"], Value::Null, "a message ends it");
    let refused = platform.refused("sendChatAction", json!({ "chat_id": OLGA, "action": "dancing" })).await;
    assert_eq!(refused.1, "Bad Request: wrong parameter action in request");
    let commands = |name: &str| json!({ "commands": [{ "command": name, "description": "d" }] });
    assert_eq!(platform.ok("setMyCommands", commands("help")).await, true);
    assert_eq!(platform.refused("setMyCommands", commands("Help!")).await.1, "Bad Request: BOT_COMMAND_INVALID");
}

#[tokio::test]
async fn a_call_is_logged_whole_and_without_the_token() {
    let platform = with_olga().await;
    let request = platform.client.post(platform.url("sendMessage")).header("x-switchboard-epoch", "17");
    let text = "hello [[m-1]]";
    request.json(&json!({ "chat_id": OLGA, "text": text })).send().await.expect("answered");
    let (opened, ended) = (platform.log("call_open").remove(0), platform.log("call").remove(0));
    assert_eq!((&opened["tag"], &opened["chat"]), (&json!("m-1"), &json!(OLGA.to_string())));
    let want = json!({
        "acct": "support", "call": 1, "method": "sendMessage", "chat": OLGA.to_string(), "tag": "m-1",
        "hash": telegram_simulator::text::sha256_hex(text.as_bytes()), "idem": null, "epoch": 17, "reply": "200",
        "applied": true, "pmid": "2", "retry_after": null,
    });
    for (name, value) in want.as_object().expect("an object") {
        assert_eq!(&ended[name], value, "{name}");
    }
    let time = |line: &Value, name: &str| line[name].as_u64().unwrap_or_else(|| panic!("{name} in {line}"));
    assert!(time(&ended, "t_first") <= time(&ended, "t_last"));
    assert!(time(&ended, "t_last") <= time(&opened, "t") && time(&opened, "t") <= time(&ended, "t_reply"));
    assert!(time(&ended, "t_reply") <= time(&ended, "t"));
    assert!(!format!("{opened}{ended}").contains(TOKEN.split_once(':').expect("two halves").1));
}
