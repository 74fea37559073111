//! Who reads what, and how far: the cursors of all live sessions. Owned by the relay's task alone; everybody else sends
//! it commands.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use chrono::Utc;
use switchboard_common::access::KeyMark;
use switchboard_common::faults::{Sabotage, sabotaged};
use switchboard_common::model::{AgentId, ChatId, FeedId, TokenScopes};
use switchboard_common::service::metrics;
use switchboard_common::store::{ChatView, Entry};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::frames::entry_frame;
use super::outlet::{Outlet, Push};
use super::protocol::CloseCode;

/// Commands that may wait; who sends one more waits, too.
const COMMANDS: usize = 256;

/// A session as it joins.
pub(crate) struct Joining {
    pub(crate) session: Uuid,
    pub(crate) agent: AgentId,
    /// Those of the agent's row.
    pub(crate) scopes: TokenScopes,
    /// Of the key that its token was signed by.
    pub(crate) key: KeyMark,
    /// What it reads: source, name, cursor.
    pub(crate) feeds: Vec<Reading>,
    pub(crate) outlet: Outlet,
}

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Source {
    /// An agent's or a queue's feed.
    Feed(FeedId),
    /// A chat's own log, for a supervisor who watches it.
    Chat(ChatId),
}

impl Source {
    fn feed(self) -> Option<FeedId> {
        match self {
            Self::Feed(feed) => Some(feed),
            Self::Chat(_) => None,
        }
    }
}

/// An entry, with its number in what is read.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) source: Source,
    pub(crate) seq: i64,
    pub(crate) entry: Entry,
    /// The chat that it moves.
    pub(crate) chat: Option<Box<ChatView>>,
}

/// How far a session has read one source.
#[derive(Clone)]
pub(crate) struct Reading {
    pub(crate) source: Source,
    pub(crate) name: Arc<str>,
    pub(crate) cursor: i64,
}

impl Reading {
    /// A chat's own log.
    pub(crate) fn chat(chat: ChatId, cursor: i64) -> Self {
        Self { source: Source::Chat(chat), name: chat_feed(chat).into(), cursor }
    }
}

/// The name by which frames and cursors call a chat's own log.
pub(crate) fn chat_feed(chat: ChatId) -> String {
    format!("chat:{chat}")
}

/// A live session, for those who check on them.
#[derive(Clone)]
pub(crate) struct Live {
    pub(crate) session: Uuid,
    pub(crate) agent: AgentId,
    pub(crate) scopes: TokenScopes,
    pub(crate) key: KeyMark,
    pub(crate) feeds: Vec<FeedId>,
}

/// What others ask of the relay's task.
pub(crate) enum Command {
    /// True: joined. False: the agent has too many sessions here.
    Join(Box<Joining>, oneshot::Sender<bool>),
    Leave(Uuid),
    Kick(Uuid, CloseCode),
    /// The session reads this, too.
    Watch(Uuid, Reading),
    Unwatch(Uuid, ChatId),
    /// For the readers of a feed who have room for it.
    Whisper(FeedId, Utf8Bytes),
    List(oneshot::Sender<Vec<Live>>),
}

/// Sends commands.
#[derive(Clone)]
pub(crate) struct Hub {
    commands: mpsc::Sender<Command>,
}

/// The handle, and the end for the relay.
pub(crate) fn channel() -> (Hub, mpsc::Receiver<Command>) {
    let (commands, receiver) = mpsc::channel(COMMANDS);
    (Hub { commands }, receiver)
}

impl Hub {
    /// Joins; from now on entries after the cursors come through the outlet. `None`: the relay has ended.
    pub(crate) async fn join(&self, joining: Joining) -> Option<bool> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(Command::Join(Box::new(joining), answer)).await.ok()?;
        answered.await.ok()
    }

    /// Leaves.
    pub(crate) async fn leave(&self, session: Uuid) {
        // Without a relay there is nothing to leave.
        let _ = self.commands.send(Command::Leave(session)).await;
    }

    /// Ends a session.
    pub(crate) async fn kick(&self, session: Uuid, code: CloseCode) {
        let _ = self.commands.send(Command::Kick(session, code)).await;
    }

    /// From now on entries of the chat's own log after the cursor come through the session's outlet, too.
    pub(crate) async fn watch(&self, session: Uuid, reading: Reading) {
        let _ = self.commands.send(Command::Watch(session, reading)).await;
    }

    /// No more.
    pub(crate) async fn unwatch(&self, session: Uuid, chat: ChatId) {
        let _ = self.commands.send(Command::Unwatch(session, chat)).await;
    }

    /// Tells the readers of a feed in passing.
    pub(crate) async fn whisper(&self, feed: FeedId, frame: Utf8Bytes) {
        let _ = self.commands.send(Command::Whisper(feed, frame)).await;
    }

    /// All live sessions.
    pub(crate) async fn list(&self) -> Vec<Live> {
        let (answer, answered) = oneshot::channel();
        match self.commands.send(Command::List(answer)).await {
            Ok(()) => answered.await.unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }
}

/// All live sessions with their cursors.
#[derive(Default)]
pub(crate) struct Sessions {
    all: HashMap<Uuid, Session>,
    by_source: HashMap<Source, Vec<Uuid>>,
}

struct Session {
    agent: AgentId,
    scopes: TokenScopes,
    key: KeyMark,
    readings: Vec<Reading>,
    outlet: Outlet,
    /// Refused an entry in the present delivery: what follows is no gap.
    full: bool,
    /// Has once been at the head of its feeds: from then on the delay of its frames means something.
    live: bool,
}

