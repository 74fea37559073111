//! Requests whose end two servers may see at different places, and paths with more than one spelling.

use std::time::Duration;

use switchboard_tests::harness::Fleet;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Street;

const DEADLINE: Duration = Duration::from_secs(20);
/// A proxy that waits for more of a body says nothing; every other answer is there long before.
const FIRST_ANSWER: Duration = Duration::from_millis(150);
/// What operators' paths say, on any listener.
const OPERATORS: [&str; 4] = ["\"ready\"", "live\n", "# TYPE", "# HELP"];

/// Heads of a POST after its first two lines, and how its body looks. `{L}` is the length of what is smuggled.
const FRAMINGS: &[(&str, &str)] = &[
    ("Content-Length: {L}\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n{S}"),
    ("Transfer-Encoding: chunked\r\nContent-Length: {L}\r\n", "0\r\n\r\n{S}"),
    ("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n{S}"),
    ("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", "{X}\r\n{S}\r\n0\r\n\r\n"),
    ("Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n", "0\r\n\r\n{S}"),
    ("Transfer-Encoding : chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n{S}"),
    (" Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n{S}"),
    ("X: y\r\n Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n{S}"),
    ("Transfer-Encoding:\x0bchunked\r\nContent-Length: 5\r\n", "0\r\n\r\n{S}"),
    ("Transfer-Encoding:\tchunked\r\nContent-Length: 5\r\n", "0\r\n\r\n{S}"),
    ("Transfer-Encoding: \"chunked\"\r\nContent-Length: 5\r\n", "0\r\n\r\n{S}"),
    ("Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n{S}"),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\n", "0\r\n\r\n{S}"),
    ("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n{S}"),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n{S}"),
    ("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n{S}"),
    ("Transfer-Encoding: chunked, identity\r\nContent-Length: 5\r\n", "0\r\n\r\n{S}"),
    ("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n{S}"),
    ("Transfer_Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n{S}"),
    ("Foo: x\rTransfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n{S}"),
    ("Content-Length: 0\r\nContent-Length: {L}\r\n", "{S}"),
    ("Content-Length: {L}\r\nContent-Length: 0\r\n", "{S}"),
    ("Content-Length: 0, {L}\r\n", "{S}"),
    ("Content-Length: +0\r\n", "{S}"),
    ("Content-Length: -1\r\n", "{S}"),
    ("Content-Length: 0x0\r\n", "{S}"),
    ("Content-Length:\r\n", "{S}"),
    ("Content-Length : 0\r\n", "{S}"),
    ("Content-Length: 18446744073709551616\r\n", "{S}"),
    ("Content-Length: 0\n", "{S}"),
    ("Foo: x\nContent-Length: 0\n\n", "{S}"),
    ("Foo: a\0b\r\nContent-Length: 0\r\n", "{S}"),
    ("Foo\0: b\r\nContent-Length: 0\r\n", "{S}"),
    ("Transfer-Encoding: chunked\r\n", "0;a=\"\r\n\r\n\"\r\n\r\n{S}"),
    ("Transfer-Encoding: chunked\r\n", "0;\n{S}\r\n\r\n"),
    ("Transfer-Encoding: chunked\r\n", "2;\nxx\n{S}\r\n0\r\n\r\n"),
    ("Transfer-Encoding: chunked\r\n", "0x0\r\n\r\n{S}"),
    ("Transfer-Encoding: chunked\r\n", "-0\r\n\r\n{S}"),
    ("Transfer-Encoding: chunked\r\n", "00000000000000000000\r\n\r\n{S}"),
    ("Transfer-Encoding: chunked\r\n", "10000000000000000\r\n\r\n{S}"),
    ("Transfer-Encoding: chunked\r\n", "1\r\nxy\r\n0\r\n\r\n{S}"),
    ("Transfer-Encoding: chunked\r\n", "0\r\nContent-Length: {L}\r\nX: y\r\n\r\n{S}"),
    ("Content-Length: {L}\r\nExpect: 100-continue\r\n", "{S}"),
    ("Content-Length: 0\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 777\r\n", "{S}"),
    (
        "Content-Length: 0\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        "{S}",
    ),
    ("Content-Length: {L}\r\nConnection: Content-Length\r\n", "{S}"),
    ("Transfer-Encoding: chunked\r\nConnection: Transfer-Encoding\r\n", "0\r\n\r\n{S}"),
];

/// Where operators look, in every spelling.
fn spellings() -> Vec<String> {
    let mut all = Vec::new();
    for name in ["metrics", "readyz", "livez"] {
        let (first, rest) = name.split_at(1);
        let hex = format!("%{:02x}{rest}", first.as_bytes()[0]);
        let upper = name.to_uppercase();
        for form in [
            "/{}",
            "//{}",
            "///{}",
            "/./{}",
            "/{}/",
            "/{}//",
            "/{}?a",
            "/{};a",
            "/{}#a",
            "/{}%00",
            "/{}%20",
            "/%2f{}",
            "/.%2f{}",
            "/%2e/{}",
            "/a/../{}",
            "/a/..%2f{}",
            "/a/%2e%2e/{}",
            "/files/../{}",
            "/files/support/../../{}",
            "/files/support/..%2f..%2f{}",
            "/files/support/..%2f{}",
            "/files/support/%2e%2e/%2e%2e/{}",
            "/webhooks/support/../../{}",
            "/webhooks/support/..%2f..%2f{}",
            "/v1/../{}",
            "/v1/chats/../../{}",
            "/\\{}",
            "/files\\..\\{}",
            "http://a/{}",
            "http://a//{}",
            "HTTP://a/{}",
            "http://a:80/{}",
            "http://a@b/{}",
            "http:///{}",
            "http://a?/{}",
            "https://a/{}",
            "a/{}",
            "{}",
            "*",
            "//a/{}",
        ] {
            all.extend([form.replace("{}", name), form.replace("{}", &hex), form.replace("{}", &upper)]);
        }
    }
    all.sort();
    all.dedup();
    all
}

