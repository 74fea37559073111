//! Who reads what, and how far: the cursors of all live sessions. Owned by the relay's task alone; everybody else sends
//! it commands.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use chrono::Utc;
use switchboard_common::access::KeyMark;
use switchboard_common::faults::{Sabotage, sabotaged};
use switchboard_common::model::{AgentId, FeedId, TokenScopes};
use switchboard_common::service::metrics;
use switchboard_common::store::FeedEntry;
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
    /// What it reads: feed, name, cursor.
    pub(crate) feeds: Vec<Reading>,
    pub(crate) outlet: Outlet,
}

/// How far a session has read one feed.
#[derive(Clone)]
pub(crate) struct Reading {
    pub(crate) feed: FeedId,
    pub(crate) name: Arc<str>,
    pub(crate) cursor: i64,
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
    by_feed: HashMap<FeedId, Vec<Uuid>>,
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
            Command::Whisper(feed, frame) => {
                let readers = self.by_feed.get(&feed).map(Vec::as_slice).unwrap_or_default();
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
                    feeds: state.readings.iter().map(|reading| reading.feed).collect(),
                };
                let _ = answer.send(self.all.iter().map(live).collect());
                false
            }
        }
    }

    fn join(&mut self, joining: Joining) {
        for reading in &joining.feeds {
            self.by_feed.entry(reading.feed).or_default().push(joining.session);
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
            if let Some(readers) = self.by_feed.get_mut(&reading.feed) {
                readers.retain(|reader| *reader != session);
                if readers.is_empty() {
                    self.by_feed.remove(&reading.feed);
                }
            }
        }
        self.count();
    }

    fn count(&self) {
        ::metrics::gauge!(metrics::WS_SESSIONS).set(self.all.len() as f64);
    }

    /// What to read: for every feed the lowest cursor of the sessions that have room.
    pub(crate) fn wanted(&mut self) -> BTreeMap<FeedId, i64> {
        let mut wanted = BTreeMap::new();
        for session in self.all.values_mut() {
            session.full = !session.outlet.has_room();
            if session.full {
                continue;
            }
            for reading in &session.readings {
                let lowest = wanted.entry(reading.feed).or_insert(reading.cursor);
                *lowest = reading.cursor.min(*lowest);
            }
        }
        wanted
    }

    /// Hands entries to the sessions whose next they are. `asked` is what [`wanted`](Self::wanted) had said.
    pub(crate) fn deliver(&mut self, asked: &BTreeMap<FeedId, i64>, lines: &[FeedEntry], whole: bool) {
        let mut gone = Vec::new();
        for line in lines {
            let readers = self.by_feed.get(&line.feed).map(Vec::as_slice).unwrap_or_default();
            let mut made: Option<Utf8Bytes> = None;
            for id in readers {
                let Some(session) = self.all.get_mut(id) else { continue };
                let Some(reading) = session.readings.iter_mut().find(|reading| reading.feed == line.feed) else {
                    continue;
                };
                let asked_for = asked.get(&line.feed).is_some_and(|lowest| reading.cursor >= *lowest);
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
                let frame =
                    made.get_or_insert_with(|| entry_frame(&reading.name, line.seq, &line.entry, line.chat.as_deref()).into()).clone();
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
