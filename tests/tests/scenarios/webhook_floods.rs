//! Webhooks from those who know the secret and abuse it, and from those who only cost time.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use switchboard_tests::agent::Agent;
use switchboard_tests::harness::{Fleet, customer, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::webhooks::{SECOND_SECRET, deliveries, shown};

/// By how much a connector may grow, KiB: batches of a hundred bodies, each read and escaped, and the allocator's own.
const GROWTH_KIB: u64 = 200 * 1024;
const HEADER: &str = "x-telegram-bot-api-secret-token";

/// A process's largest size so far, KiB.
fn high_water(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

fn grown(fleet: &mut Fleet) -> Vec<u64> {
    (0..2).map(|number| high_water(fleet.connector(number).pid())).collect()
}

/// A genuine request with any body.
async fn status(fleet: &Fleet, body: impl Into<reqwest::Body>) -> u16 {
    let address = Fleet::webhook_at(&fleet.connector_bases()[0]);
    let request = reqwest::Client::new().post(address).header(HEADER, SECOND_SECRET).body(body);
    request.send().await.unwrap().status().as_u16()
}

/// Bodies that nobody should send. All of them are kept and answered, or they would come for a day.
fn odd_bodies() -> Vec<(&'static str, Vec<u8>)> {
    let chat = customer(5);
    let message = |text: &str, more: &str| {
        let from = format!(r#"{{"id":{chat},"is_bot":false,"first_name":"Odd"}}"#);
        let body = format!(
            r#"{{"update_id":9,"message":{{"message_id":1,"date":1780000000,"from":{from},"chat":{{"id":{chat},"type":"private"}},"text":{text}{more}}}}}"#
        );
        body.into_bytes()
    };
    let mut bodies = vec![
        ("empty", Vec::new()),
        ("no UTF-8", b"{\"update_id\":1,\"message\":\"\xff\xfe\xc0\x80\"}".to_vec()),
        ("depth 100,000", [b"[".repeat(100_000), b"]".repeat(100_000)].concat()),
        ("depth in an update", message(&format!("{}{}", "[".repeat(50_000), "]".repeat(50_000)), "")),
        ("500,000 items", [b"[".as_slice(), &b"1,".repeat(500_000), b"1]"].concat()),
        ("not JSON", b"update_id=1&message=hello".to_vec()),
        ("half", message("\"x\"", "")[..60].to_vec()),
        ("an array", b"[]".to_vec()),
        ("null", b"null".to_vec()),
        ("a number", b"1e999999".to_vec()),
        ("too large an id", message("\"x\"", "").to_vec()),
        ("duplicate keys", br#"{"update_id":1,"update_id":2,"message":{},"message":1}"#.to_vec()),
        ("wrong types", br#"{"update_id":"1","message":[{"chat":{"id":"x"}}]}"#.to_vec()),
        ("a byte-order mark", [b"\xef\xbb\xbf".as_slice(), b"{}"].concat()),
        ("NUL between", b"{\0}".to_vec()),
    ];
    bodies[10].1 = String::from_utf8(bodies[10].1.clone())
        .unwrap()
        .replace("\"update_id\":9", "\"update_id\":99999999999999999999999")
        .into_bytes();
    bodies
}

/// F32.
pub async fn odd_bodies_are_bounded_and_kept(fleet: &mut Fleet, agent: &Agent) {
    let before = grown(fleet);
    let quarantine = async |fleet: &Fleet| fleet.onlooker.number("SELECT count(*) FROM quarantine").await.unwrap();
    let (kept, bodies) = (quarantine(fleet).await, odd_bodies());
    for (name, body) in &bodies {
        assert_eq!(status(fleet, body.clone()).await, 200, "{name}");
    }
    assert_eq!(quarantine(fleet).await - kept, bodies.len() as i64);
    // A hundred megabytes: refused by what is announced, or when there is too much of it; never read whole.
    let mut stream = TcpStream::connect(("127.0.0.1", fleet.public_ports[0])).await.unwrap();
    let head = format!("POST /webhooks/support/telegram HTTP/1.1\r\nHost: x\r\n{HEADER}: {SECOND_SECRET}\r\n");
    stream.write_all(format!("{head}Content-Length: 104857600\r\n\r\n").as_bytes()).await.unwrap();
    assert!(answered(&mut stream).await.starts_with("HTTP/1.1 413"));
    let mut stream = TcpStream::connect(("127.0.0.1", fleet.public_ports[0])).await.unwrap();
    stream.write_all(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes()).await.unwrap();
    let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
    let mut taken = 0;
    while taken < 100 << 20 && stream.write_all(&chunk).await.is_ok() {
        taken += 0x10000;
    }
    assert!(taken < 16 << 20, "{taken} bytes were taken");
    for (number, (before, after)) in before.into_iter().zip(grown(fleet)).enumerate() {
        println!("connector {number}: at most {before} KiB before odd bodies, {after} KiB after");
        assert!(after - before < GROWTH_KIB);
    }
    // Texts that are odd to look at are texts.
    let count = agent.view().customer_messages(0).count();
    let texts = ["\u{202e}txt.exe [[b1]]", "\u{200b}\u{feff}[[b2]]", "a\u{0}b [[b3]]", "👩‍👩‍👧‍👦 [[b4]]"];
    for text in texts {
        fleet.platform.message(customer(6), text).await;
    }
    shown(agent, count + texts.len()).await;
}

async fn answered(stream: &mut TcpStream) -> String {
    let mut answer = [0; 64];
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut answer)).await.expect("an answer");
    String::from_utf8_lossy(&answer[..read.unwrap_or(0)]).into_owned()
}

/// Sends `begun`, then a byte now and then until it is cut or aborted.
async fn drip(from: [u8; 4], to: u16, begun: String) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((from, 0))).unwrap();
    let Ok(mut stream) = socket.connect(SocketAddr::from(([127, 0, 0, 1], to))).await else { return };
    let mut clock = tokio::time::interval(Duration::from_millis(300));
    let mut next: &[u8] = begun.as_bytes();
    while stream.write_all(next).await.is_ok() {
        clock.tick().await;
        next = b"x";
    }
}

/// F34.
pub async fn slow_ones_do_not_keep_good_ones_out(fleet: &mut Fleet) {
    let post = "POST /webhooks/support/telegram HTTP/1.1\r\nHost: x\r\n";
    let half = format!("{post}X-Slow: ");
    let strangers = format!("{post}{HEADER}: no\r\nContent-Length: 1000000\r\n\r\n");
    // Knows the secret: with 1 MiB announced each takes its share of what may be under way.
    let known = format!("{post}{HEADER}: {SECOND_SECRET}\r\nContent-Length: 100000\r\n\r\n");
    let mut slow = tokio::task::JoinSet::new();
    for n in 0..450_u32 {
        let begun = [&half, &strangers, &known][n as usize % 3].clone();
        slow.spawn(drip([127, 0, 1, (n % 5) as u8 + 1], fleet.public_ports[(n % 2) as usize], begun));
    }
    let before = deliveries(fleet).len();
    let items: Vec<_> =
        (0..300).map(|n| json!({"chat": customer(n % 100), "text": format!("beside slow ones [[f{n}]]")})).collect();
    fleet.platform.order("messages", json!({ "items": items })).await;
    until("the good ones to be taken in", 20, async || {
        (fleet.platform.state().await["queue"]["waiting"] == 0).then_some(())
    })
    .await;
    assert!(!slow.is_empty());
    slow.abort_all();
    let good: Vec<_> = deliveries(fleet).split_off(before);
    let failed: Vec<_> = good.iter().filter(|(_, status)| *status != Some(200)).collect();
    println!("{} good requests beside 450 slow ones, {} failed", good.len(), failed.len());
    assert!(good.len() >= 300 && failed.len() * 100 <= good.len(), "{failed:?}");
}
