//! Requests as bytes: what no polite client sends.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

/// A connection on which `head` has been sent.
pub(super) async fn connect(server: &Server, head: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// The head of the answer.
pub(super) async fn read_head(stream: &mut TcpStream) -> String {
    let reading = async {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => break,
            }
        }
        String::from_utf8(head).unwrap()
    };
    tokio::time::timeout(DEADLINE, reading).await.expect("an answer in time")
}

/// All answers until the server closes.
async fn read_all(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let reading = stream.read_to_end(&mut bytes);
    // A reset after the answer is an end, too.
    let _ = tokio::time::timeout(DEADLINE, reading).await.expect("closed in time");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Two lengths are no length: what follows must never be taken for a request of its own.
#[tokio::test]
async fn a_body_has_one_length() {
    let server = Server::start().await;
    let file = server.upload("anna", "secret").await;
    let token = token("anna");
    let inner = format!("GET /files/main/{file} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {token}\r\n\r\n");
    for (lines, body) in [
        ("Content-Length: 5\r\nContent-Length: 6", "bytes"),
        ("Content-Length: 5, 6", "bytes"),
        ("Content-Length: +5", "bytes"),
        ("Content-Length: 5\r\n Content-Length: 50", "bytes"),
        ("Content-Length: -1", "bytes"),
        ("Content-Length: 0x5", "bytes"),
        ("Content-Length : 5", "bytes"),
        ("Content-Length: 99999999999999999999", "bytes"),
        ("Transfer-Encoding: identity", "bytes"),
        ("Transfer-Encoding: chunked, identity", "5\r\nbytes\r\n0\r\n\r\n"),
        ("Transfer-Encoding: xchunked", "5\r\nbytes\r\n0\r\n\r\n"),
        ("Transfer-Encoding : chunked", "5\r\nbytes\r\n0\r\n\r\n"),
        ("Transfer-Encoding: \"chunked\"", "5\r\nbytes\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked", "5;\r\rbytes\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked", "-5\r\nbytes\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked", "0x5\r\nbytes\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked", "fffffffffffffffff\r\nbytes\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked", "5\r\nbytesX\r\n0\r\n\r\n"),
    ] {
        let head =
            format!("POST /files/main HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {token}\r\n{lines}\r\n\r\n");
        let mut stream = connect(&server, &format!("{head}{body}{inner}")).await;
        let answers = read_all(&mut stream).await;
        assert!(answers.is_empty() || answers.starts_with("HTTP/1.1 400 "), "{lines} {body:?}: {answers}");
        assert!(
            !answers.contains("secret") && answers.matches("HTTP/1.1 ").count() <= 1,
            "{lines} {body:?}: {answers}"
        );
    }
    server.has(1, 1).await;
    server.stop().await;
}

/// With both, chunks count, as RFC 9112 says, and the connection is not used again; a proxy in front refuses these before us.
#[tokio::test]
async fn chunks_win_over_a_length() {
    let server = Server::start().await;
    let (file, token) = (server.upload("anna", "secret").await, token("anna"));
    let inner = format!("GET /files/main/{file} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {token}\r\n\r\n");
    for lines in
        ["Content-Length: 4\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 400"]
    {
        let head =
            format!("POST /files/main HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {token}\r\n{lines}\r\n\r\n");
        let mut stream = connect(&server, &format!("{head}5\r\nbytes\r\n0\r\n\r\n{inner}")).await;
        stream.shutdown().await.unwrap();
        let answers = read_all(&mut stream).await;
        let sized = answers.contains("\"size_bytes\":5") && answers.starts_with("HTTP/1.1 201 ");
        assert!(sized || answers.starts_with("HTTP/1.1 400 "), "{lines}: {answers}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_routes_do_not_offer_is_refused() {
    let server = Server::start().await;
    let path = format!("main/{}", server.upload("anna", "x").await);
    for (method, path, want) in [
        ("DELETE", path.as_str(), 405),
        ("POST", &path, 405),
        ("GET", "main", 405),
        ("TRACE", &path, 405),
        ("GET", "../files/main", 405),
        ("GET", "", 404),
    ] {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let answer = server.client.request(method.clone(), server.url(path)).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), want, "{method} {path}");
    }
    server.stop().await;
}
