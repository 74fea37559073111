//! Agents who do not read, and all of them at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use switchboard_tests::agent::{Agent, AgentOptions, View};
use switchboard_tests::harness::{Fleet, customer, until};
use switchboard_tests::observer::boottime_ns;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::{Scenario, comes_in, proxy_misses, usual, world};
use crate::observed::shown_after_ms;
use crate::run::Run;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        id: "F26",
        name: "slow_agent",
        about: "a session stops reading while its agent's chats are busy: it is closed, and nobody else waits",
        quick: false,
        options: world,
        load: usual,
        breaking: |run| Box::pin(slow_agent(run)),
    },
    Scenario {
        id: "F27",
        name: "herd",
        about: "both chatservers die and 200 sessions come back at once, with their cursors",
        quick: false,
        options: world,
        load: usual,
        breaking: |run| Box::pin(herd(run)),
    },
];

/// By how much a chatserver may grow for a session that does not read, KiB.
const GROWTH_KIB: u64 = 32 * 1024;

/// The longest that nearly all messages may take to agents who read, milliseconds.
const WAITING_MS: u64 = 1_000;

/// A process's size now, KiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches("kB").trim().parse().unwrap_or_default()
}

/// A session that says hello and reads nothing afterwards; its own buffer is small.
async fn silent_session(port: u16, token: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a socket");
    let mut stream = socket.connect(([127, 0, 0, 1], port).into()).await.expect("the chatserver listens");
    let upgrade = format!(
        "GET /v1/agent HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: switchboard.v1\r\n\
         Authorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(upgrade.as_bytes()).await.expect("open");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 101");
    // One masked text frame; the mask is nothing but zeros.
    let hello = br#"{"id":1,"type":"hello"}"#;
    let frame = [&[0x81, 0x80 | hello.len() as u8, 0, 0, 0, 0], hello.as_slice()].concat();
    stream.write_all(&frame).await.expect("open");
    stream
}

async fn slow_agent(run: &mut Run) {
    let fleet = &mut run.fleet;
    fleet.operate(&["agent", "add", "erika", "--display-name", "Erika", "--queue", "support"]);
    let erika = Arc::new(fleet.agent_online("erika").await);
    // Customers of her own, who do not belong to the traffic.
    let (own, wrote) = own_chats(fleet, &erika, 3).await;
    run.more_in += wrote;
    run.guests.push(erika);
    let token = fleet.operate(&["token", "--agent", "erika"]);
    let port = fleet.chat_port(0);
    let sessions = "SELECT count(*) FROM agent_session s JOIN agent a ON a.id = s.agent_id WHERE a.name = 'erika'";
    let begun = Instant::now();
    let silent = silent_session(port, &token).await;
    until("her second session", 20, async || (fleet.onlooker.number(sessions).await? == 2).then_some(())).await;
    let before = resident(fleet.chatserver(0).pid());
    let mut most = before;
    let long = "漢".repeat(3900);
    let mut written = 0;
    let text = |n: usize| format!("{long} [[s{n}]]");
    while fleet.onlooker.number(sessions).await != Some(1) {
        assert!(begun.elapsed() < Duration::from_secs(120), "a session that reads nothing is open after two minutes");
        for _ in 0..10 {
            fleet.platform.message(own[written % own.len()], &text(written)).await;
            written += 1;
        }
        comes_in(fleet, 10).await;
        most = most.max(resident(fleet.chatserver(0).pid()));
    }
    drop(silent);
    let grown = most - before;
    let after = begun.elapsed().as_secs();
    run.more_in += written;
    run.injected("a session that reads nothing");
    run.witnessed(format!("the session is gone after {after} s and {written} long messages"));
    run.notes
        .push(format!("closed after {after} s; the chatserver grew by {grown} KiB for {written} messages of 12 KB"));
    run.demand(grown < GROWTH_KIB, format!("the chatserver grew by {grown} KiB"));
    run.settle().await;
    let shown = shown_after_ms(&run.fleet.dir);
    let p99 = shown[shown.len() * 99 / 100];
    run.notes.push(format!("typed -> shown to those who read: p99 {p99} ms"));
    // A writer that waits for the silent one would hold the others up until it is closed, 30 s.
    run.demand(p99 <= WAITING_MS, format!("those who read were shown messages after p99 {p99} ms"));
}

