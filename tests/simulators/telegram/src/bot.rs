//! One bot: its state behind one lock, and the one place where updates enter its queue.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::broadcast;

use crate::{
    chats::Chats,
    clock::Calendar,
    delivery::{Delivery, Lane},
    described,
    faults::Faults,
    files::{Files, Seen},
    limits::Limiter,
    log::{Event, ObserverLog},
    methods::menu::Menu,
    poll::Polling,
    queue::{Queue, Update},
    text::{sha256_hex, tag},
    webhook::Webhook,
};

/// Seconds that messages, edits and most other updates wait for the bot.
pub const DAY_S: i64 = 24 * 60 * 60;
/// Seconds that a button press waits, in the queue and for its answer.
pub const QUERY_S: i64 = 150;
/// Changes that a slow page may lag behind before it is told to read anew.
const CHANGES_KEPT: usize = 256;

/// A bot and its token.
#[derive(Debug)]
pub struct Bot {
    /// The account's name in the logs and in the control API.
    pub name: String,
    /// The number before the token's colon.
    pub id: i64,
    /// `<id>:<secret>`.
    token: Mutex<String>,
    /// Tells pages what changed.
    pub changes: broadcast::Sender<Change>,
    /// Calls read but not ended, hanging ones too.
    pub open_calls: AtomicI64,
    /// Distinguishes waiting polls.
    pub poll_numbers: AtomicU64,
    state: Mutex<State>,
}

/// Something happened that a page shows.
#[derive(Clone, Debug, Serialize)]
pub struct Change {
    /// The chat it happened in, or null for the bot as a whole.
    pub chat: Option<i64>,
    /// `message`, `edit`, `delete`, `reaction`, `action`, `answer`, `standing`, `menu`.
    pub what: &'static str,
    /// Words shown for a short time: the answer to a button press.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
}

/// What the lock guards.
#[derive(Debug)]
pub struct State {
    /// The account's name.
    pub acct: String,
    /// The bot's id.
    pub bot_id: i64,
    /// The observers' log.
    pub log: Arc<ObserverLog>,
    /// The platform's calendar.
    pub calendar: Arc<Calendar>,
    /// People, chats, messages.
    pub chats: Chats,
    /// Updates not confirmed.
    pub queue: Queue,
    /// Who waits for updates.
    pub polling: Polling,
    /// Flood control.
    pub limiter: Limiter,
    /// What was sent, both ways.
    pub files: Files,
    /// Standing orders to misbehave.
    pub faults: Faults,
    /// Set webhook, if any.
    pub webhook: Option<Webhook>,
    /// What is on its way to it.
    pub delivery: Delivery,
    /// Whether webhooks may be reached as the self-hosted server reaches them: over plain HTTP, at any port.
    pub local: bool,
    /// Kinds of updates wanted; `None` = the default.
    pub allowed: Option<Vec<String>>,
    /// Button presses not answered: when they were made.
    pub presses: HashMap<String, i64>,
    /// Button presses so far.
    pub press_count: i64,
    /// What the bot offers in its menu.
    pub menu: Menu,
    /// Whether groups show the bot only what is meant for it.
    pub privacy: bool,
    /// Ended calls by reply.
    pub replies: BTreeMap<String, u64>,
    changes: broadcast::Sender<Change>,
}

/// What a customer's deed became.
#[derive(Clone, Debug, Serialize)]
pub struct Deed {
    /// Its number in the queue; null when the bot does not want its kind.
    pub update_id: Option<i64>,
    /// The message made or changed.
    pub message_id: Option<i64>,
    /// The connector's dedupe key of it.
    pub key: String,
    /// Number in its chat.
    pub pseq: u64,
    /// Of a button press: what answerCallbackQuery names it by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_id: Option<String>,
}

/// An update about to enter the queue.
#[derive(Debug)]
pub struct NewUpdate<'a> {
    /// Its field: `message`, `callback_query`, …
    pub kind: &'a str,
    /// What that field holds.
    pub body: &'a Value,
    /// The chat it is about.
    pub chat: i64,
    /// The message it is about.
    pub message_id: Option<i64>,
    /// The connector's dedupe key of it; without one, `u:` and the hash of the bytes sent.
    pub key: Option<String>,
    /// The text in it, which the log only shows as tag and hash.
    pub text: Option<&'a str>,
    /// The file in it.
    pub file: Option<Seen>,
    /// Seconds until it vanishes.
    pub lives_s: i64,
}

impl Bot {
    /// A bot without chats. The token must be `<id>:<secret>`.
    pub fn new(
        name: &str,
        token: &str,
        limiter: Limiter,
        log: Arc<ObserverLog>,
        calendar: Arc<Calendar>,
    ) -> anyhow::Result<Self> {
        let id = token
            .split_once(':')
            .filter(|(_, secret)| !secret.is_empty())
            .and_then(|(id, _)| id.parse::<i64>().ok())
            .filter(|id| *id > 0)
            .ok_or_else(|| anyhow::anyhow!("bot {name}: a token is <number>:<secret>"))?;
        let changes = broadcast::Sender::new(CHANGES_KEPT);
        let state = State {
            acct: name.to_owned(),
            bot_id: id,
            log,
            calendar,
            chats: Chats::default(),
            queue: Queue::default(),
            polling: Polling::default(),
            limiter,
            files: Files::default(),
            faults: Faults::default(),
            webhook: None,
            delivery: Delivery::default(),
            local: false,
            allowed: None,
            presses: HashMap::new(),
            press_count: 0,
            menu: Menu::default(),
            privacy: false,
            replies: BTreeMap::new(),
            changes: changes.clone(),
        };
        Ok(Self {
            name: name.to_owned(),
            id,
            token: Mutex::new(token.to_owned()),
            changes,
            open_calls: AtomicI64::new(0),
            poll_numbers: AtomicU64::new(0),
            state: Mutex::new(state),
        })
    }

