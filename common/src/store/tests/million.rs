//! Pages over many messages: what one costs must not grow with them. Times are printed; they are a test of their own under
//! SWITCHBOARD_TEST_FULL, when nothing else runs.

use std::io::Write;
use std::time::Instant;

use serde_json::Value;

use super::super::loader::{DECIDED, DETAILS, PROPOSED, PROPOSED_OF_ACCOUNT};
use super::*;

/// Messages of each chat, half of them the customer's.
const EACH: i64 = 20;

/// Begin of the month that most pages ask for.
const DAY: &str = "2026-03-10";

/// Adds chats up to the number `chats`, spread over three months: each has messages on some three days in a row.
async fn fill(f: &Fixture, from: i64, chats: i64) {
    let account = f.account.0;
    // A connection of its own: services' connections give up sooner.
    let (client, connection) = tokio_postgres::connect(&f.test.url, tokio_postgres::NoTls).await.unwrap();
    let driver = tokio::spawn(connection);
    let insert = format!(
        "SET timezone = 'UTC'; SET synchronous_commit = off;
         INSERT INTO customer (account_id, id, platform_id, name)
         SELECT {account}, n, 'c' || n, 'Name ' || n FROM generate_series({from}::bigint, {chats}) n;
         INSERT INTO chat (account_id, id, platform_key, customer_id, title, last_seq, queue_id, last_in_at)
         SELECT {account}, n, 'c' || n, n, 'Title', {EACH}, 1, '2026-12-01' FROM generate_series({from}::bigint, {chats}) n;
         INSERT INTO history (account_id, chat_id, seq, at, kind, author_kind, author_id, body)
         SELECT {account}, n, s, timestamptz '2026-02-01T00:00:00Z' + (n * 7919 % 80) * interval '1 day'
                + (n * 31 % 86400) * interval '1 s' + s * interval '2 hours 59 min', 1, 1 + s % 2, n, 'some words of a message'
           FROM generate_series({from}::bigint, {chats}) n, generate_series(1, {EACH}) s;
         INSERT INTO chat_day
         SELECT DISTINCT {account}, (at AT TIME ZONE 'UTC')::date, chat_id FROM history
          WHERE chat_id >= {from} AND author_kind = 1 ORDER BY 2, 3 ON CONFLICT DO NOTHING"
    );
    client.batch_execute(&insert).await.unwrap();
    client.batch_execute("VACUUM ANALYZE history, chat, chat_day, customer").await.unwrap();
    drop(client);
    driver.await.unwrap().unwrap();
}

/// Buffers that a statement touches, planned as the services do. No table may be read from its begin to its end.
async fn buffers(f: &Fixture, sql: &str, arguments: &str) -> i64 {
    let connection = f.database.connection().await.unwrap();
    connection.batch_execute(&format!("PREPARE page AS {sql}")).await.unwrap();
    let explain = format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE page({arguments})");
    let plan: Value = connection.query_one(&explain, &[]).await.unwrap().get(0);
    connection.batch_execute("DEALLOCATE page").await.unwrap();
    connection.done();
    let text = plan.to_string();
    for whole in ["\"Seq Scan\"", "Bitmap", "\"Hash Join\"", "\"Merge Join\""] {
        assert!(!text.contains(whole), "{whole}: {sql}\n{text}");
    }
    let top = &plan[0]["Plan"];
    top["Shared Hit Blocks"].as_i64().unwrap() + top["Shared Read Blocks"].as_i64().unwrap()
}

/// What the statements of a page of 50 cost: its proposal over one day and over a month, its decision, its details.
async fn page_costs(f: &Fixture) -> [i64; 5] {
    let rows = f.number(&format!("SELECT count(*) FROM chat_day WHERE day = '{DAY}'")).await;
    assert!(rows > 100, "{rows}");
    let connection = f.database.connection().await.unwrap();
    let ids = format!(
        "SELECT array_agg(chat_id)::text FROM (SELECT chat_id FROM chat_day WHERE day = '{DAY}' ORDER BY 1 LIMIT 51) x"
    );
    let ids: String = connection.query_one(&ids, &[]).await.unwrap().get(0);
    connection.done();
    let day = format!("'{ids}', '{DAY}T00:00:00Z', '{DAY}T24:00:00Z', NULL");
    [
        buffers(f, PROPOSED, &format!("'{DAY}', '{DAY}', 0, 51")).await,
        buffers(f, PROPOSED, "'2026-03-01', '2026-03-31', 0, 51").await,
        buffers(f, PROPOSED_OF_ACCOUNT, &format!("'2026-03-01', '2026-03-31', 0, 51, {}", f.account.0)).await,
        buffers(f, DECIDED, &format!("{day}, NULL, NULL, NULL")).await,
        buffers(f, DETAILS, &day).await,
    ]
}

