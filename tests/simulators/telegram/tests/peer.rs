//! A client that nobody of this project wrote drives the real executable.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use telegram_simulator::methods::METHODS;

/// Ends the simulator with the test, also when the test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn python_telegram_bot_understands_every_answer() {
    let python = std::env::var_os("SWITCHBOARD_PYTHON").expect(
        "SWITCHBOARD_PYTHON must name a Python that has peer/requirements.txt installed: run the tests with `./dev test`",
    );
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("peer-{}", std::process::id()));
    let log = folder.join("mock.jsonl");
    let simulator = Command::new(env!("CARGO_BIN_EXE_telegram-simulator"))
        .args(["--listen", "127.0.0.1:0", "--bot", "support=42:TESTTOKEN", "--log"])
        .arg(&log)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the simulator starts");
    let mut simulator = Running(simulator);
    let mut line = String::new();
    let stdout = simulator.0.stdout.take().expect("its output is piped");
    BufReader::new(stdout).read_line(&mut line).expect("it says where it listens");
    let base = line.split_whitespace().find(|word| word.starts_with("http://")).expect("the line holds the address");

    let drive = Path::new(env!("CARGO_MANIFEST_DIR")).join("peer/drive.py");
    let driven = Command::new(python)
        .arg(drive)
        .args(["--base", base, "--token", "42:TESTTOKEN", "--acct", "support"])
        .output()
        .expect("SWITCHBOARD_PYTHON can be run");
    let told = String::from_utf8_lossy(&driven.stdout);
    let complaint = String::from_utf8_lossy(&driven.stderr);
    assert!(driven.status.success(), "{told}{complaint}");
    assert_eq!(told.lines().last(), Some("everything holds"), "{told}{complaint}");

    let pid = i32::try_from(simulator.0.id()).ok().and_then(Pid::from_raw).expect("a process has an id");
    kill_process(pid, Signal::TERM).expect("the simulator still runs");
    let status = simulator.0.wait().expect("it ends");
    assert!(status.success(), "SIGTERM is a clean end, not {status}");
    let lines = std::fs::read_to_string(&log).expect("the log can be read");
    assert!(!lines.contains("TESTTOKEN"), "the token is in the log");
    // It went through every method, and nothing that it sent is foreign to the description of the Bot API.
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    let calls: Vec<_> = lines.iter().filter(|line| line["ev"] == "call" && line["applied"] == true).collect();
    for method in METHODS.iter().filter(|method| method.run.is_some()) {
        assert!(calls.iter().any(|call| call["method"] == method.name), "{} was not tried", method.name);
    }
    for call in calls {
        assert_eq!(call["strange"], json!([]), "{call}");
    }
    std::fs::remove_dir_all(folder).expect("the folder can be removed");
}
