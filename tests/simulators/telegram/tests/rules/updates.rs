//! getUpdates: what is confirmed, given again, forgotten, and who may wait.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};
use telegram_simulator::limits::Rules;

use crate::platform::{DEADLINE, OLGA, Platform};

#[tokio::test]
async fn only_a_later_offset_confirms() {
    let platform = Platform::start().await;
    let first = platform.say("one").await;
    let second = platform.say("two").await;
    assert_eq!(platform.poll(json!({})).await, [first, second]);
    assert_eq!(platform.poll(json!({ "limit": 1 })).await, [first], "giving removed nothing");
    assert_eq!(platform.poll(json!({ "offset": second })).await, [second]);
    assert_eq!(platform.poll(json!({ "offset": first })).await, [second], "the first is confirmed for good");
    let state = platform.state().await;
    assert_eq!((&state["queue"]["last_confirmed"], &state["queue"]["waiting"]), (&json!(first), &json!(1)));
    let tries: Vec<_> = platform.log("push").iter().map(|line| line["try"].clone()).collect();
    assert_eq!(tries, [1, 1, 2, 2, 3]);
    let acks = platform.log("ack");
    assert_eq!(acks.len(), 1);
    assert_eq!((&acks[0]["key"], &acks[0]["how"]), (&json!(format!("m:{OLGA}:1")), &json!("offset")));
}

#[tokio::test]
async fn offsets_from_the_end_and_beyond_it() {
    let platform = Platform::start().await;
    let mut ids = Vec::new();
    for text in ["one", "two", "three"] {
        ids.push(platform.say(text).await);
    }
    assert_eq!(platform.poll(json!({ "offset": ids[2] + 12 })).await, ids, "a far offset is ignored");
    assert_eq!(platform.poll(json!({ "offset": -1 })).await, [ids[2]]);
    assert_eq!(platform.log("ack").len(), 2, "the negative offset gave up what is before");
    assert_eq!(platform.poll(json!({ "offset": ids[2] + 11 })).await, Vec::<i64>::new());
    assert_eq!(platform.state().await["queue"]["last_confirmed"], ids[2]);
}

#[tokio::test]
async fn limits_are_moved_into_their_range() {
    let platform = Platform::start().await;
    let items: Vec<_> = (0..120).map(|n| json!({ "chat": OLGA, "text": format!("{n}") })).collect();
    let deeds = platform.order("messages", json!({ "items": items })).await;
    assert_eq!(deeds["items"].as_array().map(Vec::len), Some(120));
    for (limit, want) in [(1, 1), (100, 100), (500, 100), (0, 1), (-3, 1)] {
        assert_eq!(platform.poll(json!({ "limit": limit })).await.len(), want, "limit {limit}");
    }
    assert_eq!(platform.poll(json!({})).await.len(), 100);
}

#[tokio::test]
async fn an_answer_stays_below_four_mebibytes() {
    let platform = Platform::start().await;
    let text = "x".repeat(1 << 20);
    for _ in 0..5 {
        platform.say(&text).await;
    }
    assert_eq!(platform.poll(json!({})).await.len(), 3, "a fourth would pass 4 MiB with its envelope");
}

#[tokio::test]
async fn a_waiting_poll_is_woken() {
    let platform = Platform::start().await;
    let began = Instant::now();
    let (polled, said) = tokio::join!(platform.poll(json!({ "timeout": 50 })), async {
        platform.until("a waiting poll", |state| state["polls"]["waiting"] == true).await;
        platform.say("wake up").await
    });
    assert_eq!(polled, [said]);
    assert!(began.elapsed() < DEADLINE);
}

#[tokio::test]
async fn a_poll_without_updates_waits_its_time() {
    let platform = Platform::start().await;
    let began = Instant::now();
    assert_eq!(platform.poll(json!({ "timeout": 1 })).await, Vec::<i64>::new());
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert_eq!(platform.state().await["polls"]["waiting"], false);
}

