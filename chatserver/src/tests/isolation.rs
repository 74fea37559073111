//! Who sees what: random assignments, takes and closes, against an oracle; and foreign ids look like absent ones.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use switchboard_common::model::{ChatId, FileId, Lane};
use switchboard_common::store::{ChatPlace, DatabaseOptions, Decision, Refusal, Submission, Transfer, Whom};

use super::*;

const QUEUES: [&str; 3] = ["support", "other", "third"];
const AGENTS: [&str; 4] = ["anna", "bob", "eve", "zoe"];
const CHATS: usize = 9;

/// Small and always the same, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// What should be: who has which chat, which queue it is in, who serves which queue, and what went into whose feed.
struct Oracle {
    serves: BTreeMap<usize, BTreeSet<usize>>,
    chats: Vec<(State, usize)>,
    /// Entries so far, by chat.
    logs: Vec<i64>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Closed,
    Waiting,
    Taken(usize),
}

impl Oracle {
    fn sees(&self, agent: usize, chat: usize) -> bool {
        let (state, queue) = self.chats[chat];
        self.logs[chat] > 0 && (state == State::Taken(agent) || self.serves[&agent].contains(&queue))
    }

    /// What a snapshot shows: own chats, and those that wait in queues served.
    fn shows(&self, agent: usize, chat: usize) -> bool {
        let (state, queue) = self.chats[chat];
        state == State::Taken(agent) || state == State::Waiting && self.serves[&agent].contains(&queue)
    }

    /// Who should be told of an entry that is in the chat now.
    fn hears(&self, agent: usize, chat: usize) -> bool {
        self.shows(agent, chat)
    }
}

struct Scene {
    fleet: Fleet,
    accounts: Vec<AccountId>,
    clients: Vec<Client>,
    address: SocketAddr,
    oracle: Oracle,
    messages: usize,
    /// What each agent should have heard: chat and seq.
    heard: Vec<BTreeSet<(String, i64)>>,
}

impl Scene {
    async fn new() -> Self {
        let mut fleet = Fleet::new().await;
        assert!(fleet.database.add_queue("third").await.unwrap());
        assert!(fleet.database.add_agent("zoe", "ZOE", &[]).await.unwrap());
        let mut accounts = vec![fleet.account];
        for (name, queue) in [("second", "other"), ("third", "third")] {
            let name = AccountName::new(name).unwrap();
            let capabilities = Capabilities { text_max_utf16: 4096, limits: Vec::new(), files: None, address: None };
            let (platform, settings) = ("telegram", json!({}));
            let new = NewAccount { name: &name, platform, queue, settings: &settings, capabilities: &capabilities };
            assert!(fleet.database.add_account(&new).await.unwrap());
            accounts.push(fleet.database.account(&name).await.unwrap().unwrap().id);
        }
        let address = fleet.start("one").await;
        let chats = (0..CHATS).map(|chat| (State::Closed, chat % QUEUES.len())).collect();
        let serves = (0..AGENTS.len()).map(|agent| (agent, BTreeSet::new())).collect();
        let oracle = Oracle { serves, chats, logs: vec![0; CHATS] };
        let heard = vec![BTreeSet::new(); AGENTS.len()];
        Self { fleet, accounts, clients: Vec::new(), address, oracle, messages: 0, heard }
    }

    /// Gives everybody other queues; their sessions begin anew.
    async fn assign(&mut self, random: &mut Random) {
        self.clients.clear();
        for (agent, name) in AGENTS.iter().enumerate() {
            let queues: BTreeSet<usize> = (0..QUEUES.len()).filter(|_| random.below(2) == 0).collect();
            let names: Vec<String> = queues.iter().map(|queue| QUEUES[*queue].to_owned()).collect();
            assert!(self.fleet.database.set_agent_queues(name, &names).await.unwrap());
            self.oracle.serves.insert(agent, queues);
        }
        for name in AGENTS {
            self.clients.push(Client::enter(self.address, name).await);
        }
        self.heard = vec![BTreeSet::new(); AGENTS.len()];
    }

