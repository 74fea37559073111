//! A run directory in memory, to be told, spoilt and written: how the checker itself is tested.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Expectations, Report};

/// Lines by file: `mock`, `agent`, `nemesis`, `file`, or `dump/` and a table's name.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    files: BTreeMap<&'static str, Vec<Value>>,
}

impl Lines {
    /// All lines of one file, made on first use.
    pub fn of(&mut self, file: &'static str) -> &mut Vec<Value> {
        self.files.entry(file).or_default()
    }

    /// Lines of one file that have all fields of `want`.
    pub fn like(&self, file: &'static str, want: &Value) -> Vec<&Value> {
        self.files.get(file).into_iter().flatten().filter(|line| has(line, want)).collect()
    }

    /// Changes fields of every matching line.
    ///
    /// # Panics
    ///
    /// When nothing matches (the three below too): a mutation that changes nothing proves nothing.
    pub fn set(&mut self, file: &'static str, want: Value, change: Value) {
        let mut touched = 0;
        for line in self.of(file).iter_mut().filter(|line| has(line, &want)) {
            merge(line, &change);
            touched += 1;
        }
        assert!(touched > 0, "no line of {file} is like {want}");
    }

    /// Removes every matching line.
    pub fn remove(&mut self, file: &'static str, want: Value) {
        let lines = self.of(file);
        let before = lines.len();
        lines.retain(|line| !has(line, &want));
        assert!(lines.len() < before, "no line of {file} is like {want}");
    }

    /// Writes the first matching line again right behind itself, with some fields changed.
    pub fn repeat(&mut self, file: &'static str, want: Value, change: Value) {
        let lines = self.of(file);
        let place = lines.iter().position(|line| has(line, &want));
        let place = place.unwrap_or_else(|| panic!("no line of {file} is like {want}"));
        let mut copy = lines[place].clone();
        merge(&mut copy, &change);
        lines.insert(place + 1, copy);
    }

    /// Adds a line at the end.
    pub fn add(&mut self, file: &'static str, line: Value) {
        self.of(file).push(line);
    }

    /// Leaves out a whole file.
    pub fn lose(&mut self, file: &'static str) {
        assert!(self.files.remove(file).is_some(), "there is no {file}");
    }

    /// Writes everything to a directory of its own, which goes when the value goes.
    ///
    /// # Panics
    ///
    /// When the temporary directory cannot be written.
    pub fn write(&self) -> RunDir {
        let path = std::env::temp_dir().join(format!("switchboard-run-{}", uuid::Uuid::new_v4()));
        fs::create_dir_all(path.join("dump")).expect("the temporary directory is writable");
        for (file, lines) in &self.files {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            fs::write(path.join(format!("{file}.jsonl")), text).expect("the temporary directory is writable");
        }
        RunDir { path }
    }

    /// Writes, checks, and forgets the files.
    pub fn check(&self, expectations: &Expectations) -> Report {
        super::check(self.write().path(), expectations)
    }
}

fn has(line: &Value, want: &Value) -> bool {
    let fields = want.as_object().expect("a pattern is an object");
    fields.iter().all(|(name, value)| line.get(name) == Some(value))
}

fn merge(line: &mut Value, change: &Value) {
    let fields = change.as_object().expect("a change is an object");
    let line = line.as_object_mut().expect("a line is an object");
    line.extend(fields.iter().map(|(name, value)| (name.clone(), value.clone())));
}

/// A directory that is removed at the end of its test.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.path));
    }
}
