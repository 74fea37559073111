#![allow(clippy::unwrap_used)]

use std::time::Instant;

use axum::Extension;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::sync::Notify;

use super::*;
use crate::service::addresses::ClientAddress;
use crate::service::config::Config;

const DEADLINE: Duration = Duration::from_secs(10);

/// More than any socket holds back.
const LARGE: usize = 24 << 20;

struct Server {
    address: SocketAddr,
    shutdown: Shutdown,
    serving: tokio::task::JoinHandle<()>,
    /// The slow handler has begun.
    begun: Arc<Notify>,
}

async fn start(change: impl FnOnce(&mut Public, &mut HttpLimits)) -> Server {
    let mut public = Config::load(None, std::iter::empty()).unwrap().public;
    let mut limits = HttpLimits::new(&public).unwrap();
    change(&mut public, &mut limits);
    limits.addresses = Addresses::new(&public).unwrap();
    let begun = Arc::new(Notify::new());
    let told = begun.clone();
    let slow = || async move {
        told.notify_one();
        tokio::time::sleep(Duration::from_millis(400)).await;
        "slow\n"
    };
    let peer = |Extension(ClientAddress(address)): Extension<ClientAddress>| async move { address.to_string() };
    let large = || async { vec![b'x'; LARGE] };
    let routes = Router::new().route("/peer", get(peer)).route("/slow", get(slow)).route("/large", get(large));
    let router = limits.addresses.limited(routes);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, shutdown) = (listener.local_addr().unwrap(), Shutdown::default());
    let ending = shutdown.clone();
    let serving = tokio::spawn(async move { serve(listener, router, limits, &ending).await });
    Server { address, shutdown, serving, begun }
}

impl Server {
    async fn open(&self, bytes: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        stream
    }

    async fn ask(&self, head: &str) -> String {
        let stream = self.open(&format!("{head}Host: here\r\nConnection: close\r\n\r\n")).await;
        rest(stream).await
    }

    async fn stop(self) {
        self.shutdown.begin();
        tokio::time::timeout(DEADLINE, self.serving).await.unwrap().unwrap();
    }
}

