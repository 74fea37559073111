//! Reads the simulator's log as it grows, so that a kill falls on a moment that the log proves to be open.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::until;

/// What `mock.jsonl` says at this moment.
#[derive(Debug)]
pub struct Witness {
    path: PathBuf,
    read_up_to: u64,
    /// Calls read whole and not answered yet.
    open_calls: HashSet<i64>,
    /// Updates given out and not acknowledged yet, by their number.
    unacknowledged: HashSet<i64>,
    /// Answered calls that took effect, by method.
    applied: HashMap<String, u64>,
    /// Updates acknowledged.
    acknowledged: u64,
    /// When each call's first byte was read.
    begun: Vec<i64>,
}

impl Witness {
    /// Begins with the log's first line.
    pub fn new(run: &Path) -> Self {
        Self {
            path: run.join("mock.jsonl"),
            read_up_to: 0,
            open_calls: HashSet::new(),
            unacknowledged: HashSet::new(),
            applied: HashMap::new(),
            acknowledged: 0,
            begun: Vec::new(),
        }
    }

    /// Reads what is new.
    fn look(&mut self) {
        let Ok(file) = std::fs::File::open(&self.path) else { return };
        let mut reader = BufReader::new(file);
        reader.seek(SeekFrom::Start(self.read_up_to)).expect("the log can be read");
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|length| length > 0) && line.ends_with('\n') {
            self.read_up_to += line.len() as u64;
            let event: Value = serde_json::from_str(&line).expect("whole lines");
            self.note(&event);
            line.clear();
        }
    }

    fn note(&mut self, event: &Value) {
        let number = |field: &str| event[field].as_i64().unwrap_or_default();
        match event["ev"].as_str().unwrap_or_default() {
            "push" => {
                self.unacknowledged.insert(number("update_id"));
            }
            "ack" => {
                self.unacknowledged.remove(&number("update_id"));
                self.acknowledged += 1;
            }
            "call_open" => {
                self.open_calls.insert(number("call"));
                self.begun.push(number("t_first"));
            }
            "call" => {
                self.open_calls.remove(&number("call"));
                if event["applied"] == true {
                    *self.applied.entry(event["method"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
                }
            }
            _ => {}
        }
    }

    /// Messages that took effect so far.
    pub fn sent(&mut self) -> u64 {
        self.look();
        self.applied.get("sendMessage").copied().unwrap_or_default()
    }

    /// Updates acknowledged so far.
    pub fn acknowledged(&mut self) -> u64 {
        self.look();
        self.acknowledged
    }

    /// When the first call after `t` began, if any did.
    pub fn first_call_after(&mut self, t: i64) -> Option<i64> {
        self.look();
        self.begun.iter().copied().filter(|at| *at > t).min()
    }

    /// Waits for a moment at which a call is open or a batch was given out and not acknowledged.
    pub async fn open_moment(&mut self, seconds: u64) {
        until("an open call or an uncommitted batch", seconds, async || {
            self.look();
            (!self.open_calls.is_empty() || !self.unacknowledged.is_empty()).then_some(())
        })
        .await;
    }

    /// Waits for a moment at which a call is open.
    pub async fn open_call(&mut self, seconds: u64) {
        until("an open call", seconds, async || {
            self.look();
            (!self.open_calls.is_empty()).then_some(())
        })
        .await;
    }
}
