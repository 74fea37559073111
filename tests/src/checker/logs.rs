//! A run directory, read line by line.
//!
//! What cannot be read becomes a complaint and turns `LOG` red: skipping it in silence would turn a
//! torn log into a pass.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::dump::Dump;
use super::lines::{
    Accepted, Call, Clock, CrashPoint, Decision, Delivery, Download, Fault, Frame, FrameLine, Get, Keyed, Put,
    RefusedLine, SocketLine, Status, Submit, Typed,
};
use super::report::Finding;

/// Lines that could not be used.
#[derive(Debug, Default)]
pub struct Complaints(Vec<String>);

impl Complaints {
    /// Hands every complaint to the finding about the logs themselves.
    pub fn each(&self, log: &mut Finding) {
        self.0.iter().for_each(|complaint| log.violate(|| complaint.clone()));
    }

    fn add(&mut self, complaint: String) {
        self.0.push(complaint);
    }
}

/// Everything in a run directory.
#[derive(Debug, Default)]
pub struct Run {
    pub typed: Vec<Typed>,
    pub pushes: Vec<Keyed>,
    pub acks: Vec<Keyed>,
    pub deliveries: Vec<Delivery>,
    pub puts: Vec<Put>,
    pub gets: Vec<Get>,
    pub calls: Vec<Call>,
    pub socket: Vec<SocketLine>,
    pub submits: Vec<Submit>,
    pub accepted: Vec<Accepted>,
    pub statuses: Vec<Status>,
    pub decisions: Vec<Decision>,
    pub clocks: Vec<Clock>,
    pub faults: Vec<Fault>,
    pub crash_points: Vec<CrashPoint>,
    pub dump: Dump,
    pub complaints: Complaints,
    /// How many lines were read.
    pub lines: u64,
    names: HashSet<Arc<str>>,
}

impl Run {
    /// Reads all of it. A file that is missing is a complaint too.
    pub fn read(dir: &Path) -> Self {
        let mut run = Self::default();
        run.each_line(&dir.join("mock.jsonl"), Self::mock_line);
        run.each_line(&dir.join("agent.jsonl"), Self::agent_line);
        run.each_line(&dir.join("nemesis.jsonl"), Self::nemesis_line);
        // Only where somebody uploaded or downloaded.
        if dir.join("file.jsonl").exists() {
            run.each_line(&dir.join("file.jsonl"), Self::file_line);
        }
        run.end_open_calls();
        let tables = dir.join("dump");
        let mut dump = Dump::default();
        run.table(&tables, "account", &mut dump.accounts);
        run.table(&tables, "agent", &mut dump.agents);
        run.table(&tables, "feed", &mut dump.feeds);
        run.table(&tables, "feed_entry", &mut dump.feed_entries);
        run.table(&tables, "chat", &mut dump.chats);
        run.table(&tables, "history", &mut dump.history);
        run.table(&tables, "inbox", &mut dump.inbox);
        run.table(&tables, "pending", &mut dump.pending);
        run.table(&tables, "quarantine", &mut dump.quarantine);
        run.table(&tables, "outbox", &mut dump.outbox);
        run.table(&tables, "attempt", &mut dump.attempts);
        // Newer than the oldest runs that are kept.
        if tables.join("tenure.jsonl").exists() {
            run.table(&tables, "tenure", &mut dump.tenures);
            run.table(&tables, "account_lease", &mut dump.leases);
        }
        if tables.join("file.jsonl").exists() {
            run.table(&tables, "file", &mut dump.files);
            run.table(&tables, "file_use", &mut dump.file_uses);
            run.table(&tables, "file_chunk", &mut dump.file_chunks);
        }
        run.dump = dump;
        run
    }

