//! Tells a small correct run, line by line, as observers and database would have it.
//!
//! One account `support`, a customer and a group, the agents alice (1) and bob (2) of one queue. Alice loses her
//! session once and resumes. Between them her messages meet everything a message can meet: see
//! [`correct`]. `tests/checker.rs` spoils copies of it.

use serde_json::json;

use super::books::{ALICE, CUSTOMER, HOLDERS, MS, SYSTEM, Said, Story};
use super::history_files::{Fetched, Told};
use super::rundir::Lines;
use crate::observer::{sha256_hex, tag_of};

/// What a platform answers to a call, and what comes of it.
struct Answer {
    reply: &'static str,
    applied: bool,
    /// What agents are shown; nothing when the part only waits again.
    state: Option<&'static str>,
}

const TAKEN: Answer = Answer { reply: "200", applied: true, state: Some("sent") };
const REFUSED: Answer = Answer { reply: "403", applied: false, state: Some("failed") };
const HUNG: Answer = Answer { reply: "hang", applied: false, state: Some("unconfirmed") };
const DROPPED: Answer = Answer { reply: "drop", applied: true, state: Some("unconfirmed") };
const TOLD_TO_WAIT: Answer = Answer { reply: "429", applied: false, state: None };

/// Between two calls: any limit has room, and `write_by` (3 s) of the one before has passed.
const APART: i64 = 4_000 * MS;
/// A time in which nothing happens, before `a9`: room for spoilt runs.
const QUIET: i64 = 120_000 * MS;
/// What a told-to-wait call is told, in seconds.
const WAIT_S: i64 = 3;

/// The whole story:
///
/// | message | what it met |
/// |---|---|
/// | `a1` | sent at once; her first answer was lost, so she asked twice |
/// | `a2` | hung; resent by alice; sent |
/// | `a3` | applied, its answer dropped; she said that it arrived |
/// | `a4` | refused by the platform |
/// | `a5` | cancelled |
/// | `a6` | two parts, the second without a tag, written while she was away |
/// | `a7`, `a8` | the same words without a tag, twice |
/// | `a11`, `a12` | with a file: one with words, one without |
/// | `a9` | claimed and never called: its connector was killed; unconfirmed to the end |
/// | `a10` | told to wait (429), sent after that; by the second connector, which took over from the killed one |
pub fn correct() -> Lines {
    let (mut story, a9) = until_the_last_claim();
    story.killed_after_claim(&a9);
    story.second_sender();
    story.end()
}

/// The same, but `a9`'s connector was frozen for 40 s and then wrote it, under an epoch long over: the one call
/// that a freeze excuses.
pub fn frozen() -> Lines {
    let (mut story, a9) = until_the_last_claim();
    let (attempt, frozen_at) = story.frozen_after_claim(&a9);
    story.second_sender();
    story.thawed(&a9, attempt, frozen_at);
    story.end()
}

fn until_the_last_claim() -> (Story, Message) {
    let mut story = Story::begin();
    story.open("alice", "s1", None);
    story.open("bob", "s2", None);
    story.customer(0, "hello [[c1]]");
    story.customer(1, "good day [[c2]]");
    story.take(0);
    story.take(1);
    story.edit(0, 1, "hello there [[c1e]]");
    story.unreadable();
    let a1 = story.submit(0, "a1", &["first [[a1]]"]);
    story.repeat_answer("a1");
    story.send(&a1, 0, &TAKEN);
    story.customer(0, "thanks [[c3]]");
    let a2 = story.submit(0, "a2", &["second [[a2]]"]);
    story.send(&a2, 0, &HUNG);
    story.decide(&a2, "resend", "queued");
    story.send(&a2, 0, &TAKEN);
    let a3 = story.submit(1, "a3", &["third [[a3]]"]);
    story.send(&a3, 0, &DROPPED);
    story.decide(&a3, "mark_sent", "closed");
    let a4 = story.submit(1, "a4", &["fourth [[a4]]"]);
    story.send(&a4, 0, &REFUSED);
    let a5 = story.submit(1, "a5", &["fifth [[a5]]"]);
    story.decide(&a5, "cancel", "cancelled");
    let a6 = story.submit(0, "a6", &["sixth [[a6]]", "and its second part"]);
    story.close("s1");
    story.send(&a6, 0, &TAKEN);
    story.send(&a6, 1, &TAKEN);
    story.customer(1, "are you there? [[c4]]");
    story.open("alice", "s3", Some("s1"));
    for key in ["a7", "a8"] {
        let same = story.submit(0, key, &["ok"]);
        story.send(&same, 0, &TAKEN);
    }
    story.files();
    story.now += QUIET;
    let a9 = story.submit(1, "a9", &["ninth [[a9]]"]);
    (story, a9)
}