async fn rest(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset is as good an end as any.
    let _ = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await.expect("the server ends it");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_head_that_does_not_come_is_not_waited_for() {
    let server = start(|_, limits| limits.head_within = Duration::from_millis(300)).await;
    let begun = Instant::now();
    for slow in ["", "GET /peer HT", "GET /peer HTTP/1.1\r\nHost: x\r\n"] {
        let answer = rest(server.open(slow).await).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{slow:?}: {answer}");
    }
    // One byte now and then does not help.
    let mut drip = server.open("GET /peer HTTP/1.1\r\n").await;
    let dripping = async {
        while drip.write_all(b"X").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, dripping).await.expect("it is closed");
    assert!(begun.elapsed() < DEADLINE);
    assert!(server.ask("GET /slow HTTP/1.1\r\n").await.ends_with("slow\n"), "an answer may take longer than a head");
    server.stop().await;
}

#[tokio::test]
async fn heads_are_bounded() {
    let server = start(|_, _| {}).await;
    let long = format!("GET /peer HTTP/1.1\r\nX: {}\r\n", "x".repeat(64 * 1024));
    let answer = server.ask(&long).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn one_address_has_not_all_connections() {
    let server = start(|public, _| public.sockets_per_address = 2).await;
    let held = [server.open("").await, server.open("GET").await];
    assert_eq!(rest(server.open("GET /peer HTTP/1.1\r\n").await).await, "", "the third is closed at once");
    drop(held);
    let again = async {
        while !server.ask("GET /peer HTTP/1.1\r\n").await.starts_with("HTTP/1.1 200") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(DEADLINE, again).await.expect("a place is free again");
    server.stop().await;
}

#[tokio::test]
async fn connections_beyond_the_cap_wait() {
    let server = start(|_, limits| limits.connections = 1).await;
    let first = server.open("").await;
    let second = tokio::spawn({
        let head = "GET /peer HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n";
        let stream = server.open(head).await;
        rest(stream)
    });
    drop(first);
    assert!(second.await.unwrap().starts_with("HTTP/1.1 200"), "served once there is room");
    server.stop().await;
}

#[tokio::test]
async fn requests_are_limited_by_address_as_the_proxy_tells_it() {
    let server = start(|public, _| {
        public.requests_per_second = 1;
        public.requests_at_once = 2;
        public.trusted_proxies = "127.0.0.1".to_owned();
    })
    .await;
    let get = "GET /peer HTTP/1.1\r\nX-Forwarded-For: 6.6.6.6, 198.51.100.1\r\n";
    for _ in 0..2 {
        assert!(server.ask(get).await.ends_with("198.51.100.1"));
    }
    let refused = server.ask(get).await;
    assert!(refused.starts_with("HTTP/1.1 429") && refused.contains("retry-after: "), "{refused}");
    assert!(refused.contains("application/problem+json"), "{refused}");
    assert!(server.ask("GET /peer HTTP/1.1\r\nX-Forwarded-For: 198.51.100.2\r\n").await.ends_with("198.51.100.2"));
    server.stop().await;
}

#[tokio::test]
async fn every_answer_has_the_headers_of_an_answer_to_strangers() {
    let server = start(|_, _| {}).await;
    for request in ["GET /peer", "GET /nothing", "POST /peer", "OPTIONS /peer"] {
        let head =
            format!("{request} HTTP/1.1\r\nOrigin: https://evil.example\r\nAccess-Control-Request-Method: GET\r\n");
        let answer = server.ask(&head).await;
        let mut headers: Vec<&str> = answer.split("\r\n\r\n").next().unwrap().lines().skip(1).collect();
        headers.retain(|line| {
            !["date", "content-length", "connection", "allow"].contains(&line.split(':').next().unwrap())
        });
        headers.sort_unstable();
        let kind = if request == "GET /peer" { vec!["content-type: text/plain; charset=utf-8"] } else { vec![] };
        let want = [
            "cache-control: no-store",
            "content-security-policy: default-src 'none'; frame-ancestors 'none'",
            "cross-origin-resource-policy: same-origin",
            "referrer-policy: no-referrer",
            "x-content-type-options: nosniff",
        ];
        let mut want: Vec<&str> = want.into_iter().chain(kind).collect();
        want.sort_unstable();
        assert_eq!(headers, want, "{request}");
    }
    server.stop().await;
}

/// Left alone the kernel takes so much at first that nothing more is taken from us for a long time, while the reader reads on.
#[tokio::test]
async fn whoever_reads_slowly_is_not_one_who_takes_nothing() {
    let within = Duration::from_millis(1500);
    let server = start(|_, limits| limits.taken_within = within).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    let mut stream = socket.connect(server.address).await.unwrap();
    stream.write_all(b"GET /large HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").await.unwrap();
    let (begun, mut got, mut again) = (Instant::now(), 0, tokio::time::interval(Duration::from_millis(20)));
    while begun.elapsed() < 2 * within {
        again.tick().await;
        let mut some = [0; 4096];
        let read = stream.read(&mut some).await.unwrap();
        assert!(read > 0, "cut after {got} bytes");
        got += read;
    }
    assert!(got < LARGE / 4, "it was slow");
    assert!(got + rest(stream).await.len() > LARGE, "all of it came");
    server.stop().await;
}

#[tokio::test]
async fn what_is_under_way_ends_before_the_server() {
    let server = start(|_, _| {}).await;
    let (idle, slow) = (server.open("").await, server.open("GET /slow HTTP/1.1\r\nHost: here\r\n\r\n").await);
    server.begun.notified().await;
    server.shutdown.begin();
    assert!(rest(slow).await.ends_with("slow\n"));
    assert_eq!(rest(idle).await, "");
    server.stop().await;
}
