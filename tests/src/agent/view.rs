//! What an agent knows: enough to write policies on, and nothing the server did not tell it.

use std::collections::{BTreeMap, BTreeSet};

use super::wire::{Entry, Snapshot};

/// How the agent stands with the chatservers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Between sessions.
    Connecting,
    /// The `hello` was answered.
    Open,
    /// Refused for good with this close code; it will not come back.
    Refused(u16),
}

/// Where a chat stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChatState {
    /// Offered to the agents of its queue.
    Waiting,
    /// Served by one agent.
    Taken,
    /// No interaction is open.
    Closed,
}

/// One chat.
#[derive(Clone, Debug)]
pub struct ChatView {
    /// The account's name.
    pub account: String,
    /// Where it stands, by the newest entry seen.
    pub state: ChatState,
    /// Who took it.
    pub agent: Option<String>,
    /// The newest entry known of.
    pub last_seq: i64,
    /// Customer messages nobody answered, as the last snapshot said; frames do not change it.
    pub unread: i64,
    /// Which entries were seen in frames. A feed may be behind another, so holes can fill later.
    seen: BTreeSet<i64>,
    decided_by: i64,
}

/// An entry, seen the first time.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its chat.
    pub chat: String,
    /// Its number in the chat.
    pub seq: i64,
    /// Its kind, in the protocol's words.
    pub kind: String,
    /// `customer`, `agent` or `system`.
    pub author: String,
    /// The author's name.
    pub author_name: Option<String>,
    /// Its text.
    pub text: Option<String>,
}

/// What was last shown of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// State, in the protocol's words.
    pub state: String,
    /// Why.
    pub reason: Option<String>,
    /// The outcome entry's number in the chat.
    pub seq: i64,
}

/// Everything an agent knows.
#[derive(Clone, Debug)]
pub struct View {
    /// Its own name.
    pub name: String,
    /// How it stands with the chatservers.
    pub link: Link,
    /// The session, while it is open.
    pub session: Option<String>,
    /// Which chatserver serves it, as that calls itself.
    pub server: Option<String>,
    /// Which epoch the cursors belong to.
    pub feed_epoch: i64,
    /// Up to where each feed was read; empty before the first resync.
    pub cursors: BTreeMap<String, i64>,
    /// Chats by id. A resync forgets those it does not name.
    pub chats: BTreeMap<String, ChatView>,
    /// Every entry once, in the order first seen. A policy keeps its own place in it.
    pub entries: Vec<Seen>,
    /// What was last shown of each part: by chat, number of the message, part.
    pub parts: BTreeMap<(String, i64, i64), Shown>,
    /// Sessions opened so far.
    pub sessions: u64,
    /// Snapshots received so far.
    pub resyncs: u64,
    /// Frames that skipped a number.
    pub gaps: u64,
    /// Frames that did not move a cursor forward.
    pub repeats: u64,
}