    /// Writes down who should hear of the chat's next entry.
    fn entry(&mut self, chat: usize) {
        self.oracle.logs[chat] += 1;
        for agent in 0..AGENTS.len() {
            if self.oracle.hears(agent, chat) {
                self.heard[agent].insert((id(chat), self.oracle.logs[chat]));
            }
        }
    }

    async fn customer_writes(&mut self, chat: usize) {
        let (state, queue) = self.oracle.chats[chat];
        self.messages += 1;
        let fact = message(&format!("c{chat}"), self.messages, &format!("text {}", self.messages));
        let facts = vec![(fact, RawUpdate(b"{}".to_vec()))];
        self.fleet.database.store_inbound(self.accounts[queue], &facts, &[], None).await.unwrap();
        self.fleet.doorbells.ring_chatservers();
        if state == State::Closed {
            self.oracle.chats[chat].0 = State::Waiting;
            self.entry(chat);
        }
        self.entry(chat);
        let entries: i64 = self.oracle.logs.iter().sum();
        self.fleet.until("SELECT count(*) FROM history", entries).await;
    }

    async fn agent_takes(&mut self, agent: usize, chat: usize) {
        let answer = self.clients[agent].ask(json!({"type": "take", "chat": id(chat)})).await;
        let (state, queue) = self.oracle.chats[chat];
        let want = match state {
            _ if !self.oracle.sees(agent, chat) => "not_found",
            State::Closed => "closed",
            State::Taken(other) if other != agent => "already_taken",
            _ => "ok",
        };
        assert_eq!(word(&answer), want, "{answer}");
        if want == "ok" && state == State::Waiting {
            // Told to those who see it go, and to who has it now.
            let before: Vec<usize> = (0..AGENTS.len()).filter(|one| self.oracle.serves[one].contains(&queue)).collect();
            self.oracle.chats[chat].0 = State::Taken(agent);
            self.entry(chat);
            for one in before {
                self.heard[one].insert((id(chat), self.oracle.logs[chat]));
            }
        }
    }

    async fn agent_closes(&mut self, agent: usize, chat: usize) {
        let answer = self.clients[agent].ask(json!({"type": "close", "chat": id(chat)})).await;
        let want = match self.oracle.chats[chat].0 {
            _ if !self.oracle.sees(agent, chat) => "not_found",
            State::Closed => "closed",
            State::Taken(one) if one == agent => "ok",
            _ => "not_yours",
        };
        assert_eq!(word(&answer), want, "{answer}");
        if want == "ok" {
            self.entry(chat);
            self.oracle.chats[chat].0 = State::Closed;
        }
    }

