use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::http::guard::Resolver;
use crate::http::{Deadline, HttpError};

/// A server on loopback that gives each connection `answer`, and keeps it open when `stay` says so.
async fn server(answer: Vec<u8>, stay: bool) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let (address, connections) = (listener.local_addr().expect("bound"), Arc::new(AtomicUsize::new(0)));
    let counted = connections.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let answer = answer.clone();
            tokio::spawn(async move {
                request_of(&mut stream).await;
                let _ = stream.write_all(&answer).await;
                if stay {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    (address, connections)
}

/// The head of a request.
async fn request_of(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

fn soon() -> Moment {
    Moment::now() + Duration::from_secs(5)
}

/// Fetches it all; the length of what came.
async fn fetched(address: SocketAddr, max_bytes: u64, deadline: Moment) -> Result<usize, DownloadError> {
    let base = format!("http://{address}");
    let origin = Origin::configured(&base).expect("an address");
    let http = Http::new().expect("a client");
    let mut download = http.get_stream(&format!("{base}/file/bot42:SECRET/x"), &origin, max_bytes, deadline).await?;
    let mut length = 0;
    while let Some(piece) = download.next().await? {
        length += piece.len();
        assert!(length as u64 <= max_bytes, "more was passed on than allowed");
    }
    Ok(length)
}

fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\n{head}\r\n").as_bytes(), body].concat()
}

#[tokio::test]
async fn lengths_are_counted_and_not_believed() {
    let body = vec![b'x'; 100_000];
    for (head, stay, expected) in [
        ("Content-Length: 100000\r\n", true, Ok(100_000)),
        ("Connection: close\r\n", false, Ok(100_000)),
        // It says less than it sends: the rest is not of this body.
        ("Content-Length: 10\r\n", true, Ok(10)),
        ("Content-Length: 100001\r\n", true, Err(DownloadError::TooLarge)),
        ("Content-Length: 9000000000000000000\r\n", true, Err(DownloadError::TooLarge)),
    ] {
        let (address, _) = server(answer(head, &body), stay).await;
        assert_eq!(fetched(address, 100_000, soon()).await, expected, "{head}");
    }
    for (head, length) in [("Connection: close\r\n", 100_000), ("Transfer-Encoding: chunked\r\n", 0)] {
        // Without a length it is counted as it comes.
        let chunk = [format!("{length:x}\r\n").as_bytes(), &body[..length], b"\r\n"].concat();
        let endless = if length == 0 { b"5\r\nxxxxx\r\n".repeat(30_000) } else { chunk.repeat(3) };
        let (address, _) = server(answer(head, &endless), true).await;
        assert_eq!(fetched(address, 99_999, soon()).await, Err(DownloadError::TooLarge), "{head}");
    }
    // It says more than it sends.
    let (address, _) = server(answer("Content-Length: 100000\r\n", b"short"), false).await;
    assert!(matches!(fetched(address, 100_000, soon()).await, Err(DownloadError::Broken(_))));
}

#[tokio::test]
async fn a_body_that_does_not_end_in_time_is_given_up() {
    let (address, _) = server(answer("Content-Length: 10\r\n", b"half"), true).await;
    let begun = std::time::Instant::now();
    let broken = fetched(address, 100, Moment::now() + Duration::from_millis(200)).await;
    assert!(matches!(&broken, Err(DownloadError::Broken(why)) if !why.contains("SECRET")), "{broken:?}");
    assert!(begun.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn nothing_is_decoded() {
    // gzip of a megabyte of zeros would be a thousand bytes; this claims to be such a body and is passed on as it is.
    let bomb = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &[0; 500]].concat();
    let head = format!("Content-Encoding: gzip\r\nContent-Length: {}\r\n", bomb.len());
    let (address, _) = server(answer(&head, &bomb), true).await;
    assert_eq!(fetched(address, 1000, soon()).await, Ok(bomb.len()));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (elsewhere, reached) = server(answer("Content-Length: 1\r\n", b"x"), true).await;
    for to in [format!("http://{elsewhere}/"), "http://169.254.169.254/latest/meta-data/".to_owned()] {
        for status in [301, 302, 303, 307, 308] {
            let redirect = format!("HTTP/1.1 {status} X\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
            let (address, _) = server(redirect.into_bytes(), true).await;
            assert_eq!(fetched(address, 100, soon()).await, Err(DownloadError::Status(status)));
        }
    }
    assert_eq!(reached.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn nobody_is_asked_for_what_may_not_be_fetched() {
    let (address, reached) = server(answer("Content-Length: 1\r\n", b"x"), true).await;
    let http = Http::new().expect("a client");
    for url in [format!("http://{address}/"), format!("https://{address}/"), "https://127.0.0.1/".to_owned()] {
        let refused = http.get_stream(&url, &Origin::Host("files.example"), 100, soon()).await.err();
        assert!(matches!(refused, Some(DownloadError::Forbidden(_))), "{url}: {refused:?}");
    }
    // A name that leads inside: `localhost` has no dot, so the resolver itself is asked.
    let client = Http::builder().dns_resolver(Arc::new(Resolver::new(""))).build().expect("a client");
    let failed = client.get(format!("http://localhost:{}/", address.port())).send().await.expect_err("it leads inside");
    assert!(words(failed).contains("no address outside"));
    assert_eq!(reached.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_name_is_looked_up_once_and_that_address_is_used() {
    let (inside, reached_inside) = server(answer("Content-Length: 1\r\n", b"x"), true).await;
    let listener = TcpListener::bind("127.0.0.2:0").await.expect("loopback has many addresses");
    let outside = listener.local_addr().expect("bound");
    let (connection, counted) = (tokio::spawn(async move { listener.accept().await }), Arc::new(AtomicUsize::new(0)));
    let lookups = counted.clone();
    // For this test 127.0.0.2 is outside. The name leads there and inside; asked again it would lead inside only.
    let resolver = Resolver::stub(
        Arc::new(move |_| {
            let first = lookups.fetch_add(1, Ordering::SeqCst) == 0;
            let addresses = if first { vec![inside, outside] } else { vec![inside] };
            Box::pin(async move { Ok(addresses) })
        }),
        |address| address == IpAddr::from([127, 0, 0, 2]),
    );
    let guarded = Http::builder().https_only(true).dns_resolver(Arc::new(resolver)).build().expect("a client");
    let http = Http { guarded, ..Http::new().expect("a client") };
    let asked = http.get_stream("https://files.example/x", &Origin::Host("files.example"), 100, soon());
    let (mut stream, _) = tokio::select! {
        connection = connection => connection.expect("no panic").expect("a connection"),
        answered = asked => panic!("nobody answers: {answered:?}"),
    };
    let mut hello = [0; 3];
    stream.read_exact(&mut hello).await.expect("TLS begins");
    assert_eq!(hello[0], 22, "a handshake");
    assert_eq!(counted.load(Ordering::SeqCst), 1);
    assert_eq!(reached_inside.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn everything_goes_through_the_proxy_when_there_is_one() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    // By name: the guard must let the proxy itself be reached, wherever it is.
    let proxy = format!("http://localhost:{}", listener.local_addr().expect("bound").port());
    let proxied = tokio::spawn(async move {
        let mut heads = Vec::new();
        for _ in 0..3 {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let head = request_of(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
            heads.push(head.lines().next().unwrap_or_default().to_owned());
        }
        heads
    });
    let (address, reached) = server(answer("Content-Length: 1\r\n", b"x"), true).await;
    let http = Http::through(&proxy).expect("a client");
    let base = format!("http://{address}");
    let answered = http.post(&format!("{base}/a"), &[], b"{}".to_vec(), &Deadline::of(Duration::from_secs(5))).await;
    assert_eq!(answered.expect("the proxy's answer").status, 403);
    let origin = Origin::configured(&base).expect("an address");
    let answered = http.get_stream(&format!("{base}/b"), &origin, 100, soon()).await.err();
    assert_eq!(answered, Some(DownloadError::Status(403)));
    let answered = http.get_stream("https://files.example/c", &Origin::Host("files.example"), 100, soon()).await.err();
    assert!(matches!(answered, Some(DownloadError::Broken(_))), "{answered:?}");
    let heads = proxied.await.expect("no panic");
    assert_eq!(
        heads,
        [
            format!("POST {base}/a HTTP/1.1"),
            format!("GET {base}/b HTTP/1.1"),
            "CONNECT files.example:443 HTTP/1.1".to_owned()
        ]
    );
    assert_eq!(reached.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_proxy_that_is_away_leaves_a_call_unsent() {
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("bound");
    let http = Http::through(&format!("http://{gone}")).expect("a client");
    let deadline = Deadline::of(Duration::from_secs(5));
    let unsent = http.post("https://api.example/sendMessage", &[], b"{}".to_vec(), &deadline).await;
    assert!(matches!(unsent, Err(HttpError::Unsent(_))), "{unsent:?}");
}
