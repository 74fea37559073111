//! Numbers of feeds as a sequence gives them: at once and for good, whenever the transaction commits. Whoever has read up to
//! the highest number has missed what commits later with a lower one. The fault tests switch it on.

use deadpool_postgres::ClientWrapper;

use super::{Pointers, StoreError};

const NUMBERS: &str = "
UPDATE feed SET last_seq = last_seq + k.n FROM (SELECT f, count(*) n FROM unnest($1::int[]) u(f) GROUP BY 1) k
 WHERE feed.id = k.f RETURNING feed.id, feed.last_seq - k.n AS base";

const ENTRIES: &str = "
WITH r AS MATERIALIZED (SELECT * FROM unnest($1::int[], $2::int[], $3::bigint[], $4::bigint[]) WITH ORDINALITY u(f, a, c, s, n)),
uf AS (SELECT * FROM unnest($5::int[], $6::bigint[]) x(id, base))
INSERT INTO feed_entry (feed_id, seq, account_id, chat_id, chat_seq, at)
SELECT r.f, uf.base + row_number() OVER (PARTITION BY r.f ORDER BY r.n), r.a, r.c, r.s, current_setting('switchboard.at')::timestamptz
  FROM r JOIN uf ON uf.id = r.f ORDER BY r.n";

/// Each feed with the number before its next.
pub(super) struct Numbers {
    feeds: Vec<i32>,
    bases: Vec<i64>,
}

/// Takes them, outside the transaction.
pub(super) async fn numbers(client: &ClientWrapper, pointers: &Pointers) -> Result<Numbers, StoreError> {
    client.batch_execute("COMMIT").await?;
    let rows = client.query(NUMBERS, &[&pointers.feeds]).await?;
    client.batch_execute("BEGIN").await?;
    Ok(Numbers {
        feeds: rows.iter().map(|row| row.get(0)).collect(),
        bases: rows.iter().map(|row| row.get(1)).collect(),
    })
}

/// Appends to the feeds under these numbers.
pub(super) async fn point(
    client: &ClientWrapper,
    pointers: &Pointers,
    numbers: &Numbers,
) -> Result<u64, tokio_postgres::Error> {
    let Pointers { feeds, accounts, chats, seqs } = pointers;
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
        [feeds, accounts, chats, seqs, &numbers.feeds, &numbers.bases];
    client.execute(ENTRIES, &values).await
}
