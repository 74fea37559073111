//! Chats that an agent opens: with somebody who has not written, or again after it was closed.
//!
//! What an address is, the account's capabilities say. A customer and a chat that are not known yet are made in statements of
//! their own, before any chat is locked, as the drain makes them.

use super::append::{append, expect};
use super::chats::{LOCK_CHAT, LockedChat, Refusal, TAKEN_WHEN};
use super::entries::EntryItem;
use super::work::Work;
use super::{Agent, Database, StoreError};
use crate::model::{AddressKind, AgentId, ChatId, ChatState, EntryKind, QueueId};

/// With whom an agent wants to speak.
#[derive(Clone, Copy, Debug)]
pub enum Whom<'a> {
    /// Whoever is in this chat.
    Chat(ChatId),
    /// Whoever has this address.
    Address {
        /// Name of the account that writes.
        account: &'a str,
        /// As the account's capabilities say.
        address: &'a str,
        /// What to call a customer who is not known yet.
        name: Option<&'a str>,
    },
}

/// A chat that the agent has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenedChat {
    /// Which.
    pub chat: ChatId,
    /// The entry by which they have it.
    pub seq: i64,
    /// They had it before.
    pub repeated: bool,
}

const ACCOUNT: &str = "
SELECT a.id, a.capabilities->>'address' AS address,
       EXISTS (SELECT 1 FROM agent_queue q WHERE q.agent_id = $2 AND q.queue_id = a.queue_id) AS served
  FROM account a WHERE a.name = $1";

const FIND: &str = "SELECT id FROM chat WHERE account_id = $1 AND platform_key = $2";

// A name that the platform gave is better.
const CUSTOMER: &str = "
INSERT INTO customer AS c (account_id, platform_id, name) VALUES ($1, $2, $3)
    ON CONFLICT (account_id, platform_id) DO UPDATE SET name = excluded.name WHERE c.name IS NULL AND excluded.name IS NOT NULL";

const CHAT: &str = "
INSERT INTO chat (account_id, platform_key, customer_id, title)
SELECT $1, $2, c.id, $3 FROM customer c WHERE c.account_id = $1 AND c.platform_id = $2 ON CONFLICT DO NOTHING";

// Where a chat that is opened belongs, and whether the agent serves that: its last queue when the agent sees it by that, else
// where the account's chats wait.
const HOME: &str = "
SELECT q.id, q.name, EXISTS (SELECT 1 FROM agent_queue x WHERE x.agent_id = $2 AND x.queue_id = q.id) AS served
  FROM chat c JOIN account a ON a.id = c.account_id
  JOIN queue q ON q.id = CASE WHEN c.state = 2 AND c.queue_id IS NOT NULL AND chat_visible(c, $2) THEN c.queue_id ELSE a.queue_id END
 WHERE c.id = $1";

const BEGIN: &str = "
INSERT INTO interaction (account_id, chat_id, queue_id, agent_id, opened_at, taken_at) VALUES ($1, $2, $3, $4, now(), now())
RETURNING id";

const OPEN: &str =
    "UPDATE chat SET last_seq = $2, state = 1, agent_id = $3, queue_id = $4, interaction_id = $5 WHERE id = $1";

/// For the tests that read them.
#[cfg(test)]
pub(super) const HOT: &[&str] = &[ACCOUNT, FIND, CUSTOMER, CHAT, HOME, BEGIN, OPEN];

impl Database {
    /// Opens a chat and takes it, in one. A chat that waits in the agent's sight is taken; one that they have is answered as it is.
    pub async fn open_chat(&self, agent: &Agent, whom: &Whom<'_>) -> Result<Result<OpenedChat, Refusal>, StoreError> {
        let chat = match *whom {
            Whom::Chat(chat) => chat,
            Whom::Address { account, address, name } => {
                match self.within(self.chat_by_address(agent, account, address, name)).await? {
                    Ok(chat) => chat,
                    Err(refusal) => return Ok(Err(refusal)),
                }
            }
        };
        self.within(self.open_known(agent, chat)).await
    }

