//! The authorization matrix at the websocket: every frame of `rules::ALL` by everybody.

use switchboard_common::access::rules::{self, Rule};
use switchboard_common::access::{Surface, TokenScopes};

use super::*;

/// A request of the frame, and what it is answered with when it is let in: about a chat that nobody has.
fn sample(frame: &str) -> (Value, &'static str) {
    let about = |kind: &str, more: Value| {
        let mut request = json!({"type": kind, "chat": "999999"});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request
    };
    match frame {
        "hello" => (json!({"type": "hello"}), "bad_request"),
        "ping" | "snapshot" | "replies" => (json!({"type": frame}), "ok"),
        "take" | "close" | "release" | "history" | "waiting" => (about(frame, json!({})), "not_found"),
        "open" => (about(frame, json!({})), "not_found"),
        "transfer" => (about(frame, json!({"agent": "bob"})), "not_found"),
        "send" => (about(frame, json!({"client_key": "k", "text": "x", "lane": "bot"})), "not_found"),
        "watch" => (about(frame, json!({})), "not_found"),
        "unwatch" => (about(frame, json!({})), "ok"),
        "cancel" | "resend" | "read" => (about(frame, json!({"seq": 1})), "not_found"),
        "mark_sent" | "drop" => (about(frame, json!({"seq": 1, "part": 0})), "not_found"),
        other => panic!("a frame without a sample: {other}"),
    }
}

fn frames() -> impl Iterator<Item = &'static Rule> {
    rules::ALL.iter().copied().filter(|rule| rule.surface == Surface::Frame)
}

fn with(agent: &str, changes: Value) -> String {
    let mut claims = claims(agent);
    claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    sign(&claims)
}

#[tokio::test]
async fn every_frame_is_for_whom_its_rule_says() {
    let mut fleet = Fleet::new().await;
    let address = fleet.start("one").await;
    let mut tried = 0;
    for (row, token, effective) in [
        ("agent", Some("agent"), "agent"),
        ("agent", None, "agent"),
        ("bot", Some("bot"), "bot"),
        ("supervisor", Some("supervisor"), "supervisor"),
        ("agent supervisor", Some("agent supervisor"), "agent supervisor"),
        // A token is good for less than the agent may, and an agent may less than the token says.
        ("agent supervisor bot", Some("supervisor"), "supervisor"),
        ("supervisor", Some("agent supervisor"), "supervisor"),
        ("agent", Some("agent supervisor bot loader admin"), "agent"),
        ("agent", Some("openid agent email"), "agent"),
    ] {
        let scopes = TokenScopes::from_words(effective.split(' '));
        assert!(fleet.database.set_agent_scopes("anna", TokenScopes::from_words(row.split(' '))).await.unwrap());
        let token = with("anna", token.map_or(json!({}), |words| json!({"scope": words})));
        let mut client = Client::connect(address).await;
        let hello = client.ok(json!({"type": "hello", "token": token})).await;
        assert_eq!(hello["scopes"], json!(scopes.words().collect::<Vec<_>>()));
        for rule in frames() {
            let (request, let_in) = sample(rule.name);
            let answer = client.ask(request).await;
            let got = if answer["type"] == "ok" { "ok" } else { answer["code"].as_str().unwrap() };
            let want = if scopes.has_any(rule.allow) { let_in } else { "forbidden" };
            assert_eq!(got, want, "{effective}: {}: {answer}", rule.name);
            assert_ne!(answer["retry"], json!(true));
            tried += 1;
        }
        client.ok(json!({"type": "ping"})).await; // refusals close nothing
    }
    assert!(tried >= 100, "{tried}");
    fleet.finish().await;
}

#[tokio::test]
async fn whoever_is_not_let_in_says_nothing_else() {
    let mut fleet = Fleet::new().await;
    let address = fleet.start("one").await;
    assert!(fleet.database.enable_agent("bob", false).await.unwrap());
    let now = get_current_timestamp();
    for (who, token) in [
        ("nobody", Value::Null),
        ("an expired one", json!(with("anna", json!({"exp": now - 31})))),
        ("one for others", json!(with("anna", json!({"aud": "others"})))),
        ("one of others", json!(with("anna", json!({"iss": "them"})))),
        ("another system's scopes", json!(with("anna", json!({"scope": "openid profile"})))),
        ("no scope at all", json!(with("anna", json!({"scope": ""})))),
        ("a scope the agent lacks", json!(with("anna", json!({"scope": "supervisor"})))),
        ("a disabled agent", json!(with("bob", json!({})))),
        ("an unknown agent", json!(with("mallory", json!({"scope": "agent supervisor"})))),
        ("a program that reads", json!(with("reports", json!({"scope": "loader"})))),
        ("a program that operates", json!(with("tools", json!({"scope": "admin loader"})))),
    ] {
        let mut client = Client::connect(address).await;
        let code = client.refused(json!({"type": "hello", "token": token})).await;
        assert_eq!((code.as_str(), client.closed().await), ("unauthorized", Some(4500)), "{who}");
    }
    // A good token in the header is no hello.
    for rule in frames().filter(|rule| rule.name != "hello") {
        let bearer = ("Authorization", format!("Bearer {}", token("anna")));
        let protocol = ("Sec-WebSocket-Protocol", "switchboard.v1".to_owned());
        let mut client = Client::open(address, &[protocol, bearer]).await.unwrap();
        assert_eq!(client.refused(sample(rule.name).0).await, "bad_request");
        assert_eq!(client.closed().await, Some(4501), "{}", rule.name);
    }
    assert_eq!(fleet.number("SELECT count(*) FROM agent_session").await, 0);
    fleet.finish().await;
}

