//! Deliveries to a webhook: what is sent when, repeats, orders, forgeries.

use std::{collections::HashMap, time::Duration};

use axum::{http::StatusCode, response::Response};
use serde_json::{Value, json};

use crate::{
    hook::{Hook, status},
    platform::{OLGA, Platform},
};

/// A platform whose webhook this is.
async fn hooked(hook: &Hook) -> Platform {
    let platform = Platform::start().await;
    let settings = json!({ "url": hook.url, "secret_token": "s3cret", "max_connections": 3 });
    platform.ok("setWebhook", settings).await;
    platform
}

async fn emptied(platform: &Platform) {
    platform
        .until("an empty queue", |state| state["queue"]["waiting"] == 0 && state["delivery"]["in_flight"] == 0)
        .await;
}

#[tokio::test]
async fn updates_come_with_the_secret_and_any_2xx_takes_them() {
    let hook = Hook::start(|n, _| status([200, 201, 204][n % 3])).await;
    let platform = hooked(&hook).await;
    for n in 0..3 {
        platform.say(&format!("m{n} [[w-{n}]]")).await;
    }
    emptied(&platform).await;
    let asked = hook.asked();
    assert_eq!(hook.texts(), ["m0 [[w-0]]", "m1 [[w-1]]", "m2 [[w-2]]"]);
    assert!(asked.iter().all(|asked| asked.secrets == ["s3cret"] && asked.body["update_id"].is_i64()));
    let keys = |lines: Vec<Value>| lines.iter().map(|line| line["key"].clone()).collect::<Vec<_>>();
    let acks = platform.log("ack");
    assert!(acks.iter().all(|ack| ack["how"] == "webhook"), "{acks:?}");
    assert_eq!(acks.iter().map(|ack| ack["status"].clone()).collect::<Vec<_>>(), [200, 201, 204]);
    assert_eq!(keys(platform.log("push")), keys(acks));
    assert_eq!(platform.log("delivery").len(), 3);
    assert_eq!(platform.ok("getWebhookInfo", json!({})).await["pending_update_count"], 0);
    assert_eq!(platform.refused("getUpdates", json!({})).await.0, 409);
    let info = platform.ok("getWebhookInfo", json!({})).await;
    assert_eq!((&info["url"], info.get("last_error_date")), (&json!(hook.url), None));
}

#[tokio::test]
async fn one_at_a_time_in_a_chat_and_so_many_in_all() {
    let hook = Hook::start(|_, _| status(200)).await;
    let platform = hooked(&hook).await;
    hook.open(false);
    for (n, chat) in [(0, OLGA), (1, OLGA), (2, OLGA + 1), (3, OLGA + 2), (4, OLGA + 3)] {
        platform.order("message", json!({ "chat": chat, "text": n.to_string() })).await;
    }
    hook.until(3).await;
    let state = platform.until("three in flight", |state| state["delivery"]["in_flight"] == 3).await;
    assert_eq!(state["queue"]["waiting"], 5);
    let mut texts = hook.texts();
    texts.sort();
    assert_eq!(texts, ["0", "2", "3"], "the second of the first chat waits, the fourth chat's for a connection");
    assert_eq!(platform.ok("getWebhookInfo", json!({})).await["pending_update_count"], 5);
    hook.open(true);
    emptied(&platform).await;
    assert_eq!(hook.asked().len(), 5);
}

#[tokio::test]
async fn presses_and_memberships_stand_in_lines_of_their_own() {
    let hook = Hook::start(|_, _| status(200)).await;
    let platform = Platform::start().await;
    platform.order("start", json!({ "chat": OLGA })).await;
    let buttons = json!({ "inline_keyboard": [[{ "text": "Yes", "callback_data": "y" }]] });
    let sent = platform.ok("sendMessage", json!({ "chat_id": OLGA, "text": "?", "reply_markup": buttons })).await;
    hook.open(false);
    platform.ok("setWebhook", json!({ "url": hook.url })).await;
    platform.say("held up").await;
    platform.order("callback", json!({ "chat": OLGA, "message_id": sent["message_id"], "data": "y" })).await;
    platform.order("block", json!({ "chat": OLGA })).await;
    let kinds = hook.until(3).await;
    let mut kinds: Vec<_> = kinds
        .iter()
        .map(|asked| asked.body.as_object().expect("an object").keys().find(|key| *key != "update_id").cloned())
        .collect();
    kinds.sort();
    let want = ["callback_query", "message", "my_chat_member"].map(|kind| Some(kind.to_owned()));
    assert_eq!(kinds, want, "the message after /start waits, the rest overtakes it");
    assert!(hook.asked().iter().all(|asked| asked.secrets.is_empty()), "no secret was set");
    hook.open(true);
    emptied(&platform).await;
}

