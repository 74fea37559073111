//! Storing what a platform said: one transaction per batch, acknowledged only after it.

use tokio_postgres::types::ToSql;

use super::items::{CustomerItem, FileItem};
use super::work::Work;
use super::{Database, StoreError};
use crate::faults::{Sabotage, point, sabotaged};
use crate::model::{
    AccountId, ChatKind, Epoch, FileId, Inbound, InboundItem, ItemKind, Quarantined, RawUpdate, file_name, text,
};

/// Where a polled platform has been read up to, once the batch is stored.
#[derive(Clone, Debug)]
pub struct CursorMove {
    /// Only this tenure may move the cursor: a thawed poller may store rows, never move it.
    pub epoch: Epoch,
    /// The new position, in the platform's own words.
    pub cursor: String,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Facts that were new.
    pub new: usize,
    /// Facts that were there already.
    pub repeated: usize,
    /// Files that came with new facts and are to be fetched.
    pub files: usize,
    /// Updates put aside, new ones only.
    pub quarantined: usize,
    /// Whether the cursor moved; false when the tenure is over.
    pub cursor_moved: bool,
}

// Sorted by key: two connectors inserting the same keys in opposite order would deadlock. `pending` gets its ids in the
// platform's order (`n`). Repeats inside the batch were dropped before: the join would double them.
const STORE: &str = "
WITH r AS MATERIALIZED (
  SELECT * FROM unnest($2::text[], $3::text[], $4::int2[], $5::text[], $6::text[], $7::bytea[])
    WITH ORDINALITY AS r(key, chat_key, kind, body, item, raw, n)),
i AS (INSERT INTO inbox (account_id, dedupe_key, kind, raw)
      SELECT $1, key, kind, raw FROM r ORDER BY key COLLATE \"C\"
      ON CONFLICT DO NOTHING RETURNING dedupe_key),
p AS (INSERT INTO pending (account_id, chat_key, kind, dedupe_key, body, item)
      SELECT $1, r.chat_key, r.kind, r.key, r.body, r.item::jsonb FROM r JOIN i ON i.dedupe_key = r.key
       WHERE r.kind <> 0 ORDER BY r.n RETURNING 1),
f AS (INSERT INTO file (account_id, id, inbound, kind, name, mime, size_bytes, dedupe_key, chat_key, platform_ref)
      SELECT $1, a.id, true, a.kind, a.name, a.mime, a.size, r.key, r.chat_key, a.ref
        FROM unnest($8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::bigint[], $14::text[])
             a(id, key, kind, name, mime, size, ref)
        JOIN i ON i.dedupe_key = a.key JOIN r ON r.key = a.key RETURNING 1)
SELECT (SELECT count(*) FROM i) AS new, (SELECT count(*) FROM p) AS pending, (SELECT count(*) FROM f) AS files";

const QUARANTINE: &str = "
INSERT INTO quarantine (account_id, dedupe_key, reason, raw)
SELECT $1, key, reason, raw FROM unnest($2::text[], $3::text[], $4::bytea[]) u(key, reason, raw)
 ORDER BY key COLLATE \"C\" ON CONFLICT DO NOTHING";

// The lease's CTE is joined: an unreferenced one would lock and check nothing.
const MOVE_CURSOR: &str = "
WITH me AS (SELECT account_id FROM account_lease WHERE account_id = $1 AND epoch = $2 FOR SHARE)
INSERT INTO account_cursor (account_id, cursor) SELECT account_id, $3 FROM me
    ON CONFLICT (account_id) DO UPDATE SET cursor = excluded.cursor, moved_at = now()";

/// For tests that read plans and try rights.
#[cfg(any(test, feature = "testkit"))]
pub(super) const HOT: &[&str] = &[STORE, QUARANTINE, MOVE_CURSOR];

/// What an operator's replay does, too.
#[cfg(test)]
pub(super) const REPLAYED: &[&str] = &[STORE, QUARANTINE];

impl Database {
    /// Stores a batch and moves the cursor, all or nothing. When this returns, the batch may be acknowledged
    /// to the platform: the transaction wrote, even if every fact was a repeat (a repeat that wrote nothing
    /// could return before the original is replicated).
    pub async fn store_inbound(
        &self,
        account: AccountId,
        facts: &[(Inbound, RawUpdate)],
        quarantined: &[Quarantined],
        cursor: Option<&CursorMove>,
    ) -> Result<Stored, StoreError> {
        self.within(async {
            let rows = Rows::of(facts);
            let connection = self.connection().await?;
            let to = match cursor {
                Some(to) => Some((connection.prepare_cached(MOVE_CURSOR).await?, to)),
                None => None,
            };
            point("W3");
            let mut stored = Stored::default();
            let transaction = if rows.keys.is_empty() {
                Work::open(connection).await?
            } else {
                let statement = connection.prepare_cached(STORE).await?;
                let (transaction, told) = Work::begin(connection, &statement, &rows.values(&account.0)).await?;
                let row = told.first().ok_or_else(|| StoreError::Unexpected("nothing was counted".to_owned()))?;
                stored.new = row.get::<_, i64>("new") as usize;
                stored.files = row.get::<_, i64>("files") as usize;
                stored.repeated = facts.len() - stored.new;
                transaction
            };
            let client = transaction.client();
            if !quarantined.is_empty() {
                let keys: Vec<&str> = quarantined.iter().map(|q| q.dedupe_key.as_str()).collect();
                let reasons: Vec<&str> = quarantined.iter().map(|q| q.reason.as_str()).collect();
                let raws: Vec<&[u8]> = quarantined.iter().map(|q| q.raw.0.as_slice()).collect();
                let statement = client.prepare_cached(QUARANTINE).await?;
                let put = client.execute(&statement, &[&account.0, &keys, &reasons, &raws]).await?;
                stored.quarantined = put as usize;
            }
            // A commit that wrote a row waits for the replicas, and so for the originals of its repeats.
            if stored.new + stored.quarantined == 0 && !sabotaged(Sabotage::AckRepeatUnwritten) {
                client.batch_execute("SELECT pg_logical_emit_message(true, 'switchboard', '')").await?;
            }
            point("W4");
            match to {
                // The lease is locked by the last statement, which travels with the commit: a process that freezes or is cut
                // off in the middle must not keep its successor from raising the epoch.
                Some((statement, to)) => {
                    let moved = transaction.commit_with(&statement, &[&account.0, &to.epoch.0, &to.cursor]).await?;
                    stored.cursor_moved = moved == 1;
                }
                None => transaction.commit().await?,
            }
            Ok(stored)
        })
        .await
    }

