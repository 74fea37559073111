//! FI-1 to FI-5, and IN-4 for what came with a message: bytes from end to end.
//!
//! What a file should hold is what its sender said: the customer's phone for one that came in, the upload for one that
//! goes out; only of a file that no observer gave away the database's own hash is taken.

use std::collections::{HashMap, HashSet};

use super::dump::{File, FileChunks};
use super::expectations::Expectations;
use super::faults::{CLOCKS_APART_NS, Fault};
use super::index::Index;
use super::lines::{Keyed, Typed};
use super::logs::Run;
use super::parts::Parts;
use super::report::Finding;

const MS: i64 = 1_000_000;

/// A file's account and id.
type Name<'a> = (i64, &'a str);

/// The files of a run and what is known of them.
pub struct Files<'a> {
    run: &'a Run,
    index: &'a Index,
    rows: HashMap<Name<'a>, &'a File>,
    /// By account and dedupe key.
    typed: HashMap<Name<'a>, &'a Typed>,
    uploaded: HashMap<Name<'a>, &'a str>,
    shown: HashSet<(Name<'a>, i64)>,
    chunks: HashMap<Name<'a>, &'a FileChunks>,
}

impl<'a> Files<'a> {
    /// Joins rows, uses, chunks, uploads and what customers sent.
    pub fn join(run: &'a Run, index: &'a Index) -> Self {
        let dump = &run.dump;
        let typed = run.typed.iter().filter_map(|line| Some(((index.account(&line.acct)?, line.key.as_str()), line)));
        let taken = run.puts.iter().filter(|put| put.status == 201);
        let taken =
            taken.filter_map(|put| Some(((index.account(&put.acct)?, put.file.as_deref()?), put.sha256.as_str())));
        Self {
            run,
            index,
            rows: dump.files.iter().map(|row| ((row.account_id, row.id.as_str()), row)).collect(),
            typed: typed.collect(),
            uploaded: taken.collect(),
            shown: dump.file_uses.iter().map(|row| ((row.account_id, row.file_id.as_str()), row.chat_id)).collect(),
            chunks: dump.file_chunks.iter().map(|row| ((row.account_id, row.file_id.as_str()), row)).collect(),
        }
    }

    /// What a file should hold.
    fn wanted(&self, row: &'a File) -> Option<&'a str> {
        let pushed = row.dedupe_key.as_deref().and_then(|key| self.typed.get(&(row.account_id, key)));
        let pushed = pushed.and_then(|line| line.file.as_ref()).map(|file| file.sha256.as_str());
        let name = (row.account_id, row.id.as_str());
        pushed.or_else(|| self.uploaded.get(&name).copied()).or_else(|| row.hash())
    }

    fn said(&self, row: &File) -> String {
        let way = if row.inbound { "in" } else { "out" };
        format!("{} file {} ({way}, {})", self.index.account_name(row.account_id), row.id, row.state_word())
    }

    /// IN-4, for files: a message has the file that was sent with it, of its kind, and when ready with its bytes.
    pub fn came_whole(&self, finding: &mut Finding) {
        let entries = self.run.dump.history.iter().filter(|row| row.author_kind == 1 && row.kind == 1);
        for entry in entries {
            let Some(key) = entry.key.as_deref() else { continue };
            let Some(sent) = self.typed.get(&(entry.account_id, key)).and_then(|line| line.file.as_ref()) else {
                continue;
            };
            let named: Vec<Option<&&File>> =
                entry.files().map(|file| self.rows.get(&(entry.account_id, file))).collect();
            let wrong = match named[..] {
                [Some(row)] if row.dedupe_key.as_deref() != Some(key) => Some("it names another message's file"),
                [Some(row)] if row.kind != sent.field => Some("its file is of another kind"),
                [Some(row)] if row.is_ready() && row.hash() != Some(&sent.sha256) => Some("other bytes were stored"),
                [Some(row)] if row.is_ready() && row.size_bytes != Some(sent.bytes) => Some("its size is another"),
                [Some(_)] => None,
                _ => Some("it does not name the one file that was sent"),
            };
            finding.check(wrong.is_none(), || {
                format!("{key} in chat {} at {}: {}", entry.chat_id, entry.seq, wrong.unwrap_or_default())
            });
        }
    }

    /// FI-1: whoever gets a file gets what its sender gave: agents by whatever server, the platform by a send.
    pub fn same_bytes(&self, parts: &Parts<'_>) -> Finding {
        let mut finding = Finding::new("FI-1");
        for put in self.run.puts.iter().filter(|put| put.status == 201) {
            let row = self.row(&put.acct, put.file.as_deref());
            let stored = row.is_some_and(|row| row.hash() == Some(&put.sha256) && row.size_bytes == Some(put.bytes));
            finding.check(stored, || {
                format!("{} uploaded {} as {:?}: stored is something else", put.agent, put.client_key, put.file)
            });
        }
        for get in self.run.gets.iter().filter(|get| matches!(get.status, 200 | 206)) {
            let want = match get.range.is_some() && get.status == 206 {
                true => get.want.as_deref(),
                false => self.row(&get.acct, Some(&get.file)).and_then(|row| self.wanted(row)),
            };
            if get.status == 206 && want.is_none() {
                continue; // a range of a file whose bytes the client does not know
            }
            finding.check(want.is_some() && get.sha256.as_deref() == want, || {
                format!("{} got other bytes of {} from {} (range {:?})", get.agent, get.file, get.server, get.range)
            });
        }
        for group in &parts.groups {
            let sent: Vec<Option<&str>> = parts
                .of(group)
                .map(|part| {
                    let file = part.row.file()?;
                    Some(
                        self.rows
                            .get(&(part.row.account_id, file))
                            .and_then(|row| self.wanted(row))
                            .unwrap_or("no such file"),
                    )
                })
                .collect();
            for call in group.calls.iter().filter(|call| call.applied) {
                let given = call.file.as_ref().map(|file| file.sha256.as_str());
                if given.is_none() && sent.iter().all(Option::is_none) {
                    continue;
                }
                finding.check(sent.contains(&given), || {
                    let name = parts.of(group).next().map_or_else(String::new, |part| part.name());
                    format!("{name}: call {} ({}) carried {given:?}, the message has {sent:?}", call.call, call.method)
                });
            }
        }
        finding
    }

    fn row(&self, acct: &str, file: Option<&str>) -> Option<&'a File> {
        self.rows.get(&(self.index.account(acct)?, file?)).copied()
    }

