//! Canaries: secrets and words of people, planted in a run and looked for in everything that it left behind.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use switchboard_tests::agent::View;
use switchboard_tests::harness::{Fleet, FleetOptions, customer};

use crate::access::Loader;
use crate::taken_chat;

/// Stored nowhere, not even in the database.
const SECRETS: [&str; 6] = [
    "42:SECRET",
    "42:CHANGED-7f3a",
    "a-secret-of-the-tests",
    "canary of the key of links, 7f3a 32 bytes",
    "canary-password-7f3a",
    "a key of the tests, 32 bytes long",
];

/// Of people: in the database and in frames, nowhere else.
const WORDS: [&str; 6] = ["canary-text", "canary-answer", "canary-file", "canary-bytes", "49301555", "Canary-Name"];

fn lines_of(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim().is_empty())
}

/// Nothing of `canaries` is in `text`.
fn clean(place: &str, text: &[u8], canaries: &[&str]) {
    for canary in canaries {
        let found = text.windows(canary.len()).position(|window| window == canary.as_bytes());
        if let Some(at) = found {
            let around = &text[at.saturating_sub(120)..text.len().min(at + 120)];
            panic!("\"{canary}\" is in {place}: …{}…", String::from_utf8_lossy(around));
        }
    }
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        match entry.path() {
            path if path.is_dir() => files_below(&path, found),
            path => found.push(path),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_and_words_are_where_they_belong() {
    let options = FleetOptions { chatservers: 1, webhook: true, ..FleetOptions::new("canaries") };
    let mut fleet = Fleet::start(options).await;
    let secret = |name: &str, text: &str| {
        let path = fleet.dir.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let environment = [
        ("SWITCHBOARD_FILES__LINK_SECRET_FILE", secret("links", SECRETS[3])),
        ("SWITCHBOARD_POSTGRES__PASSWORD_FILE", secret("password", SECRETS[4])),
    ];
    let borrowed: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    fleet.connector(0).stop(30).await;
    fleet.start_connector(0, &borrowed).await;
    fleet.chatserver(0).stop(30).await;
    fleet.start_chatserver(0, &borrowed).await;
    let mut loader = Loader::start(&fleet, &environment).await;

    let token = fleet.operate(&["token", "--agent", "anna"]);
    let signature = token.rsplit('.').next().unwrap().to_owned();
    let answers = traffic(&fleet, &loader, &token).await;
    rotate(&fleet).await;

    let mut secrets: Vec<&str> = SECRETS.to_vec();
    secrets.push(&signature);
    let everything: Vec<&str> = secrets.iter().copied().chain(WORDS).collect();
    for (place, text) in &answers {
        clean(place, text.as_bytes(), &secrets);
    }
    let mut bases = fleet.admin_bases();
    bases.push(format!("http://127.0.0.1:{}", loader.admin));
    for base in bases {
        for path in ["/metrics", "/readyz", "/livez"] {
            let text = reqwest::get(format!("{base}{path}")).await.unwrap().text().await.unwrap();
            assert!(!text.is_empty());
            clean(&format!("{base}{path}"), text.as_bytes(), &everything);
        }
    }
    let pids = [fleet.connector(0).pid(), fleet.chatserver(0).pid(), loader.process.pid()];
    for pid in pids {
        for file in ["cmdline", "environ"] {
            let place = format!("/proc/{pid}/{file}");
            // Whoever may not read it finds nothing in it either.
            clean(&place, &std::fs::read(&place).unwrap_or_default(), &everything);
        }
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    }
    let listed = fleet.operate(&["account", "list"]) + &fleet.operate(&["audit"]) + &fleet.operate(&["config", "show"]);
    clean("what operators are shown", listed.as_bytes(), &everything);

    let inbox = fleet.operate(&["inbox", "list", "support"]);
    assert!(inbox.contains("malformed") && inbox.lines().count() == 1, "{inbox}");
    assert!(!inbox.contains(|c: char| c.is_control() && !"\n\t".contains(c)), "{inbox:?}");

    let settings = std::env::var("SWITCHBOARD_TEST_PGBIN").unwrap();
    let dump = Command::new(Path::new(&settings).join("pg_dump")).arg(fleet.postgres.url()).output().unwrap();
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    let dumped = String::from_utf8_lossy(&dump.stdout);
    assert!(dumped.contains("canary-text") && dumped.contains("canary-file"), "words of people belong there");
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert!(dumped.contains(&hex("49301555")), "raw updates are there, as bytes");
    let as_bytes: Vec<String> = secrets.iter().map(|secret| hex(secret)).collect();
    clean("the dump", &dump.stdout, &secrets);
    clean("the dump's bytes", &dump.stdout, &as_bytes.iter().map(String::as_str).collect::<Vec<_>>());

    let stopped =
        [fleet.connector(0).stop(30).await, fleet.chatserver(0).stop(30).await, loader.process.stop(30).await];
    assert!(stopped.iter().all(|status| status.success()), "{stopped:?}");
    left_behind(&fleet, &secrets, &everything);
}

/// Something of everything goes both ways; returns answers to requests that are refused.
async fn traffic(fleet: &Fleet, loader: &Loader, token: &str) -> Vec<(String, String)> {
    let agent = fleet.agent_online("anna").await;
    let chat = taken_chat(fleet, &agent, customer(1), "canary-text [[q1]]").await;
    let person = json!({"id": customer(1), "is_bot": false, "first_name": "Canary-Name"});
    let place = json!({"id": customer(1), "type": "private", "first_name": "Canary-Name"});
    let contact = json!({"phone_number": "+49301555", "first_name": "Canary-Name", "user_id": customer(1)});
    let update =
        json!({"message_id": 77_000, "date": 1_780_000_000, "from": person, "chat": place, "contact": contact});
    fleet.platform.order("update", json!({"body": {"message": update}})).await;
    fleet.platform.document(customer(1), "canary-file.pdf", "application/pdf", b"canary-bytes", "canary-text").await;
    // Operators are told of it, not in its own words.
    fleet.platform.order("update", json!({"body": {"holo\u{1b}[31m\r\ngram\u{0}": {"id": 1}}})).await;
    let (files, base) = (fleet.file_client("anna"), fleet.public_base());
    let file = files.put(&base, "k0", "canary-file.txt", "text/plain", b"canary-bytes").await.file();
    let send = json!({"type": "send", "chat": chat, "client_key": "k1", "text": "canary-answer [[r1]]", "file": file});
    agent.raw(send).await.unwrap();
    let answered = |view: &View| view.part(&chat, view.entries.len() as i64, 0).is_some() || sent(view, &chat);
    agent.wait_until("the answer to be sent", Duration::from_secs(20), answered).await.unwrap();
    let arrived = |view: &View| view.customer_messages(0).count() >= 3;
    agent.wait_until("what the customer sent", Duration::from_secs(20), arrived).await.unwrap();
    agent.stop().await;

    let http = reqwest::Client::new();
    let hostile = format!("{}x", token);
    let mut answers = Vec::new();
    let (files, rest) = (fleet.public_base(), &loader.base);
    for url in [
        format!("{files}/files/support/{}", "0".repeat(32)),
        format!("{files}/files/support/%1b%5b31m"),
        format!("{files}/webhooks/support/telegram"),
        format!("{rest}/v1/chats?from=canary&to=tomorrow"),
        format!("{rest}/v1/chats/'%20OR%201=1/history"),
        format!("{rest}/v1/customers?account=%00&phone=%1b"),
    ] {
        for bearer in [token, &hostile] {
            let answer = http.get(&url).bearer_auth(bearer).send().await.unwrap();
            let (status, body) = (answer.status(), answer.text().await.unwrap());
            assert!(status.is_client_error(), "{url}: {status} {body}");
            for word in ["SELECT", "postgres", "panicked", ".rs:", "/tmp/", "tokio"] {
                assert!(!body.contains(word), "{url}: {body}");
            }
            answers.push((url.clone(), body));
        }
    }
    answers
}

fn sent(view: &View, chat: &str) -> bool {
    (1..50).any(|seq| view.part(chat, seq, 0).is_some_and(|part| part.state == "sent"))
}

/// The platform's token is changed on both sides while the connector serves.
async fn rotate(fleet: &Fleet) {
    fleet.platform.replace_token(SECRETS[1]).await;
    let beside = fleet.dir.join("token.new");
    std::fs::write(&beside, SECRETS[1]).unwrap();
    std::fs::rename(beside, fleet.dir.join("token")).unwrap();
    let agent = fleet.agent_online("clara").await;
    let chat = taken_chat(fleet, &agent, customer(9), "canary-text [[q9]]").await;
    agent.send(&chat, "k9", "canary-answer [[r9]]").await.unwrap();
    let through = |view: &View| sent(view, &chat);
    agent.wait_until("an answer with the new token", Duration::from_secs(30), through).await.unwrap();
    agent.stop().await;
}

/// Logs and ZooKeeper's files.
fn left_behind(fleet: &Fleet, secrets: &[&str], everything: &[&str]) {
    let mut files = Vec::new();
    files_below(&fleet.dir, &mut files);
    let (mut logs, mut nodes) = (0, 0);
    for path in files {
        let place = path.strip_prefix(&fleet.dir).unwrap().display().to_string();
        let ours = ["connector-0.log", "cs0.log", "loader.log"].contains(&place.as_str());
        if ours || place.starts_with("zookeeper") {
            clean(&place, &std::fs::read(&path).unwrap(), everything);
        } else if place.starts_with("postgres") && place.ends_with(".log") || place == "postgres.log" {
            clean(&place, &std::fs::read(&path).unwrap(), secrets);
        }
        nodes += usize::from(place.starts_with("zookeeper") && place.contains("version-2"));
        if ours {
            logs += 1;
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{place} has control characters");
            for line in lines_of(&text) {
                serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{place}: {error}: {line}"));
            }
        }
    }
    assert!(logs == 3 && nodes > 0, "{logs} logs, {nodes} files of nodes");
}