    fn each_line(&mut self, path: &Path, mut read: impl FnMut(&mut Self, &str) -> serde_json::Result<()>) {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) => return self.complaints.add(format!("{name}: {error}")),
        };
        let mut lines = BufReader::with_capacity(1 << 20, file);
        let (mut line, mut number) = (String::new(), 0_u64);
        loop {
            line.clear();
            number += 1;
            match lines.read_line(&mut line) {
                Ok(0) => return,
                Ok(_) if line.trim().is_empty() => continue,
                Ok(_) => self.lines += 1,
                Err(error) => return self.complaints.add(format!("{name}:{number}: {error}")),
            }
            if let Err(error) = read(self, line.trim_end()) {
                self.complaints.add(format!("{name}:{number}: {error}"));
            }
        }
    }

    fn table<T: DeserializeOwned>(&mut self, tables: &Path, table: &str, rows: &mut Vec<T>) {
        self.each_line(&tables.join(format!("{table}.jsonl")), |_, line| {
            rows.push(serde_json::from_str(line)?);
            Ok(())
        });
    }

    fn mock_line(&mut self, line: &str) -> serde_json::Result<()> {
        match event_of(line)? {
            "typed" => self.typed.push(serde_json::from_str(line)?),
            "push" => self.pushes.push(serde_json::from_str(line)?),
            "ack" => self.acks.push(serde_json::from_str(line)?),
            "delivery" => self.deliveries.push(serde_json::from_str(line)?),
            "download" => drop(serde_json::from_str::<Download>(line)?),
            "call" | "call_open" => self.calls.push(serde_json::from_str(line)?),
            other => return Err(unknown(other)),
        }
        Ok(())
    }

    fn file_line(&mut self, line: &str) -> serde_json::Result<()> {
        match event_of(line)? {
            "put" => self.puts.push(serde_json::from_str(line)?),
            "get" => self.gets.push(serde_json::from_str(line)?),
            other => return Err(unknown(other)),
        }
        Ok(())
    }

    fn agent_line(&mut self, line: &str) -> serde_json::Result<()> {
        match event_of(line)? {
            "frame" => {
                let frame = self.frame(serde_json::from_str(line)?)?;
                self.socket.push(SocketLine::Frame(frame));
            }
            "open" => self.socket.push(SocketLine::Open(serde_json::from_str(line)?)),
            "resync" => self.socket.push(SocketLine::Resync(serde_json::from_str(line)?)),
            "close" => self.socket.push(SocketLine::Close(serde_json::from_str(line)?)),
            "submit" => self.submits.push(serde_json::from_str(line)?),
            "accepted" => self.accepted.push(serde_json::from_str(line)?),
            "refused" => drop(serde_json::from_str::<RefusedLine>(line)?),
            "status" => self.statuses.push(serde_json::from_str(line)?),
            "decision" => self.decisions.push(serde_json::from_str(line)?),
            other => return Err(unknown(other)),
        }
        Ok(())
    }

    /// The harness may note more than the checker reads, so other events pass.
    fn nemesis_line(&mut self, line: &str) -> serde_json::Result<()> {
        match event_of(line)? {
            "clock" => self.clocks.push(serde_json::from_str(line)?),
            "fault" => self.faults.push(serde_json::from_str(line)?),
            "crash_point" => self.crash_points.push(serde_json::from_str(line)?),
            _ => {}
        }
        Ok(())
    }

    fn frame(&mut self, line: FrameLine<'_>) -> serde_json::Result<Frame> {
        let hash = line.hash.get(..32).and_then(|hash| u128::from_str_radix(hash, 16).ok());
        let hash = hash.ok_or_else(|| serde::de::Error::custom("hash is no SHA-256"))?;
        Ok(Frame {
            sess: self.name(line.sess),
            feed: self.name(line.feed),
            feed_epoch: line.feed_epoch,
            seq: line.seq,
            kind: self.name(line.kind),
            chat: line.chat,
            chat_seq: line.chat_seq,
            hash,
        })
    }

    fn name(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.names.get(text) {
            return Arc::clone(known);
        }
        let name: Arc<str> = text.into();
        self.names.insert(Arc::clone(&name));
        name
    }

    /// Keeps a `call_open` only when its `call` never came: the run ended, or the simulator died.
    fn end_open_calls(&mut self) {
        let ended = |call: &Call| !call.reply.is_empty();
        let done: HashSet<(String, i64)> =
            self.calls.iter().filter(|call| ended(call)).map(|call| (call.acct.clone(), call.call)).collect();
        self.calls.retain(|call| ended(call) || !done.contains(&(call.acct.clone(), call.call)));
        for call in self.calls.iter_mut().filter(|call| call.reply.is_empty()) {
            call.reply = "open".to_owned();
            call.t_last = call.t_first;
        }
        self.calls.sort_by_key(|call| call.t_first);
    }
}

#[derive(Deserialize)]
struct Event<'a> {
    ev: &'a str,
}

/// The event of a line. A long run has millions of lines, so the usual spelling is found without reading
/// the whole: inside a JSON text every quote is escaped, so these characters can only be the field itself.
fn event_of(line: &str) -> serde_json::Result<&str> {
    let usual = line.split_once(r#""ev":""#).and_then(|(_, rest)| rest.split_once('"'));
    match usual {
        Some((event, _)) if !event.contains('\\') => Ok(event),
        _ => Ok(serde_json::from_str::<Event<'_>>(line)?.ev),
    }
}

fn unknown(event: &str) -> serde_json::Error {
    serde::de::Error::custom(format!("unknown event `{event}`"))
}
