//! The outbox from the agents' side: submit a message, decide about its parts.

use futures_util::future::try_join4;

use super::append::{By, NewEntry, append, expect, item_json};
use super::chats::{LOCK_CHAT, LockedChat, Refusal};
use super::enclosures::{Enclosed, Enclosure, content_hash, enclose};
use super::entries::EntryItem;
use super::work::Work;
use super::{Agent, Database, StoreError};
use crate::model::{AccountName, ChatId, EntryKind, Lane, text};

/// Longest part of a platform that publishes none, in UTF-16 code units: what most of them take.
const TEXT_MAX_UTF16: usize = 4096;

/// A message an agent wants sent.
#[derive(Clone, Copy, Debug)]
pub struct Submission<'a> {
    /// Who writes.
    pub agent: &'a Agent,
    /// Where to.
    pub chat: ChatId,
    /// The agent's own name for the message, in the chat's account: the same again is the same message.
    pub client_key: &'a str,
    /// What, without U+0000. Empty only with a file.
    pub text: &'a str,
    /// What goes with it.
    pub file: Option<Enclosed<'a>>,
    /// How urgent it is.
    pub lane: Lane,
    /// The newest seq the agent has seen, when a later customer message is to stop it.
    pub seen_seq: Option<i64>,
}

/// A message stored for sending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its seq in the chat's log.
    pub seq: i64,
    /// Into how many parts it was split.
    pub parts: i16,
    /// It was accepted before, and is the same message.
    pub repeated: bool,
    /// Whose sender has work.
    pub account: AccountName,
}

const EXISTING: &str = "
SELECT o.chat_id, o.chat_seq, o.parts, o.content_hash, a.name AS account_name
  FROM chat c JOIN outbox o ON o.account_id = c.account_id AND o.agent_id = $2 AND o.client_key = $3 AND o.part = 0
  JOIN account a ON a.id = o.account_id
 WHERE c.id = $1";

const INSERT_PARTS: &str = "
INSERT INTO outbox (account_id, chat_id, chat_key, chat_seq, part, parts, agent_id, client_key, content_hash, body, lane, item)
SELECT $1, $2, $3, $4, u.n - 1, $5, $6, $7, $8, u.b, $10, CASE u.n WHEN 1 THEN $11::text::jsonb END
  FROM unnest($9::text[]) WITH ORDINALITY u(b, n) ORDER BY u.n";

const WRITTEN: &str = "UPDATE chat SET last_seq = $2, unread = 0, last_out_at = now() WHERE id = $1";

/// For tests that read them.
#[cfg(any(test, feature = "testkit"))]
pub(super) const HOT: &[&str] = &[EXISTING, INSERT_PARTS, WRITTEN];

impl Database {
    /// Stores an agent's message and its parts, once per client key. After an unknown result the same submission again
    /// gives the answer.
    pub async fn submit(&self, new: &Submission<'_>) -> Result<Result<Accepted, Refusal>, StoreError> {
        match self.within(self.submit_once(new)).await {
            // The same key went to another chat at the same moment, and was first.
            Err(error) if error.is_unique_violation() => self.within(self.read_back(new)).await,
            result => result,
        }
    }

    async fn submit_once(&self, new: &Submission<'_>) -> Result<Result<Accepted, Refusal>, StoreError> {
        let connection = self.connection().await?;
        let lock = connection.prepare_cached(LOCK_CHAT).await?;
        let existing = connection.prepare_cached(EXISTING).await?;
        let (work, chat, known) = Work::begin_pair(
            connection,
            (&lock, &[&new.chat.0, &new.agent.id.0]),
            (&existing, &[&new.chat.0, &new.agent.id.0, &new.client_key]),
        )
        .await?;
        let hash = content_hash(new.text, new.file);
        if let Some(row) = known.first() {
            return repeat(work, row, new.chat, &hash).await;
        }
        let Some(chat) = LockedChat::of(&chat)? else {
            work.rollback().await?;
            return Ok(Err(Refusal::NotFound));
        };
        let refusal = chat
            .refusal(new.agent.id)
            .or_else(|| new.seen_seq.filter(|seen| *seen < chat.last_in_seq).map(|_| Refusal::Stale));
        let file = match (refusal, new.file) {
            (Some(refusal), _) => Err(refusal),
            (None, Some(file)) => enclose(&work, &chat, new.agent, file).await?.map(Some),
            (None, None) => Ok(None),
        };
        let split = file.and_then(|file| Ok((split(&chat, new.text, file.as_ref())?, file)));
        let (parts, file) = match split {
            Ok(split) => split,
            Err(refusal) => {
                work.rollback().await?;
                return Ok(Err(refusal));
            }
        };
        let accepted = Accepted {
            seq: chat.last_seq + 1,
            parts: i16::try_from(parts.len()).map_err(|_| StoreError::Unexpected("too many parts".to_owned()))?,
            repeated: false,
            account: chat.account_name.clone(),
        };
        write(&work, new, &chat, &accepted, &hash, &parts, file.as_ref()).await?;
        work.commit().await?;
        Ok(Ok(accepted))
    }

