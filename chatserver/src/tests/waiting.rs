use switchboard_common::model::{AttemptOutcome, Epoch, FreezeScope, OutboxId};
use switchboard_common::store::{ClaimSpans, ClaimToken, Freeze, Settlement};

use super::*;

/// A lease that somebody holds, and what the platform allows.
const SERVED: &str = "
UPDATE account_lease SET epoch = 1, holder = 'me', released = false, renewed_at = now() + interval '1 h',
  server = pg_postmaster_start_time();
UPDATE account SET capabilities = '{\"text_max_utf16\": 10, \"limits\": [{\"count\": 10, \"window_ms\": 1000, \"scope\": \"account\"},
  {\"count\": 1, \"window_ms\": 1000, \"scope\": \"chat\"}]}'";

impl Fleet {
    /// What the sender does with the oldest part that waits.
    async fn settle_oldest(&self, end: &Settlement) {
        let id = OutboxId(self.number("SELECT min(id) FROM outbox WHERE open").await);
        let span = Duration::from_secs(10);
        let claimed =
            self.database.claim(self.account, Epoch(1), ClaimToken::new(), &[id], ClaimSpans::all(span)).await.unwrap();
        assert!(self.database.settle(self.account, id, claimed[0].n, end).await.is_ok());
        self.doorbells.ring_chatservers();
    }
}

/// A chat for each customer `c1`, `c2` …, taken by the client's agent.
async fn take_chats(fleet: &Fleet, client: &mut Client, count: usize) {
    for n in 1..=count {
        fleet.say(vec![message(&format!("c{n}"), 1, "hello")]).await;
        client.entries_until(|frame| frame["entry"]["text"] == "hello").await;
        client.ok(json!({"type": "take", "chat": n.to_string()})).await;
    }
}

async fn send(client: &mut Client, chat: usize, key: &str, lane: &str) -> Value {
    let send = json!({"type": "send", "chat": chat.to_string(), "client_key": key, "text": "hi", "lane": lane});
    client.ok(send).await["seq"].clone()
}

async fn waiting(client: &mut Client, chat: usize) -> Vec<Value> {
    let answer = client.ok(json!({"type": "waiting", "chat": chat.to_string()})).await;
    assert_eq!(answer["chat"], chat.to_string());
    answer["parts"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_message_moves_up_and_is_gone_when_it_is_sent() {
    const CHATS: usize = 5;
    let mut fleet = Fleet::new().await;
    fleet.run_sql(SERVED).await;
    let address = fleet.start("one").await;
    let mut anna = Client::enter(address, "anna").await;
    take_chats(&fleet, &mut anna, CHATS).await;
    for chat in 1..=CHATS {
        send(&mut anna, chat, &format!("k{chat}"), "interactive").await;
    }
    for position in (1..=CHATS).rev() {
        let part = waiting(&mut anna, CHATS).await.remove(0);
        assert_eq!((&part["position"], &part["exact"]), (&json!(position), &json!(true)), "{part}");
        assert_eq!(
            (&part["state"], &part["lane"], &part["part"]),
            (&json!("queued"), &json!("interactive"), &json!(0))
        );
        assert!(part["expected_s"].as_f64().unwrap() < 1.0 && part["until"].is_null(), "{part}");
        fleet.settle_oldest(&Settlement::Sent { platform_id: position.to_string() }).await;
    }
    assert_eq!(waiting(&mut anna, CHATS).await, [] as [Value; 0]);
    anna.entries_until(|frame| frame["entry"]["state"] == "sent" && frame["entry"]["chat"] == "5").await;
    fleet.finish().await;
}

#[tokio::test]
async fn a_lane_is_shown_and_decides_who_goes_first() {
    let mut fleet = Fleet::new().await;
    fleet.run_sql(SERVED).await;
    let address = fleet.start("one").await;
    let mut anna = Client::enter(address, "anna").await;
    take_chats(&fleet, &mut anna, 2).await;
    let bulk = send(&mut anna, 1, "bulk", "bulk").await;
    let bot = send(&mut anna, 1, "bot", "bot").await;
    let urgent = send(&mut anna, 2, "urgent", "interactive").await;
    let seen = |part: &Value| (part["seq"].clone(), part["lane"].clone(), part["position"].clone());
    let parts = waiting(&mut anna, 1).await;
    assert_eq!(
        parts.iter().map(seen).collect::<Vec<_>>(),
        [(bot.clone(), json!("bot"), json!(2)), (bulk, json!("bulk"), json!(3))]
    );
    assert_eq!(seen(&waiting(&mut anna, 2).await[0]), (urgent, json!("interactive"), json!(1)));
    let one = anna.ok(json!({"type": "waiting", "chat": "1", "seq": bot})).await;
    assert_eq!((one["parts"].as_array().unwrap().len(), &one["parts"][0]["lane"]), (1, &json!("bot")));

    let entries = anna.entries_until(|frame| frame["entry"]["client_key"] == "urgent").await;
    let lane = |key: &str| {
        entries.iter().find(|frame| frame["entry"]["client_key"] == key).unwrap()["entry"].get("lane").cloned()
    };
    assert_eq!((lane("bulk"), lane("urgent")), (Some(json!("bulk")), None));
    let page = anna.ok(json!({"type": "history", "chat": "1"})).await;
    assert_eq!(page["entries"].as_array().unwrap().last().unwrap()["lane"], "bot");
    fleet.finish().await;
}

#[tokio::test]
async fn a_pause_says_until_when_and_an_absent_connector_says_nothing() {
    let mut fleet = Fleet::new().await;
    let address = fleet.start("one").await;
    let mut anna = Client::enter(address, "anna").await;
    take_chats(&fleet, &mut anna, 1).await;
    send(&mut anna, 1, "k1", "interactive").await;
    let part = waiting(&mut anna, 1).await.remove(0);
    assert_eq!((&part["reason"], &part["expected_s"]), (&json!("no_connector"), &Value::Null));

    fleet.run_sql(SERVED).await;
    let minute = Duration::from_secs(60);
    let freeze = Some(Freeze { scope: FreezeScope::Chat("c1".to_owned()), remaining: minute });
    let reason = "throttled".to_owned();
    fleet.settle_oldest(&Settlement::Retry { outcome: AttemptOutcome::Throttled, after: minute, freeze, reason }).await;
    send(&mut anna, 1, "k2", "interactive").await;
    let parts = waiting(&mut anna, 1).await;
    assert_eq!((&parts[0]["reason"], &parts[1]["reason"]), (&json!("paused"), &json!("paused")), "the whole chat");
    let until: chrono::DateTime<chrono::Utc> = parts[0]["until"].as_str().unwrap().parse().unwrap();
    let seconds = (until - chrono::Utc::now()).num_seconds();
    assert!((50..=60).contains(&seconds) && parts[0]["expected_s"].as_f64().unwrap() > 50.0, "{parts:?}");
    assert!(parts[1]["expected_s"].as_f64() >= parts[0]["expected_s"].as_f64(), "{parts:?}");
    fleet.run_sql("UPDATE attempt SET freeze_until = now()").await;
    assert_eq!(waiting(&mut anna, 1).await[1]["reason"], "earlier_message", "the first has its next try in a minute");

    let mut eve = Client::enter(address, "eve").await;
    for chat in ["1", "999999"] {
        assert_eq!(eve.refused(json!({"type": "waiting", "chat": chat})).await, "not_found");
    }
    assert_eq!(anna.refused(json!({"type": "waiting"})).await, "bad_request");
    fleet.finish().await;
}