/// A message under way: its chat's place in the story, its number, the places of its rows.
pub(super) struct Message {
    pub(super) chat: usize,
    pub(super) seq: i64,
    pub(super) client_key: &'static str,
    pub(super) rows: Vec<usize>,
    pub(super) bodies: Vec<String>,
    /// What its first part carries.
    pub(super) file: Option<Told>,
}

impl Story {
    /// Files both ways: one that came whole, one that never came, two that alice sends, one that nobody sends yet.
    fn files(&mut self) {
        self.photo(0, "in1", "look [[c6]]", Fetched::Whole);
        self.photo(1, "in2", "and this [[c7]]", Fetched::Never);
        self.customer(1, "did you get it? [[c8]]");
        self.delivered("m:-502:4");
        self.download("in1");
        let file = self.upload("out1");
        let a11 = self.submit_file(0, "a11", "the act [[a11]]", file);
        self.send(&a11, 0, &TAKEN);
        let file = self.upload("out2");
        let a12 = self.submit_file(0, "a12", "", file);
        self.send(&a12, 0, &TAKEN);
        self.download("out1");
        self.upload("out3");
        self.broken_upload("out4");
    }

    /// A customer's act from the phone to the inbox; what it says in the chat is the caller's.
    pub(super) fn typed(&mut self, key: &str, chat: Option<usize>, text: Option<&str>, kind: i64) {
        let update = self.number();
        let (name, pseq) = match chat {
            Some(chat) => {
                self.chats[chat].typed += 1;
                (Some(self.chats[chat].key), self.chats[chat].typed)
            }
            None => (None, 1),
        };
        let (tag, hash) = (text.and_then(tag_of), text.map(|text| sha256_hex(text.as_bytes())));
        let base = json!({"acct": "support", "key": key, "chat": name, "pseq": pseq, "update_id": update});
        let events = [
            ("typed", json!({"tag": tag, "hash": hash})),
            ("push", json!({"try": 1})),
            ("ack", json!({"how": "offset"})),
        ];
        for (event, more) in events {
            let mut line = json!({"t": self.tick(), "ev": event});
            for fields in [&base, &more] {
                let fields = fields.as_object().expect("written above").clone();
                line.as_object_mut().expect("written above").extend(fields);
            }
            self.lines.add("mock", line);
        }
        if !key.starts_with("q:") {
            self.lines.add("dump/inbox", json!({"account_id": 1, "dedupe_key": key, "kind": kind, "raw": "\\x7b7d"}));
        }
    }

    fn customer(&mut self, chat: usize, text: &str) {
        let key = format!("m:{}:{}", self.chats[chat].key, self.chats[chat].typed + 1);
        self.typed(&key, Some(chat), Some(text), 1);
        if self.chats[chat].seq == 0 {
            self.entry(chat, Said { kind: 3, ..SYSTEM });
        }
        self.entry(chat, Said { kind: 1, author: CUSTOMER, key: Some(&key), body: Some(text), ..SYSTEM });
    }

    fn edit(&mut self, chat: usize, message: i64, text: &str) {
        let key = format!("e:{}:{message}:1780000000:{}", self.chats[chat].key, &sha256_hex(text.as_bytes())[..16]);
        self.typed(&key, Some(chat), Some(text), 2);
        self.entry(chat, Said { kind: 2, author: CUSTOMER, key: Some(&key), body: Some(text), ..SYSTEM });
    }

    fn unreadable(&mut self) {
        let key = format!("q:{}", sha256_hex(b"{]"));
        self.typed(&key, None, None, 0);
        self.lines
            .add("dump/quarantine", json!({"account_id": 1, "dedupe_key": key, "reason": "no JSON", "raw": "\\x7b5d"}));
    }