#[tokio::test]
async fn a_caller_that_hangs_up_waits_no_more() {
    let platform = Platform::start().await;
    let leaving = tokio::spawn(platform.client.get(platform.url("getUpdates?timeout=50")).send());
    platform.until("a waiting poll", |state| state["polls"]["waiting"] == true).await;
    leaving.abort();
    platform.until("the end of the waiting", |state| state["polls"]["waiting"] == false).await;
    let id = platform.say("one").await;
    assert_eq!(platform.poll(json!({ "timeout": 5 })).await, [id]);
    assert_eq!(platform.state().await["polls"]["conflicts"], 0);
}

#[tokio::test]
async fn the_newer_waiting_poll_wins() {
    let platform = Platform::start().await;
    let waits = |polls: u64| move |state: &Value| state["polls"]["waiting"] == true && state["polls"]["count"] == polls;
    let ((status, body), (newer, said)) = tokio::join!(platform.call("getUpdates", json!({ "timeout": 50 })), async {
        platform.until("the first poll", waits(1)).await;
        tokio::join!(platform.poll(json!({ "timeout": 50 })), async {
            platform.until("the second poll", waits(2)).await;
            platform.say("for the newer").await
        })
    });
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(
        body,
        json!({ "ok": false, "error_code": 409, "description":
            "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running" })
    );
    assert_eq!(newer, [said]);
}

#[tokio::test]
async fn repeated_conflicts_are_told_late() {
    let platform = Platform::start().await;
    let poll = |timeout: u64| {
        let request = platform.client.get(platform.url(&format!("getUpdates?timeout={timeout}"))).timeout(DEADLINE);
        tokio::spawn(async move {
            let status = request.send().await.map(|response| response.status().as_u16()).unwrap_or_default();
            (status, Instant::now())
        })
    };
    let mut running = Vec::new();
    let began = Instant::now();
    for count in 1..=3 {
        running.push(poll(5));
        platform.until("a poll", |state| state["polls"]["count"] == count && state["polls"]["waiting"] == true).await;
    }
    let mut ends = Vec::new();
    for one in running {
        let (status, at) = one.await.expect("the task ends");
        ends.push((status, at - began));
    }
    assert_eq!(ends.iter().map(|end| end.0).collect::<Vec<_>>(), [409, 409, 200]);
    assert!(ends[0].1 < Duration::from_secs(3), "the first conflict is told at once: {ends:?}");
    assert!(ends[1].1 >= Duration::from_secs(3), "the second is held back: {ends:?}");
}

#[tokio::test]
async fn ready_updates_go_to_everybody_who_asks() {
    let platform = Platform::start().await;
    let id = platform.say("one").await;
    let (left, right) = tokio::join!(platform.poll(json!({ "timeout": 5 })), platform.poll(json!({ "timeout": 5 })));
    assert_eq!((left, right), (vec![id], vec![id]));
    assert_eq!(platform.state().await["polls"]["conflicts"], 0);
}

#[tokio::test]
async fn a_webhook_shuts_polls_out() {
    let platform = Platform::start_cloud().await;
    platform.say("kept").await;
    let (polled, _) =
        tokio::join!(platform.refused("getUpdates", json!({ "timeout": 50, "offset": 500_100_001 })), async {
            platform.until("a waiting poll", |state| state["polls"]["waiting"] == true).await;
            platform.ok("setWebhook", json!({ "url": "https://bot.example.org/hook" })).await
        });
    assert_eq!(polled, (409, "Conflict: terminated by setWebhook request".into()));
    // This conflict comes within three seconds of the last one.
    let refused = platform.refused("getUpdates", json!({})).await;
    assert_eq!(
        refused.1,
        "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
    );
    let id = platform.say("waits").await;
    assert_eq!(platform.ok("getWebhookInfo", json!({})).await["pending_update_count"], 1);
    platform.ok("deleteWebhook", json!({})).await;
    assert_eq!(platform.poll(json!({})).await, [id]);
    for url in ["http://bot.example.org", "https://bot.example.org:8080/x"] {
        assert!(platform.refused("setWebhook", json!({ "url": url })).await.1.starts_with("Bad Request: bad webhook"));
    }
    let secret = json!({ "url": "https://bot.example.org", "secret_token": "a b" });
    assert!(platform.refused("setWebhook", secret).await.1.contains("unallowed characters"));
    platform.ok("setWebhook", json!({ "url": "https://bot.example.org", "drop_pending_updates": true })).await;
    assert_eq!(platform.state().await["queue"]["waiting"], 0);
}

