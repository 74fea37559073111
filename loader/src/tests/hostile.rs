//! Whatever is sent, the answer is 200, or a 4xx that is a problem.

use super::*;

/// Put in place of every parameter.
const WORDS: [&str; 34] = [
    "",
    "0",
    "-1",
    "1e9",
    "NaN",
    "999999999999999999999999",
    "9223372036854775807",
    "-9223372036854775808",
    "null",
    "%00",
    "a%00b",
    "%ff%fe",
    "%F0%9F%92%A9",
    "%",
    "%zz",
    "'",
    "'%20OR%20'1'%3D'1",
    "%27%3B%20DROP%20TABLE%20chat%3B--",
    "..%2F..%2Fetc%2Fpasswd",
    "{chat}",
    "%3Cscript%3E",
    "%0d%0aX-Injected:%20yes",
    "true",
    "[]",
    "2026-11-21",
    "2026-11-21T00:00:00",
    "2026-11-21T00:00:00Z",
    "0000-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999999Z",
    "-9999-01-01T00:00:00Z",
    "+12026-01-01T00:00:00Z",
    "2026-11-21T24:00:60%2B99:99",
    "2026-11-21T00:00:00%2B23:59",
    "٣",
];

#[tokio::test]
async fn nothing_that_is_sent_is_our_mistake() {
    let office = Office::new().await;
    office.say(0, vec![message("c1", 1, "hello")]).await;
    let chat = office.chat("c1").await;
    let day = "from=2026-11-21T00:00:00Z&to=2026-11-22T00:00:00Z";
    let routes: [(String, String, &[&str]); 6] = [
        (
            "/v1/chats".to_owned(),
            day.to_owned(),
            &["from", "to", "account", "agent", "queue", "state", "limit", "cursor"],
        ),
        ("/v1/chats/export".to_owned(), format!("{day}&format=ndjson"), &["from", "to", "format", "account", "state"]),
        (format!("/v1/chats/{chat}/history"), String::new(), &["before", "after", "limit"]),
        ("/v1/customers".to_owned(), String::new(), &["phone", "platform_id", "account"]),
        ("/v1/accounts".to_owned(), String::new(), &["x"]),
        ("/v1/audit".to_owned(), String::new(), &["subject", "limit", "cursor"]),
    ];
    let long = "9".repeat(5000);
    let admin = token("root", "admin");
    let mut asked = 0;
    for (path, usual, parameters) in &routes {
        for parameter in *parameters {
            for word in WORDS.iter().copied().chain([long.as_str()]) {
                let others: Vec<&str> = usual
                    .split('&')
                    .filter(|pair| !pair.is_empty() && !pair.starts_with(&format!("{parameter}=")))
                    .collect();
                let query = [&others[..], &[&format!("{parameter}={word}")]].concat().join("&");
                probe(&office, &format!("{path}?{query}"), &admin).await;
                asked += 1;
            }
        }
        // Unknown, repeated and malformed parameters are mistakes.
        for query in [format!("{usual}&unknown=1"), format!("{usual}&&&="), format!("{usual}&limit=1&limit=2")] {
            let status = probe(&office, &format!("{path}?{query}"), &admin).await;
            assert_eq!(status, 400, "{path}?{query}");
        }
    }
    for word in WORDS {
        probe(&office, &format!("/v1/chats/{word}/history"), &admin).await;
        probe(&office, &format!("/v1/{word}"), &admin).await;
    }
    assert!(asked > 700);
    office.finish().await;
}

/// Sends it as it is: a client's library would mend some of it.
async fn probe(office: &Office, target: &str, token: &str) -> u16 {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let target = target.replace(|c: char| !c.is_ascii(), "%D9%A3");
    let mut socket = tokio::net::TcpStream::connect(office.address).await.unwrap();
    let request =
        format!("GET {target} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    let status: u16 = answer.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("{target}"));
    assert!(status < 500, "{target}: {answer}");
    assert!(!answer.to_lowercase().contains("\r\nx-injected"), "{target}: {answer}");
    let quiet = ["SELECT", "switchboard_test_", ".rs", "postgres", "panicked"];
    // What was sent may be named; nothing of ours is.
    let found: Vec<&&str> = quiet.iter().filter(|word| answer.contains(**word) && !target.contains(**word)).collect();
    assert!(found.is_empty(), "{target}: {found:?} in {answer}");
    assert!(status < 300 || answer.contains("application/problem+json"), "{target}: {answer}");
    status
}
