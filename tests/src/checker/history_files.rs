//! The part of the told run that is about files and webhooks.

use serde_json::{Value, json};

use super::books::{CUSTOMER, MS, SYSTEM, Said, Story};
use super::history::Message;
use crate::observer::sha256_hex;

/// How the platform's copy of a customer's file fared.
pub enum Fetched {
    /// It came.
    Whole,
    /// It never did.
    Never,
}

/// What is known of a file while it is told.
#[derive(Clone)]
pub struct Told {
    pub id: &'static str,
    pub sha256: String,
    pub bytes: usize,
}

impl Told {
    fn of(id: &'static str) -> Self {
        let content = format!("the bytes of {id}");
        Self { id, sha256: sha256_hex(content.as_bytes()), bytes: content.len() }
    }

    /// As the simulator's log tells it.
    pub fn seen(&self, field: &str) -> Value {
        json!({"field": field, "name": null, "bytes": self.bytes, "sha256": self.sha256})
    }

    fn named(&self, kind: &str) -> Value {
        json!({"files": [{"file": self.id, "kind": kind, "size_bytes": self.bytes}]})
    }
}

impl Story {
    /// A customer sends a photo; the message is said at once, how its bytes fared a moment later.
    pub fn photo(&mut self, chat: usize, id: &'static str, caption: &str, fetched: Fetched) {
        let told = Told::of(id);
        let key = format!("m:{}:{}", self.chats[chat].key, self.chats[chat].typed + 1);
        self.typed(&key, Some(chat), Some(caption), 1);
        for line in self.lines.of("mock").iter_mut().filter(|line| line["ev"] == "typed" && line["key"] == key) {
            line["file"] = told.seen("photo");
        }
        let item = told.named("photo");
        let said = Said { kind: 1, author: CUSTOMER, key: Some(&key), body: Some(caption), item };
        let seq = self.entry(chat, said);
        let created = self.now;
        self.now += 30 * MS;
        self.shown_in(chat, id, seq);
        let row = match fetched {
            Fetched::Whole => {
                self.chunks(&told);
                json!({"state": 1, "sha256": format!("\\x{}", told.sha256), "ready_at": self.wall(self.now)})
            }
            Fetched::Never => {
                json!({"state": 2, "sha256": null, "ready_at": null, "reason": "the platform has it no more"})
            }
        };
        self.file(&told, "photo", created, row, json!({"inbound": true, "dedupe_key": key}));
        self.entry(chat, Said { kind: 6, key: Some(&format!("f:{id}")), ..SYSTEM });
    }

    /// Alice uploads a file.
    pub fn upload(&mut self, id: &'static str) -> Told {
        let (told, created) = (Told::of(id), self.tick());
        self.now += 5 * MS;
        self.chunks(&told);
        let row = json!({"state": 1, "sha256": format!("\\x{}", told.sha256), "ready_at": self.wall(self.now)});
        self.file(&told, "document", created, row, json!({"inbound": false, "agent_id": 1, "client_key": id}));
        let t = self.tick();
        self.lines.add(
            "file",
            json!({"t": t, "ev": "put", "agent": "alice", "acct": "support", "server": "c1", "client_key": id, "file": id,
                   "sha256": told.sha256, "bytes": told.bytes, "status": 201}),
        );
        told
    }

    /// An upload that broke off in the middle, not long before the end of the run.
    pub fn broken_upload(&mut self, id: &'static str) {
        let (told, created) = (Told::of(id), self.tick());
        self.file(
            &told,
            "document",
            created,
            json!({"state": 0, "size_bytes": null}),
            json!({"inbound": false, "agent_id": 1}),
        );
        let row = json!({"account_id": 1, "file_id": id, "chunks": 1, "bytes": 3});
        self.lines.add("dump/file_chunk", row);
    }

    /// Alice sends a file she uploaded.
    pub(super) fn submit_file(&mut self, chat: usize, client_key: &'static str, text: &str, file: Told) -> Message {
        let mut message = self.submit(chat, client_key, &[text]);
        let change = json!({"kind": 1, "seq": message.seq, "chat_id": self.chats[chat].id});
        self.lines.set("dump/history", change, json!({"item": file.named("document")}));
        self.lines.of("dump/outbox")[message.rows[0]]["item"] = json!({"file": file.id, "as": "document"});
        self.shown_in(chat, file.id, message.seq);
        message.file = Some(file);
        message
    }

    /// Alice downloads a file: whole, then a piece of it.
    pub fn download(&mut self, id: &'static str) {
        let told = Told::of(id);
        for (status, range, sha256) in [(200, None, told.sha256), (206, Some("0-2"), sha256_hex(b"the"))] {
            let t = self.tick();
            self.lines.add(
                "file",
                json!({"t": t, "ev": "get", "agent": "alice", "acct": "support", "server": "c2", "file": id, "sha256": sha256,
                       "bytes": 3, "status": status, "range": range, "want": range.map(|_| sha256_hex(b"the"))}),
            );
        }
    }

    /// The platform called a webhook with the newest update, and was answered.
    pub fn delivered(&mut self, key: &str) {
        let t = self.tick();
        self.lines.add(
            "mock",
            json!({"t": t + 12 * MS, "ev": "delivery", "acct": "support", "key": key, "url": "http://proxy/webhooks/support/telegram",
                   "t_sent": t, "took_ms": 12, "status": 200}),
        );
    }

    fn file(&mut self, told: &Told, kind: &str, created: i64, row: Value, more: Value) {
        let mut line = json!({"account_id": 1, "id": told.id, "kind": kind, "size_bytes": told.bytes, "created_at": self.wall(created),
                              "ready_at": null, "sha256": null, "dedupe_key": null, "reason": null});
        for fields in [row, more] {
            line.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        }
        self.lines.add("dump/file", line);
    }

    fn chunks(&mut self, told: &Told) {
        self.lines
            .add("dump/file_chunk", json!({"account_id": 1, "file_id": told.id, "chunks": 1, "bytes": told.bytes}));
    }

    fn shown_in(&mut self, chat: usize, id: &str, seq: i64) {
        let chat = self.chats[chat].id;
        self.lines.add("dump/file_use", json!({"account_id": 1, "file_id": id, "chat_id": chat, "chat_seq": seq}));
    }
}
