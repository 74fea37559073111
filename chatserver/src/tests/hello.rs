use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Error;

use super::*;

#[tokio::test]
async fn a_hello_gets_names_heads_and_a_snapshot() {
    let mut fleet = Fleet::new().await;
    let address = fleet.start("one").await;
    fleet.say(vec![message("c1", 1, "hello")]).await;
    fleet.until("SELECT count(*) FROM history", 2).await;
    let mut client = Client::connect(address).await;
    let hello = client.ok(json!({"type": "hello", "token": token("anna")})).await;
    assert_eq!(hello["agent"], json!({"id": "1", "name": "anna", "display_name": "ANNA"}));
    assert_eq!((&hello["server"], &hello["feed_epoch"]), (&json!("one"), &json!(1)));
    assert_eq!(hello["feeds"]["queue:1"], json!({"head": 2, "recovered": false}));
    let resync = client.frame().await;
    assert_eq!(resync["feeds"], json!({"agent:1": 0, "queue:1": 2}));
    assert_eq!(resync["queues"], json!([{"id": "1", "name": "support", "feed": "queue:1"}]));
    let mut chat = resync["chats"][0].clone();
    assert!(chat["last"].as_object_mut().unwrap().remove("at").is_some());
    assert_eq!(
        chat,
        json!({
            "chat": "1", "account": "main", "platform": "telegram", "title": "c1",
            "customer": {"id": "1", "name": "Name c1", "phone": null},
            "state": "waiting", "agent": null, "queue": "support", "last_seq": 2, "unread": 1, "read_seq": 0,
            "last": {"chat": "1", "account": "main", "seq": 2, "kind": "message", "text": "hello",
                     "author": {"kind": "customer", "id": "1", "name": "Name c1"}},
        })
    );
    fleet.say(vec![message("c1", 2, "again")]).await;
    assert_eq!(client.entry().await["entry"]["text"], "again");
    let snapshot = client.ok(json!({"type": "snapshot"})).await;
    assert_eq!((&snapshot["feeds"]["queue:1"], &snapshot["chats"][0]["unread"]), (&json!(3), &json!(2)));
    assert_eq!(client.ok(json!({"type": "ping"})).await, json!({}));
    assert_eq!(client.refused(json!({"type": "hello", "token": token("anna")})).await, "bad_request");
    fleet.finish().await;
}

#[tokio::test]
async fn nobody_comes_in_without_a_good_token() {
    let mut fleet = Fleet::new().await;
    let address = fleet.start("one").await;
    assert!(fleet.database.enable_agent("bob", false).await.unwrap());
    let changed = |key: &str, value: Value| {
        let mut claims = claims("anna");
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(key),
            value => claims.as_object_mut().unwrap().insert(key.to_owned(), value),
        };
        json!(sign(&claims))
    };
    let now = get_current_timestamp();
    let stranger = EncodingKey::from_secret(b"another secret of more than 32 bytes");
    for bad in [
        Value::Null,
        json!(""),
        json!("no token"),
        // {"alg":"none"}.{"sub":"anna"}.
        json!("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm5hIn0."),
        json!(encode(&Header::new(Algorithm::HS256), &claims("anna"), &stranger).unwrap()),
        json!(
            encode(&Header::new(Algorithm::HS512), &claims("anna"), &EncodingKey::from_secret(SECRET.as_bytes()))
                .unwrap()
        ),
        changed("exp", json!(now - 60)),
        changed("exp", Value::Null),
        changed("aud", Value::Null),
        changed("iss", Value::Null),
        changed("sub", Value::Null),
        changed("nbf", json!(now + 60)),
        changed("aud", json!("others")),
        json!(token("nobody")),
        json!(token("bob")),
    ] {
        let mut client = Client::connect(address).await;
        let code = client.refused(json!({"type": "hello", "token": bad})).await;
        assert_eq!((code.as_str(), client.closed().await), ("unauthorized", Some(4500)), "{bad}");
    }
    assert_eq!(fleet.number("SELECT count(*) FROM agent_session").await, 0);
    fleet.finish().await;
}

