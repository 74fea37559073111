//! What is known of each part of an agent's message, from every log at once.
//!
//! A call is joined to a part by account, chat and tag; without a tag, by the hash of the text; without a text, by that of
//! the file. Parts
//! that cannot be told apart (the same words twice in a chat) form one group and are judged by counts.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::dump::{Attempt, Outbox};
use super::index::Index;
use super::lines::Call;
use super::logs::Run;
use super::report::Finding;
use crate::observer::{sha256_hex, tag_of};

/// Where a part lies: chat, number of the message in it, part.
pub type Place = (i64, i64, i64);

/// An outcome as it was shown to agents.
#[derive(Debug)]
pub struct Outcome<'a> {
    pub state: &'a str,
    /// When an agent saw it first.
    pub shown: i64,
}

/// One part.
#[derive(Debug)]
pub struct Part<'a> {
    pub row: &'a Outbox,
    pub hash: String,
    pub group: usize,
    pub attempts: Vec<&'a Attempt>,
    /// In the order of the chat's log.
    pub outcomes: Vec<Outcome<'a>>,
    /// Resends that somebody asked for after an unconfirmed was shown.
    pub resends: u64,
    /// Whether an operator had it sent again after it had failed.
    pub requeued: bool,
    /// Whether somebody asked for its message not to be sent.
    pub cancelled: bool,
}

impl Part<'_> {
    /// How often the part became unconfirmed: as shown, and at least once when the row says so.
    pub fn unconfirmed(&self) -> u64 {
        let shown = self.outcomes.iter().filter(|outcome| outcome.state == "unconfirmed").count() as u64;
        shown.max(u64::from(matches!(self.row.state_word(), "unconfirmed" | "closed")))
    }

    /// How a violation names it.
    pub fn name(&self) -> String {
        let row = self.row;
        let tag = tag_of(&row.body).map(|tag| format!(" [[{tag}]]")).unwrap_or_default();
        format!("chat {} seq {} part {}{tag} ({})", row.chat_id, row.chat_seq, row.part, row.state_word())
    }

    /// Where it lies.
    pub fn place(&self) -> Place {
        (self.row.chat_id, self.row.chat_seq, self.row.part)
    }
}

/// Parts that calls cannot tell apart; nearly always one.
#[derive(Debug, Default)]
pub struct Group<'a> {
    /// In the order of the chat.
    pub parts: Vec<usize>,
    /// In the order of their first byte.
    pub calls: Vec<&'a Call>,
}

impl Group<'_> {
    /// How often the platform applied one of them.
    pub fn applied(&self) -> u64 {
        self.calls.iter().filter(|call| call.applied).count() as u64
    }
}

/// All parts of a run.
#[derive(Debug, Default)]
pub struct Parts<'a> {
    pub parts: Vec<Part<'a>>,
    pub groups: Vec<Group<'a>>,
    /// Calls with a text that belongs to no part.
    pub strangers: Vec<&'a Call>,
    pub by_place: HashMap<Place, usize>,
}

/// Account, the platform's chat key, tag or hash.
type Identity<'a> = (i64, &'a str, String);

