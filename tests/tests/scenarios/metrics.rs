//! What `/metrics` of every component says is what Prometheus expects, by its own tool.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use switchboard_tests::harness::{Fleet, FleetOptions, customer, until};

use crate::taken_chat;

/// What promtool says of the text; nothing is good.
fn complaints(text: &str) -> String {
    let promtool = std::env::var_os("SWITCHBOARD_PROMTOOL").unwrap_or_else(|| "promtool".into());
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed by ./dev test");
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() == said.is_empty(), "{}", String::from_utf8_lossy(&said));
    String::from_utf8(said).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_component_s_metrics_are_as_prometheus_expects() {
    let options = FleetOptions { chatservers: 1, loader: true, ..FleetOptions::new("metrics") };
    let fleet = Fleet::start(options).await;
    let agent = fleet.agent_online("anna").await;
    let chat = taken_chat(&fleet, &agent, customer(1), "hello [[q1]]").await;
    let seq = agent.send(&chat, "k1", "good morning [[r1]]").await.unwrap()["seq"].as_i64().unwrap();
    let sent =
        |view: &switchboard_tests::agent::View| view.part(&chat, seq, 0).is_some_and(|part| part.state == "sent");
    agent.wait_until("the reply to be sent", Duration::from_secs(20), sent).await.unwrap();
    // Each looks at its pool once a second.
    let looked = async || {
        let texts = fleet.metrics().await;
        texts.iter().all(|(_, text)| text.contains("switchboard_pool_connections{")).then_some(())
    };
    until("every process to have looked at its pool", 10, looked).await;
    for (role, text) in fleet.metrics().await {
        assert_eq!(complaints(&text), "", "{role}");
        let lines = || text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        assert!(lines().all(|line| line.contains(&format!("role=\"{role}\""))), "{role}: {text}");
        let names: BTreeSet<&str> = lines().filter_map(|line| line.split('{').next()).collect();
        let expected: &[&str] = match role {
            "connector" => &[
                "switchboard_account_info",
                "switchboard_outbox_oldest_seconds",
                "switchboard_outbox_wait_seconds_count",
            ],
            "chatserver" => {
                &["switchboard_ws_send_queue_bytes", "switchboard_ws_sessions", "switchboard_relay_seconds_count"]
            }
            _ => &["switchboard_build_info", "switchboard_pool_connections"],
        };
        assert!(expected.iter().all(|name| names.contains(name)), "{role}: {names:?}");
    }
    assert!(complaints("switchboard_wrong_total{a=\"b\"} 1\n").contains("help"), "a complaint would be heard");
}