impl View {
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            link: Link::Connecting,
            session: None,
            server: None,
            feed_epoch: 0,
            cursors: BTreeMap::new(),
            chats: BTreeMap::new(),
            entries: Vec::new(),
            parts: BTreeMap::new(),
            sessions: 0,
            resyncs: 0,
            gaps: 0,
            repeats: 0,
        }
    }

    /// Chats that nobody took yet.
    pub fn waiting(&self) -> impl Iterator<Item = &str> {
        self.chats.iter().filter(|(_, chat)| chat.state == ChatState::Waiting).map(|(id, _)| id.as_str())
    }

    /// Chats this agent took.
    pub fn own(&self) -> impl Iterator<Item = &str> {
        let mine = |chat: &ChatView| chat.state == ChatState::Taken && chat.agent.as_deref() == Some(&self.name);
        self.chats.iter().filter(move |(_, chat)| mine(chat)).map(|(id, _)| id.as_str())
    }

    /// Customers' messages among the entries from `place` on.
    pub fn customer_messages(&self, place: usize) -> impl Iterator<Item = &Seen> {
        self.entries.iter().skip(place).filter(|entry| entry.kind == "message" && entry.author == "customer")
    }

    /// What was last shown of a part.
    pub fn part(&self, chat: &str, of: i64, part: i64) -> Option<&Shown> {
        self.parts.get(&(chat.to_owned(), of, part))
    }

    /// A line for an error message.
    pub fn summary(&self) -> String {
        format!(
            "{:?} at {:?}, session {:?}, {} sessions, {} resyncs, {} gaps, {} entries, cursors {:?}, waiting {:?}, own {:?}",
            self.link,
            self.server,
            self.session,
            self.sessions,
            self.resyncs,
            self.gaps,
            self.entries.len(),
            self.cursors,
            self.waiting().collect::<Vec<_>>(),
            self.own().collect::<Vec<_>>()
        )
    }

    /// The cursor goes with the stream, past a gap too, as an ordinary client's does.
    pub(super) fn frame(&mut self, feed: &str, seq: i64, entry: &Entry) {
        let cursor = self.cursors.entry(feed.to_owned()).or_insert(seq - 1);
        self.gaps += u64::from(seq > *cursor + 1);
        self.repeats += u64::from(seq <= *cursor);
        *cursor = (*cursor).max(seq);
        let chat = self.chats.entry(entry.chat.clone()).or_insert_with(|| ChatView::new(&entry.account));
        if chat.see(entry) {
            self.entries.push(Seen {
                chat: entry.chat.clone(),
                seq: entry.seq,
                kind: entry.kind.clone(),
                author: entry.author.kind.clone(),
                author_name: entry.author.name.clone(),
                text: entry.text.clone(),
            });
        }
        if let (Some(of), Some(state)) = (entry.of, entry.state.as_ref().filter(|_| entry.kind == "outcome")) {
            let shown = Shown { state: state.clone(), reason: entry.reason.clone(), seq: entry.seq };
            let known =
                self.parts.entry((entry.chat.clone(), of, entry.part.unwrap_or(0))).or_insert_with(|| shown.clone());
            if known.seq <= shown.seq {
                *known = shown;
            }
        }
    }

    pub(super) fn resync(&mut self, feed_epoch: i64, feeds: BTreeMap<String, i64>, chats: Vec<Snapshot>) {
        self.resyncs += 1;
        self.feed_epoch = feed_epoch;
        self.cursors = feeds;
        let mut known = std::mem::take(&mut self.chats);
        for snapshot in chats {
            let mut chat = known.remove(&snapshot.chat).unwrap_or_else(|| ChatView::new(&snapshot.account));
            chat.state = if snapshot.state == "taken" { ChatState::Taken } else { ChatState::Waiting };
            chat.agent = snapshot.agent;
            chat.unread = snapshot.unread;
            chat.last_seq = snapshot.last_seq;
            chat.decided_by = snapshot.last_seq;
            self.chats.insert(snapshot.chat, chat);
        }
    }
}

impl ChatView {
    fn new(account: &str) -> Self {
        Self {
            account: account.to_owned(),
            state: ChatState::Closed,
            agent: None,
            last_seq: 0,
            unread: 0,
            seen: BTreeSet::new(),
            decided_by: 0,
        }
    }

    /// Whether it is new. An older entry that a slower feed brings late does not turn the state back.
    fn see(&mut self, entry: &Entry) -> bool {
        self.last_seq = self.last_seq.max(entry.seq);
        let given = entry.to.as_ref().and_then(|to| to.agent.clone());
        let state = match entry.kind.as_str() {
            "opened" | "released" => Some(ChatState::Waiting),
            "taken" => Some(ChatState::Taken),
            "closed" => Some(ChatState::Closed),
            "transferred" => Some(if given.is_some() { ChatState::Taken } else { ChatState::Waiting }),
            _ => None,
        };
        if let Some(state) = state.filter(|_| entry.seq > self.decided_by) {
            self.state = state;
            self.agent = given.or_else(|| entry.agent.clone()).filter(|_| state == ChatState::Taken);
            self.decided_by = entry.seq;
        }
        self.seen.insert(entry.seq)
    }
}