    /// The state; nothing awaits while holding it.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a token opens it.
    pub fn opens_with(&self, token: &str) -> bool {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) == token
    }

    /// Takes another token; its number stays.
    pub fn rename(&self, token: &str) -> Result<(), String> {
        let own = token.split_once(':').is_some_and(|(id, secret)| id == self.id.to_string() && !secret.is_empty());
        if !own {
            return Err(format!("a token of this bot is {}:<secret>", self.id));
        }
        token.clone_into(&mut self.token.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }

    /// Calls read but not ended.
    pub fn open_calls(&self) -> i64 {
        self.open_calls.load(Ordering::Relaxed)
    }
}

impl State {
    /// The bot's own `User` object, as messages carry it.
    pub fn bot_user(&self) -> Value {
        json!({
            "id": self.bot_id, "is_bot": true, "first_name": self.acct, "username": format!("{}_bot", self.acct),
        })
    }

    /// Unix time as the platform sees it.
    pub fn now(&self) -> i64 {
        self.calendar.now()
    }

    /// Whether the bot wants updates of this kind. Without a wish: all but three.
    fn wants(&self, kind: &str) -> bool {
        match &self.allowed {
            Some(kinds) => kinds.iter().any(|wanted| wanted == kind),
            None => !matches!(kind, "chat_member" | "message_reaction" | "message_reaction_count"),
        }
    }

    /// Queues what a customer did. The log has it before a poll can see it.
    pub fn enqueue(&mut self, new: NewUpdate<'_>) -> Deed {
        let id = self.queue.next_id();
        let bytes = format!("{{\"update_id\":{id},\"{}\":{}}}", new.kind, new.body).into_bytes();
        let key = new.key.unwrap_or_else(|| format!("u:{}", sha256_hex(&bytes)));
        if !self.wants(new.kind) {
            let pseq = self.chats.chats.get(&new.chat).map_or(0, |chat| chat.pseq);
            return Deed { update_id: None, message_id: new.message_id, key, pseq, query_id: None };
        }
        debug_assert_eq!(
            shape_of(new.kind, new.body),
            Vec::<String>::new(),
            "updates are as the platform describes them"
        );
        let pseq = self.next_pseq(new.chat);
        let chat = new.chat.to_string();
        let expires_at = self.now() + new.lives_s;
        let lane = match new.kind {
            "callback_query" => Lane::Presses(new.body["from"]["id"].as_i64().unwrap_or_default()),
            "my_chat_member" => Lane::Member(new.chat),
            "message_reaction" => Lane::Reactions(new.chat),
            _ => Lane::Chat(chat.clone()),
        };
        let update = Update { id, bytes, key: key.clone(), chat: Some(chat), pseq, tries: 0, expires_at, lane };
        self.admit(update, Some(new.kind), new.message_id, new.text, new.file);
        Deed { update_id: Some(id), message_id: new.message_id, key, pseq, query_id: None }
    }

    pub(crate) fn admit(
        &mut self,
        update: Update,
        kind: Option<&str>,
        message_id: Option<i64>,
        text: Option<&str>,
        file: Option<Seen>,
    ) {
        let hash = text.map(|text| sha256_hex(text.as_bytes()));
        self.log.write(Event::Typed {
            acct: &self.acct,
            key: &update.key,
            chat: update.chat.as_deref(),
            pseq: update.pseq,
            tag: text.and_then(tag),
            hash: hash.as_deref(),
            update_id: update.id,
            file,
            kind,
            pmid: message_id.map(|id| id.to_string()).as_deref(),
        });
        self.queue.push(update);
        self.polling.wake();
        self.delivery.wake.notify_one();
    }

    pub(crate) fn next_pseq(&mut self, chat: i64) -> u64 {
        self.chats.chats.get_mut(&chat).map_or(0, |chat| {
            chat.pseq += 1;
            chat.pseq
        })
    }

    /// Writes that the connector has these updates.
    pub fn acknowledged(&self, updates: &[Update]) {
        for update in updates {
            let (acct, key) = (&self.acct, &update.key);
            self.log.write(Event::Ack { acct, key, how: "offset", update_id: update.id, status: None });
        }
    }

    /// Tells the pages.
    pub fn changed(&self, chat: Option<i64>, what: &'static str) {
        self.tell(Change { chat, what, notice: None });
    }

    /// Tells the pages, with words.
    pub fn tell(&self, change: Change) {
        // An error only means that no page is open.
        let _ = self.changes.send(change);
    }
}

/// What breaks the description of the Bot API in an update about to enter the queue.
fn shape_of(kind: &str, body: &Value) -> Vec<String> {
    let mut update = json!({ "update_id": 1 });
    update[kind] = body.clone();
    described::api().check("update", &["Update".to_owned()], &update)
}