#[tokio::test]
async fn a_bearer_header_is_as_good_and_a_cookie_is_nothing() {
    let mut fleet = Fleet::new().await;
    let address = fleet.start("one").await;
    let protocol = ("Sec-WebSocket-Protocol", "other, switchboard.v1".to_owned());
    let bearer = ("Authorization", format!("Bearer {}", token("anna")));
    let mut client = Client::open(address, &[protocol.clone(), bearer]).await.unwrap();
    assert_eq!(client.ok(json!({"type": "hello"})).await["agent"]["name"], "anna");
    let cookie = ("Cookie", format!("token={}", token("anna")));
    let mut client = Client::open(address, &[protocol, cookie]).await.unwrap();
    assert_eq!(client.refused(json!({"type": "hello"})).await, "unauthorized");
    fleet.finish().await;
}

#[tokio::test]
async fn the_upgrade_wants_the_protocol_and_a_known_origin() {
    let mut fleet = Fleet::new().await;
    let address = fleet.start("one").await;
    let protocol = ("Sec-WebSocket-Protocol", "switchboard.v1".to_owned());
    let status = |result: Result<Client, Error>| match result {
        Ok(_) => 101,
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(error) => panic!("{error}"),
    };
    assert_eq!(status(Client::open(address, &[]).await), 400);
    assert_eq!(status(Client::open(address, &[("Sec-WebSocket-Protocol", "switchboard.v2".to_owned())]).await), 400);
    let own = format!("http://{address}");
    for (origin, want) in [
        (own.as_str(), 101),
        ("https://desk.example", 101),
        ("https://evil.example", 403),
        ("null", 403),
        ("http://127.0.0.1", 403),
    ] {
        let headers = [protocol.clone(), ("Origin", origin.to_owned())];
        assert_eq!(status(Client::open(address, &headers).await), want, "{origin}");
    }
    fleet.finish().await;
}

#[tokio::test]
async fn the_first_frame_is_a_hello_in_time() {
    let mut fleet = Fleet::new().await;
    let limits = Limits { hello_within: Duration::from_secs(2), ..Limits::default() };
    let address = fleet.start_with("one", limits, fleet.test.another()).await;
    for first in [r#"{"id":1,"type":"ping"}"#, "not JSON", "{}", r#"{"id":1,"type":"hello","cursors":7}"#] {
        let mut client = Client::connect(address).await;
        client.text(first).await;
        assert_eq!(client.closed().await, Some(4501), "{first}");
    }
    let mut silent = Client::connect(address).await;
    assert_eq!(silent.closed().await, Some(4500));
    fleet.finish().await;
}

#[tokio::test]
async fn the_page_is_served_with_a_strict_policy() {
    let mut fleet = Fleet::new().await;
    let address = fleet.start("one").await;
    for path in ["/", "/page.js", "/desk.js", "/files.js", "/session.js", "/waiting.js", "/page.css", "/page.svg"] {
        let head = head_of(address, path).await;
        assert!(head.starts_with("http/1.1 200"), "{path}: {head}");
        assert!(head.contains("default-src 'none'") && head.contains("frame-ancestors 'self' https://desk.example"));
        assert!(head.contains("connect-src 'self' https://desk.example") && head.contains("img-src 'self' blob:;"));
        assert!(head.contains("x-content-type-options: nosniff") && head.contains("cache-control: no-store"));
    }
    let head = head_of(address, "/asyncapi.json").await;
    assert!(head.starts_with("http/1.1 200") && head.contains("content-type: application/json"), "{head}");
    assert!(head.contains("default-src 'none'; frame-ancestors 'none'") && head.contains("no-store"), "{head}");
    for (path, status) in [("/nothing", 404), ("/v1/agent", 400), ("/metrics", 404), ("/..%2f..%2fetc/passwd", 404)] {
        let head = head_of(address, path).await;
        assert!(head.starts_with(&format!("http/1.1 {status}")), "{path}: {head}");
        assert!(head.contains("x-content-type-options: nosniff") && !head.contains("access-control"), "{path}: {head}");
    }
    let ready = async {
        while !head_of(address, "/readyz").await.starts_with("http/1.1 200") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, ready).await.expect("ready once Postgres has answered");
    fleet.finish().await;
}

async fn head_of(address: SocketAddr, path: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(DEADLINE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer.split("\r\n\r\n").next().unwrap().to_lowercase()
}