    /// FI-2: nothing names a file before all of it is there, and whoever may see the message may see the file.
    pub fn named_when_ready(&self) -> Finding {
        let mut finding = Finding::new("FI-2");
        for row in self.run.dump.files.iter().filter(|row| row.is_ready()) {
            let there = self.chunks.get(&(row.account_id, row.id.as_str())).map_or(0, |chunks| chunks.bytes);
            finding.check(row.size_bytes == Some(there), || {
                format!("{}: {there} of {:?} bytes", self.said(row), row.size_bytes)
            });
        }
        for part in &self.run.dump.outbox {
            let Some(file) = part.file() else { continue };
            let row = self.rows.get(&(part.account_id, file));
            let wrong = match row {
                None => Some("is no file of its account"),
                Some(row) if !row.is_ready() || row.ready_at.is_none_or(|at| at > part.created_at) => {
                    Some("was not ready when it was accepted")
                }
                Some(_) if !self.shown.contains(&((part.account_id, file), part.chat_id)) => {
                    Some("is not shown in its chat")
                }
                Some(_) => None,
            };
            finding.check(wrong.is_none(), || {
                format!(
                    "chat {} seq {} part {}: {file} {}",
                    part.chat_id,
                    part.chat_seq,
                    part.part,
                    wrong.unwrap_or_default()
                )
            });
        }
        for entry in &self.run.dump.history {
            for file in entry.files() {
                let row = self.rows.get(&(entry.account_id, file));
                let agents_own = |row: &File| row.is_ready() && row.ready_at.is_some_and(|at| at <= entry.at);
                let ready = row.is_some_and(|row| !entry.is_agents_message() || agents_own(row));
                let shown = self.shown.contains(&((entry.account_id, file), entry.chat_id));
                finding.check(ready && shown, || {
                    format!(
                        "chat {} at {} names {file}: ready {ready}, shown in this chat {shown}",
                        entry.chat_id, entry.seq
                    )
                });
            }
        }
        for ((account, file), chat) in &self.shown {
            if !self.rows.contains_key(&(*account, *file)) {
                finding.violate(|| format!("chat {chat} shows {file}, which is no file"));
            }
        }
        let clock = self.index.has_clock(); // without one LOG is red, and times mean nothing
        for get in self.run.gets.iter().filter(|get| clock && matches!(get.status, 200 | 206)) {
            let row = self.row(&get.acct, Some(&get.file)).filter(|row| row.is_ready());
            let ready_at = row.and_then(|row| self.index.boottime(row.ready_at?));
            finding.check(ready_at.is_some_and(|at| at <= get.t + CLOCKS_APART_NS), || {
                format!("{} got {} at {}, ready at {ready_at:?}", get.agent, get.file, get.t)
            });
        }
        finding
    }