/// Reads `pages` pages and returns the median and the 99th percentile of their times, in milliseconds.
async fn times(f: &Fixture, span: (&str, &str), pages: usize) -> (f64, f64) {
    let filter = ChatFilter {
        span: Span { from: span.0.parse().unwrap(), to: span.1.parse().unwrap() },
        viewer: None,
        account: None,
        agent: None,
        queue: None,
        state: None,
    };
    let (mut times, mut after) = (Vec::new(), ChatId(0));
    while times.len() < pages {
        let begun = Instant::now();
        let page = f.database.chats_page(&filter, after, 50).await.unwrap();
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
        after = page.next.unwrap_or(ChatId(0));
    }
    times.sort_by(f64::total_cmp);
    (times[pages / 2], times[pages * 99 / 100])
}

/// Every chat of a span, page by page: a page may be short, because looking for chats ends after a while, and never skips.
async fn walked(f: &Fixture, from: &str, to: &str) -> Vec<i64> {
    let filter = ChatFilter {
        span: Span { from: from.parse().unwrap(), to: to.parse().unwrap() },
        viewer: None,
        account: None,
        agent: None,
        queue: None,
        state: None,
    };
    let (mut chats, mut after) = (Vec::new(), Some(ChatId(0)));
    while let Some(last) = after {
        let page = f.database.chats_page(&filter, last, 50).await.unwrap();
        chats.extend(page.chats.iter().map(|chat| chat.id.0));
        after = page.next;
    }
    chats
}

#[tokio::test]
async fn a_page_costs_the_same_among_a_million_messages() {
    #[allow(clippy::disallowed_methods)] // for tests only: no option of the product
    let full = std::env::var_os("SWITCHBOARD_TEST_FULL").is_some();
    let f = Fixture::new(1).await;
    f.run("SELECT ensure_history_partition(m) FROM unnest('{2026-02-01,2026-03-01,2026-04-01,2026-05-01}'::date[]) m")
        .await;
    let mut filled = 0;
    let mut first = None;
    for chats in [5_000, 50_000, 500_000].into_iter().take(if full { 3 } else { 2 }) {
        fill(&f, filled + 1, chats).await;
        filled = chats;
        if first.is_none() {
            let (from, to) = ("2026-03-10T09:30:00Z", "2026-03-10T10:30:00Z");
            let wrote = format!(
                "SELECT count(DISTINCT chat_id) FROM history WHERE author_kind = 1 AND kind = 1 AND at >= '{from}' AND at < '{to}'"
            );
            let walked = walked(&f, from, to).await;
            assert_eq!(walked.len() as i64, f.number(&wrote).await, "all, and each once");
            assert!(!walked.is_empty() && walked.is_sorted_by(|a, b| a < b));
        }
        let costs = page_costs(&f).await;
        let hour = times(&f, ("2026-03-10T09:30:00Z", "2026-03-10T10:30:00Z"), 50).await;
        let local_day = times(&f, ("2026-03-09T21:00:00Z", "2026-03-10T21:00:00Z"), 200).await;
        let month = times(&f, ("2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"), 200).await;
        let said = writeln!(
            std::io::stdout(),
            "{} messages: buffers {costs:?}; ms p50 and p99 of pages of an hour {hour:.1?}, a day {local_day:.1?}, a month {month:.1?}",
            chats * EACH
        );
        said.unwrap();
        let few = *first.get_or_insert(costs);
        for (many, few) in costs.iter().zip(few) {
            assert!(*many as f64 <= 1.5 * few as f64 + 10.0, "{costs:?} among many, {few:?} among few");
        }
        if full {
            assert!(local_day.1.max(month.1) < 100.0);
        }
    }
    f.test.finish().await;
}
