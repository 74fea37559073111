//! What `deploy/` ships, judged by the tools that will read it.

#![allow(clippy::unwrap_used)]

mod container;
mod prometheus;
mod units;

use std::path::PathBuf;
use std::process::{Command, Output};

/// A folder of the repository.
fn deploy(folder: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(folder)
}

/// A folder of the test's own, empty.
fn scratch(name: &str) -> PathBuf {
    let runs = std::env::var("SWITCHBOARD_TEST_DIR").expect("SWITCHBOARD_TEST_DIR is not set: run `./dev test deploy`");
    let folder = PathBuf::from(runs).join(format!("deploy-{name}"));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs a tool that `./dev test` has seen to.
fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{:?}: {error}", command.get_program()))
}

/// Everything that a tool said.
fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