    async fn read_back(&self, new: &Submission<'_>) -> Result<Result<Accepted, Refusal>, StoreError> {
        let connection = self.connection().await?;
        let existing = connection.prepare_cached(EXISTING).await?;
        let (work, rows) = Work::begin(connection, &existing, &[&new.chat.0, &new.agent.id.0, &new.client_key]).await?;
        match rows.first() {
            Some(row) => repeat(work, row, new.chat, &content_hash(new.text, new.file)).await,
            None => Err(StoreError::Unexpected("a client key is taken by nobody".to_owned())),
        }
    }
}

/// The parts of a message: a text goes with its file when that may carry it, and follows it otherwise.
fn split<'a>(chat: &LockedChat, text: &'a str, file: Option<&Enclosure>) -> Result<Vec<&'a str>, Refusal> {
    if file.is_some_and(|file| file.takes(text)) {
        return Ok(vec![text]);
    }
    let max = chat.text_max_utf16.and_then(|max| usize::try_from(max).ok()).unwrap_or(TEXT_MAX_UTF16);
    let parts = text::split_utf16(text, max);
    // A platform refuses a blank part for good, and would leave the message half sent.
    if parts.is_empty() || parts.iter().any(|part| part.trim().is_empty()) {
        return Err(Refusal::BadText);
    }
    Ok(file.map(|_| "").into_iter().chain(parts).collect())
}

/// Answers a client key that was used before.
async fn repeat(
    work: Work,
    row: &tokio_postgres::Row,
    chat: ChatId,
    hash: &[u8],
) -> Result<Result<Accepted, Refusal>, StoreError> {
    if row.get::<_, i64>("chat_id") != chat.0 || row.get::<_, &[u8]>("content_hash") != hash {
        work.rollback().await?;
        return Ok(Err(Refusal::KeyConflict));
    }
    let account: String = row.get("account_name");
    let accepted = Accepted {
        seq: row.get("chat_seq"),
        parts: row.get("parts"),
        repeated: true,
        account: AccountName::new(&account).map_err(StoreError::Unexpected)?,
    };
    work.commit_repeat().await?;
    Ok(Ok(accepted))
}

async fn write(
    work: &Work,
    new: &Submission<'_>,
    chat: &LockedChat,
    accepted: &Accepted,
    hash: &[u8],
    parts: &[&str],
    file: Option<&Enclosure>,
) -> Result<(), StoreError> {
    let client = work.client();
    let item = EntryItem {
        client_key: Some(new.client_key.to_owned()),
        parts: Some(accepted.parts),
        lane: (new.lane != Lane::Interactive).then(|| new.lane.as_str().to_owned()),
        files: file.map(Enclosure::item).into_iter().collect(),
        ..EntryItem::default()
    };
    let entry = [NewEntry {
        account: chat.account,
        chat: chat.id,
        seq: accepted.seq,
        kind: EntryKind::Message,
        author: By::Agent(new.agent.id),
        reference: None,
        body: Some(new.text.to_owned()),
        item: item_json(&item),
        feeds: chat.feed().into_iter().collect(),
    }];
    let written = client.prepare_cached(WRITTEN).await?;
    let insert = client.prepare_cached(INSERT_PARTS).await?;
    let (account, id, agent) = (chat.account.0, chat.id.0, new.agent.id.0);
    let chat_values: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&id, &accepted.seq];
    let lane = new.lane as i16;
    let carried = file.and_then(|file| item_json(&file.part_item()));
    let part_values: [&(dyn tokio_postgres::types::ToSql + Sync); 11] = [
        &account,
        &id,
        &chat.key,
        &accepted.seq,
        &accepted.parts,
        &agent,
        &new.client_key,
        &hash,
        &parts,
        &lane,
        &carried,
    ];
    let (chats, stored, (), ()) = try_join4(
        async { Ok::<u64, StoreError>(client.execute(&written, &chat_values).await?) },
        async { Ok(client.execute(&insert, &part_values).await?) },
        async {
            match file {
                Some(file) => file.show(work, chat, accepted.seq).await,
                None => Ok(()),
            }
        },
        append(client, &entry),
    )
    .await?;
    expect("chats", chats, 1)?;
    expect("parts", stored, parts.len())
}