    /// Looks through every way in at every chat, as every agent.
    #[allow(clippy::needless_range_loop)] // an agent is a number in several lists
    async fn compare(&mut self) {
        for agent in 0..AGENTS.len() {
            let snapshot = self.clients[agent].ok(json!({"type": "snapshot"})).await;
            let chats = snapshot["chats"].as_array().unwrap();
            let shown: BTreeSet<String> = chats.iter().map(|chat| chat["chat"].as_str().unwrap().to_owned()).collect();
            let want: BTreeSet<String> = (0..CHATS).filter(|chat| self.oracle.shows(agent, *chat)).map(id).collect();
            assert_eq!(shown, want, "the snapshot of {}", AGENTS[agent]);
            let viewer = self.fleet.database.agent(AGENTS[agent]).await.unwrap().unwrap().id;
            for chat in 0..CHATS {
                let sees = self.oracle.sees(agent, chat);
                for kind in ["history", "waiting"] {
                    let answer = self.clients[agent].ask(json!({"type": kind, "chat": id(chat)})).await;
                    assert_eq!(word(&answer), if sees { "ok" } else { "not_found" }, "{kind} of {chat}: {answer}");
                }
                let page = self.clients[agent].ask(json!({"type": "history", "chat": id(chat), "limit": 200})).await;
                let entries = page["result"]["entries"].as_array().map_or(0, Vec::len) as i64;
                assert_eq!(entries, if sees { self.oracle.logs[chat] } else { 0 });
                let file = FileId::parse(&format!("{chat:032x}")).unwrap();
                let account = self.accounts[self.oracle.chats[chat].1];
                let fetched = self.fleet.database.file_for(account, &file, Some(viewer)).await.unwrap();
                assert_eq!(fetched.is_some(), sees, "the file of chat {chat} for {}", AGENTS[agent]);
                assert!(self.fleet.database.file_for(account, &file, None).await.unwrap().is_some());
            }
        }
        for agent in 0..AGENTS.len() {
            let mut got = BTreeSet::new();
            while got.len() < self.heard[agent].len() {
                let frame = self.clients[agent].entry().await;
                let entry = &frame["entry"];
                let place = (entry["chat"].as_str().unwrap().to_owned(), entry["seq"].as_i64().unwrap());
                // An agent who takes a chat from a queue served reads of it in both feeds.
                assert!(self.heard[agent].contains(&place), "{} heard of {place:?}: {frame}", AGENTS[agent]);
                got.insert(place);
            }
            assert_eq!(got, self.heard[agent], "{}", AGENTS[agent]);
            let mut again = BTreeSet::new();
            self.clients[agent].ok(json!({"type": "ping"})).await;
            while let Some(frame) = self.clients[agent].kept() {
                let entry = &frame["entry"];
                again.insert((entry["chat"].as_str().unwrap().to_owned(), entry["seq"].as_i64().unwrap()));
            }
            assert!(again.is_subset(&got), "{} heard of more", AGENTS[agent]);
            self.heard[agent].clear();
        }
    }
}

fn id(chat: usize) -> String {
    (chat + 1).to_string()
}

fn word(answer: &Value) -> &str {
    if answer["type"] == "ok" { "ok" } else { answer["code"].as_str().unwrap() }
}

#[tokio::test]
async fn everybody_sees_their_own_and_nothing_else() {
    let mut scene = Scene::new().await;
    let mut random = Random(0x5eed_0001);
    // Every chat is there from the beginning, with its file, so that ids are known.
    for chat in 0..CHATS {
        scene.customer_writes(chat).await;
        let sql = format!(
            "INSERT INTO file (account_id, id, inbound, state, kind) SELECT account_id, '{chat:032x}', true, 1, 'photo' FROM chat WHERE id = {id};
             INSERT INTO file_use (account_id, file_id, chat_id, chat_seq) SELECT account_id, '{chat:032x}', id, 2 FROM chat WHERE id = {id}",
            id = id(chat),
        );
        scene.fleet.run_sql(&sql).await;
    }
    for _ in 0..5 {
        scene.assign(&mut random).await;
        for _ in 0..25 {
            let (agent, chat) = (random.below(AGENTS.len()), random.below(CHATS));
            match random.below(4) {
                0 => scene.customer_writes(chat).await,
                1 => scene.agent_closes(agent, chat).await,
                _ => scene.agent_takes(agent, chat).await,
            }
        }
        scene.compare().await;
    }
    scene.fleet.finish().await;
}

#[tokio::test]
async fn a_foreign_id_cannot_be_told_from_an_absent_one() {
    let mut fleet = Fleet::new().await;
    let address = fleet.start("one").await;
    fleet.say(vec![message("c1", 1, "hello"), message("c2", 1, "hello")]).await;
    fleet.until("SELECT count(*) FROM history", 4).await;
    let mut anna = Client::enter(address, "anna").await;
    anna.ok(json!({"type": "take", "chat": "1"})).await;
    let mut eve = Client::enter(address, "eve").await;
    let about = |chat: &str| {
        [
            json!({"type": "history", "chat": chat}),
            json!({"type": "waiting", "chat": chat}),
            json!({"type": "take", "chat": chat}),
            json!({"type": "close", "chat": chat}),
            json!({"type": "release", "chat": chat}),
            json!({"type": "transfer", "chat": chat, "queue": "other"}),
            json!({"type": "read", "chat": chat, "seq": 2}),
            json!({"type": "open", "chat": chat}),
            json!({"type": "send", "chat": chat, "client_key": "k", "text": "x"}),
            json!({"type": "cancel", "chat": chat, "seq": 2}),
            json!({"type": "resend", "chat": chat, "seq": 2}),
            json!({"type": "mark_sent", "chat": chat, "seq": 2, "part": 0}),
            json!({"type": "drop", "chat": chat, "seq": 2, "part": 0}),
        ]
    };
    // Taken by another, waiting in a queue of others, and not there.
    let mut answers = Vec::new();
    for chat in ["1", "2", "9"] {
        for request in about(chat) {
            let mut answer = eve.ask(request).await;
            answer.as_object_mut().unwrap().remove("re");
            assert_eq!(answer["code"], "not_found", "{answer}");
            answers.push(answer);
        }
    }
    assert!(answers[..13] == answers[13..26] && answers[..13] == answers[26..], "{answers:?}");
    fleet.finish().await;
}

