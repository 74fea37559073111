//! Every line an agent writes, in one place: the shapes of tests/README.md.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::requests::Refusal;
use super::wire::{Entry, Hello};
use crate::observer::{SharedLog, sha256_hex, tag_of};

/// `agent.jsonl`, as one agent writes it.
#[derive(Debug)]
pub struct Logged {
    agent: String,
    log: SharedLog,
}

/// Cursors and the feed epoch they belong to, as sent with `hello`.
pub type Cursors = (i64, BTreeMap<String, i64>);

impl Logged {
    pub fn new(agent: String, log: SharedLog) -> Self {
        Self { agent, log }
    }

    /// `recovered` only when every feed says so: anything else is followed by a resync.
    pub fn open(&self, hello: &Hello, sent: Option<&Cursors>) -> bool {
        let recovered = hello.feeds.values().all(|feed| feed.recovered);
        let heads: BTreeMap<&String, i64> = hello.feeds.iter().map(|(name, feed)| (name, feed.head)).collect();
        self.log.write(
            "open",
            json!({"agent": self.agent, "sess": hello.session, "server": hello.server, "feed_epoch": hello.feed_epoch,
                   "cursors": sent.map(|(_, feeds)| feeds), "cursor_epoch": sent.map(|(epoch, _)| epoch),
                   "heads": heads, "recovered": recovered}),
        );
        recovered
    }

    pub fn resync(&self, sess: &str, feed_epoch: i64, feeds: &BTreeMap<String, i64>) {
        self.log.write("resync", json!({"sess": sess, "feed_epoch": feed_epoch, "feeds": feeds}));
    }

    pub fn close(&self, sess: &str, code: Option<u16>) {
        self.log.write("close", json!({"sess": sess, "code": code}));
    }

    /// The frame as received, and beside an outcome what it shows of a part.
    pub fn frame(&self, sess: &str, feed_epoch: i64, feed: &str, seq: i64, entry: &Entry, received: &str) {
        let tag = entry.text.as_deref().and_then(tag_of);
        self.log.write(
            "frame",
            json!({"agent": self.agent, "sess": sess, "feed": feed, "feed_epoch": feed_epoch, "seq": seq, "kind": entry.kind,
                   "chat": entry.chat, "chat_seq": entry.seq, "tag": tag, "hash": sha256_hex(received.as_bytes())}),
        );
        if entry.kind == "outcome" {
            self.log.write(
                "status",
                json!({"agent": self.agent, "sess": sess, "chat": entry.chat, "seq": entry.seq, "of": entry.of,
                       "part": entry.part, "state": entry.state, "reason": entry.reason}),
            );
        }
    }

    /// A frame that breaks the protocol. The checker knows no such event, so the run turns red.
    pub fn unreadable(&self, sess: &str, error: &str) {
        self.log.write("unreadable", json!({"agent": self.agent, "sess": sess, "error": error}));
    }

    pub fn submit(&self, client_key: &str, chat: &str, text: &str, lane: &str) {
        let hash = sha256_hex(text.as_bytes());
        self.log.write(
            "submit",
            json!({"agent": self.agent, "client_key": client_key, "chat": chat, "tag": tag_of(text), "hash": hash,
                   "lane": lane}),
        );
    }

    pub fn accepted(&self, client_key: &str, result: &Value) {
        self.log.write(
            "accepted",
            json!({"agent": self.agent, "client_key": client_key, "chat": result["chat"], "seq": result["seq"],
                   "parts": result["parts"], "repeated": result["repeated"]}),
        );
    }

    pub fn refused(&self, client_key: &str, refusal: &Refusal) {
        self.log.write("refused", json!({"agent": self.agent, "client_key": client_key, "code": refusal.code}));
    }

    /// `code` stays null beside `ok: false` when the answer was lost.
    pub fn decision(&self, action: &str, chat: &str, of: i64, part: Option<i64>, ok: bool, code: Option<&str>) {
        self.log.write(
            "decision",
            json!({"agent": self.agent, "chat": chat, "of": of, "part": part, "action": action, "ok": ok, "code": code}),
        );
    }
}
