//! What the observers' logs tell beside the checker's verdict.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value;

/// From a customer's keystroke to the first frame that shows it to an agent, milliseconds, sorted.
pub fn shown_after_ms(run: &Path) -> Vec<u64> {
    let mut typed: HashMap<String, u64> = HashMap::new();
    each_line(&run.join("mock.jsonl"), "\"typed\"", |event| {
        typed.extend(tag(event).map(|tag| (tag, time(event))));
    });
    let mut shown: HashMap<String, u64> = HashMap::new();
    each_line(&run.join("agent.jsonl"), "\"frame\"", |event| {
        if let Some(tag) = tag(event).filter(|tag| typed.contains_key(tag)) {
            let first = shown.entry(tag).or_insert(u64::MAX);
            *first = time(event).min(*first);
        }
    });
    let mut after: Vec<u64> = shown.iter().map(|(tag, at)| at.saturating_sub(typed[tag]) / 1_000_000).collect();
    after.sort_unstable();
    after
}

/// How many calls began between two moments of the observers' clock.
pub fn calls_between(run: &Path, from: i64, to: i64) -> usize {
    let mut calls = 0;
    each_line(&run.join("mock.jsonl"), "\"call_open\"", |event| {
        calls += usize::from(event["t_first"].as_i64().is_some_and(|at| (from..to).contains(&at)));
    });
    calls
}

/// Each request to a webhook: its key, its answer's status.
pub fn deliveries(run: &Path) -> Vec<(String, Option<i64>)> {
    let mut found = Vec::new();
    each_line(&run.join("mock.jsonl"), "\"delivery\"", |event| {
        found.push((event["key"].as_str().unwrap_or_default().to_owned(), event["status"].as_i64()));
    });
    found
}

/// Looks at each line of a log that holds `word`.
pub fn each_line(path: &Path, word: &str, mut look: impl FnMut(&Value)) {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    for line in text.lines().filter(|line| line.contains(word)) {
        // The last line may be half written.
        if let Ok(event) = serde_json::from_str(line) {
            look(&event);
        }
    }
}

fn time(event: &Value) -> u64 {
    event["t"].as_u64().unwrap_or_default()
}

fn tag(event: &Value) -> Option<String> {
    event["tag"].as_str().map(str::to_owned)
}
