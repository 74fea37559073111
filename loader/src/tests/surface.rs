//! What all answers have in common, and a database that goes away.

use reqwest::Method;
use reqwest::header::{HeaderMap, ORIGIN};
use switchboard_common::store::DatabaseOptions;

use super::*;

async fn headers(office: &Office, method: Method, path: &str, origin: Option<&str>) -> (u16, HeaderMap) {
    let mut request = office.http.request(method, format!("http://{}{path}", office.address));
    if let Some(origin) = origin {
        request = request.header(ORIGIN, origin).header("access-control-request-method", "GET");
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.headers().clone())
}

#[tokio::test]
async fn every_answer_wears_the_headers() {
    let office = Office::new().await;
    let paths = ["/v1/accounts", "/v1/nothing", "/openapi.json", "/", "/v1/chats/1/history"];
    for path in paths {
        let (status, headers) = headers(&office, Method::GET, path, None).await;
        let want = [
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
            ("vary", "Origin"),
        ];
        for (name, value) in want {
            assert_eq!(headers.get(name).unwrap(), value, "{path}: {name}");
        }
        assert!(headers.keys().all(|name| !name.as_str().starts_with("access-control")), "{path}: {headers:?}");
        let kind = headers["content-type"].to_str().unwrap();
        assert_eq!(kind, if status == 200 { "application/json" } else { "application/problem+json" }, "{path}");
        assert_eq!(status == 401, headers.contains_key("www-authenticate"), "{path}");
    }
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
        let (status, headers) = headers(&office, method, "/v1/chats", None).await;
        assert_eq!((status, &headers["content-type"]), (405, &"application/problem+json".parse().unwrap()));
    }
    let health = office.http.get(format!("http://{}/livez", office.address)).send().await.unwrap();
    assert_eq!(health.status(), 200);
    office.finish().await;
}

#[tokio::test]
async fn only_pages_of_known_origins_may_read() {
    let office = Office::new().await;
    for (origin, allowed) in [
        ("https://desk.example", true),
        ("HTTPS://desk.example", true),
        ("https://desk.example.evil.example", false),
        ("http://desk.example", false),
        ("null", false),
    ] {
        let (status, asked) = headers(&office, Method::OPTIONS, "/v1/chats", Some(origin)).await;
        assert_eq!(status, 204);
        let (_, got) = headers(&office, Method::GET, "/v1/accounts", Some(origin)).await;
        let shared = |headers: &HeaderMap| headers.get("access-control-allow-origin").cloned();
        assert_eq!((shared(&asked).is_some(), shared(&got).is_some()), (allowed, allowed), "{origin}");
        assert_eq!(asked.contains_key("access-control-allow-headers"), allowed, "{origin}");
        assert!(!got.contains_key("access-control-allow-credentials"), "tokens are never sent by a browser itself");
    }
    office.finish().await;
}

#[tokio::test]
async fn without_its_database_a_loader_says_so() {
    let mut office = Office::new().await;
    // A port where nothing listens.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let gone = Database::for_reading(&DatabaseOptions {
        url: format!("postgresql://nobody@{free}/nothing"),
        password: None,
        pool_size: 2,
        application_name: "test".to_owned(),
        statement_timeout: Duration::from_secs(2),
    });
    let address = office.start_on(gone.unwrap()).await;
    let answer = office.http.get(format!("http://{address}/v1/accounts")).bearer_auth(reader()).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (503, &"1".parse().unwrap()));
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(problem["code"], "unavailable");
    assert!(!problem.to_string().contains(&free.port().to_string()), "addresses are for the log");
    office.finish().await;
}

/// A pool for reading can not write, whatever is asked of it.
#[tokio::test]
async fn a_reader_cannot_write() {
    let office = Office::new().await;
    let reading = Database::for_reading(&DatabaseOptions {
        url: office.test.url.clone(),
        password: None,
        pool_size: 1,
        application_name: "test".to_owned(),
        statement_timeout: Duration::from_secs(5),
    });
    let refused = reading.unwrap().add_queue("more").await.unwrap_err();
    assert!(refused.to_string().contains("25006"), "{refused}");
    office.finish().await;
}