/// Sends bytes on a connection of their own; all that comes back until the other side closes.
async fn answers(street: &Street, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(street.base.replace("http://", "")).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    rest(&mut stream).await
}

/// What comes before the other side closes; a reset after it is an end, too.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = timeout(DEADLINE, stream.read_to_end(&mut bytes)).await.expect("closed in time");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn is_nothing_of_operators(answer: &str, of: &str) {
    assert!(!OPERATORS.iter().any(|words| answer.contains(words)), "{of:?} was answered:\n{answer}");
}

/// One answer: its status, and its body without the name of the request.
async fn one(stream: &mut TcpStream) -> (u16, String) {
    let reading = async {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.expect("an answer"));
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
        let mut body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut body).await.unwrap();
        (head, String::from_utf8(body).unwrap())
    };
    let (head, body) = timeout(DEADLINE, reading).await.expect("an answer in time");
    let body = match serde_json::from_str::<serde_json::Value>(&body) {
        Ok(mut problem) => {
            problem["request_id"].take();
            problem.to_string()
        }
        Err(_) => body,
    };
    (head[9..12].parse().unwrap(), body)
}

/// Somebody else's requests, one after the other on a new connection; all but the first may go to servers by connections
/// that others have used before.
async fn innocent(street: &Street, own: &str) -> Vec<(u16, String)> {
    let mut stream = TcpStream::connect(street.base.replace("http://", "")).await.unwrap();
    let mut answers = Vec::new();
    for (path, more) in [
        (format!("/files/support/{own}"), ""),
        ("/nowhere".to_owned(), ""),
        (format!("/files/support/{own}"), "Range: bytes=4-7\r\n"),
        (format!("/files/support/{}", "1".repeat(32)), ""),
        (format!("/files/support/{own}"), ""),
    ] {
        let token = &street.anna;
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n{more}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        answers.push(one(&mut stream).await);
    }
    answers
}

pub(super) async fn mixes_nothing_up(fleet: &Fleet, street: &Street) {
    let anna = fleet.file_client("anna");
    let own = anna.put(&street.base, "own", "own.txt", "text/plain", b"the innocent's own bytes").await.file();
    let evil = anna.put(&street.base, "evil", "evil.txt", "text/plain", b"what nobody asked for").await.file();
    let want = innocent(street, &own).await;
    let statuses: Vec<u16> = want.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [200, 404, 206, 404, 200]);
    assert_eq!((want[0].1.as_str(), want[2].1.as_str()), ("the innocent's own bytes", "inno"));
    let direct = street.ask(&format!("{}/readyz", fleet.connector_bases()[0]), None).await;
    assert!(String::from_utf8(direct.2).unwrap().contains(OPERATORS[0]), "behind the proxy it is answered");

    // The first smuggled request is one that the proxy refuses, the second takes the beginning of another's.
    let token = &street.anna;
    let smuggled = format!(
        "GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n\
         GET /files/support/{evil} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nX-Rest: "
    );
    let mut open = Vec::new();
    for (head, body) in FRAMINGS {
        for target in ["/files/support?name=a", "/webhooks/support/telegram", "/nowhere"] {
            let fill = |text: &str| {
                let length = smuggled.len();
                text.replace("{L}", &length.to_string())
                    .replace("{X}", &format!("{length:x}"))
                    .replace("{S}", &smuggled)
            };
            let line = format!("POST {target} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n");
            let request = format!("{line}{}\r\n{}", fill(head), fill(body));
            let mut stream = TcpStream::connect(street.base.replace("http://", "")).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut first = [0; 1];
            let _ = timeout(FIRST_ANSWER, stream.peek(&mut first)).await;
            assert_eq!(innocent(street, &own).await, want, "after {head:?} {body:?} to {target}");
            open.push((head, stream));
        }
    }
    for (head, mut stream) in open {
        let _ = stream.shutdown().await;
        is_nothing_of_operators(&rest(&mut stream).await, head);
    }
    operators_paths_are_hidden(street).await;
    assert_eq!(innocent(street, &own).await, want);
}

async fn operators_paths_are_hidden(street: &Street) {
    let http2 = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let methods = ["HEAD", "POST", "OPTIONS"].map(|method| (method, "/readyz".to_owned()));
    for (method, path) in spellings().into_iter().map(|path| ("GET", path)).chain(methods) {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let answer = answers(street, request.as_bytes()).await;
        is_nothing_of_operators(&answer, &request);
        assert!(answer.starts_with("HTTP/1.1 4"), "{request:?} was answered:\n{answer}");
    }
    for path in ["/metrics", "//readyz", "/%72eadyz", "/readyz", "/files/support/..%2f..%2freadyz"] {
        let answer = http2.get(format!("{}{path}", street.base)).send().await.unwrap();
        assert!(answer.version() == reqwest::Version::HTTP_2 && answer.status().is_client_error(), "{path}");
        is_nothing_of_operators(&answer.text().await.unwrap(), path);
    }
}
