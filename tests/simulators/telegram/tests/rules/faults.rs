//! Every way to misbehave, seen from the caller's side and in the log.

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::platform::{DEADLINE, OLGA, Platform, TOKEN};

async fn with_fault(mut fault: Value) -> Platform {
    let platform = Platform::start().await;
    platform.order("start", json!({ "chat": OLGA })).await;
    if fault.get("method").is_none() {
        fault["method"] = json!("sendMessage");
    }
    platform.order("fault", fault).await;
    platform
}

fn text() -> Value {
    json!({ "chat_id": OLGA, "text": "hello [[f-1]]" })
}

/// Sends over a bare socket and returns every byte until the connection ends.
async fn raw(platform: &Platform, method: &str, body: &Value) -> Vec<u8> {
    let address = platform.base.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let body = body.to_string();
    let request = format!(
        "POST /bot{TOKEN}/{method} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await.expect("the connection ends");
    if let Err(error) = read {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    answer
}

/// Messages of the bot in Olga's chat.
async fn applied(platform: &Platform) -> usize {
    let conversation = platform.look(&format!("chat?acct=support&chat={OLGA}")).await;
    let messages = conversation["messages"].as_array().expect("a list");
    messages.iter().filter(|message| message["from"] == "bot").count()
}

/// The only call in the log: what it says of the reply and of the effect.
fn logged(platform: &Platform) -> (String, bool, bool) {
    let calls = platform.log("call");
    assert_eq!(calls.len(), 1, "{calls:?}");
    let call = &calls[0];
    assert_eq!(call["tag"], "f-1");
    assert_eq!(call["pmid"].is_string(), call["applied"] == true, "{call}");
    let reply = call["reply"].as_str().expect("a word").to_owned();
    (reply, call["applied"] == true, call["t_reply"].is_u64())
}

#[tokio::test]
async fn hanging_calls_never_answer() {
    for (mode, effect) in [("hang_before", 0), ("hang_after", 1)] {
        let platform = with_fault(json!({ "mode": mode })).await;
        let hanging = tokio::spawn(platform.client.post(platform.url("sendMessage")).json(&text()).send());
        platform.until("the hanging call's line", |state| state["calls"]["by_reply"]["hang"] == 1).await;
        assert_eq!(platform.state().await["calls"]["open"], 1);
        assert_eq!(logged(&platform), ("hang".into(), effect == 1, false), "{mode}");
        assert_eq!(applied(&platform).await, effect);
        assert!(!hanging.is_finished(), "{mode}");
        hanging.abort();
        platform.until("the end of the call", |state| state["calls"]["open"] == 0).await;
        platform.ok("sendMessage", text()).await;
    }
}

#[tokio::test]
async fn dropped_calls_end_the_connection_without_a_byte() {
    for (mode, effect) in [("drop_before", 0), ("drop_after", 1)] {
        let platform = with_fault(json!({ "mode": mode })).await;
        assert_eq!(raw(&platform, "sendMessage", &text()).await, b"", "{mode}");
        assert_eq!(logged(&platform), ("drop".into(), effect == 1, false), "{mode}");
        assert_eq!(applied(&platform).await, effect);
        platform.ok("sendMessage", text()).await;
    }
}

#[tokio::test]
async fn half_an_answer_ends_the_connection() {
    let platform = with_fault(json!({ "mode": "half_after" })).await;
    let answer = raw(&platform, "sendMessage", &text()).await;
    let answer = String::from_utf8(answer).expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("the head came whole");
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    let promised = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
    let promised: usize = promised.parse().expect("a number");
    assert_eq!(body.len(), promised / 2, "{answer}");
    assert_eq!(logged(&platform), ("drop".into(), true, false));
    assert_eq!(applied(&platform).await, 1);
}

#[tokio::test]
async fn failing_answers() {
    for (mode, status, effect) in [
        ("500_before", 500, 0),
        ("500_after", 500, 1),
        ("502_html_after", 502, 1),
        ("garbage_after", 200, 1),
        ("ok_false_before", 200, 0),
        ("error_before", 400, 0),
    ] {
        let platform = with_fault(json!({ "mode": mode })).await;
        let response = platform.client.post(platform.url("sendMessage")).json(&text()).send().await.expect("answered");
        assert_eq!(response.status().as_u16(), status, "{mode}");
        let body = response.bytes().await.expect("a body");
        let parsed: Option<Value> = serde_json::from_slice(&body).ok();
        let ok = parsed.map(|body| body["ok"].clone());
        match mode {
            "502_html_after" => assert!(body.starts_with(b"<html>")),
            "garbage_after" => assert_eq!(ok, None),
            _ => assert_eq!(ok, Some(json!(false)), "{mode}"),
        }
        let word = if mode == "garbage_after" { "garbage".to_owned() } else { status.to_string() };
        assert_eq!(logged(&platform), (word, effect == 1, true), "{mode}");
        assert_eq!(applied(&platform).await, effect, "{mode}");
        platform.ok("sendMessage", text()).await;
    }
}

#[tokio::test]
async fn the_words_of_a_refusal_are_the_testers() {
    let fault = json!({ "mode": "error_before", "error_code": 403, "description": "Forbidden: user is deactivated" });
    let platform = with_fault(fault).await;
    assert_eq!(platform.refused("sendMessage", text()).await, (403, "Forbidden: user is deactivated".into()));
}

#[tokio::test]
async fn a_commanded_429_pauses_its_scope() {
    let platform = with_fault(json!({ "mode": "429", "retry_after": 30 })).await;
    platform.order("start", json!({ "chat": OLGA + 1 })).await;
    assert_eq!(platform.refused("sendMessage", text()).await, (429, "Too Many Requests: retry after 30".into()));
    assert_eq!(platform.refused("sendMessage", text()).await.0, 429, "the order is spent, the pause goes on");
    let other = json!({ "chat_id": OLGA + 1, "text": "x" });
    platform.ok("sendMessage", other.clone()).await;
    platform.order("fault", json!({ "method": "*", "mode": "429", "retry_after": 30, "whole_bot": true })).await;
    assert_eq!(platform.refused("sendMessage", other.clone()).await.0, 429);
    assert_eq!(platform.refused("getMe", json!({})).await.0, 429);
    platform.order("limits", json!({})).await;
    platform.ok("sendMessage", other).await;
}

#[tokio::test]
async fn slow_calls_take_effect_even_when_the_caller_leaves() {
    let platform = with_fault(json!({ "mode": "slow", "delay_ms": 300 })).await;
    let leaving = tokio::spawn(platform.client.post(platform.url("sendMessage")).json(&text()).send());
    platform.until("the open call", |state| state["calls"]["open"] == 1).await;
    leaving.abort();
    platform.until("the end of the call", |state| state["calls"]["by_reply"]["200"] == 1).await;
    assert_eq!(logged(&platform), ("200".into(), true, true));
    assert_eq!(applied(&platform).await, 1);
}

#[tokio::test]
async fn faults_strike_what_they_name_until_cleared() {
    let platform = with_fault(json!({ "mode": "500_before", "chat": OLGA, "count": 0 })).await;
    platform.order("start", json!({ "chat": OLGA + 1 })).await;
    for _ in 0..3 {
        assert_eq!(platform.refused("sendMessage", text()).await.0, 500);
    }
    platform.ok("sendMessage", json!({ "chat_id": OLGA + 1, "text": "x" })).await;
    platform.ok("getMe", json!({})).await;
    assert_eq!(platform.look("faults?acct=support").await["standing"].as_array().map(Vec::len), Some(1));
    let cleared = platform.client.delete(format!("{}/control/faults", platform.base)).send().await.expect("answered");
    assert_eq!(cleared.status(), StatusCode::OK);
    platform.ok("sendMessage", text()).await;
    let unknown = json!({ "acct": "support", "method": "sendSmoke", "mode": "429" });
    assert_eq!(platform.try_order("fault", unknown).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn polls_are_struck_too() {
    let platform = with_fault(json!({ "method": "getUpdates", "mode": "drop_before" })).await;
    let start = platform.poll_raw(json!({})).await;
    assert!(start.is_err(), "the connection ended");
    assert!(platform.log("push").is_empty(), "before: nothing was given");
    platform.order("fault", json!({ "method": "getUpdates", "mode": "drop_after" })).await;
    assert!(platform.poll_raw(json!({})).await.is_err());
    assert_eq!(platform.log("push").len(), 1, "after: it was given into the void");
    for (mode, code) in [("500_before", 500), ("429", 429), ("error_before", 400)] {
        platform.order("fault", json!({ "method": "getUpdates", "mode": mode })).await;
        assert_eq!(platform.refused("getUpdates", json!({ "offset": 500_100_001 })).await.0, code, "{mode}");
        assert!(platform.log("ack").is_empty(), "{mode} confirmed nothing");
    }
    platform.order("fault", json!({ "method": "getUpdates", "mode": "502_html_after" })).await;
    let url = platform.url("getUpdates?offset=500100001");
    let response = platform.client.get(url).send().await.expect("answered");
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(platform.log("ack").len(), 1);
    assert!(platform.log("call").is_empty() && platform.log("call_open").is_empty(), "polls are no calls");
}

#[tokio::test]
async fn flood_control_comes_before_faults() {
    let platform = with_fault(json!({ "mode": "hang_after" })).await;
    let limit = json!({ "enforce": true, "private": { "count": 1, "window_ms": 60_000 } });
    platform.order("limits", limit).await;
    platform.ok("sendChatAction", json!({ "chat_id": OLGA, "action": "typing" })).await;
    assert_eq!(platform.refused("sendMessage", text()).await.0, 429);
    assert_eq!(platform.state().await["faults"].as_array().map(Vec::len), Some(1), "the fault waits for the next call");
}