    fn take(&mut self, chat: usize) {
        self.chats[chat].taken = true;
        self.entry(chat, Said { kind: 4, author: ALICE, ..SYSTEM });
    }

    pub(super) fn submit(&mut self, chat: usize, client_key: &'static str, bodies: &[&str]) -> Message {
        let text = bodies.join("\n");
        let (t, id, tag, hash) =
            (self.tick(), self.chats[chat].id.to_string(), tag_of(&text), sha256_hex(text.as_bytes()));
        self.lines.add(
            "agent",
            json!({"t": t, "ev": "submit", "agent": "alice", "client_key": client_key, "chat": id, "tag": tag, "hash": hash}),
        );
        let seq = self.entry(chat, Said { kind: 1, author: ALICE, body: Some(&text), ..SYSTEM });
        let t = self.tick();
        self.lines.add(
            "agent",
            json!({"t": t, "ev": "accepted", "agent": "alice", "client_key": client_key, "chat": id, "seq": seq,
                   "parts": bodies.len(), "repeated": false}),
        );
        let (created_at, mut rows) = (self.wall(t), Vec::new());
        for (part, body) in bodies.iter().enumerate() {
            let (number, chat) = (self.number(), &self.chats[chat]);
            rows.push(self.lines.of("dump/outbox").len());
            self.lines.add(
                "dump/outbox",
                json!({"account_id": 1, "id": number, "chat_id": chat.id, "chat_key": chat.key, "chat_seq": seq, "part": part,
                       "parts": bodies.len(), "agent_id": 1, "client_key": client_key, "body": body, "lane": 0, "open": true,
                       "state": 0, "attempt": 0, "answer_by": null, "retry_at": null, "platform_id": null, "reason": null, "created_at": created_at}),
            );
        }
        Message {
            chat,
            seq,
            client_key,
            rows,
            bodies: bodies.iter().map(|&body| body.to_owned()).collect(),
            file: None,
        }
    }

    fn repeat_answer(&mut self, client_key: &str) {
        let want = json!({"ev": "accepted", "client_key": client_key});
        self.lines.repeat("agent", want, json!({"t": self.now, "repeated": true}));
    }

    /// Claims a part: the time the claim gives it, and its row of `attempt`.
    fn claim(&mut self, message: &Message, part: usize) -> (i64, usize) {
        self.now += APART;
        let claimed = self.tick();
        let [claimed_at, write_by, answer_by] = [0, 3_000, 10_000].map(|after| self.wall(claimed + after * MS));
        let row = &mut self.lines.of("dump/outbox")[message.rows[part]];
        let n = row["attempt"].as_i64().unwrap_or_default() + 1;
        row["attempt"] = n.into();
        row["answer_by"] = answer_by.clone().into();
        let id = row["id"].clone();
        self.lines.add(
            "dump/attempt",
            json!({"account_id": 1, "outbox_id": id, "n": n, "epoch": self.epoch, "claimed_at": claimed_at, "write_by": write_by,
                   "answer_by": answer_by, "ended_at": null}),
        );
        (claimed, self.lines.of("dump/attempt").len() - 1)
    }

    fn send(&mut self, message: &Message, part: usize, answer: &Answer) {
        let (claimed, attempt) = self.claim(message, part);
        self.call(message, part, answer, (claimed, attempt, self.epoch));
    }

    /// The call of a claim: its time, its row, its epoch.
    fn call(&mut self, message: &Message, part: usize, answer: &Answer, (claimed, attempt, epoch): (i64, usize, i64)) {
        let (call, first, last) = (self.number(), self.tick(), self.tick());
        let (body, chat) = (&message.bodies[part], self.chats[message.chat].key);
        let file = message.file.as_ref().filter(|_| part == 0);
        let method = if file.is_some() { "sendDocument" } else { "sendMessage" };
        let file = file.map(|file| file.seen("document"));
        let hash = (!body.is_empty()).then(|| sha256_hex(body.as_bytes()));
        let base = json!({"acct": "support", "call": call, "method": method, "chat": chat, "tag": tag_of(body), "t_first": first});
        let mut open = json!({"t": last, "ev": "call_open"});
        open.as_object_mut().expect("an object").extend(base.as_object().expect("an object").clone());
        self.lines.add("mock", open.clone());
        let answered = answer.reply.parse::<u16>().is_ok();
        self.now = if answered { self.now + 20 * MS } else { claimed + 10_001 * MS };
        let pmid = answer.applied.then(|| self.number());
        let idem = format!("{}-{part}", message.client_key);
        let retry_after = (answer.reply == "429").then_some(WAIT_S);
        let more = json!({"ev": "call", "t": self.now, "hash": hash, "file": file, "idem": idem, "epoch": epoch, "t_last": last,
                          "t_reply": answered.then_some(self.now), "reply": answer.reply, "applied": answer.applied, "pmid": pmid,
                          "retry_after": retry_after});
        open.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        self.lines.add("mock", open);
        let ended = self.wall(self.now);
        self.lines.of("dump/attempt")[attempt]["ended_at"] = ended.into();
        if answer.applied && answered {
            self.lines.of("dump/outbox")[message.rows[part]]["platform_id"] = pmid.map(|id| id.to_string()).into();
        }
        if let Some(state) = answer.state {
            self.becomes(message, part, state);
        }
    }

