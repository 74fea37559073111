//! The storyteller's books: the database and the sessions of a told run, kept consistent.

use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};

use super::rundir::Lines;
use crate::observer::{sha256_hex, tag_of};

/// A millisecond of the observers' clock.
pub const MS: i64 = 1_000_000;
/// The observers' clock when the story begins.
const BEGIN: i64 = 1_000_000 * MS;
/// `feed.id` of agent:1, agent:2 and queue:1.
const FEEDS: [&str; 3] = ["agent:1", "agent:2", "queue:1"];

/// Who held epochs 1 and 2.
pub const HOLDERS: [&str; 2] = ["host:101", "host:102"];

const FILES: [&str; 19] = [
    "mock",
    "agent",
    "nemesis",
    "dump/agent",
    "dump/feed",
    "dump/feed_entry",
    "dump/chat",
    "dump/history",
    "dump/inbox",
    "dump/pending",
    "dump/quarantine",
    "dump/outbox",
    "dump/attempt",
    "dump/account_lease",
    "dump/tenure",
    "dump/file",
    "dump/file_use",
    "dump/file_chunk",
    "file",
];

/// One entry to be written; [`SYSTEM`] fills in the rest.
pub struct Said<'a> {
    pub kind: i64,
    pub author: (i64, Option<i64>),
    pub key: Option<&'a str>,
    pub body: Option<&'a str>,
    pub item: Value,
}

pub const SYSTEM: Said<'static> = Said { kind: 0, author: (0, None), key: None, body: None, item: Value::Null };
pub const CUSTOMER: (i64, Option<i64>) = (1, Some(9));
pub const ALICE: (i64, Option<i64>) = (2, Some(1));

/// A session that is connected now.
pub struct Session {
    pub agent: &'static str,
    pub name: &'static str,
    pub own: usize,
    pub cursors: [i64; 3],
}

/// The storyteller's own books.
pub struct Story {
    pub lines: Lines,
    pub now: i64,
    pub feeds: [i64; 3],
    pub chats: Vec<Chat>,
    pub sessions: Vec<Session>,
    pub counter: i64,
    /// The account's epoch.
    pub epoch: i64,
}

pub struct Chat {
    pub id: i64,
    pub key: &'static str,
    pub taken: bool,
    pub seq: i64,
    pub typed: i64,
}

impl Story {
    pub fn begin() -> Self {
        let chats = [(11, "501"), (12, "-502")];
        let chats = chats.map(|(id, key)| Chat { id, key, taken: false, seq: 0, typed: 0 }).into();
        let mut story = Self {
            lines: Lines::default(),
            now: BEGIN,
            feeds: [0; 3],
            chats,
            sessions: Vec::new(),
            counter: 0,
            epoch: 0,
        };
        for file in FILES {
            story.lines.of(file); // an empty table is a file too
        }
        story.clock();
        story.lines.add("dump/account", json!({"id": 1, "name": "support"}));
        story.raise("released", None);
        story
    }

    pub fn tick(&mut self) -> i64 {
        self.now += MS;
        self.now
    }

    pub fn number(&mut self) -> i64 {
        self.counter += 1;
        self.counter
    }

    pub fn wall(&self, boottime_ns: i64) -> String {
        let start: DateTime<Utc> = "2026-11-21T09:00:00Z".parse().expect("a valid time");
        (start + Duration::nanoseconds(boottime_ns - BEGIN)).to_rfc3339()
    }

    pub fn clock(&mut self) {
        let line = json!({"t": self.now, "ev": "clock", "boottime_ns": self.now, "wall": self.wall(self.now)});
        self.lines.add("nemesis", line);
    }

    /// The next tenure begins, and opens 1 s later.
    pub fn raise(&mut self, way: &str, stale_ms: Option<i64>) {
        self.epoch += 1;
        let (begun, opened) = (self.tick(), self.now + 1_000 * MS);
        let (begun_at, opened_at) = (self.wall(begun), self.wall(opened));
        let holder = HOLDERS[self.epoch as usize - 1];
        self.lines.add(
            "dump/tenure",
            json!({"account_id": 1, "epoch": self.epoch, "holder": holder, "begun_at": begun_at, "way": way, "stale_ms": stale_ms,
                   "answering_ms": 5_000, "opened_at": opened_at, "released_at": null}),
        );
        self.now = opened;
    }

    /// One entry of a chat's log, its pointer, and the frames of the sessions that read it.
    pub fn entry(&mut self, chat: usize, said: Said<'_>) -> i64 {
        let at = self.tick();
        let row = &mut self.chats[chat];
        row.seq += 1;
        let (id, seq, feed) = (row.id, row.seq, if row.taken { 0 } else { 2 });
        self.feeds[feed] += 1;
        let feed_seq = self.feeds[feed];
        let at = self.wall(at);
        self.lines.add(
            "dump/history",
            json!({"account_id": 1, "chat_id": id, "seq": seq, "at": at, "kind": said.kind, "author_kind": said.author.0,
                   "author_id": said.author.1, "ref": said.key, "body": said.body, "item": said.item}),
        );
        self.lines.add(
            "dump/feed_entry",
            json!({"feed_id": feed + 1, "seq": feed_seq, "account_id": 1, "chat_id": id, "chat_seq": seq, "at": at}),
        );
        for place in 0..self.sessions.len() {
            self.deliver(place);
        }
        seq
    }

