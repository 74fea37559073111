//! The database as the checker reads it, and questions the harness asks it to know when all is at rest.

use std::io::{BufWriter, Write};
use std::path::Path;

use tokio_postgres::{Client, NoTls};

/// Tables the checker reads (tests/README.md).
const TABLES: [&str; 18] = [
    "account",
    "agent",
    "queue",
    "feed",
    "feed_entry",
    "customer",
    "chat",
    "interaction",
    "history",
    "inbox",
    "pending",
    "quarantine",
    "outbox",
    "attempt",
    "account_lease",
    "tenure",
    "file",
    "file_use",
];

/// How many bytes are there of each file; the bytes themselves stay where they are.
const CHUNKS: &str = "
SELECT jsonb_build_object('account_id', account_id, 'file_id', file_id, 'chunks', count(*), 'bytes', sum(octet_length(data)))::text
  FROM file_chunk GROUP BY account_id, file_id";

/// Connects as an onlooker.
pub async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Writes every table to `<dir>/dump/<table>.jsonl`, in one snapshot.
pub async fn write(url: &str, dir: &Path) -> anyhow::Result<()> {
    let dump = dir.join("dump");
    std::fs::create_dir_all(&dump)?;
    let client = connect(url).await?;
    client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    for table in TABLES {
        let there = client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&table]).await?;
        if !there.get::<_, bool>(0) {
            continue; // the checker says which tables it cannot do without
        }
        let rows = client.query(&format!("SELECT to_jsonb(t)::text FROM {table} t"), &[]).await?;
        let mut file = BufWriter::new(std::fs::File::create(dump.join(format!("{table}.jsonl")))?);
        for row in rows {
            writeln!(file, "{}", row.get::<_, &str>(0))?;
        }
        file.flush()?;
    }
    let rows = client.query(CHUNKS, &[]).await?;
    let lines: String = rows.iter().map(|row| format!("{}\n", row.get::<_, &str>(0))).collect();
    std::fs::write(dump.join("file_chunk.jsonl"), lines)?;
    client.batch_execute("COMMIT").await?;
    Ok(())
}

/// What still waits: undrained items and files to be fetched, open parts.
pub async fn waiting(url: &str) -> Result<(i64, i64), tokio_postgres::Error> {
    let client = connect(url).await?;
    let row = client
        .query_one("SELECT (SELECT count(*) FROM pending) + (SELECT count(*) FROM file WHERE inbound AND state = 0), (SELECT count(*) FROM outbox WHERE open)", &[])
        .await?;
    Ok((row.get(0), row.get(1)))
}

/// Names and heads of all feeds.
pub async fn heads(url: &str) -> Result<Vec<(String, i64)>, tokio_postgres::Error> {
    let client = connect(url).await?;
    let rows = client.query("SELECT name, last_seq FROM feed", &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
