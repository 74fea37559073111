//! Slow readers hold nothing that others need.

use tokio::io::AsyncReadExt;

use super::raw::{connect, read_head};
use super::*;

const MIB: usize = 1 << 20;

fn asking(file: &str) -> String {
    format!("GET /files/main/{file} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {}\r\n\r\n", token("anna"))
}

/// With one connection to the database, and readers that have stopped reading, everybody else is served.
#[tokio::test]
async fn a_reader_that_stopped_holds_no_connection() {
    let server = Server::start_with(Wishes { pool_size: 1, ..Wishes::default() }).await;
    server.limits.send(limits(64 << 20)).unwrap();
    let bytes = noise(24 * MIB, 1);
    let file = server.upload("anna", bytes.clone()).await;
    let mut stopped = Vec::new();
    for _ in 0..4 {
        let mut stream = connect(&server, &asking(&file)).await;
        assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 200 "));
        stopped.push(stream);
    }
    let whole = server.get("anna", &format!("main/{file}")).send().await.unwrap().bytes();
    assert!(tokio::time::timeout(DEADLINE, whole).await.unwrap().unwrap() == bytes);
    assert_eq!(server.upload("anna", "x").await.len(), 32);
    // The others' sockets may just be filling; then nothing moves any more.
    let busy = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'files' AND state <> 'idle'";
    let limit = tokio::time::Instant::now() + DEADLINE;
    while server.number(busy).await > 0 {
        assert!(tokio::time::Instant::now() < limit, "a connection stays in use");
    }
    // Whoever reads on gets the rest.
    let mut rest = Vec::new();
    let reading = stopped.remove(0).take(24 * MIB as u64).read_to_end(&mut rest).await;
    assert!(reading.is_ok() && rest == bytes);
    server.stop().await;
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_cut() {
    let wishes = Wishes { taken_within: Duration::from_millis(500), at_once: 1, ..Wishes::default() };
    let server = Server::start_with(wishes).await;
    server.limits.send(limits(64 << 20)).unwrap();
    let bytes = noise(24 * MIB, 1);
    let file = server.upload("anna", bytes).await;
    let mut stopped = connect(&server, &asking(&file)).await;
    assert!(read_head(&mut stopped).await.starts_with("HTTP/1.1 200 "));
    // Its turn is over: the next one has it, within the time that it waits.
    let next = server.get("anna", &format!("main/{file}")).header("range", "bytes=0-9").send().await.unwrap();
    assert_eq!(next.status(), 206);
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(DEADLINE, stopped.read_to_end(&mut rest)).await.expect("closed");
    assert!(rest.len() < 24 * MIB, "cut before its end");
    server.stop().await;
}

#[tokio::test]
async fn one_agent_never_has_all_turns() {
    let bounds = Bounds { turn: Duration::from_millis(200), ..Bounds::default() };
    let server = Server::start_with(Wishes { at_once: 4, bounds, ..Wishes::default() }).await;
    server.limits.send(limits(64 << 20)).unwrap();
    let file = server.upload("anna", noise(24 * MIB, 1)).await;
    let mut stopped = Vec::new();
    for _ in 0..2 {
        let mut stream = connect(&server, &asking(&file)).await;
        assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 200 "));
        stopped.push(stream);
    }
    for request in [server.get("anna", &format!("main/{file}")), server.post("anna", "main").body("x")] {
        assert_eq!(problem(request.send().await.unwrap()).await, refused(503, "unavailable"));
    }
    assert_eq!(server.upload("bob", "x").await.len(), 32, "half of them are for others");
    stopped.pop();
    let limit = tokio::time::Instant::now() + DEADLINE;
    while server.post("anna", "main").body("x").send().await.unwrap().status() != 201 {
        assert!(tokio::time::Instant::now() < limit, "a turn ends with its connection");
    }
    server.stop().await;
}

#[tokio::test]
async fn too_many_transfers_are_told_to_come_back() {
    let bounds = Bounds { turn: Duration::from_millis(200), ..Bounds::default() };
    let server = Server::start_with(Wishes { at_once: 1, bounds, ..Wishes::default() }).await;
    server.limits.send(limits(64 << 20)).unwrap();
    let file = server.upload("anna", noise(24 * MIB, 1)).await;
    let mut stopped = connect(&server, &asking(&file)).await;
    assert!(read_head(&mut stopped).await.starts_with("HTTP/1.1 200 "));
    for request in [server.get("anna", &format!("main/{file}")), server.post("anna", "main").body("x")] {
        let answer = request.send().await.unwrap();
        assert_eq!(header(&answer, "retry-after"), "5");
        assert_eq!(problem(answer).await, refused(503, "unavailable"));
    }
    // What carries no bytes needs no turn.
    let head = server.client.head(server.url(&format!("main/{file}"))).bearer_auth(token("anna")).send().await.unwrap();
    assert_eq!(head.status(), 200);
    drop(stopped);
    let limit = tokio::time::Instant::now() + DEADLINE;
    while server.get("anna", &format!("main/{file}")).send().await.unwrap().status() != 200 {
        assert!(tokio::time::Instant::now() < limit, "a turn ends with its connection");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_database_that_is_away_is_said() {
    let server = Server::start_with(Wishes { away: true, ..Wishes::default() }).await;
    let path = format!("main/{}", "0".repeat(32));
    for request in [
        server.get("anna", &path),
        server.post("anna", "main").body("x"),
        server.put("anna", "main/key").body("x"),
        server.post("anna", &format!("{path}/link")),
    ] {
        let answer = request.send().await.unwrap();
        assert_eq!(header(&answer, "retry-after"), "1");
        assert_eq!(problem(answer).await, refused(503, "unavailable"));
    }
    server.stop().await;
}