    /// Gives a session what its feeds hold after its cursors.
    fn deliver(&mut self, place: usize) {
        let now = self.tick();
        let session = &mut self.sessions[place];
        for feed in [session.own, 2] {
            while session.cursors[feed] < self.feeds[feed] {
                session.cursors[feed] += 1;
                let seq = session.cursors[feed];
                let entry = self.lines.like("dump/feed_entry", &json!({"feed_id": feed + 1, "seq": seq}))[0].clone();
                let at = json!({"chat_id": entry["chat_id"], "seq": entry["chat_seq"]});
                let row = self.lines.like("dump/history", &at)[0].clone();
                let tag = row["body"].as_str().and_then(tag_of).map(str::to_owned);
                let (frame, status) = shown(session, FEEDS[feed], seq, &row, tag, now);
                self.lines.add("agent", frame);
                status.into_iter().for_each(|status| self.lines.add("agent", status));
            }
        }
    }

    pub fn open(&mut self, agent: &'static str, name: &'static str, resumes: Option<&str>) {
        let own = usize::from(agent == "bob");
        let heads = json!({FEEDS[own]: self.feeds[own], FEEDS[2]: self.feeds[2]});
        let mut cursors = self.feeds;
        let sent = resumes.map(|old| {
            let row = self.lines.like("nemesis", &json!({"ev": "note", "sess": old}))[0].clone();
            cursors = [0, 1, 2].map(|feed| row["cursors"][feed].as_i64().expect("noted at the close"));
            json!({FEEDS[own]: cursors[own], FEEDS[2]: cursors[2]})
        });
        let (t, recovered) = (self.tick(), sent.is_some());
        self.lines.add(
            "agent",
            json!({"t": t, "ev": "open", "agent": agent, "sess": name, "server": "chat-1", "feed_epoch": 1, "cursors": sent,
                   "cursor_epoch": recovered.then_some(1), "heads": heads, "recovered": recovered}),
        );
        if !recovered {
            self.lines.add("agent", json!({"t": t + 1, "ev": "resync", "sess": name, "feed_epoch": 1, "feeds": heads}));
        }
        self.sessions.push(Session { agent, name, own, cursors });
        self.deliver(self.sessions.len() - 1);
    }

    pub fn close(&mut self, name: &str) {
        let t = self.tick();
        let place = self.sessions.iter().position(|session| session.name == name).expect("it is open");
        let session = self.sessions.remove(place);
        self.lines.add("agent", json!({"t": t, "ev": "close", "sess": name, "code": null}));
        self.lines.add("nemesis", json!({"t": t, "ev": "note", "sess": name, "cursors": session.cursors}));
    }

    pub fn end(mut self) -> Lines {
        for (id, name) in [(1, "alice"), (2, "bob")] {
            self.lines.add("dump/agent", json!({"id": id, "name": name, "feed_id": id}));
        }
        for (feed, name) in FEEDS.iter().enumerate() {
            self.lines
                .add("dump/feed", json!({"id": feed + 1, "name": name, "last_seq": self.feeds[feed], "pruned_seq": 0}));
        }
        for chat in std::mem::take(&mut self.chats) {
            let row = json!({"account_id": 1, "id": chat.id, "platform_key": chat.key, "last_seq": chat.seq, "state": 1, "agent_id": 1});
            self.lines.add("dump/chat", row);
        }
        self.lines.add("dump/account_lease", json!({"account_id": 1, "epoch": self.epoch}));
        self.now += 120_000 * MS;
        self.clock();
        self.lines
    }
}

/// The lines an agent writes about one entry.
fn shown(session: &Session, feed: &str, seq: i64, row: &Value, tag: Option<String>, t: i64) -> (Value, Option<Value>) {
    let kinds = [(1, "message"), (2, "edited"), (3, "opened"), (4, "taken"), (6, "file"), (9, "outcome")];
    let kind = kinds.iter().find(|(number, _)| row["kind"] == *number).expect("a kind of the story").1;
    let chat = row["chat_id"].to_string();
    let hash = sha256_hex(row.to_string().as_bytes());
    let frame = json!({"t": t, "ev": "frame", "agent": session.agent, "sess": session.name, "feed": feed, "feed_epoch": 1, "seq": seq,
                       "kind": kind, "chat": chat, "chat_seq": row["seq"], "tag": tag, "hash": hash});
    let status = (kind == "outcome").then(|| {
        let said = &row["item"];
        json!({"t": t, "ev": "status", "agent": session.agent, "sess": session.name, "chat": chat, "seq": row["seq"],
               "of": said["of"], "part": said["part"], "state": said["state"], "reason": null})
    });
    (frame, status)
}