    /// FI-3: a message does not wait for its file: it, and what its customer writes next, is acknowledged at once, and the
    /// file's end comes later in the same chat, once. A fault in between excuses a delay.
    pub fn no_delay(&self, faults: &[Fault<'_>], expectations: &Expectations) -> Finding {
        let mut finding = Finding::new("FI-3");
        let first = |lines: &'a [Keyed]| {
            let mut first: HashMap<Name<'a>, i64> = HashMap::new();
            for line in lines {
                if let Some(account) = self.index.account(&line.acct) {
                    first.entry((account, &line.key)).or_insert(line.t);
                }
            }
            first
        };
        let (pushed, acked) = (first(&self.run.pushes), first(&self.run.acks));
        let mut chats: HashMap<(&str, Option<&str>), Vec<&Typed>> = HashMap::new();
        for line in &self.run.typed {
            chats.entry((&line.acct, line.chat.as_deref())).or_default().push(line);
        }
        for lines in chats.values_mut() {
            lines.sort_by_key(|line| line.pseq);
            for (place, line) in lines.iter().enumerate().filter(|(_, line)| line.file.is_some()) {
                for line in [Some(line), lines.get(place + 1)].into_iter().flatten() {
                    let key = self.index.account(&line.acct).map(|account| (account, line.key.as_str()));
                    let Some(begun) = key.and_then(|key| pushed.get(&key)) else { continue };
                    let ended = key.and_then(|key| acked.get(&key)).copied().unwrap_or(i64::MAX);
                    let late = ended.saturating_sub(*begun) > expectations.media_delay_ms * MS;
                    let excused = faults.iter().any(|fault| fault.t0 <= ended && fault.end() >= *begun);
                    finding.check(!late || (excused && ended < i64::MAX), || {
                        format!("{} {}: given at {begun}, acknowledged at {ended}", line.acct, line.key)
                    });
                }
            }
        }
        self.ends_come_later(&mut finding);
        finding
    }

    fn ends_come_later(&self, finding: &mut Finding) {
        let (mut messages, mut ends) = (HashMap::new(), HashMap::<Name<'_>, Vec<(i64, i64)>>::new());
        for entry in &self.run.dump.history {
            match (entry.kind, entry.key.as_deref()) {
                (1, Some(key)) => drop(messages.insert((entry.account_id, key), (entry.chat_id, entry.seq))),
                (6, Some(key)) => {
                    let file = key.strip_prefix("f:").unwrap_or(key);
                    ends.entry((entry.account_id, file)).or_default().push((entry.chat_id, entry.seq));
                }
                _ => {}
            }
        }
        for row in self.run.dump.files.iter().filter(|row| row.inbound && row.state_word() != "pending") {
            let message = row.dedupe_key.as_deref().and_then(|key| messages.get(&(row.account_id, key)));
            let ends = ends.get(&(row.account_id, row.id.as_str())).map_or(&[][..], Vec::as_slice);
            let holds = match (message, ends) {
                (Some((chat, seq)), [(same, later)]) => chat == same && later > seq,
                // Put aside or not yet drained: IN-1 and IN-5 speak of it.
                (None, []) => true,
                _ => false,
            };
            finding
                .check(holds, || format!("{}: its message is at {message:?}, its ends are {ends:?}", self.said(row)));
        }
    }

    /// FI-5: nothing is fetched for ever, and what nobody needs is gone.
    pub fn no_orphans(&self, expectations: &Expectations) -> Finding {
        let mut finding = Finding::new("FI-5");
        let used: HashSet<Name<'_>> = self.shown.iter().map(|(name, _)| *name).collect();
        for row in &self.run.dump.files {
            let name = (row.account_id, row.id.as_str());
            let older = |seconds: i64| self.index.has_clock() && self.index.overdue(row.created_at, seconds);
            let wrong = match row.state_word() {
                "pending" if row.inbound && older(expectations.pending_file_s) => Some("is still pending"),
                "failed" if row.reason.is_none() => Some("does not say why"),
                "failed" if self.chunks.contains_key(&name) => Some("left its bytes behind"),
                _ if !row.inbound && !used.contains(&name) && older(expectations.orphan_s) => Some("is nobody's"),
                _ => None,
            };
            finding.check(wrong.is_none(), || {
                format!("{} of {} {}", self.said(row), row.created_at, wrong.unwrap_or_default())
            });
        }
        for (account, file) in self.chunks.keys().filter(|name| !self.rows.contains_key(*name)) {
            finding.check(false, || {
                format!("{} has bytes of {file}, which is no file", self.index.account_name(*account))
            });
        }
        finding
    }
}
