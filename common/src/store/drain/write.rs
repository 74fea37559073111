//! The second trip: what was decided, pipelined.

use deadpool_postgres::ClientWrapper;
use futures_util::future::try_join3;

use super::super::StoreError;
use super::super::append::{append, expect};
use super::parse::Unreadable;
use super::route::Plan;

// `state`, `queue_id` and `agent_id` are indexed, but rarely change: an update that leaves them as they are stays HOT.
const UPDATE_CHATS: &str = "
UPDATE chat SET last_seq = u.s, state = u.st, agent_id = u.g, queue_id = u.q, interaction_id = u.i, unread = u.un,
       last_in_seq = u.li, last_in_at = CASE WHEN u.heard THEN now() ELSE chat.last_in_at END, title = u.t
  FROM unnest($1::bigint[], $2::bigint[], $3::int2[], $4::int[], $5::int[], $6::bigint[], $7::int[], $8::bigint[], $9::bool[], $10::text[])
       u(c, s, st, g, q, i, un, li, heard, t)
 WHERE chat.id = u.c";

// In a day's last minute the next day as well: now() is when the transaction began, and its entries get a later time. A
// day too many does no harm, readers look into the log; one too few would hide a chat.
const CHAT_DAYS: &str = "
INSERT INTO chat_day (account_id, day, chat_id)
SELECT DISTINCT a, d, c FROM unnest($1::int[], $2::bigint[]) u(a, c),
       unnest(ARRAY[now()::date, (now() + interval '1 min')::date]) d ORDER BY a, d, c ON CONFLICT DO NOTHING";

// Who sees the chat may fetch the file.
const USES: &str = "
INSERT INTO file_use (account_id, file_id, chat_id, chat_seq)
SELECT a, f, c, s FROM unnest($1::int[], $2::text[], $3::bigint[], $4::bigint[]) u(a, f, c, s) ON CONFLICT DO NOTHING";

const QUARANTINE: &str = "
INSERT INTO quarantine (account_id, dedupe_key, reason, raw)
SELECT a, k, r, w FROM unnest($1::int[], $2::text[], $3::text[], $4::bytea[]) u(a, k, r, w)
 ORDER BY a, k COLLATE \"C\"
    ON CONFLICT (account_id, dedupe_key) DO UPDATE SET replayed_at = NULL, reason = excluded.reason";

/// For tests that read them.
#[cfg(any(test, feature = "testkit"))]
pub(super) const HOT: &[&str] = &[UPDATE_CHATS, CHAT_DAYS, USES, QUARANTINE];

/// Writes entries, feeds and chats.
pub(super) async fn write(client: &ClientWrapper, plan: &Plan) -> Result<(), StoreError> {
    if plan.chats.is_empty() {
        return Ok(());
    }
    days(client, plan).await?;
    try_join3(uses(client, plan), chats(client, plan), append(client, &plan.entries)).await?;
    Ok(())
}

async fn chats(client: &ClientWrapper, plan: &Plan) -> Result<(), StoreError> {
    let of = || plan.chats.values().map(|after| &after.chat);
    let ids: Vec<i64> = plan.chats.keys().map(|id| id.0).collect();
    let seqs: Vec<i64> = of().map(|chat| chat.last_seq).collect();
    let states: Vec<i16> = of().map(|chat| chat.state as i16).collect();
    let agents: Vec<Option<i32>> = of().map(|chat| chat.agent.map(|(id, _)| id.0)).collect();
    let queues: Vec<Option<i32>> = of().map(|chat| chat.queue.map(|(id, _)| id.0)).collect();
    let interactions: Vec<Option<i64>> = of().map(|chat| chat.interaction).collect();
    let unread: Vec<i32> = of().map(|chat| chat.unread).collect();
    let heard_at: Vec<i64> = of().map(|chat| chat.last_in_seq).collect();
    let heard: Vec<bool> = plan.chats.values().map(|after| after.heard).collect();
    let titles: Vec<Option<&str>> = of().map(|chat| chat.title.as_deref()).collect();
    let statement = client.prepare_cached(UPDATE_CHATS).await?;
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 10] =
        [&ids, &seqs, &states, &agents, &queues, &interactions, &unread, &heard_at, &heard, &titles];
    expect("chats", client.execute(&statement, &values).await?, ids.len())
}

/// The loader's index: once per chat and day.
async fn days(client: &ClientWrapper, plan: &Plan) -> Result<(), StoreError> {
    let new = || plan.chats.iter().filter(|(_, after)| after.heard && !after.chat.counted_today);
    let chats: Vec<i64> = new().map(|(id, _)| id.0).collect();
    if chats.is_empty() {
        return Ok(());
    }
    let accounts: Vec<i32> = new().map(|(_, after)| after.chat.account.0).collect();
    let statement = client.prepare_cached(CHAT_DAYS).await?;
    client.execute(&statement, &[&accounts, &chats]).await?;
    Ok(())
}

/// Files that the batch's messages show; most batches have none.
async fn uses(client: &ClientWrapper, plan: &Plan) -> Result<(), StoreError> {
    if plan.uses.is_empty() {
        return Ok(());
    }
    let accounts: Vec<i32> = plan.uses.iter().map(|shown| shown.account.0).collect();
    let files: Vec<&str> = plan.uses.iter().map(|shown| shown.file.as_str()).collect();
    let chats: Vec<i64> = plan.uses.iter().map(|shown| shown.chat.0).collect();
    let seqs: Vec<i64> = plan.uses.iter().map(|shown| shown.seq).collect();
    let statement = client.prepare_cached(USES).await?;
    client.execute(&statement, &[&accounts, &files, &chats, &seqs]).await?;
    Ok(())
}

/// Keeps unreadable rows. A key that is there already was put aside before, and replayed by an operator.
pub(super) async fn quarantine(client: &ClientWrapper, rows: &[Unreadable]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let accounts: Vec<i32> = rows.iter().map(|row| row.account.0).collect();
    let keys: Vec<&str> = rows.iter().map(|row| row.key.as_str()).collect();
    let reasons: Vec<&str> = rows.iter().map(|row| row.reason.as_str()).collect();
    let raws: Vec<&[u8]> = rows.iter().map(|row| row.raw.as_slice()).collect();
    let statement = client.prepare_cached(QUARANTINE).await?;
    client.execute(&statement, &[&accounts, &keys, &reasons, &raws]).await?;
    Ok(())
}
