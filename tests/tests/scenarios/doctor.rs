//! A doctor finds nothing bad in a healthy fleet, and names each broken thing with its mend.

use std::os::unix::fs::PermissionsExt;
use std::process::{Output, Stdio};

use serde_json::{Value, json};
use switchboard_tests::harness::{Backlog, Fleet, FleetOptions, customer, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::limits::{refused, to_each};
use crate::webhooks::{calls, deliveries, registered};

/// What the doctor found, and whether it was satisfied.
fn doctor(fleet: &Fleet, arguments: &[&str], environment: &[(&str, &str)]) -> (bool, Vec<Value>) {
    let output: Output = tokio::task::block_in_place(|| {
        fleet.command().args(["doctor", "--json"]).args(arguments).envs(environment.iter().copied()).output()
    })
    .expect("the executable runs");
    let found: Vec<Value> = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let code = output.status.code();
    assert!(code == Some(0) || code == Some(1), "{code:?}");
    (code == Some(0), found)
}

/// The bad findings: area, words and mend.
fn bad(found: &[Value]) -> Vec<String> {
    let words = |finding: &Value| format!("{}: {} -> {}", finding["area"], finding["what"], finding["mend"]);
    found.iter().filter(|finding| finding["level"] == "bad").map(words).collect()
}

/// Exactly one bad finding, with all of these words.
fn only_bad(found: &[Value], words: &[&str]) {
    let bad = bad(found);
    assert!(bad.len() == 1 && words.iter().all(|word| bad[0].contains(word)), "{words:?} in {bad:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doctor_names_what_is_broken_and_what_mends_it() {
    let fleet = Fleet::start(FleetOptions { chatservers: 1, ..FleetOptions::pair("doctor") }).await;
    fleet.paired().await;
    written_down(&fleet, "").await;
    let (satisfied, found) = doctor(&fleet, &[], &[]);
    assert!(satisfied && bad(&found).is_empty(), "a healthy fleet: {found:#?}");
    for words in
        ["telegram answers", "grants the session timeout", "tables at version", "1 standing by", "connector support"]
    {
        assert!(said(&found, words), "{words}: {found:#?}");
    }
    // Every finding that is not good says what would be better.
    assert!(found.iter().all(|finding| finding["level"] == "good" || finding["mend"].is_string()), "{found:#?}");

    let (satisfied, found) = doctor(&fleet, &[], &[("SWITCHBOARD_ZOOKEEPER__SESSION_TIMEOUT_MS", "90000")]);
    assert!(!satisfied);
    only_bad(&found, &["zookeeper", "60000 ms instead of 90000 ms", "maxSessionTimeout"]);

    let token = fleet.dir.join("token");
    let mode = |mode| std::fs::set_permissions(&token, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o644);
    only_bad(&doctor(&fleet, &["--account", "support"], &[]).1, &["everybody on this host can read", "chmod 600"]);
    mode(0o600);

    // The password is asked for by a server that trusts no one; nobody else connects anew meanwhile.
    let rules = fleet.dir.join("postgres/data/pg_hba.conf");
    let trusting = std::fs::read_to_string(&rules).unwrap();
    std::fs::write(&rules, format!("host all stranger 127.0.0.1/32 scram-sha-256\n{trusting}")).unwrap();
    let made = "WITH reload AS (SELECT pg_reload_conf()) SELECT count(*) FROM reload";
    assert_eq!(fleet.onlooker.number(made).await, Some(1));
    let url = fleet.postgres.url().replace("switchboard@", "stranger@");
    let wrong = [("SWITCHBOARD_POSTGRES__URL", url.as_str()), ("SWITCHBOARD_POSTGRES__PASSWORD", "guessed")];
    only_bad(&doctor(&fleet, &[], &wrong).1, &["postgres", "28P01", "postgres.password_file"]);

    let (satisfied, found) = doctor(&fleet, &[], &[("SWITCHBOARD_POSTGRES__POOL_SIZE", "many")]);
    assert!(!satisfied && bad(&found).len() == 1 && found.len() == 1, "{found:#?}");
}

/// A proxy that forwards one request per connection, and drops the lines of its head that begin with one of these words.
async fn proxy(to: String, dropped: &'static [&'static str]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = TcpStream::connect(&to).await.unwrap();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") && client.read_buf(&mut head).await.is_ok_and(|read| read > 0) {}
                let head = String::from_utf8(head).unwrap();
                let kept = |line: &&str| !dropped.iter().any(|word| line.to_lowercase().starts_with(word));
                let head: Vec<&str> = head.split("\r\n").filter(kept).collect();
                server.write_all(head.join("\r\n").as_bytes()).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doctor_names_a_proxy_that_strips_the_upgrade() {
    let fleet = Fleet::start(FleetOptions { chatservers: 1, ..FleetOptions::new("doctor-proxy") }).await;
    fleet.active().await;
    let chatserver = fleet.websockets()[0].strip_prefix("ws://").unwrap().split('/').next().unwrap().to_owned();
    let transparent = proxy(chatserver.clone(), &[]).await;
    let (_, found) = doctor(&fleet, &["--public-url", &transparent], &[]);
    let open: Vec<String> = bad(&found);
    // The stub lets everything through; a chatserver serves its health where its proxy asks for it.
    assert!(open.len() == 2 && open.iter().all(|words| words.contains("is open to everybody")), "{open:#?}");
    assert!(found.iter().any(|finding| finding["what"] == "websockets pass"), "{found:#?}");

    let stripping = proxy(chatserver, &["upgrade:", "connection:"]).await;
    let (satisfied, found) = doctor(&fleet, &["--public-url", &stripping], &[]);
    assert!(!satisfied);
    let stripped: Vec<String> = bad(&found).into_iter().filter(|words| words.contains("strips")).collect();
    assert!(stripped.len() == 1 && stripped[0].contains("proxy_http_version 1.1"), "{found:#?}");

    let nobody = "http://127.0.0.1:1";
    assert!(bad(&doctor(&fleet, &["--public-url", nobody], &[]).1)[0].contains("cannot be fetched"));
}

/// Whether a finding has these words.
fn said(found: &[Value], words: &str) -> bool {
    found.iter().any(|finding| finding["what"].as_str().is_some_and(|what| what.contains(words)))
}

/// Exactly one bad finding, with all of these words, beside the one that nobody serves the account.
fn only_bad_unserved(found: &[Value], words: &[&str]) {
    let (unserved, others): (Vec<_>, Vec<_>) =
        found.iter().cloned().partition(|finding| finding["what"] == "support: no connector is active");
    assert_eq!(unserved.len(), 1, "{found:#?}");
    only_bad(&others, words);
}

/// Waits until the active has written down that the platform delivers there.
async fn written_down(fleet: &Fleet, address: &str) {
    let sql = format!("SELECT count(*) FROM registration WHERE said->'webhook'->>'url' = '{address}'");
    until("it to be written down", 20, async || (fleet.onlooker.number(&sql).await? == 1).then_some(())).await;
}

/// The platform is asked by the active alone while there is one.
#[tokio::test(flavor = "multi_thread")]
async fn a_doctor_tells_what_the_active_was_told() {
    let options = FleetOptions { webhook: true, chatservers: 1, ..FleetOptions::new("doctor-told") };
    let fleet = Fleet::start(options).await;
    let own = Fleet::webhook_at(&fleet.public_base());
    registered(&fleet, &own).await;
    written_down(&fleet, &own).await;
    let exchanges = "SELECT count(*) FROM exchange";
    let before = fleet.onlooker.number(exchanges).await;
    let (satisfied, found) = doctor(&fleet, &["--account", "support"], &[]);
    assert!(satisfied && said(&found, "updates are delivered to http://127.0.0.1"), "{found:#?}");
    assert!(said(&found, "telegram answers and takes its credentials, as the active was told"), "{found:#?}");
    assert_eq!((fleet.onlooker.number(exchanges).await, calls(&fleet, "getMe")), (before, 0), "nobody asked");

    let untold = |found: &[Value], words: &str| {
        let advice = found.iter().find(|finding| finding["what"].as_str().is_some_and(|what| what.contains(words)));
        advice.is_some_and(|advice| advice["level"] == "advice") && !said(found, "telegram answers")
    };
    let change = |sql: &str| format!("WITH changed AS ({sql} RETURNING 1) SELECT count(*) FROM changed");
    let older = change("UPDATE registration SET checked_at = checked_at - interval '1 hour'");
    assert_eq!(fleet.onlooker.number(&older).await, Some(1));
    let (satisfied, found) = doctor(&fleet, &["--account", "support"], &[]);
    assert!(satisfied && untold(&found, "too old to tell anything"), "{found:#?}");
    assert_eq!(fleet.onlooker.number(&change("DELETE FROM registration")).await, Some(1));
    let (satisfied, found) = doctor(&fleet, &["--account", "support"], &[]);
    assert!(satisfied && untold(&found, "no connector has written down yet"), "{found:#?}");
    assert_eq!((fleet.onlooker.number(exchanges).await, calls(&fleet, "getMe")), (before, 0), "still nobody");

    // New settings begin with a look.
    let elsewhere = "https://elsewhere.example/hook?key=hunter2";
    fleet.platform.order("set_webhook", json!({"url": elsewhere})).await;
    fleet.operate(&["account", "set", "support", "receive=poll"]);
    written_down(&fleet, "").await;
    let (satisfied, found) = doctor(&fleet, &["--account", "support"], &[]);
    assert!(satisfied && said(&found, "so polls are answered") && said(&found, "as the active was told"), "{found:#?}");
    let kept = fleet.onlooker.text("SELECT string_agg(said::text, '') FROM registration").await.unwrap();
    assert!(!kept.contains("hunter2"), "{kept}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doctor_asks_the_platform_while_nobody_serves() {
    let options = FleetOptions { webhook: true, chatservers: 1, ..FleetOptions::new("doctor-webhook") };
    let mut fleet = Fleet::start(options).await;
    let own = Fleet::webhook_at(&fleet.public_base());
    registered(&fleet, &own).await;
    // With another secret our own address refuses what is brought.
    fleet.platform.order("set_webhook", json!({"url": own, "secret_token": "guessed-by-a-stranger"})).await;
    fleet.platform.message(customer(1), "who is there? [[d1]]").await;
    // The first repeat comes at once, perhaps on a connection that is being closed; later ones have seconds between them.
    until("it to be refused", 10, async || {
        let statuses: Vec<Option<i64>> = deliveries(&fleet).into_iter().map(|(_, status)| status).collect();
        (statuses.len() >= 2 && statuses.last() == Some(&Some(401))).then_some(())
    })
    .await;
    fleet.platform.order("webhook", json!({"hold": true})).await;
    fleet.connector(0).stop(15).await;
    let ask = || doctor(&fleet, &["--account", "support"], &[]).1;
    let found = ask();
    only_bad_unserved(&found, &["a delivery failed", "401", "webhook_secret"]);
    assert!(said(&found, "telegram answers and takes its credentials"), "{found:#?}");
    assert!(!said(&found, "as the active was told"), "{found:#?}");
    assert_eq!(fleet.onlooker.number("SELECT max(cost)::bigint FROM exchange").await, Some(2), "it was noted");
    let elsewhere = "https://elsewhere.example/hook?key=hunter2";
    fleet.platform.order("set_webhook", json!({"url": elsewhere})).await;
    only_bad_unserved(&ask(), &["delivered elsewhere, to https://elsewhere.example\" ", "get a new one"]);
    fleet.platform.order("set_webhook", json!({"url": ""})).await;
    only_bad_unserved(&ask(), &["no webhook is set", "connector --account support"]);

    fleet.operate(&["account", "set", "support", "receive=poll"]);
    assert!(said(&ask(), "so polls are answered"));
    // A running connector would remove it.
    fleet.platform.order("set_webhook", json!({"url": elsewhere})).await;
    only_bad_unserved(&ask(), &["409", "elsewhere.example"]);
    let epoch = fleet.onlooker.number("SELECT epoch FROM account_lease").await;
    assert_eq!(epoch, Some(1), "what was given up need not be taken");
    fleet.start_connector(0, &[]).await;
    written_down(&fleet, "").await;
    fleet.kill_connector(0);
    fleet.platform.order("set_webhook", json!({"url": elsewhere})).await;
    let aged = "WITH aged AS (UPDATE account_lease SET renewed_at = renewed_at - interval '1 min' RETURNING 1)
                SELECT count(*) FROM aged";
    assert_eq!(fleet.onlooker.number(aged).await, Some(1));
    let polls = bad(&doctor(&fleet, &["--account", "support"], &[]).1);
    assert!(polls.iter().any(|words| words.contains("409") && words.contains("elsewhere.example")), "{polls:#?}");
    assert!(polls.iter().any(|words| words.contains("has not renewed its lease")) && polls.len() == 2, "{polls:#?}");
}

/// A doctor asks while the active stands still in the midst of a burst, for longer than the dead do; then that one goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_doctor_exceeds_no_limit_beside_a_frozen_active() {
    let options = FleetOptions { arrival_jitter_ms: 20, ..FleetOptions::new("doctor-frozen") };
    let mut fleet = Fleet::start(options).await;
    let backlog = Backlog::of(&fleet, "daria").await;
    let customers: Vec<i64> = (0..300).map(customer).collect();
    let chats = backlog.chats(&fleet, &customers).await;
    let mut witness = fleet.witness();
    backlog.submit(to_each(&chats, 1, "all")).await;
    until("messages to go out", 60, async || (witness.sent() >= 60).then_some(())).await;
    let found = doctor(&fleet, &["--account", "support"], &[]).1;
    assert!(said(&found, "as the active was told") && calls(&fleet, "getMe") == 0, "{found:#?}");

    let active = fleet.active().await;
    let frozen = fleet.freeze(active);
    let stale = "SELECT (clock_timestamp() - renewed_at > interval '10 s')::int::bigint FROM account_lease";
    until("the lease to be stale", 30, async || (fleet.onlooker.number(stale).await? == 1).then_some(())).await;
    let mut command = fleet.command();
    let mut asking = command.args(["doctor", "--account", "support"]).stdout(Stdio::null()).spawn().unwrap();
    until("it to ask", 20, async || (calls(&fleet, "getMe") == 1).then_some(())).await;
    fleet.thaw(active, frozen);
    // It tells that the active had not renewed its lease.
    assert_eq!(tokio::task::block_in_place(|| asking.wait()).unwrap().code(), Some(1));
    fleet.rest(&[], 90).await;
    assert_eq!(refused(&fleet).await, [], "none over a limit");
    let ledger = "SELECT count(*) FROM tenure WHERE epoch = 2 AND starts_with(holder, 'doctor ') AND way = 'anyone'
                   AND released_at >= begun_at";
    assert_eq!(fleet.onlooker.number(ledger).await, Some(1));
    let expected =
        fleet.expectations().require(&["OUT-1", "OUT-3", "OUT-8", "OUT-9", "OUT-10", "LD-1", "LD-2", "LD-3"]);
    let report = fleet.verdict(&expected).await;
    report.assert_clean();
    assert_eq!((report.figures.lost, report.figures.duplicated), (0, 0));
}