    /// The chat with an address, made when there was none. Nothing is made before everything is checked.
    async fn chat_by_address(
        &self,
        agent: &Agent,
        account: &str,
        address: &str,
        name: Option<&str>,
    ) -> Result<Result<ChatId, Refusal>, StoreError> {
        let connection = self.connection().await?;
        let statement = connection.prepare_cached(ACCOUNT).await?;
        let row = connection.query_opt(&statement, &[&account, &agent.id.0]).await?;
        let key = match row.as_ref().filter(|row| row.get("served")) {
            None => Err(Refusal::NotFound),
            Some(row) => match row.get::<_, Option<&str>>("address").and_then(AddressKind::from_word) {
                None => Err(Refusal::Unsupported("in this account customers write first")),
                Some(kind) => kind.read(address).map_err(Refusal::BadAddress),
            },
        };
        let (account, key) = match (row.as_ref().map(|row| row.get::<_, i32>("id")), key) {
            (Some(account), Ok(key)) => (account, key),
            (_, refused) => {
                connection.done();
                return Ok(Err(refused.err().unwrap_or(Refusal::NotFound)));
            }
        };
        let find = connection.prepare_cached(FIND).await?;
        let mut found = connection.query_opt(&find, &[&account, &key]).await?;
        if found.is_none() {
            let customer = connection.prepare_cached(CUSTOMER).await?;
            let chat = connection.prepare_cached(CHAT).await?;
            connection.execute(&customer, &[&account, &key, &name]).await?;
            connection.execute(&chat, &[&account, &key, &name]).await?;
            found = connection.query_opt(&find, &[&account, &key]).await?;
        }
        connection.done();
        match found {
            Some(row) => Ok(Ok(ChatId(row.get("id")))),
            None => Err(StoreError::Unexpected("a chat was made and is not there".to_owned())),
        }
    }

    async fn open_known(&self, agent: &Agent, chat: ChatId) -> Result<Result<OpenedChat, Refusal>, StoreError> {
        let connection = self.connection().await?;
        let lock = connection.prepare_cached(LOCK_CHAT).await?;
        let home = connection.prepare_cached(HOME).await?;
        let (work, rows, home) =
            Work::begin_pair(connection, (&lock, &[&chat.0, &agent.id.0]), (&home, &[&chat.0, &agent.id.0])).await?;
        let (Some(chat), Some(home)) = (LockedChat::of(&rows)?, home.first()) else {
            work.rollback().await?;
            return Ok(Err(Refusal::NotFound));
        };
        let served: bool = home.get("served");
        let refusal = match (chat.state, &chat.agent) {
            (ChatState::Taken, Some(_)) if chat.is_with(agent.id) => {
                let row = work.client().query_one(TAKEN_WHEN, &[&chat.account.0, &chat.id.0]).await?;
                work.commit_repeat().await?;
                return Ok(Ok(OpenedChat { chat: chat.id, seq: row.get(0), repeated: true }));
            }
            (ChatState::Taken, Some((_, name, _))) if chat.visible || served => Refusal::AlreadyTaken(name.clone()),
            (ChatState::Waiting, _) if chat.visible => {
                let (id, seq) = (chat.id, self.take_locked(work, &chat, agent).await?);
                return Ok(Ok(OpenedChat { chat: id, seq, repeated: false }));
            }
            (ChatState::Closed, _) if served => {
                let queue = (QueueId(home.get("id")), home.get("name"));
                let (id, seq) = (chat.id, open(work, &chat, agent, queue).await?);
                return Ok(Ok(OpenedChat { chat: id, seq, repeated: false }));
            }
            _ => Refusal::NotFound,
        };
        work.rollback().await?;
        Ok(Err(refusal))
    }
}

/// Begins an interaction that the agent has from its beginning: no queue is told of it.
async fn open(work: Work, chat: &LockedChat, agent: &Agent, queue: (QueueId, String)) -> Result<i64, StoreError> {
    let client = work.client();
    let (account, id, AgentId(by)) = (chat.account.0, chat.id.0, agent.id);
    let begin = client.prepare_cached(BEGIN).await?;
    let interaction: i64 = client.query_one(&begin, &[&account, &id, &queue.0.0, &by]).await?.get("id");
    let (interaction_item, by_name) = (Some(interaction), Some(agent.name.clone()));
    let opened = EntryItem {
        interaction: interaction_item,
        queue: Some(queue.1),
        agent: by_name.clone(),
        ..EntryItem::default()
    };
    let taken = EntryItem { interaction: interaction_item, agent: by_name, ..EntryItem::default() };
    let opened = chat.entry(EntryKind::Opened, agent.id, &opened, vec![agent.own_feed()]);
    let mut taken = chat.entry(EntryKind::Taken, agent.id, &taken, vec![agent.own_feed()]);
    taken.seq += 1;
    let open = client.prepare_cached(OPEN).await?;
    let changed = client.execute(&open, &[&id, &taken.seq, &by, &queue.0.0, &interaction]).await?;
    expect("chats", changed, 1)?;
    let seq = taken.seq;
    append(client, &[opened, taken]).await?;
    work.commit().await?;
    Ok(seq)
}
