//! What every observer shares: one clock, one line format, and how a text is followed.
//!
//! Observers are not under test, so they must not lose what they saw: a line goes to the file in one
//! write, under one lock, and the file holds the lines in the order of their `t`.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// A log that several tasks write to.
pub type SharedLog = Arc<WriteLog>;

/// One JSON object a line, each with `t` and `ev`; kept by the observers and the harness.
#[derive(Debug)]
pub struct WriteLog {
    file: Mutex<File>,
}

impl WriteLog {
    /// Starts an empty log; a second log of the same name would be two truths, so an old one is an error.
    pub fn create(path: &Path) -> io::Result<SharedLog> {
        let file = File::options().append(true).create_new(true).open(path)?;
        Ok(Arc::new(Self { file: Mutex::new(file) }))
    }

    /// Writes one line and returns its time in nanoseconds.
    ///
    /// # Panics
    ///
    /// When `fields` is no object or the file cannot be written: a run without its evidence is worth
    /// nothing, and going on would look like a pass.
    pub fn write(&self, event: &str, fields: Value) -> i64 {
        let Value::Object(fields) = fields else { panic!("fields of `{event}` must be an object") };
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let now = boottime_ns();
        let mut line = Map::new();
        line.insert("t".to_owned(), now.into());
        line.insert("ev".to_owned(), event.into());
        line.extend(fields);
        let mut text = Value::Object(line).to_string();
        text.push('\n');
        file.write_all(text.as_bytes()).expect("an observer's log must be writable");
        now
    }

    /// Writes the line that ties the database's wall clock to `CLOCK_BOOTTIME`.
    ///
    /// The harness calls it first in `nemesis.jsonl`, and again right before it dumps the database:
    /// the last one is taken as the moment of the dump.
    pub fn write_clock(&self) -> i64 {
        let wall = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Nanos, true);
        self.write("clock", serde_json::json!({"boottime_ns": boottime_ns(), "wall": wall}))
    }
}

/// The clock of all logs: it runs while the machine is suspended, and nobody can set it.
pub fn boottime_ns() -> i64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// Lower-case hex SHA-256, as every log spells a hash.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The tag of a text: the first `[[name]]` in it, with 1-64 of `A-Za-z0-9_-` as its name.
pub fn tag_of(text: &str) -> Option<&str> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    text.char_indices().filter(|(at, _)| text[*at..].starts_with("[[")).find_map(|(at, _)| {
        let rest = &text[at + 2..];
        let length = rest.bytes().take_while(is_name).count();
        let closed = rest[length..].starts_with("]]");
        (closed && (1..=64).contains(&length)).then(|| &rest[..length])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_is_the_first_whole_name() {
        assert_eq!(tag_of("hello [[a-1]] and [[b]]"), Some("a-1"));
        assert_eq!(tag_of("[[ no ]] [[]] [[yes]]"), Some("yes"));
        assert_eq!(tag_of("[[[x]]"), Some("x"));
        assert_eq!(tag_of(&format!("[[{}]]", "a".repeat(65))), None);
        assert_eq!(tag_of("[[open"), None);
    }

    #[test]
    fn a_hash_is_lower_case_hex() {
        assert_eq!(&sha256_hex(b"abc")[..8], "ba7816bf");
    }

    #[test]
    fn lines_lie_in_the_order_of_their_times() {
        let path = std::env::temp_dir().join(format!("{}.jsonl", uuid::Uuid::new_v4()));
        let log = WriteLog::create(&path).expect("a fresh file");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for n in 0..200 {
                        log.write("tick", serde_json::json!({"n": n}));
                    }
                });
            }
        });
        let text = std::fs::read_to_string(&path).expect("the file was just written");
        let times: Vec<i64> = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("whole lines")["t"].as_i64().expect("a time"))
            .collect();
        assert_eq!(times.len(), 800);
        assert!(times.is_sorted());
        assert!(WriteLog::create(&path).is_err(), "an old log must not be continued");
        std::fs::remove_file(&path).expect("the file is ours");
    }
}
