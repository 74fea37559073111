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
async fn a_group_is_one_chat_whoever_writes_in_it() {
    let platform = limited().await;
    for (chat, title) in [(-7, "Office"), (-8, "Kitchen")] {
        platform.order("group", json!({ "chat": chat, "title": title })).await;
    }
    platform.order("group", json!({ "chat": -1001, "title": "Hall", "supergroup": true })).await;
    for from in [OLGA, OLGA + 1, OLGA + 2] {
        platform.order("message", json!({ "chat": -7, "from": from, "text": "hello" })).await;
    }
    // 19 answers and a chat action: all of them spend the group's 20, whomever they answer.
    for n in 0..19 {
        assert_eq!(send(&platform, -7).await, (200, None), "answer {n}");
    }
    platform.ok("sendChatAction", json!({ "chat_id": -7, "action": "typing" })).await;
    let (status, wait) = send(&platform, -7).await;
    assert_eq!(status, 429);
    assert!(wait.is_some_and(|wait| (50..=60).contains(&wait)), "until the first of the minute leaves: {wait:?}");
    let (status, again) = send(&platform, -7).await;
    assert_eq!(status, 429);
    assert!(again <= wait, "the pause goes on, and is not prolonged: {again:?} after {wait:?}");
    for elsewhere in [-8, -1001, OLGA] {
        assert_eq!(send(&platform, elsewhere).await, (200, None), "chat {elsewhere} is not meant");
    }
    let other = platform.client.post(format!("{}/bot43:OTHER/getMe", platform.base)).send().await.expect("answered");
    assert_eq!(other.status(), StatusCode::OK, "nor is another bot");
    let calls = platform.log("call");
    let in_group = calls.iter().filter(|call| call["chat"] == "-7").count();
    assert_eq!((in_group, calls.iter().filter(|call| call["chat"] == "-1001").count()), (22, 1));
    assert!(calls.iter().filter(|call| call["retry_after"].is_u64()).all(|call| call["chat"] == "-7"));
}

#[tokio::test]
async fn calls_arrive_when_they_will() {
    let rules = Rules { poll_guard: false, arrival_jitter_ms: 300, ..Rules::default() };
    let platform = Platform::with(rules).await;
    let chats: Vec<i64> = (1..=20).collect();
    for chat in &chats {
        platform.order("start", json!({ "chat": chat })).await;
    }
    let sent = futures_util::future::join_all(chats.iter().map(|chat| send(&platform, *chat))).await;
    assert!(sent.iter().all(|answer| *answer == (200, None)), "{sent:?}");
    let mut calls = platform.log("call");
    let time = |call: &Value, field: &str| call[field].as_u64().unwrap_or_else(|| panic!("no {field} in {call}"));
    for call in &calls {
        let [first, last, counted, reply] =
            ["t_first", "t_last", "t_counted", "t_reply"].map(|field| time(call, field));
        assert!(first <= last && last <= counted && counted <= reply, "{call}");
    }
    calls.sort_by_key(|call| time(call, "t_first"));
    let rises = |pair: &[Value]| time(&pair[0], "t_counted") < time(&pair[1], "t_counted");
    assert!(!calls.windows(2).all(rises), "twenty calls of twenty connections overtake each other");
    let spread: Vec<u64> = calls.iter().map(|call| time(call, "t_counted") - time(call, "t_first")).collect();
    assert!(spread.iter().any(|ns| *ns > 150_000_000), "{spread:?}");

    platform.order("limits", json!({ "arrival_jitter_ms": 0 })).await;
    assert_eq!(platform.state().await["limits"]["arrival_jitter_ms"], 0);
    let (status, _) = platform.try_order("limits", json!({ "arrival_jitter_ms": 60_001 })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_window_is_of_the_moments_of_counting() {
    let rules =
        Rules { poll_guard: false, bot: Rule { count: 5, window_ms: 400 }, arrival_jitter_ms: 600, ..Rules::default() };
    let platform = Platform::with(rules).await;
    // At once, and yet not all in one window: some come late enough for others to have left it.
    let calls = (0..12).map(|_| platform.call("getMe", json!({})));
    let statuses: Vec<u16> =
        futures_util::future::join_all(calls).await.iter().map(|(status, _)| status.as_u16()).collect();
    let mut counted: Vec<(u64, bool)> = platform
        .log("call")
        .iter()
        .map(|call| (call["t_counted"].as_u64().expect("counted"), call["reply"] == "200"))
        .collect();
    counted.sort_unstable();
    let passed: Vec<u64> = counted.iter().filter(|(_, passed)| *passed).map(|(at, _)| *at).collect();
    assert_eq!(passed.len(), statuses.iter().filter(|status| **status == 200).count());
    assert!(passed.windows(6).all(|six| six[5] - six[0] >= 400_000_000), "more than five in a window: {passed:?}");
    let refused = counted.iter().position(|(_, passed)| !passed).unwrap_or(counted.len());
    assert!(refused >= 5, "the first five were let through: {counted:?}");
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