#[tokio::test]
async fn a_failure_is_repeated_at_once_then_later_and_later() {
    let hook = Hook::start(|n, _| status(if n < 4 { 500 } else { 200 })).await;
    let platform = hooked(&hook).await;
    platform.order("webhook", json!({ "backoff_scale": 0.05 })).await;
    platform.say("again").await;
    platform.say("behind it").await;
    emptied(&platform).await;
    let asked = hook.asked();
    assert_eq!(hook.texts(), ["again", "again", "again", "again", "again", "behind it"], "order is kept");
    let pauses: Vec<_> = asked.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    for (pause, at_least_ms) in pauses.iter().zip([0, 100, 200, 400]) {
        assert!(*pause >= Duration::from_millis(at_least_ms), "{pauses:?}");
    }
    let tries: Vec<_> = platform.log("push").iter().map(|push| push["try"].clone()).collect();
    assert_eq!(tries, [1, 2, 3, 4, 5, 1]);
    let info = platform.ok("getWebhookInfo", json!({})).await;
    let why = "Wrong response from the webhook: 500 Internal Server Error";
    assert_eq!(info["last_error_message"], why);
    assert!(info["last_error_date"].is_i64());
}

#[tokio::test]
async fn retry_after_is_obeyed_and_another_chat_goes_on() {
    let hook = Hook::start(|n, body| {
        let mut answer = status(if n == 0 && body["message"]["chat"]["id"] == OLGA { 503 } else { 200 });
        answer.headers_mut().insert("retry-after", 1.into());
        answer
    })
    .await;
    let platform = hooked(&hook).await;
    platform.say("later").await;
    hook.until(1).await;
    platform.order("message", json!({ "chat": OLGA + 1, "text": "meanwhile" })).await;
    emptied(&platform).await;
    assert_eq!(hook.texts(), ["later", "meanwhile", "later"]);
    let asked = hook.asked();
    assert!(asked[2].at - asked[0].at >= Duration::from_millis(1000));
}

#[tokio::test]
async fn what_does_not_answer_in_time_is_repeated() {
    let hook = Hook::start(|_, _| status(200)).await;
    let platform = hooked(&hook).await;
    platform.order("webhook", json!({ "timeout_ms": 150 })).await;
    hook.open(false);
    platform.say("slow").await;
    hook.until(2).await;
    hook.open(true);
    emptied(&platform).await;
    let deliveries = platform.log("delivery");
    assert_eq!(deliveries[0]["status"], Value::Null);
    assert!(deliveries[0]["took_ms"].as_u64().is_some_and(|ms| ms >= 150));
    let info = platform.ok("getWebhookInfo", json!({})).await;
    assert_eq!(info["last_error_message"], "Read timeout expired");
    let nobody = json!({ "url": "http://127.0.0.1:9/", "secret_token": "" });
    platform.order("set_webhook", nobody).await;
    platform.say("nobody there").await;
    platform.until("a refused connection", |state| state["delivery"]["last_error"] == "Connection refused").await;
}

#[tokio::test]
async fn what_would_be_too_old_at_its_repeat_is_dropped() {
    let hook = Hook::start(|_, _| status(500)).await;
    let platform = hooked(&hook).await;
    platform.say("nobody wants it").await;
    hook.until(2).await;
    platform.order("clock", json!({ "advance_s": 24 * 3600 + 1 })).await;
    emptied(&platform).await;
    assert!(platform.log("ack").is_empty(), "it vanished without a word");
    assert!(!platform.state().await["webhook"].is_null(), "failures remove no webhook");
}