    fn killed_after_claim(&mut self, message: &Message) {
        let (claimed, _) = self.claim(message, 0);
        let (t0, t1) = (self.tick(), self.now + 4_000 * MS);
        self.fault("kill", t0, t1);
        self.given_up(message, claimed);
    }

    /// The claim's row, and when the connector was frozen.
    fn frozen_after_claim(&mut self, message: &Message) -> (usize, i64) {
        let (claimed, attempt) = self.claim(message, 0);
        let frozen_at = self.tick();
        self.given_up(message, claimed);
        (attempt, frozen_at)
    }

    /// The standby takes over and, at `answer_by`, gives up the call it cannot know of.
    fn given_up(&mut self, message: &Message, claimed: i64) {
        self.now += 2_100 * MS;
        self.raise("lowest", Some(2_000));
        self.now = claimed + 10_001 * MS;
        self.becomes(message, 0, "unconfirmed");
    }

    fn second_sender(&mut self) {
        let a10 = self.submit(0, "a10", &["tenth [[a10]]"]);
        self.send(&a10, 0, &TOLD_TO_WAIT);
        self.send(&a10, 0, &TAKEN);
        self.customer(0, "anybody? [[c5]]");
    }

    /// The frozen connector goes on and writes what it had claimed; its late evidence is recorded.
    fn thawed(&mut self, message: &Message, attempt: usize, frozen_at: i64) {
        let thawed_at = frozen_at + 40_000 * MS;
        self.now = self.now.max(thawed_at);
        self.fault("freeze", frozen_at, self.now);
        self.call(message, 0, &TAKEN, (frozen_at, attempt, 1));
    }

    /// Of the first connector.
    fn fault(&mut self, kind: &str, t0: i64, t1: i64) {
        self.lines.add(
            "nemesis",
            json!({"t": t1, "ev": "fault", "id": 1, "kind": kind, "target": "connector:support:1", "t0": t0, "t1": t1,
                   "holder": HOLDERS[0]}),
        );
    }

    fn decide(&mut self, message: &Message, action: &str, state: &'static str) {
        let (t, chat) = (self.tick(), self.chats[message.chat].id.to_string());
        self.lines.add(
            "agent",
            json!({"t": t, "ev": "decision", "agent": "alice", "chat": chat, "of": message.seq, "part": 0, "action": action, "ok": true, "code": null}),
        );
        self.becomes(message, 0, state);
    }

    /// The row's new state and the entry that tells the agents.
    fn becomes(&mut self, message: &Message, part: usize, state: &'static str) {
        let number = match state {
            "queued" => 0,
            "sent" => 2,
            "unconfirmed" => 3,
            "failed" => 4,
            "cancelled" => 5,
            _ => 6,
        };
        let row = &mut self.lines.of("dump/outbox")[message.rows[part]];
        row["state"] = number.into();
        row["reason"] = if state == "failed" { json!("the platform refused") } else { serde_json::Value::Null };
        row["open"] = (number == 0).into();
        let outcome = format!("o:{}:{part}:{state}:{}", message.client_key, self.counter);
        // `item` is in words of the story's own: the checker never reads it.
        let item = json!({"of": message.seq, "part": part, "state": state});
        self.entry(message.chat, Said { kind: 9, key: Some(&outcome), item, ..SYSTEM });
    }
}