impl<'a> Parts<'a> {
    /// Joins outbox, attempts, calls, statuses and decisions.
    pub fn gather(run: &'a Run, index: &Index, log: &mut Finding) -> Self {
        let mut all = Self::default();
        let mut rows: Vec<&Outbox> = run.dump.outbox.iter().collect();
        rows.sort_by_key(|row| (row.chat_id, row.chat_seq, row.part));
        let mut attempts: HashMap<(i64, i64), Vec<&Attempt>> = HashMap::new();
        for attempt in &run.dump.attempts {
            attempts.entry((attempt.account_id, attempt.outbox_id)).or_default().push(attempt);
        }
        let files: HashMap<(i64, &str), &str> =
            run.dump.files.iter().filter_map(|row| Some(((row.account_id, row.id.as_str()), row.hash()?))).collect();
        let mut identities: HashMap<Identity<'_>, usize> = HashMap::new();
        for row in rows {
            let hash = sha256_hex(row.body.as_bytes());
            let file = row.file().and_then(|file| files.get(&(row.account_id, file)));
            let text = match (tag_of(&row.body), file) {
                (Some(tag), _) => tagged(tag),
                (None, Some(file)) if row.body.is_empty() => of_file(file),
                (None, _) => hash.clone(),
            };
            let identity = (row.account_id, row.chat_key.as_str(), text);
            let group = *identities.entry(identity).or_insert_with(|| {
                all.groups.push(Group::default());
                all.groups.len() - 1
            });
            let mut attempts = attempts.remove(&(row.account_id, row.id)).unwrap_or_default();
            attempts.sort_by_key(|attempt| attempt.n);
            let part = Part {
                row,
                hash,
                group,
                attempts,
                outcomes: Vec::new(),
                resends: 0,
                requeued: false,
                cancelled: false,
            };
            if all.by_place.insert(part.place(), all.parts.len()).is_some() {
                log.violate(|| format!("the outbox holds {} twice", part.name()));
            }
            all.groups[group].parts.push(all.parts.len());
            all.parts.push(part);
        }
        for call in &run.calls {
            let file = call.file.as_ref().map(|file| of_file(&file.sha256));
            let text = call.tag.as_deref().map(tagged).or_else(|| call.hash.clone()).or(file);
            let (Some(text), Some(chat), Some(account)) = (text, call.chat.as_deref(), index.account(&call.acct))
            else {
                continue;
            };
            match identities.get(&(account, chat, text)) {
                Some(group) => all.groups[*group].calls.push(call),
                None => all.strangers.push(call),
            }
        }
        all.add_outcomes(run);
        all.add_decisions(run);
        all
    }

    /// The same outcome reaches several sessions; its own number in the chat tells which are the same.
    fn add_outcomes(&mut self, run: &'a Run) {
        let mut shown: BTreeMap<(usize, i64), Outcome<'a>> = BTreeMap::new();
        let mut unnumbered: HashSet<(usize, &str)> = HashSet::new();
        for status in &run.statuses {
            let Some(&part) = self.by_place.get(&(status.chat, status.of, status.part)) else { continue };
            if status.seq.is_none() && !unnumbered.insert((part, &status.state)) {
                continue;
            }
            let seq = status.seq.unwrap_or(status.t);
            shown.entry((part, seq)).or_insert(Outcome { state: &status.state, shown: status.t });
        }
        for ((part, _), outcome) in shown {
            self.parts[part].outcomes.push(outcome);
        }
    }

    /// A decision whose answer was lost counts when its effect was seen. More decisions than times it
    /// was unconfirmed do not excuse more sends.
    fn add_decisions(&mut self, run: &Run) {
        for decision in run.decisions.iter().filter(|decision| decision.action == "resend") {
            let place = (decision.chat, decision.of, decision.part.unwrap_or(0));
            let Some(part) = self.by_place.get(&place).map(|part| &mut self.parts[*part]) else { continue };
            let shown =
                part.outcomes.iter().any(|outcome| outcome.state == "unconfirmed" && outcome.shown <= decision.t);
            let lost = !decision.ok && decision.code.is_none();
            let took = decision.ok || (lost && part.outcomes.iter().any(|outcome| outcome.state == "queued"));
            part.resends += u64::from(shown && took);
        }
        for decision in run.decisions.iter().filter(|decision| decision.action == "requeue" && decision.ok) {
            let place = (decision.chat, decision.of, decision.part.unwrap_or(0));
            let part = self.by_place.get(&place).map(|part| &mut self.parts[*part]);
            part.into_iter().for_each(|part| part.requeued = true);
        }
        let asked = run.decisions.iter().filter(|it| it.action == "cancel" && (it.ok || it.code.is_none()));
        let asked: HashSet<(i64, i64)> = asked.map(|decision| (decision.chat, decision.of)).collect();
        for part in &mut self.parts {
            part.resends = part.resends.min(part.unconfirmed());
            part.cancelled = asked.contains(&(part.row.chat_id, part.row.chat_seq));
        }
    }

    /// The parts of one group.
    pub fn of<'b>(&'b self, group: &'b Group<'a>) -> impl Iterator<Item = &'b Part<'a>> {
        group.parts.iter().map(|part| &self.parts[*part])
    }
}

fn of_file(sha256: &str) -> String {
    format!("file {sha256}")
}

fn tagged(tag: &str) -> String {
    format!("[[{tag}]]")
}
