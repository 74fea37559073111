//! Many messages at once: written by the code that a chatserver calls, because a session may ask only 20 times a
//! second. What is submitted and accepted goes to `agent.jsonl` as an agent would write it.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use switchboard_common::doorbell::{Doorbells, Sweep};
use switchboard_common::ensemble::{Ensemble, EnsembleOptions};
use switchboard_common::model::{AccountName, ChatId, Lane};
use switchboard_common::service::shutdown::Shutdown;
use switchboard_common::store::{Agent, Database, DatabaseOptions, Submission};

use super::deed::ACCOUNT;
use super::{Fleet, until};
use crate::observer::{SharedLog, sha256_hex, tag_of};

/// Submissions under way at once.
const AT_ONCE: usize = 6;

/// One message to be queued.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The chat's number in the database.
    pub chat: i64,
    /// The agent's own name for it.
    pub key: String,
    /// What.
    pub text: String,
    /// How urgent.
    pub lane: Lane,
}

/// Writes messages for one agent, who has no session.
pub struct Backlog {
    agent: Agent,
    account: AccountName,
    database: Database,
    doorbells: Doorbells,
    log: SharedLog,
    shutdown: Shutdown,
}

impl Backlog {
    /// Gets ready to write as `agent`.
    ///
    /// # Panics
    ///
    /// When the fleet's servers do not answer.
    pub async fn of(fleet: &Fleet, agent: &str) -> Self {
        let database = Database::new(&DatabaseOptions {
            url: fleet.postgres.url(),
            password: None,
            pool_size: AT_ONCE,
            application_name: "a backlog".to_owned(),
            statement_timeout: Duration::from_secs(10),
        });
        let database = database.expect("the URL can be read");
        let shutdown = Shutdown::default();
        let options = EnsembleOptions {
            connect: fleet.zookeeper.connect(),
            chroot: "/switchboard".to_owned(),
            session_timeout: Duration::from_secs(4),
        };
        let sweep = Sweep { usual: Duration::from_secs(10), alone: Duration::from_secs(1) };
        let doorbells = Doorbells::zookeeper(&Ensemble::open(options, &shutdown), sweep, &shutdown);
        let agent = database.agent(agent).await.expect("the database answers").expect("the agent is there");
        let account = AccountName::new(ACCOUNT).expect("a name");
        Self { agent, account, database, doorbells, log: fleet.agents_log.clone(), shutdown }
    }

    /// Lets `customers` write, waits for their chats and takes them all. Returns the chats in the customers' order.
    pub async fn chats(&self, fleet: &Fleet, customers: &[i64]) -> Vec<i64> {
        let from = |chat: i64| if chat < 0 { json!(super::customer(0)) } else { json!(null) };
        let items: Vec<_> = customers
            .iter()
            .map(|chat| json!({"chat": chat, "from": from(*chat), "text": format!("hello [[h{}]]", chat.unsigned_abs())}))
            .collect();
        fleet.platform.order("messages", json!({ "items": items })).await;
        let keys: Vec<String> = customers.iter().map(ToString::to_string).collect();
        let onlooker = super::dump::connect(&fleet.postgres.url()).await.expect("the database answers");
        let sql =
            "SELECT id FROM unnest($1::text[]) WITH ORDINALITY k(key, n) JOIN chat ON platform_key = key ORDER BY n";
        let chats: Vec<i64> = until("all chats to wait", 60, async || {
            let rows = onlooker.query(sql, &[&keys]).await.ok()?;
            (rows.len() == customers.len()).then(|| rows.iter().map(|row| row.get(0)).collect())
        })
        .await;
        let taking = stream::iter(chats.clone()).map(|chat| async move {
            let taken = self.database.take_chat(&self.agent, ChatId(chat)).await;
            taken.expect("the database answers").unwrap_or_else(|refusal| panic!("chat {chat}: {refusal:?}"));
        });
        taking.buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
        self.doorbells.ring_chatservers();
        chats
    }

    /// Queues messages; those of one chat in any order. Returns when all are accepted.
    ///
    /// # Panics
    ///
    /// When one is refused.
    pub async fn submit(&self, wanted: Vec<Wanted>) {
        let each = stream::iter(wanted.into_iter().map(Ok::<_, String>));
        let all = each.try_for_each_concurrent(AT_ONCE, async |message| {
            let seq = self.submit_one(&message).await;
            seq.map(|_| ()).map_err(|error| format!("{}: {error}", message.key))
        });
        all.await.unwrap_or_else(|error| panic!("{error}"));
        self.doorbells.ring_account(&self.account);
        self.doorbells.ring_chatservers();
    }

    async fn submit_one(&self, message: &Wanted) -> Result<i64, String> {
        let Wanted { chat, key, text, lane } = message;
        let (id, hash) = (chat.to_string(), sha256_hex(text.as_bytes()));
        let line = json!({"agent": self.agent.name, "client_key": key, "chat": id, "tag": tag_of(text), "hash": hash});
        self.log.write("submit", line);
        let new = Submission {
            agent: &self.agent,
            chat: ChatId(*chat),
            client_key: key,
            text,
            seen_seq: None,
            lane: *lane,
            file: None,
        };
        let accepted = self.database.submit(&new).await.map_err(|error| error.to_string())?;
        let accepted = accepted.map_err(|refusal| format!("{refusal:?}"))?;
        self.log.write(
            "accepted",
            json!({"agent": self.agent.name, "client_key": key, "chat": id, "seq": accepted.seq,
                   "parts": accepted.parts, "repeated": accepted.repeated}),
        );
        Ok(accepted.seq)
    }
}

impl Drop for Backlog {
    fn drop(&mut self) {
        self.shutdown.begin();
    }
}

impl std::fmt::Debug for Backlog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backlog").field("agent", &self.agent.name).finish_non_exhaustive()
    }
}
