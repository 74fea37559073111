//! The plans of the hot statements. They are planned once per connection, in a database that may be empty: a plan that reads
//! a whole table, or is costed as if it did (and then compiled at every execution), would stay for the connection's life.

use super::super::{
    agents, append, chats, claim, decisions, drain, enclosures, entries, exchanges, feeds, fetches, files, heads,
    loader, moves, opens, outbox, reading, registration, replies, sender, takeover, views, waiting, whispers,
};
use super::*;

#[tokio::test]
async fn no_hot_statement_reads_a_whole_table() {
    let f = Fixture::new(1).await;
    f.taken("c1").await;
    let statements: Vec<&str> = [
        agents::HOT.to_vec(),
        append::HOT.to_vec(),
        chats::HOT.to_vec(),
        claim::HOT.to_vec(),
        decisions::HOT.to_vec(),
        drain::hot(),
        enclosures::HOT.to_vec(),
        exchanges::HOT.to_vec(),
        feeds::hot(),
        fetches::HOT.to_vec(),
        files::hot(),
        heads::HOT.to_vec(),
        loader::hot(),
        moves::HOT.to_vec(),
        opens::HOT.to_vec(),
        outbox::HOT.to_vec(),
        reading::HOT.to_vec(),
        replies::HOT.to_vec(),
        registration::HOT.to_vec(),
        sender::HOT.to_vec(),
        takeover::HOT.to_vec(),
        views::hot(),
        waiting::HOT.to_vec(),
        whispers::HOT.to_vec(),
    ]
    .concat();
    assert!(statements.len() > 20 && entries::ENTRY_COLUMNS.contains("entry_seq"));
    let connection = f.database.connection().await.unwrap();
    for sql in statements {
        let nulls = vec!["NULL"; connection.prepare(sql).await.unwrap().params().len()].join(", ");
        let arguments = if nulls.is_empty() { String::new() } else { format!("({nulls})") };
        connection.batch_execute(&format!("PREPARE hot AS {sql}")).await.unwrap();
        let rows = connection.query(&format!("EXPLAIN EXECUTE hot{arguments}"), &[]).await.unwrap();
        connection.batch_execute("DEALLOCATE hot").await.unwrap();
        let plan = rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>().join("\n");
        let cost = plan
            .split_once("..")
            .and_then(|(_, rest)| rest.split_once(' '))
            .and_then(|(cost, _)| cost.parse::<f64>().ok());
        assert!(!plan.contains("Seq Scan") && cost.is_some_and(|cost| cost < 100_000.0), "{cost:?}: {sql}\n{plan}");
    }
    connection.done();
    f.finish().await;
}
