//! Up to where a chat is read. The mark only moves forward, and is in no log: a reader's other sessions are told in passing.

use super::chats::Refusal;
use super::whispers::{WhisperItem, whisper};
use super::{Agent, Database, StoreError};
use crate::model::ChatId;

/// Up to where a chat is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadMark {
    /// Seq of the newest entry that was read.
    pub seq: i64,
    /// Customer messages after it, since an agent last wrote.
    pub unread: i32,
}

// What was counted since an agent wrote is never raised by reading.
const READ: &str = "
UPDATE chat SET read_seq = $3,
       unread = least(unread, (SELECT count(*) FROM history h WHERE h.account_id = $1 AND h.chat_id = $2 AND h.seq > $3
                                  AND h.kind = 1 AND h.author_kind = 1)::int)
 WHERE account_id = $1 AND id = $2 AND read_seq < $3 RETURNING unread";

const STANDS: &str = "SELECT read_seq, unread FROM chat WHERE account_id = $1 AND id = $2";

/// For the tests that read them.
#[cfg(test)]
pub(super) const HOT: &[&str] = &[READ, STANDS];

impl Database {
    /// Whoever has the chat has read up to `seq`. Answers where the mark is now, which may be further.
    pub async fn mark_read(
        &self,
        agent: &Agent,
        chat: ChatId,
        seq: i64,
    ) -> Result<Result<ReadMark, Refusal>, StoreError> {
        self.within(async {
            let Some((work, chat)) = self.lock_chat(Some(agent.id), chat).await? else {
                return Ok(Err(Refusal::NotFound));
            };
            if let Some(refusal) = chat.refusal(agent.id) {
                work.rollback().await?;
                return Ok(Err(refusal));
            }
            // Nobody has read what is not written yet.
            let seq = seq.min(chat.last_seq);
            let client = work.client();
            let read = client.prepare_cached(READ).await?;
            let Some(row) = client.query_opt(&read, &[&chat.account.0, &chat.id.0, &seq]).await? else {
                let stands = client.prepare_cached(STANDS).await?;
                let row = client.query_one(&stands, &[&chat.account.0, &chat.id.0]).await?;
                let mark = ReadMark { seq: row.get("read_seq"), unread: row.get("unread") };
                work.commit_repeat().await?;
                return Ok(Ok(mark));
            };
            let mark = ReadMark { seq, unread: row.get("unread") };
            let item = WhisperItem::Read { chat: chat.id.0, seq, unread: mark.unread };
            whisper(client, agent.own_feed(), &item).await?;
            work.commit().await?;
            Ok(Ok(mark))
        })
        .await
    }
}