/// Nor by how long it takes: the same is said to the database.
#[tokio::test]
async fn a_foreign_id_costs_what_an_absent_one_costs() {
    let mut fleet = Fleet::new().await;
    let address = fleet.start("one").await;
    fleet.say(vec![message("c1", 1, "hello"), message("c2", 1, "hello")]).await;
    fleet.until("SELECT count(*) FROM history", 4).await;
    Client::enter(address, "anna").await.ok(json!({"type": "take", "chat": "1"})).await;
    let eve = fleet.database.agent("eve").await.unwrap().unwrap();
    let (url, said) = wire::to(&fleet.test.url).await;
    let options = DatabaseOptions {
        url,
        password: None,
        pool_size: 1,
        application_name: "counted".to_owned(),
        statement_timeout: Duration::from_secs(10),
    };
    let counted = Database::new(&options).unwrap();
    let mut costs: Vec<Vec<usize>> = Vec::new();
    // The first round is for what is said once: statements are prepared.
    for chat in [9, 1, 2, 9].map(ChatId) {
        let mut cost = Vec::new();
        let mut before = said.load(Ordering::SeqCst);
        let mut count = || {
            let now = said.load(Ordering::SeqCst);
            cost.push(now - std::mem::replace(&mut before, now));
        };
        let submission = Submission {
            agent: &eve,
            chat,
            client_key: "k",
            text: "x",
            lane: Lane::Interactive,
            seen_seq: None,
            file: None,
        };
        assert!(counted.history(Some(eve.id), chat, None, 50).await.unwrap().is_none());
        count();
        assert!(counted.waiting(Some(eve.id), chat, None, Duration::from_secs(5)).await.unwrap().is_none());
        count();
        assert_eq!(counted.take_chat(&eve, chat).await.unwrap(), Err(Refusal::NotFound));
        count();
        assert_eq!(counted.close_chat(&eve, chat, None).await.unwrap(), Err(Refusal::NotFound));
        count();
        assert_eq!(counted.release_chat(&eve, chat).await.unwrap(), Err(Refusal::NotFound));
        count();
        let to = ChatPlace::Queue("other".to_owned());
        let transfer = Transfer { by: &eve, supervises: false, chat, to: &to, note: None };
        assert_eq!(counted.transfer_chat(&transfer).await.unwrap(), Err(Refusal::NotFound));
        count();
        assert_eq!(counted.mark_read(&eve, chat, 2).await.unwrap(), Err(Refusal::NotFound));
        count();
        assert_eq!(counted.open_chat(&eve, &Whom::Chat(chat)).await.unwrap(), Err(Refusal::NotFound));
        count();
        assert_eq!(counted.submit(&submission).await.unwrap().err(), Some(Refusal::NotFound));
        count();
        for decision in [Decision::Cancel, Decision::Resend(0), Decision::MarkSent(0), Decision::Drop(0)] {
            assert_eq!(counted.decide(&eve, chat, 2, decision).await.unwrap().err(), Some(Refusal::NotFound));
            count();
        }
        costs.push(cost);
    }
    assert!(costs[1].iter().all(|cost| *cost > 0), "{costs:?}");
    assert!(costs[1] == costs[2] && costs[1] == costs[3], "{costs:?}");
    fleet.finish().await;
}
