//! Exports: the lists' chats and the histories' entries, as rows.

use std::collections::BTreeMap;

use super::*;
use crate::export::COLUMNS;

async fn export(office: &Office, query: &str) -> reqwest::Response {
    let url = format!("http://{}/v1/chats/export?{query}", office.address);
    let answer = office.http.get(url).bearer_auth(reader()).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{query}");
    answer
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn records(text: &str) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    assert_eq!(reader.headers().unwrap(), COLUMNS.as_slice());
    reader.deserialize().map(|row| row.unwrap()).collect()
}

#[tokio::test]
async fn an_export_is_the_pages_and_their_histories() {
    let office = Office::new().await;
    // Some chats longer than one look into the logs, some longer than a page of one chat.
    for (chat, messages) in [(1, 1), (2, 31), (3, 32), (4, 33), (5, 300), (6, 2)] {
        office
            .say(chat % 2, (0..messages).map(|n| message(&format!("c{chat}"), n, &format!("number {n}"))).collect())
            .await;
    }
    office.say(0, (10..60).map(|n| message(&format!("c{n}"), 1, "hello")).collect()).await;
    let now = around_now();
    let mut want = Vec::new();
    for chat in office.chats(&format!("{now}&limit=9"), &reader()).await {
        let mut after = Some(0);
        while let Some(seq) = after {
            let page = office.read(&format!("/v1/chats/{chat}/history?after={seq}&limit=200"), &reader()).await;
            want.extend(page["entries"].as_array().unwrap().iter().cloned());
            after = page["next_after"].as_i64();
        }
    }
    assert!(want.len() > 500);
    let answer = export(&office, &format!("{now}&format=ndjson")).await;
    assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
    assert_eq!(answer.headers()["content-disposition"], "attachment; filename=\"chats.ndjson\"");
    assert_eq!(lines(&answer.text().await.unwrap()), want);

    let rows = records(&export(&office, &format!("{now}&format=csv")).await.text().await.unwrap());
    assert_eq!(rows.len(), want.len());
    for (row, entry) in rows.iter().zip(&want) {
        assert_eq!((&*row["chat"], &*row["kind"]), (entry["chat"].as_str().unwrap(), entry["kind"].as_str().unwrap()));
        assert_eq!(row["seq"], entry["seq"].to_string());
        assert_eq!(row["text"], entry["text"].as_str().unwrap_or_default());
        assert_eq!(row["author_name"], entry["author"]["name"].as_str().unwrap_or_default());
        assert!(row["at"].starts_with(entry["at"].as_str().unwrap().trim_end_matches('Z')), "{row:?}");
    }
    let filtered = export(&office, &format!("{now}&format=ndjson&account=second")).await.text().await.unwrap();
    assert_eq!(lines(&filtered).len(), 2 + 33 + 301, "the odd chats, each with its `opened`");
    let nothing = "from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z";
    assert_eq!(export(&office, &format!("{nothing}&format=ndjson")).await.text().await.unwrap(), "");
    assert_eq!(records(&export(&office, &format!("{nothing}&format=csv")).await.text().await.unwrap()).len(), 0);
    office.finish().await;
}

#[tokio::test]
async fn only_what_was_said_in_the_period_is_exported() {
    let office = Office::new().await;
    for at in ["2026-03-03T08:59:59.999999Z", "2026-03-03T09:00:00Z", "2026-03-03T09:30:00Z", "2026-03-03T10:00:00Z"] {
        office.wrote(0, "c1", 1, at).await;
    }
    let answer = export(&office, "from=2026-03-03T09:00:00Z&to=2026-03-03T10:00:00Z&format=csv").await;
    let rows = records(&answer.text().await.unwrap());
    let said: Vec<&str> = rows.iter().map(|row| row["at"].as_str()).collect();
    assert_eq!(said, ["2026-03-03T09:00:00.000000Z", "2026-03-03T09:30:00.000000Z"]);
    office.finish().await;
}

