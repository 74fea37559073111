//! Who sees what: A6, A7, A8.

use switchboard_common::access::rules;
use switchboard_common::access::{Rule, Surface};
use switchboard_common::model::ChatId;

use super::*;

/// Everybody who may come, and what of three chats they see: one waiting in `support`, one that eve (who serves `other`)
/// has taken in `other`, one waiting in `other`.
const EYES: [(&str, &str, [bool; 3]); 6] = [
    ("anna", "agent", [true, false, false]),
    ("bob", "agent", [true, false, false]),
    ("bob", "supervisor", [true, true, true]),
    ("eve", "agent", [false, true, true]),
    ("reports", "loader", [true, true, true]),
    ("root", "admin", [true, true, true]),
];

#[tokio::test]
async fn an_agent_sees_own_chats_and_those_of_own_queues_everywhere() {
    let office = Office::new().await;
    office.say(0, vec![message("s1", 1, "hello")]).await;
    office.say(1, vec![message("o1", 1, "hello"), message("o2", 1, "hello")]).await;
    office.run_sql("UPDATE customer SET phone = '+7495' || id || '0000'").await;
    let chats = [office.chat("s1").await, office.chat("o1").await, office.chat("o2").await];
    let eve = office.database.agent("eve").await.unwrap().unwrap();
    office.database.take_chat(&eve, ChatId(chats[1])).await.unwrap().unwrap();
    let now = around_now();
    for (who, scope, sees) in EYES {
        let token = token(who, scope);
        let want: Vec<i64> = chats.iter().zip(sees).filter(|(_, sees)| *sees).map(|(chat, _)| *chat).collect();
        assert_eq!(office.chats(&format!("{now}&limit=1"), &token).await, want, "{who} {scope}");
        for (n, (chat, sees)) in chats.iter().zip(sees).enumerate() {
            let (status, body) = office.get(&format!("/v1/chats/{chat}/history"), &token).await;
            assert_eq!(status == 200, sees, "{who} {scope}, chat {n}: {body}");
            let key = ["s1", "o1", "o2"][n];
            let phone = office.number(&format!("SELECT id FROM customer WHERE platform_id = '{key}'")).await;
            for by in [format!("platform_id={key}"), format!("phone=7495{phone}0000")] {
                let found = office.read(&format!("/v1/customers?{by}"), &token).await;
                let found: Vec<&str> = found["items"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .flat_map(|customer| customer["chats"].as_array().unwrap())
                    .map(|chat| chat["chat"].as_str().unwrap())
                    .collect();
                let want = if sees { vec![chat.to_string()] } else { Vec::new() };
                assert_eq!(found, want, "{who} {scope}, {by}");
            }
        }
    }
    // A chat that goes to somebody else is gone for whoever saw it; the queue's others see it no more.
    office.run_sql(&format!("UPDATE chat SET agent_id = {}, queue_id = NULL WHERE id = {}", eve.id, chats[0])).await;
    assert!(office.chats(&now, &token("anna", "agent")).await.is_empty());
    assert_eq!(office.chats(&now, &token("eve", "agent")).await, chats);
    office.finish().await;
}

#[tokio::test]
async fn a_foreign_chat_is_answered_like_an_absent_one() {
    let office = Office::new().await;
    office.say(1, vec![message("o1", 1, "hello")]).await;
    let foreign = office.chat("o1").await;
    let bare = |mut body: Value| {
        body["request_id"] = Value::Null;
        body
    };
    let token = token("anna", "agent");
    let seen = office.get(&format!("/v1/chats/{foreign}/history"), &token).await;
    for absent in ["999999", "0", "-1", "abc", "9223372036854775807", "9223372036854775808", "%00", "%ff"] {
        let missing = office.get(&format!("/v1/chats/{absent}/history"), &token).await;
        assert_eq!((missing.0, bare(missing.1)), (404, bare(seen.1.clone())), "{absent}");
    }
    office.finish().await;
}

/// The matrix is data: each route with each scope, and without a token.
#[tokio::test]
async fn routes_let_in_whom_their_rules_name() {
    let office = Office::new().await;
    office.run_sql("UPDATE agent SET scopes = '{agent,supervisor,bot,loader,admin}' WHERE name = 'anna'").await;
    office.say(0, vec![message("s1", 1, "hello")]).await;
    let (chat, now) = (office.chat("s1").await, around_now());
    let of_loader = |rule: &&&Rule| rule.surface == Surface::Loader;
    for rule in rules::ALL.iter().filter(of_loader) {
        let path = rule.name.strip_prefix("GET ").unwrap().replace("{chat}", &chat.to_string());
        let query = match path.as_str() {
            "/v1/chats" => format!("?{now}"),
            "/v1/chats/export" => format!("?{now}&format=ndjson"),
            "/v1/customers" => "?platform_id=s1".to_owned(),
            _ => String::new(),
        };
        let status = async |headers: &[(&str, String)]| {
            let url = format!("http://{}{path}{query}", office.address);
            let request =
                headers.iter().fold(office.http.get(url), |request, (name, value)| request.header(*name, value));
            request.send().await.unwrap().status().as_u16()
        };
        for scope in ["agent", "supervisor", "bot", "loader", "admin"] {
            let subject = if ["loader", "admin"].contains(&scope) { "program" } else { "anna" };
            let allowed = rule.allow.iter().any(|allowed| allowed.as_str() == scope);
            let bearer = format!("Bearer {}", token(subject, scope));
            let got = status(&[("authorization", bearer)]).await;
            assert_eq!(got, if allowed { 200 } else { 403 }, "{} as {scope}", rule.name);
        }
        // A cookie or the address is no place for a token.
        for headers in [vec![], vec![("authorization", "Bearer x".to_owned())], vec![("cookie", reader())]] {
            assert_eq!(status(&headers).await, 401, "{} {headers:?}", rule.name);
        }
    }
    let disabled = "UPDATE agent SET enabled = false WHERE name = 'eve'";
    office.run_sql(disabled).await;
    assert_eq!(office.get("/v1/accounts", &token("eve", "agent")).await.0, 403);
    office.finish().await;
}