impl Sessions {
    /// Carries out a command. True when there may be something to read.
    pub(crate) fn apply(&mut self, command: Command, most: usize) -> bool {
        match command {
            Command::Join(joining, answer) => {
                let fits = self.all.values().filter(|session| session.agent == joining.agent).count() < most;
                let session = joining.session;
                if fits {
                    self.join(*joining);
                }
                // Nobody waits for the answer any more: the session has ended meanwhile.
                if answer.send(fits).is_err() {
                    self.leave(session);
                }
                fits
            }
            Command::Leave(session) => {
                self.leave(session);
                false
            }
            Command::Kick(session, code) => {
                if let Some(session) = self.all.get(&session) {
                    session.outlet.kick(code);
                }
                false
            }
            Command::Watch(session, reading) => self.watch(session, reading),
            Command::Unwatch(session, chat) => {
                let source = Source::Chat(chat);
                if let Some(state) = self.all.get_mut(&session) {
                    state.readings.retain(|reading| reading.source != source);
                    self.forget(session, source);
                }
                false
            }
            Command::Whisper(feed, frame) => {
                let readers = self.by_source.get(&Source::Feed(feed)).map(Vec::as_slice).unwrap_or_default();
                for session in readers.iter().filter_map(|reader| self.all.get(reader)) {
                    let _ = session.outlet.push(frame.clone());
                }
                false
            }
            Command::List(answer) => {
                let live = |(session, state): (&Uuid, &Session)| Live {
                    session: *session,
                    agent: state.agent,
                    scopes: state.scopes,
                    key: state.key,
                    feeds: state.readings.iter().filter_map(|reading| reading.source.feed()).collect(),
                };
                let _ = answer.send(self.all.iter().map(live).collect());
                false
            }
        }
    }

    fn join(&mut self, joining: Joining) {
        for reading in &joining.feeds {
            self.by_source.entry(reading.source).or_default().push(joining.session);
        }
        let session = Session {
            agent: joining.agent,
            scopes: joining.scopes,
            key: joining.key,
            readings: joining.feeds,
            outlet: joining.outlet,
            full: false,
            live: false,
        };
        self.all.insert(joining.session, session);
        self.count();
    }

    fn leave(&mut self, session: Uuid) {
        let Some(left) = self.all.remove(&session) else { return };
        for reading in left.readings {
            self.forget(session, reading.source);
        }
        self.count();
    }

    fn watch(&mut self, session: Uuid, reading: Reading) -> bool {
        let Some(state) = self.all.get_mut(&session) else { return false };
        if state.readings.iter().any(|known| known.source == reading.source) {
            return false;
        }
        self.by_source.entry(reading.source).or_default().push(session);
        state.readings.push(reading);
        true
    }

    fn forget(&mut self, session: Uuid, source: Source) {
        if let Some(readers) = self.by_source.get_mut(&source) {
            readers.retain(|reader| *reader != session);
            if readers.is_empty() {
                self.by_source.remove(&source);
            }
        }
    }

    fn count(&self) {
        ::metrics::gauge!(metrics::WS_SESSIONS).set(self.all.len() as f64);
    }

    /// What to read: for every feed the lowest cursor of the sessions that have room.
    pub(crate) fn wanted(&mut self) -> BTreeMap<Source, i64> {
        let mut wanted = BTreeMap::new();
        for session in self.all.values_mut() {
            session.full = !session.outlet.has_room();
            if session.full {
                continue;
            }
            for reading in &session.readings {
                let lowest = wanted.entry(reading.source).or_insert(reading.cursor);
                *lowest = reading.cursor.min(*lowest);
            }
        }
        wanted
    }

    /// Hands entries to the sessions whose next they are. `asked` is what [`wanted`](Self::wanted) had said.
    pub(crate) fn deliver(&mut self, asked: &BTreeMap<Source, i64>, lines: &[Line], whole: bool) {
        let mut gone = Vec::new();
        for line in lines {
            let readers = self.by_source.get(&line.source).map(Vec::as_slice).unwrap_or_default();
            let mut made: Option<Utf8Bytes> = None;
            for id in readers {
                let Some(session) = self.all.get_mut(id) else { continue };
                let Some(reading) = session.readings.iter_mut().find(|reading| reading.source == line.source) else {
                    continue;
                };
                let asked_for = asked.get(&line.source).is_some_and(|lowest| reading.cursor >= *lowest);
                if session.full || !asked_for || line.seq <= reading.cursor {
                    continue;
                }
                if line.seq > reading.cursor + 1 && !sabotaged(Sabotage::SerialCursor) {
                    // Pruned while it was read, or worse. The client comes back and gets an honest resync.
                    tracing::error!(
                        feed = &*reading.name,
                        cursor = reading.cursor,
                        found = line.seq,
                        "a gap in a feed"
                    );
                    session.outlet.kick(CloseCode::Internal);
                    session.full = true;
                    continue;
                }
                let frame = made
                    .get_or_insert_with(|| {
                        entry_frame(&reading.name, line.seq, &line.entry, line.chat.as_deref()).into()
                    })
                    .clone();
                match session.outlet.push(frame) {
                    Push::Done => {
                        reading.cursor = line.seq;
                        if session.live {
                            let age = (Utc::now() - line.entry.at).to_std().unwrap_or_default();
                            ::metrics::histogram!(metrics::RELAY).record(age.as_secs_f64());
                        }
                    }
                    Push::Full => session.full = true,
                    Push::Gone => gone.push(*id),
                }
            }
        }
        for session in self.all.values_mut() {
            session.live |= whole && !session.full;
        }
        for session in gone {
            self.leave(session);
        }
    }
}

#[cfg(test)]
#[path = "hub_tests.rs"]
mod tests;