    /// How far a polled platform has been read; `None` before the first time.
    pub async fn cursor(&self, account: AccountId) -> Result<Option<String>, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            let row =
                connection.query_opt("SELECT cursor FROM account_cursor WHERE account_id = $1", &[&account.0]).await?;
            connection.done();
            Ok(row.map(|row| row.get(0)))
        })
        .await
    }
}

/// The batch as columns.
#[derive(Default)]
struct Rows<'a> {
    keys: Vec<&'a str>,
    chats: Vec<&'a str>,
    kinds: Vec<i16>,
    bodies: Vec<Option<String>>,
    items: Vec<Option<String>>,
    raws: Vec<&'a [u8]>,
    files: Files<'a>,
}

/// Files of the batch, each with the key of the fact it came with.
#[derive(Default)]
struct Files<'a> {
    ids: Vec<String>,
    keys: Vec<&'a str>,
    kinds: Vec<&'static str>,
    names: Vec<Option<String>>,
    mimes: Vec<Option<String>>,
    sizes: Vec<Option<i64>>,
    refs: Vec<String>,
}

impl<'a> Rows<'a> {
    fn of(facts: &'a [(Inbound, RawUpdate)]) -> Self {
        let mut rows = Self::default();
        let mut seen = std::collections::HashSet::new();
        for (fact, raw) in facts {
            // The first of equal keys in a batch is the fact, the others are repeats.
            if !seen.insert(fact.dedupe_key.as_str()) {
                continue;
            }
            rows.keys.push(&fact.dedupe_key);
            rows.chats.push(&fact.chat.key);
            rows.kinds.push(fact.item.kind() as i16);
            rows.bodies.push(body(&fact.item));
            let files = rows.files.of(fact);
            rows.items.push((fact.item.kind() != ItemKind::Ignored).then(|| item(fact, files)));
            rows.raws.push(&raw.0);
        }
        rows
    }

    fn values<'b>(&'b self, account: &'b i32) -> [&'b (dyn ToSql + Sync); 14] {
        let files = &self.files;
        [
            account,
            &self.keys,
            &self.chats,
            &self.kinds,
            &self.bodies,
            &self.items,
            &self.raws,
            &files.ids,
            &files.keys,
            &files.kinds,
            &files.names,
            &files.mimes,
            &files.sizes,
            &files.refs,
        ]
    }
}

impl<'a> Files<'a> {
    /// Gives each attachment of a fact its id, and notes it; returns how entries name them.
    fn of(&mut self, fact: &'a Inbound) -> Vec<FileItem> {
        let InboundItem::Message { attachments, .. } = &fact.item else { return Vec::new() };
        let noted = attachments.iter().map(|file| {
            let named = FileItem {
                file: FileId::new().to_string(),
                kind: file.kind.as_str().to_owned(),
                name: file.name.as_deref().and_then(file_name),
                mime: file.mime.as_deref().and_then(text::media_type),
                size_bytes: file.size_bytes.filter(|size| *size >= 0),
            };
            self.ids.push(named.file.clone());
            self.keys.push(&fact.dedupe_key);
            self.kinds.push(file.kind.as_str());
            self.names.push(named.name.clone());
            self.mimes.push(named.mime.clone());
            self.sizes.push(named.size_bytes);
            self.refs.push(text::storable(&file.platform_ref));
            named
        });
        noted.collect()
    }
}

fn body(item: &InboundItem) -> Option<String> {
    match item {
        InboundItem::Message { text, .. } | InboundItem::Edit { text, .. } => Some(text::storable(text)),
        InboundItem::Membership { .. } | InboundItem::Ignored => None,
    }
}

fn item(fact: &Inbound, files: Vec<FileItem>) -> String {
    let mut item = CustomerItem {
        group: fact.chat.kind == ChatKind::Group,
        title: fact.chat.title.as_deref().map(text::storable),
        author_id: text::storable(&fact.author.platform_id),
        author_name: fact.author.name.as_deref().map(text::storable),
        files,
        ..CustomerItem::default()
    };
    match &fact.item {
        InboundItem::Message { content, .. } => item.content = content.iter().map(Into::into).collect(),
        InboundItem::Edit { of_key, .. } => item.of_key = Some(of_key.clone()),
        InboundItem::Membership { left } => item.left = Some(*left),
        InboundItem::Ignored => {}
    }
    serde_json::to_string(&item).expect("strings and booleans are JSON")
}