#[tokio::test]
async fn a_webhook_that_is_gone_for_23_hours_is_removed() {
    let hook = Hook::start(|_, _| status(410)).await;
    let platform = hooked(&hook).await;
    platform.order("webhook", json!({ "backoff_scale": 0.01 })).await;
    platform.say("anybody?").await;
    hook.until(2).await;
    assert!(!platform.state().await["webhook"].is_null());
    platform.order("clock", json!({ "advance_s": 23 * 3600 + 60 })).await;
    let state = platform.until("no webhook", |state| state["webhook"].is_null()).await;
    assert_eq!(state["queue"]["waiting"], 1, "what waits, waits for a poll");
    assert_eq!(platform.ok("getUpdates", json!({})).await.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn the_call_in_an_answer_is_carried_out() {
    let hook = Hook::start(|_, body| {
        let text = body["message"]["text"].as_str().expect("a text");
        let method = if text == "read" { "getMe" } else { "sendMessage" };
        let call =
            json!({ "method": method, "chat_id": body["message"]["chat"]["id"], "text": format!("{text} [[x]]") });
        Response::new(call.to_string().into())
    })
    .await;
    let platform = hooked(&hook).await;
    platform.say("echo").await;
    platform.say("read").await;
    emptied(&platform).await;
    platform.until("the call", |state| state["calls"]["by_reply"]["200"] == 2).await;
    let conversation = platform.look(&format!("chat?acct=support&chat={OLGA}")).await;
    let texts: Vec<_> =
        conversation["messages"].as_array().expect("a list").iter().map(|row| row["text"].clone()).collect();
    assert!(texts.contains(&json!("echo [[x]]")) && texts.len() == 3, "{texts:?}");
    let calls: Vec<_> = platform.log("call").into_iter().filter(|call| call["method"] != "setWebhook").collect();
    assert_eq!((calls.len(), &calls[0]["method"], &calls[0]["tag"]), (1, &json!("sendMessage"), &json!("x")));
}

#[tokio::test]
async fn only_the_self_hosted_server_takes_plain_addresses() {
    let platform = Platform::start_cloud().await;
    for url in ["http://bot.example.org/", "https://bot.example.org:9443/"] {
        assert_eq!(platform.refused("setWebhook", json!({ "url": url })).await.0, 400, "{url}");
    }
    platform.ok("setWebhook", json!({ "url": "https://bot.example.org:8443/x" })).await;
    let local = Platform::start().await;
    local.ok("setWebhook", json!({ "url": "http://127.0.0.1:9443/" })).await;
    assert_eq!(local.refused("setWebhook", json!({ "url": "ftp://127.0.0.1/" })).await.0, 400);
}

#[tokio::test]
async fn duplicates_go_to_several_addresses_at_once() {
    let hooks = [Hook::start(|_, _| status(200)).await, Hook::start(|_, _| status(503)).await];
    let platform = hooked(&hooks[0]).await;
    platform.order("webhook", json!({ "copies": 5, "to": [hooks[0].url, hooks[1].url] })).await;
    platform.say("five times").await;
    platform.say("and five").await;
    emptied(&platform).await;
    for hook in &hooks {
        let mut counted: HashMap<String, usize> = HashMap::new();
        hook.texts().into_iter().for_each(|text| *counted.entry(text).or_default() += 1);
        assert_eq!(counted, HashMap::from([("five times".to_owned(), 5), ("and five".to_owned(), 5)]));
        assert!(hook.asked()[..5].iter().all(|asked| asked.body["message"]["text"] == "five times"), "then the next");
    }
    assert_eq!(platform.log("ack").len(), 2, "one success is enough");
}

#[tokio::test]
async fn held_back_updates_come_in_reverse_when_ordered() {
    let hook = Hook::start(|_, _| status(200)).await;
    let platform = Platform::start().await;
    platform.ok("setWebhook", json!({ "url": hook.url, "max_connections": 1 })).await;
    platform.order("webhook", json!({ "hold": true, "reorder": true })).await;
    for n in 0..4 {
        platform.say(&n.to_string()).await;
    }
    assert_eq!(platform.state().await["queue"]["waiting"], 4);
    platform.order("webhook", json!({ "hold": false })).await;
    emptied(&platform).await;
    assert_eq!(hook.texts(), ["3", "2", "1", "0"]);
}

#[tokio::test]
async fn delivered_updates_are_replayed_to_the_byte() {
    let hook = Hook::start(|_, _| status(200)).await;
    let platform = hooked(&hook).await;
    for n in 0..3 {
        platform.say(&n.to_string()).await;
    }
    emptied(&platform).await;
    let first = hook.asked();
    let told = platform.order("replay", json!({ "last": 2, "times": 3 })).await;
    assert_eq!(told["counted"], json!({ "200": 6 }));
    let replayed = &hook.asked()[3..];
    assert_eq!(replayed.len(), 6);
    assert!(replayed[..3].iter().all(|asked| asked.body == first[1].body && asked.secrets == ["s3cret"]));
    let key = platform.log("typed")[0]["key"].clone();
    let told =
        platform.order("replay", json!({ "key": key, "times": 2, "at_once": true, "to": [hook.url, hook.url] })).await;
    assert_eq!(told["statuses"], json!([200, 200, 200, 200]));
    assert_eq!((platform.log("push").len(), platform.log("ack").len()), (13, 13));
    let none = json!({ "acct": "support", "key": "m:1:1" });
    assert_eq!(platform.try_order("replay", none).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn forgeries_report_what_they_were_answered() {
    let hook = Hook::start(|_, body| status(if body.is_null() { 422 } else { 200 })).await;
    let platform = hooked(&hook).await;
    let want: [(&str, &[&str], u16); 9] = [
        ("no_secret", &[], 200),
        ("empty_secret", &[""], 200),
        ("wrong_secret", &["xxxxxx"], 200),
        ("changed_secret", &["r3cret"], 200),
        ("short_secret", &["s3cre"], 200),
        ("long_secret", &["s3creta"], 200),
        ("two_secrets", &["wrong", "s3cret"], 200),
        ("changed_body", &["s3cret"], 422),
        ("huge_body", &["s3cret"], 413),
    ];
    for (n, (how, secrets, code)) in want.into_iter().enumerate() {
        let told = platform.order("forge", json!({ "how": how, "chat": OLGA })).await;
        assert_eq!(told["status"], code, "{how}");
        if how != "huge_body" {
            assert_eq!(hook.asked()[n].secrets, secrets, "{how}");
        }
    }
    let typed = platform.log("typed");
    assert_eq!(typed.len(), 1, "only what bears the right secret counts as the platform's: {typed:?}");
    assert!(typed[0]["key"].as_str().is_some_and(|key| key.starts_with("q:")));
    assert!(platform.log("ack").is_empty());
    assert_eq!(platform.log("delivery").len(), 9);
}

#[tokio::test]
async fn strangers_with_the_token_and_new_tokens() {
    let platform = Platform::start().await;
    let waiting = tokio::spawn(platform.client.post(platform.url("getUpdates?timeout=20")).send());
    platform.until("a poll", |state| state["polls"]["waiting"] == true).await;
    platform.order("set_webhook", json!({ "url": "https://evil.example.org/" })).await;
    assert_eq!(waiting.await.expect("no panic").expect("answered").status(), StatusCode::CONFLICT);
    let refused = platform.refused("getUpdates", json!({})).await;
    assert!(refused.0 == 409 && refused.1.contains("webhook is active"), "{refused:?}");
    platform.order("set_webhook", json!({ "url": "" })).await;
    platform.ok("getUpdates", json!({})).await;
    assert!(platform.log("call").is_empty(), "a stranger's calls are in no log");
    let waiting = tokio::spawn(platform.client.post(platform.url("getUpdates?timeout=20")).send());
    platform.until("a poll", |state| state["polls"]["waiting"] == true).await;
    platform.order("token", json!({ "token": "42:NEXT" })).await;
    assert_eq!(waiting.await.expect("no panic").expect("answered").status(), StatusCode::UNAUTHORIZED);
    assert_eq!(platform.refused("getMe", json!({})).await, (401, "Unauthorized".into()));
    let next = platform.client.get(format!("{}/bot42:NEXT/getMe", platform.base)).send().await.expect("answered");
    assert_eq!(next.status(), StatusCode::OK);
    let foreign = json!({ "acct": "support", "token": "43:NEXT" });
    assert_eq!(platform.try_order("token", foreign).await.0, StatusCode::BAD_REQUEST);
}