#[tokio::test]
async fn no_cell_is_a_formula() {
    let office = Office::new().await;
    let texts = [
        "=HYPERLINK(\"http://evil.example\";\"see\")",
        "+1+cmd|' /C calc'!A0",
        "-2+3",
        "@SUM(A1:A9)",
        "\t=1",
        "\r=1",
        "plain",
        "quoted \"word\", a comma; and\r\na second line",
        "a = b",
        "",
    ];
    let facts = texts.iter().enumerate().map(|(n, text)| message("=c1", n, text)).collect();
    office.say(0, facts).await;
    office.run_sql("UPDATE customer SET name = '=1+1', phone = '+74951234567'").await;
    let text = export(&office, &format!("{}&format=csv", around_now())).await.text().await.unwrap();
    let rows = records(&text);
    let messages: Vec<_> = rows.iter().filter(|row| row["kind"] == "message").collect();
    assert_eq!(messages.len(), texts.len());
    for (row, text) in messages.iter().zip(texts) {
        let dangerous = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
        assert_eq!(row["text"], if dangerous { format!("'{text}") } else { text.to_owned() });
        assert_eq!((&*row["customer_name"], &*row["customer_phone"]), ("'=1+1", "'+74951234567"));
        assert_eq!((&*row["customer_platform_id"], &*row["title"], &*row["author_name"]), ("'=c1", "'=c1", "'=1+1"));
    }
    for cell in rows.iter().flat_map(|row| row.values()) {
        assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell}");
    }
    office.finish().await;
}

#[tokio::test]
async fn exports_at_once_are_bounded_and_given_back() {
    let office = Office::new().await;
    // More than sockets' buffers hold, so that an export that nobody reads is under way.
    let text = "x".repeat(4000);
    for round in 0..20 {
        office.say(0, (0..100).map(|n| message(&format!("c{n}"), round, &text)).collect()).await;
    }
    let query = format!("{}&format=csv", around_now());
    let (first, second) = (export(&office, &query).await, export(&office, &query).await);
    let path = format!("/v1/chats/export?{query}");
    let (status, problem) = office.get(&path, &reader()).await;
    assert_eq!((status, &problem["code"]), (429, &json!("too_many_exports")));
    assert_eq!(problem["retry_after"], 10);
    // One is read to its end, the other's reader goes away: both permits come back.
    let rows = records(&first.text().await.unwrap());
    assert_eq!(rows.iter().filter(|row| row["text"] == text).count(), 2000);
    drop(second);
    let both = async {
        loop {
            let get = || office.http.get(format!("http://{}{path}", office.address)).bearer_auth(reader()).send();
            let (one, other) = (get().await.unwrap(), get().await.unwrap());
            if (one.status(), other.status()) == (reqwest::StatusCode::OK, reqwest::StatusCode::OK) {
                break;
            }
            drop((one, other));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, both).await.expect("permits come back");
    // While exports are under way the lists go on.
    assert_eq!(office.get(&format!("/v1/chats?{}", around_now()), &reader()).await.0, 200);
    office.finish().await;
}

/// Half an export must not pass for a whole one.
#[tokio::test]
async fn an_export_that_is_cut_short_ends_with_an_error() {
    let office = Office::new().await;
    let text = "x".repeat(4000);
    for round in 0..20 {
        office.say(0, (0..100).map(|n| message(&format!("c{n}"), round, &text)).collect()).await;
    }
    let mut answer = export(&office, &format!("{}&format=ndjson", around_now())).await;
    assert!(answer.chunk().await.unwrap().is_some());
    office.run_sql("ALTER TABLE history RENAME TO gone").await;
    let read = async {
        loop {
            match answer.chunk().await {
                Ok(Some(_)) => {}
                end => return end,
            }
        }
    };
    let end = tokio::time::timeout(DEADLINE, read).await.unwrap();
    assert!(end.is_err(), "the reader is told: {end:?}");
    office.finish().await;
}
