//! Flood control over HTTP. The arithmetic of the windows is tested beside it, without a clock.

use std::time::{Duration, Instant};

use reqwest::{StatusCode, header::RETRY_AFTER};
use serde_json::{Value, json};
use telegram_simulator::limits::{Rule, Rules};

use crate::platform::{OLGA, Platform};

async fn limited() -> Platform {
    let platform = Platform::with(Rules { poll_guard: false, ..Rules::default() }).await;
    platform.order("start", json!({ "chat": OLGA })).await;
    platform
}

async fn send(platform: &Platform, chat: i64) -> (u16, Option<u64>) {
    let (status, body) = platform.call("sendMessage", json!({ "chat_id": chat, "text": "x" })).await;
    (status.as_u16(), body["parameters"]["retry_after"].as_u64())
}

#[tokio::test]
async fn a_chat_over_its_limit_is_refused_until_the_pause_ends() {
    let platform = limited().await;
    platform.order("limits", json!({ "private": { "count": 1, "window_ms": 3000 } })).await;
    assert_eq!(send(&platform, OLGA).await, (200, None));
    let request = platform.client.post(platform.url("sendMessage")).json(&json!({ "chat_id": OLGA, "text": "x" }));
    let response = request.send().await.expect("answered");
    let refused_at = Instant::now();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    let header = response.headers()[RETRY_AFTER].clone();
    let body: Value = response.json().await.expect("JSON");
    let wait = body["parameters"]["retry_after"].as_u64().expect("a number");
    assert!((1..=3).contains(&wait), "{body}");
    assert_eq!(header, wait.to_string());
    assert_eq!(
        body,
        json!({ "ok": false, "error_code": 429, "description": format!("Too Many Requests: retry after {wait}"),
            "parameters": { "retry_after": wait } })
    );
    assert_eq!(send(&platform, OLGA).await.0, 429, "every call in the scope fails during the pause");
    let typing = json!({ "chat_id": OLGA, "action": "typing" });
    assert_eq!(platform.call("sendChatAction", typing).await.0, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(platform.call("getMe", json!({})).await.0, StatusCode::OK, "the bot itself is not paused");
    // Time is the subject here: whoever waits as told gets through.
    tokio::time::sleep((refused_at + Duration::from_secs(wait)).saturating_duration_since(Instant::now())).await;
    assert_eq!(send(&platform, OLGA).await, (200, None));

    let state = platform.state().await;
    let chat = &state["high_water"][format!("chat:{OLGA}")];
    assert_eq!((&chat["most_counted"], &chat["refused"]), (&json!(1), &json!(3)));
    assert_eq!(chat["most_attempts"], 4);
    assert_eq!(state["calls"]["by_reply"], json!({ "200": 3, "429": 3 }));
    let refused: Vec<_> = platform.log("call").into_iter().filter(|call| call["reply"] == "429").collect();
    assert_eq!(refused.len(), 3, "refused calls are recorded");
    assert!(refused.iter().all(|call| call["applied"] == false && call["retry_after"].is_u64()));
    let conversation = platform.look(&format!("chat?acct=support&chat={OLGA}")).await;
    assert_eq!(conversation["messages"].as_array().map(Vec::len), Some(3), "and have no effect");
}

#[tokio::test]
async fn the_bot_as_a_whole_is_limited() {
    let platform = limited().await;
    platform.order("limits", json!({ "bot": { "count": 5, "window_ms": 60_000 } })).await;
    for _ in 0..5 {
        assert_eq!(platform.call("getMe", json!({})).await.0, StatusCode::OK);
    }
    let (status, wait) = send(&platform, OLGA).await;
    assert_eq!(status, 429);
    assert!(wait.is_some_and(|wait| (55..=60).contains(&wait)), "{wait:?}");
    assert_eq!(platform.poll(json!({})).await.len(), 1, "getUpdates is free");
    platform.order("limits", json!({ "bot": { "count": 30, "window_ms": 1000 } })).await;
    assert_eq!(send(&platform, OLGA).await.0, 200, "new limits begin with empty windows");
}

#[tokio::test]
async fn groups_have_their_own_limit() {
    let rules = Rules { poll_guard: false, group: Rule { count: 3, window_ms: 60_000 }, ..Rules::default() };
    let platform = Platform::with(rules).await;
    platform.order("group", json!({ "chat": -7, "title": "Office" })).await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(send(&platform, -7).await.0);
    }
    assert_eq!(seen, [200, 200, 200, 429]);
    assert_eq!(platform.state().await["high_water"]["chat:-7"]["limit"], 3);
}

#[tokio::test]
async fn refusals_of_another_kind_count_too() {
    let platform = limited().await;
    platform.order("limits", json!({ "private": { "count": 1, "window_ms": 60_000 } })).await;
    let empty = json!({ "chat_id": OLGA, "text": " " });
    assert_eq!(platform.refused("sendMessage", empty).await.0, 400);
    assert_eq!(send(&platform, OLGA).await.0, 429);
}

#[tokio::test]
async fn counting_may_be_of_messages_only() {
    let platform = limited().await;
    platform.order("limits", json!({ "counting": "messages", "private": { "count": 1, "window_ms": 60_000 } })).await;
    let typing = json!({ "chat_id": OLGA, "action": "typing" });
    platform.ok("sendChatAction", typing.clone()).await;
    assert_eq!(send(&platform, OLGA).await.0, 200);
    platform.ok("sendChatAction", typing).await;
    assert_eq!(send(&platform, OLGA).await.0, 429);
}

#[tokio::test]
async fn a_limit_of_nothing_is_refused() {
    let platform = limited().await;
    let (status, _) = platform.try_order("limits", json!({ "bot": { "count": 0, "window_ms": 1 } })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}
