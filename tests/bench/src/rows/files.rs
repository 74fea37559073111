//! Upload and download of a file against writing and reading the same chunks in a bare loop.

use std::time::{Duration, Instant};

use anyhow::Context;
use reqwest::header;
use serde_json::Value;
use switchboard_tests::harness::{Fleet, FleetOptions};
use tokio_postgres::Client;

use crate::report::{Better, Metric, Report};
use crate::{Asked, floor, stage};

/// As the file server stores them.
const CHUNK: usize = 256 * 1024;
/// Chunks of a commit, and of a read.
const AT_ONCE: usize = 4;
/// What one exchange may add to the connector's memory at most, in MB.
const FLAT_MB: f64 = 16.0;

/// Measures the row.
pub async fn run(asked: &Asked, report: &mut Report) -> anyhow::Result<()> {
    let mut fleet = Fleet::start(FleetOptions { webhook: true, ..stage::options("bench-files") }).await;
    fleet.active().await;
    let database = floor::bare::connect(&fleet.postgres.url()).await?;
    database.batch_execute("CREATE TABLE floor_chunk (file_id text NOT NULL, seq int NOT NULL, data bytea NOT NULL, PRIMARY KEY (file_id, seq)); ALTER TABLE floor_chunk ALTER COLUMN data SET STORAGE EXTERNAL").await?;
    let bytes = vec![0x5au8; 48 * 1024 * 1024];
    let client = Files::new(&fleet);
    let (mut ups, mut raw_ups, mut downs, mut raw_downs) = (vec![], vec![], vec![], vec![]);
    client.put("warm", &bytes[..CHUNK * 8]).await?;
    let before = peak(fleet.connector(0).pid())?;
    for round in 0..asked.pick(3, 7) {
        raw_ups.push(rate(&bytes, raw_write(&database, round, &bytes).await?));
        let (file, took) = client.put(&format!("round-{round}"), &bytes).await?;
        ups.push(rate(&bytes, took));
        raw_downs.push(rate(&bytes, raw_read(&database, round, bytes.len()).await?));
        downs.push(rate(&bytes, client.get(&file, bytes.len()).await?));
        database.batch_execute("CHECKPOINT").await?;
    }
    let grown = peak(fleet.connector(0).pid())? - before;
    let note = "floor = raw chunks, four a commit";
    let up = Metric::new("upload", ups.clone(), "MB/s").over(&ups, &raw_ups).note(note);
    report.add(up.goal(Better::Higher, 0.8));
    let down = Metric::new("download", downs.clone(), "MB/s")
        .over(&downs, &raw_downs)
        .note("floor = raw chunks, four a query");
    report.add(down.goal(Better::Higher, 0.8));
    let flat = Metric::new("file_memory", [grown], "MB").goal(Better::Lower, FLAT_MB);
    report.add(flat.note("the connector's peak beyond that of a small upload, files of 50 MB"));
    Ok(())
}

fn rate(bytes: &[u8], took: Duration) -> f64 {
    bytes.len() as f64 / 1e6 / took.as_secs_f64()
}

/// The most memory that a process ever had resident, in MB.
fn peak(pid: u32) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).context("VmHWM")?;
    let kib: f64 = line.split_whitespace().nth(1).context("VmHWM")?.parse()?;
    Ok(kib * 1024.0 / 1e6)
}

async fn raw_write(database: &Client, round: usize, bytes: &[u8]) -> anyhow::Result<Duration> {
    let sql = "INSERT INTO floor_chunk SELECT $1, c.seq, c.data FROM unnest($2::int[], $3::bytea[]) c (seq, data)";
    let (write, name) = (database.prepare(sql).await?, format!("f{round}"));
    let begun = Instant::now();
    let chunks: Vec<&[u8]> = bytes.chunks(CHUNK).collect();
    for (place, some) in chunks.chunks(AT_ONCE).enumerate() {
        let seqs: Vec<i32> = (0..some.len()).map(|n| (place * AT_ONCE + n) as i32).collect();
        database.execute(&write, &[&name, &seqs, &some]).await?;
    }
    Ok(begun.elapsed())
}

async fn raw_read(database: &Client, round: usize, size: usize) -> anyhow::Result<Duration> {
    let sql = "SELECT data FROM floor_chunk WHERE file_id = $1 AND seq >= $2 AND seq < $2 + $3 ORDER BY seq";
    let (read, name) = (database.prepare(sql).await?, format!("f{round}"));
    let (begun, mut seq, mut got) = (Instant::now(), 0i32, 0);
    while got < size {
        let rows = database.query(&read, &[&name, &seq, &(AT_ONCE as i32)]).await?;
        anyhow::ensure!(!rows.is_empty(), "chunks are missing");
        got += rows.iter().map(|row| row.get::<_, &[u8]>(0).len()).sum::<usize>();
        seq += AT_ONCE as i32;
    }
    Ok(begun.elapsed())
}

/// An agent's way to the files.
struct Files {
    client: reqwest::Client,
    base: String,
    token: String,
}

impl Files {
    fn new(fleet: &Fleet) -> Self {
        let base = format!("{}/files/support", fleet.connector_bases()[0]);
        Self { client: reqwest::Client::new(), base, token: fleet.operate(&["token", "--agent", "anna"]) }
    }

    async fn put(&self, key: &str, bytes: &[u8]) -> anyhow::Result<(String, Duration)> {
        let request = self.client.put(format!("{}/{key}", self.base)).query(&[("name", "a.bin")]);
        let request = request.bearer_auth(&self.token).header(header::CONTENT_TYPE, "application/octet-stream");
        let request = request.body(bytes.to_vec());
        let begun = Instant::now();
        let answer = request.send().await?;
        let (status, told) = (answer.status(), answer.json::<Value>().await?);
        let file = told["file"].as_str().with_context(|| format!("{status} {told}"))?;
        Ok((file.to_owned(), begun.elapsed()))
    }

    async fn get(&self, file: &str, size: usize) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let mut answer = self.client.get(format!("{}/{file}", self.base)).bearer_auth(&self.token).send().await?;
        let mut got = 0;
        while let Some(chunk) = answer.chunk().await? {
            got += chunk.len();
        }
        anyhow::ensure!(got == size, "{got} bytes came, not {size}");
        Ok(begun.elapsed())
    }
}
