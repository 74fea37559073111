//! A page of the loader's lists, among few messages and among many.

use std::time::Instant;

use switchboard_tests::harness::{Fleet, FleetOptions};
use tokio_postgres::Client;

use crate::figures::percentile;
use crate::report::{Better, Metric, Report};
use crate::{Asked, floor, stage};

/// Messages of each chat, half of them the customer's.
const EACH: i64 = 20;
/// What a page asks for.
const DAY: &str = "from=2026-03-10T00:00:00Z&to=2026-03-11T00:00:00Z&limit=50";
/// The same of a longer time.
const MONTH: &str = "from=2026-03-01T00:00:00Z&to=2026-04-01T00:00:00Z&limit=50";

/// Measures the row.
pub async fn run(asked: &Asked, report: &mut Report) -> anyhow::Result<()> {
    let fleet = Fleet::start(FleetOptions { loader: true, ..stage::options("bench-loader") }).await;
    let token = fleet.operate(&["token", "--service", "bench", "--scope", "loader", "--ttl", "12h"]);
    let database = floor::bare::connect(&fleet.postgres.url()).await?;
    database.batch_execute("SET enable_seqscan = on; SET plan_cache_mode = auto; SET synchronous_commit = off").await?;
    let (few, many) = asked.pick((5_000, 50_000), (5_000, 500_000));
    fill(&database, 1, few).await?;
    let small = Pages::read(&fleet, &token, asked.pick(200, 500)).await?;
    fill(&database, few + 1, many).await?;
    let large = Pages::read(&fleet, &token, asked.pick(200, 500)).await?;
    let note = format!("{} messages; floor = among {}", many * EACH, few * EACH);
    for (name, large, small) in [
        ("loader_page_of_a_day", large.day, small.day),
        ("loader_page_of_a_month", large.month, small.month),
        ("loader_page_of_a_log", large.log, small.log),
    ] {
        let metric = Metric::new(name, large.clone(), "ms").over(&large, &small);
        report.add(metric.goal(Better::Lower, 1.5).note(note.clone()));
    }
    Ok(())
}

/// Adds chats up to the number `to`, spread over three months: each has messages on some three days in a row.
async fn fill(database: &Client, from: i64, to: i64) -> anyhow::Result<()> {
    let account: i32 = database.query_one("SELECT id FROM account", &[]).await?.get(0);
    let months =
        "SELECT ensure_history_partition(m) FROM unnest('{2026-02-01,2026-03-01,2026-04-01,2026-05-01}'::date[]) m";
    database.batch_execute(months).await?;
    // In pieces: one transaction of ten million rows holds back everything else.
    let mut first = from;
    while first <= to {
        let last = to.min(first + 19_999);
        let sql = format!(
            "INSERT INTO customer (account_id, id, platform_id, name)
             SELECT {account}, n, 'c' || n, 'Name ' || n FROM generate_series({first}::bigint, {last}) n;
             INSERT INTO chat (account_id, id, platform_key, customer_id, title, last_seq, queue_id, last_in_at)
             SELECT {account}, n, 'c' || n, n, 'Title', {EACH}, 1, '2026-12-01' FROM generate_series({first}::bigint, {last}) n;
             INSERT INTO history (account_id, chat_id, seq, at, kind, author_kind, author_id, body)
             SELECT {account}, n, s, timestamptz '2026-02-01T00:00:00Z' + (n * 7919 % 80) * interval '1 day'
                    + (n * 31 % 86400) * interval '1 s' + s * interval '2 hours 59 min', 1, 1 + s % 2, n, 'some words of a message'
               FROM generate_series({first}::bigint, {last}) n, generate_series(1, {EACH}) s;
             INSERT INTO chat_day
             SELECT DISTINCT {account}, (at AT TIME ZONE 'UTC')::date, chat_id FROM history
              WHERE account_id = {account} AND chat_id BETWEEN {first} AND {last} AND author_kind = 1 ORDER BY 2, 3 ON CONFLICT DO NOTHING"
        );
        database.batch_execute(&sql).await?;
        first = last + 1;
    }
    database.batch_execute("VACUUM ANALYZE history, chat, chat_day, customer").await?;
    database.batch_execute("CHECKPOINT").await?;
    Ok(())
}

/// Medians of fifths of the pages, in milliseconds.
struct Pages {
    day: Vec<f64>,
    month: Vec<f64>,
    log: Vec<f64>,
}

impl Pages {
    async fn read(fleet: &Fleet, token: &str, pages: usize) -> anyhow::Result<Self> {
        let (mut log, client) = (Vec::new(), reqwest::Client::new());
        let get = async |path: String| {
            let url = format!("http://127.0.0.1:{}{path}", fleet.loader_port);
            let begun = Instant::now();
            let answer = client.get(url).bearer_auth(token).send().await?;
            let status = answer.status();
            let bytes = answer.bytes().await?;
            let took = begun.elapsed().as_nanos() as u64;
            let body: serde_json::Value = serde_json::from_slice(&bytes)?;
            anyhow::ensure!(status.is_success(), "{path}: {status} {body}");
            anyhow::Ok((took, body))
        };
        let listed = async |period: &str| {
            let (mut times, mut cursor, mut items) = (Vec::new(), String::new(), 0);
            while times.len() < pages + 20 {
                let (time, body) = get(format!("/v1/chats?{period}{cursor}")).await?;
                items += body["items"].as_array().map_or(0, Vec::len);
                cursor = body["next_cursor"].as_str().map(|next| format!("&cursor={next}")).unwrap_or_default();
                times.push(time);
            }
            anyhow::ensure!(items > times.len() * 20, "{items} chats on {} pages", times.len());
            anyhow::Ok(times)
        };
        let (day, month) = (listed(DAY).await?, listed(MONTH).await?);
        for chat in 0..pages as i64 + 20 {
            log.push(get(format!("/v1/chats/{}/history?limit=20", chat * 3 + 1)).await?.0);
        }
        // The first of each warm what any reader has warm.
        let medians = |times: Vec<u64>| {
            let fifth = |times: &[u64]| {
                let mut times = times.to_vec();
                times.sort_unstable();
                percentile(&times, 0.5) as f64 / 1e6
            };
            times[20..].chunks(pages / 5).map(fifth).collect()
        };
        Ok(Self { day: medians(day), month: medians(month), log: medians(log) })
    }
}