/// Lets customers write until this agent was faster than the desks and has `wanted` of their chats. Returns those customers, and
/// how many wrote.
async fn own_chats(fleet: &Fleet, agent: &Agent, wanted: usize) -> (Vec<i64>, usize) {
    let (mut own, mut wrote) = (Vec::new(), 0);
    while own.len() < wanted {
        let number = customer(9_000 + wrote);
        fleet.platform.message(number, &format!("for erika [[e{wrote}]]")).await;
        wrote += 1;
        let sql = format!("SELECT id FROM chat WHERE platform_key = '{number}'");
        let chat = until("the customer's chat", 30, async || fleet.onlooker.number(&sql).await).await;
        if agent.take(&chat.to_string()).await.is_ok() {
            own.push(number);
        }
        assert!(wrote < 200, "the desks take everything");
    }
    (own, wrote)
}

async fn herd(run: &mut Run) {
    let (names, each) = run.tier.pick((5, 4), (25, 8));
    for n in 0..names {
        let name = format!("herd{n}");
        run.fleet.operate(&["agent", "add", &name, "--display-name", &name, "--queue", "support"]);
        let token = run.fleet.operate(&["token", "--agent", &name]);
        for session in 0..each {
            let log = run.fleet.agents_log.clone();
            let options = AgentOptions::new(&name, &token, run.fleet.agents_way(), log);
            run.guests.push(Arc::new(Agent::spawn(AgentOptions { seed: session as u64, ..options })));
        }
    }
    let sessions = names * each;
    let open = |view: &View| view.session.is_some();
    for agent in &run.guests {
        agent.wait_until("a session", Duration::from_secs(60), open).await.unwrap_or_else(|error| panic!("{error}"));
    }
    let connections = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'switchboard_chatserver'";
    for _ in 0..run.tier.pick(1, 3) {
        comes_in(&run.fleet, 100).await;
        let before: Vec<u64> = run.guests.iter().map(|agent| agent.view().sessions).collect();
        let known = run.fleet.onlooker.number(connections).await.unwrap_or_default();
        let fleet = &mut run.fleet;
        let missed = [0, 1].map(|number| fleet.proxy_missed(&format!("chatservers/s{number}")));
        let begun = boottime_ns();
        for number in 0..2 {
            fleet.chatserver(number).kill();
        }
        for (number, missed) in missed.into_iter().enumerate() {
            proxy_misses(fleet, &format!("chatservers/s{number}"), missed).await;
        }
        for number in 0..2 {
            fleet.start_chatserver(number, &[]).await;
            fleet.fault("kill", &format!("chatserver:cs{number}"), begun);
        }
        let started = Instant::now();
        let mut most = 0;
        until("all sessions to be open again", 60, async || {
            most = run.fleet.onlooker.number(connections).await.unwrap_or_default().max(most);
            let back = |(agent, before): (&Arc<Agent>, &u64)| {
                let view = agent.view();
                view.sessions > *before && view.session.is_some()
            };
            run.guests.iter().zip(&before).all(back).then_some(())
        })
        .await;
        let took = started.elapsed().as_millis();
        run.notes.push(format!(
            "{sessions} sessions live {took} ms after the restart; {known} -> {most} connections to Postgres"
        ));
        run.demand(most <= known + 2, format!("{most} connections to Postgres, {known} before"));
        run.witnessed(format!("{sessions} sessions broke and opened again"));
        run.witnessed("HAProxy missed both chatservers");
    }
}