#[tokio::test]
async fn old_updates_vanish_by_the_platforms_calendar() {
    let platform = Platform::start().await;
    platform.say("soon too old").await;
    let buttons = json!({ "inline_keyboard": [[{ "text": "Yes", "callback_data": "y" }]] });
    let asked = platform.ok("sendMessage", json!({ "chat_id": OLGA, "text": "?", "reply_markup": buttons })).await;
    let press = json!({ "chat": OLGA, "message_id": asked["message_id"], "data": "y" });
    platform.order("callback", press.clone()).await;
    platform.order("clock", json!({ "advance_s": 151 })).await;
    assert_eq!(platform.state().await["queue"]["waiting"], 1, "the press lived 150 s");
    platform.order("clock", json!({ "advance_s": 24 * 3600 })).await;
    assert_eq!(platform.poll(json!({})).await, Vec::<i64>::new());
    assert!(platform.log("ack").is_empty(), "nobody confirmed them");
}

#[tokio::test]
async fn wanted_kinds_are_remembered_and_spare_what_is_queued() {
    let platform = Platform::start().await;
    let message = platform.say("queued before").await;
    assert_eq!(platform.poll(json!({ "allowed_updates": ["edited_message"] })).await, [message]);
    let unwanted = platform.order("message", json!({ "chat": OLGA, "text": "unwanted" })).await;
    assert_eq!(unwanted["update_id"], Value::Null);
    let edit = json!({ "chat": OLGA, "message_id": 1, "text": "changed" });
    let edited = platform.order("edit", edit).await["update_id"].as_i64().expect("edits are wanted");
    assert_eq!(platform.poll(json!({})).await, [message, edited], "remembered without being told again");
    assert_eq!(platform.log("typed").len(), 2, "what is not wanted was never promised");
    platform.poll(json!({ "allowed_updates": [] })).await;
    platform.say("wanted again").await;
    assert_eq!(platform.log("typed").len(), 3);
}

#[tokio::test]
async fn repeated_offsets_are_braked() {
    let platform = Platform::with(Rules { enforce: false, ..Rules::default() }).await;
    let began = Instant::now();
    platform.poll(json!({})).await;
    assert_eq!(platform.poll(json!({})).await, Vec::<i64>::new());
    assert!(began.elapsed() >= Duration::from_secs(3), "a poll storm is slowed to 3 s");
    let ids = [platform.say("one").await, platform.say("two").await];
    assert_eq!(platform.poll(json!({ "offset": ids[0] })).await, ids, "a new offset is free");
    // On a machine too busy to ask twice within half a second, the question is put again.
    let again = loop {
        platform.poll(json!({ "offset": ids[0] })).await;
        let began = Instant::now();
        let got = platform.poll(json!({ "offset": ids[0] })).await;
        if began.elapsed() < Duration::from_millis(400) {
            break got;
        }
    };
    assert_eq!(again, [ids[0]], "the same at once gives one at a time");
}

#[tokio::test]
async fn numbering_may_start_anew() {
    let platform = Platform::start().await;
    let old = platform.say("before").await;
    let (status, _) = platform.try_order("reset_update_ids", json!({ "acct": "support", "next": 7 })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "not while updates wait");
    assert_eq!(platform.poll(json!({ "offset": old + 1 })).await, Vec::<i64>::new());
    platform.order("reset_update_ids", json!({ "next": 7 })).await;
    assert_eq!(platform.say("after").await, 7);
    assert_eq!(platform.poll(json!({ "offset": old + 1 })).await, [7], "the old offset means nothing any more");
}

#[tokio::test]
async fn bots_do_not_see_each_other() {
    let platform = Platform::start().await;
    platform.say("for support").await;
    let url = format!("{}/bot43:OTHER/getUpdates", platform.base);
    let body: Value = platform.client.get(url).send().await.expect("answered").json().await.expect("JSON");
    assert_eq!(body, json!({ "ok": true, "result": [] }));
}