#[tokio::test]
async fn a_bot_keeps_out_of_the_interactive_lane() {
    let mut fleet = Fleet::new().await;
    let address = fleet.start("one").await;
    assert!(fleet.database.set_agent_scopes("anna", TokenScopes::from_words(["bot"])).await.unwrap());
    fleet.say(vec![message("c1", 1, "hello")]).await;
    fleet.until("SELECT count(*) FROM history", 2).await;
    let mut bot = Client::connect(address).await;
    bot.ok(json!({"type": "hello", "token": with("anna", json!({"scope": "bot"}))})).await;
    bot.ok(json!({"type": "take", "chat": "1"})).await;
    let send =
        |key: &str, lane: Value| json!({"type": "send", "chat": "1", "client_key": key, "text": key, "lane": lane});
    let refused = bot.ask(send("k0", json!("interactive"))).await;
    assert_eq!(refused["code"], "forbidden");
    assert!(refused["message"].as_str().unwrap().contains("bot and bulk"), "{refused}");
    for (key, lane) in [("k1", Value::Null), ("k2", json!("bot")), ("k3", json!("bulk"))] {
        bot.ok(send(key, lane)).await;
    }
    assert_eq!(fleet.number("SELECT count(*) FROM outbox WHERE lane = 1").await, 2);
    assert_eq!(fleet.number("SELECT count(*) FROM outbox WHERE lane = 2").await, 1);
    // Nor does it send there by resending what an agent wrote before it had the chat.
    fleet
        .run_sql("UPDATE outbox SET state = 3, open = false, lane = CASE client_key WHEN 'k1' THEN 0 ELSE 1 END")
        .await;
    let seq = async |key: &str| fleet.number(&format!("SELECT chat_seq FROM outbox WHERE client_key = '{key}'")).await;
    let resend = |seq: i64| json!({"type": "resend", "chat": "1", "seq": seq});
    assert_eq!(bot.refused(resend(seq("k1").await)).await, "forbidden");
    bot.ok(resend(seq("k2").await)).await;
    fleet.finish().await;
}

#[tokio::test]
async fn a_supervisor_reads_every_chat_and_touches_none() {
    let mut fleet = Fleet::new().await;
    let address = fleet.start("one").await;
    assert!(fleet.database.set_agent_scopes("eve", TokenScopes::from_words(["agent", "supervisor"])).await.unwrap());
    fleet.say(vec![message("c1", 1, "hello")]).await;
    fleet.until("SELECT count(*) FROM history", 2).await;
    let mut anna = Client::enter(address, "anna").await;
    anna.ok(json!({"type": "take", "chat": "1"})).await;
    let history = json!({"type": "history", "chat": "1"});
    let mut eve = Client::connect(address).await;
    eve.ok(json!({"type": "hello", "token": with("eve", json!({"scope": "supervisor"}))})).await;
    assert_eq!(eve.frame().await["chats"], json!([]), "the feeds and the snapshot are those of her row");
    assert_eq!(eve.ok(history.clone()).await, anna.ok(history.clone()).await);
    assert_eq!(eve.ok(json!({"type": "waiting", "chat": "1"})).await["parts"], json!([]));
    assert_eq!(eve.refused(json!({"type": "history", "chat": "999"})).await, "not_found");
    // With both scopes she may write, but only where an agent of her queues may.
    let mut both = Client::connect(address).await;
    both.ok(json!({"type": "hello", "token": with("eve", json!({"scope": "agent supervisor"}))})).await;
    both.ok(history.clone()).await;
    for change in [json!({"type": "take", "chat": "1"}), json!({"type": "close", "chat": "1"})] {
        assert_eq!(both.refused(change).await, "not_found");
    }
    // As an agent alone she sees nothing of it.
    let mut alone = Client::enter(address, "eve").await;
    assert_eq!(alone.refused(history).await, "not_found");
    fleet.finish().await;
}

#[tokio::test]
async fn a_changed_role_ends_the_session_within_five_seconds() {
    let mut fleet = Fleet::new().await;
    let address = fleet.start("one").await;
    let mut anna = Client::enter(address, "anna").await;
    let mut bob = Client::enter(address, "bob").await;
    assert!(fleet.database.set_agent_scopes("anna", TokenScopes::from_words(["supervisor"])).await.unwrap());
    let begun = std::time::Instant::now();
    assert_eq!(anna.closed().await, Some(4012));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    bob.ok(json!({"type": "ping"})).await;
    let mut back = Client::connect(address).await;
    assert_eq!(back.refused(json!({"type": "hello", "token": token("anna")})).await, "unauthorized");
    fleet.finish().await;
}
