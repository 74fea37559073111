//! What each component's role may do, table by table, and what it may not.

use std::collections::BTreeMap;

use super::super::{
    agents, append, chats, claim, decisions, drain, enclosures, exchanges, feeds, fetches, files, heads, intake, lease,
    loader, moves, opens, outbox, reading, registration, replies, sender, takeover, views, waiting, whispers,
};
use super::*;

const ROLES: &str = include_str!("../../../../deploy/sql/roles.sql");

const COMPONENTS: [&str; 4] = ["connector", "chatserver", "loader", "operator"];

/// S select, I insert, U update (u: of some columns), D delete; in the order of [`COMPONENTS`].
const MATRIX: &[(&str, [&str; 4])] = &[
    ("account", ["Su", "S", "S", "SIU"]),
    ("account_cursor", ["SIU", "", "", "S"]),
    ("account_lease", ["SU", "S", "S", "SIU"]),
    ("agent", ["S", "S", "S", "SIU"]),
    ("agent_queue", ["S", "S", "S", "SID"]),
    ("agent_session", ["", "SIUD", "", "S"]),
    ("attempt", ["SIU", "S", "", "S"]),
    ("audit", ["", "", "S", "SI"]),
    ("canned_reply", ["", "S", "", "SIUD"]),
    ("chat", ["S", "SIU", "S", "SU"]),
    ("chat_day", ["", "SI", "S", "S"]),
    ("customer", ["", "SIU", "S", "S"]),
    ("exchange", ["SIUD", "S", "", "SIU"]),
    ("feed", ["", "SU", "", "SIU"]),
    ("feed_entry", ["", "SID", "", "SI"]),
    ("file", ["SIUD", "Su", "S", "SI"]),
    ("file_chunk", ["SIUD", "", "", "S"]),
    ("file_use", ["S", "SI", "S", "S"]),
    ("fleet", ["Su", "S", "S", "Su"]),
    ("history", ["", "SI", "S", "SI"]),
    ("inbox", ["SI", "", "", "SI"]),
    ("interaction", ["", "SIU", "S", "S"]),
    ("outbox", ["SU", "SIU", "S", "SU"]),
    ("pending", ["SI", "SD", "", "SI"]),
    ("quarantine", ["SI", "SIu", "", "SIU"]),
    ("queue", ["S", "S", "S", "SI"]),
    ("refinery_schema_history", ["S", "S", "S", "S"]),
    ("registration", ["SIU", "", "", "S"]),
    ("tenure", ["SIU", "", "", "SIu"]),
    ("whisper", ["", "SID", "", "S"]),
];

const RIGHTS: &str = "
SELECT c.relname::text AS table, r.component,
       concat(CASE WHEN has_table_privilege(role, c.oid, 'SELECT') THEN 'S' END,
              CASE WHEN has_table_privilege(role, c.oid, 'INSERT') THEN 'I' END,
              CASE WHEN has_table_privilege(role, c.oid, 'UPDATE') THEN 'U'
                   WHEN has_any_column_privilege(role, c.oid, 'UPDATE') THEN 'u' END,
              CASE WHEN has_table_privilege(role, c.oid, 'DELETE') THEN 'D' END,
              CASE WHEN has_table_privilege(role, c.oid, 'TRUNCATE, REFERENCES, TRIGGER') THEN '!' END) AS rights
  FROM pg_class c CROSS JOIN unnest($1::text[]) r(component) CROSS JOIN LATERAL (SELECT 'switchboard_' || r.component) n(role)
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition";

/// What a role is refused although a table's right might seem to allow it, and what must be refused to all.
const DENIED: &[(&str, &str)] = &[
    ("loader", "INSERT INTO audit (actor, action, subject) VALUES ('x', 'x', 'x')"),
    ("loader", "SELECT data FROM file_chunk"),
    ("loader", "SELECT 1 FROM outbox FOR UPDATE"),
    (
        "connector",
        "INSERT INTO history (account_id, chat_id, seq, at, kind, author_kind) VALUES (1, 1, 1, now(), 1, 0)",
    ),
    ("connector", "UPDATE account SET settings = '{}'"),
    ("connector", "UPDATE agent SET scopes = '{admin}'"),
    ("connector", "SELECT ensure_history_partition('2031-01-01')"),
    ("chatserver", "UPDATE account_lease SET epoch = epoch + 1"),
    ("chatserver", "UPDATE history SET body = ''"),
    ("chatserver", "UPDATE agent SET enabled = true"),
    ("chatserver", "SELECT said FROM registration"),
    ("operator", "UPDATE registration SET said = '{}'"),
    ("operator", "UPDATE tenure SET epoch = epoch + 1"),
    ("operator", "DELETE FROM audit"),
    ("operator", "UPDATE audit SET actor = 'x'"),
    ("operator", "DELETE FROM history"),
    ("operator", "CREATE TABLE mine (a int)"),
    ("chatserver", "DROP TABLE history"),
];

#[tokio::test]
async fn every_role_may_do_what_its_component_does_and_no_more() {
    let f = Fixture::new(1).await;
    f.run(ROLES).await;
    f.run(ROLES).await; // it can be repeated
    let connection = f.database.connection().await.unwrap();
    let rows = connection.query(RIGHTS, &[&COMPONENTS.to_vec()]).await.unwrap();
    let mut have: BTreeMap<(String, String), String> = BTreeMap::new();
    for row in &rows {
        have.insert((row.get("table"), row.get("component")), row.get("rights"));
    }
    let mut want: BTreeMap<(String, String), String> = BTreeMap::new();
    for (table, rights) in MATRIX {
        for (component, rights) in COMPONENTS.iter().zip(rights) {
            want.insert(((*table).to_owned(), (*component).to_owned()), (*rights).to_owned());
        }
    }
    assert_eq!(have, want, "deploy/sql/roles.sql and this table say the same, of every table");
    for (component, sql) in DENIED {
        connection.batch_execute(&format!("SET ROLE switchboard_{component}")).await.unwrap();
        let error = connection.batch_execute(sql).await.expect_err(sql);
        assert_eq!(error.code().map(|code| code.code()), Some("42501"), "{component}: {sql}: {error}");
        connection.batch_execute("RESET ROLE").await.unwrap();
    }
    every_statement_is_within_the_rights_of_its_component(&connection).await;
    // A month of history, which the chatserver does not own, is made by its owner.
    connection
        .batch_execute("SET ROLE switchboard_chatserver; SELECT ensure_history_partition('2031-01-01')")
        .await
        .unwrap();
    connection.batch_execute("RESET ROLE").await.unwrap();
    let pinned = "SELECT count(*) FROM pg_roles WHERE starts_with(rolname, 'switchboard_') AND NOT rolsuper
                   AND 'search_path=public, pg_temp' = ANY (rolconfig)";
    assert_eq!(f.number(pinned).await, 5);
    drop(connection);
    f.finish().await;
}

/// The statements of each component, by its role.
fn statements() -> [(&'static str, Vec<&'static str>); 4] {
    let decided = [append::HOT, decisions::HOT, &[chats::LOCK_CHAT]].concat();
    let chatserver = [
        agents::HOT,
        chats::HOT,
        decided.as_slice(),
        &drain::hot(),
        enclosures::HOT,
        &feeds::hot(),
        moves::HOT,
        opens::HOT,
        outbox::HOT,
        reading::HOT,
        replies::HOT,
        &views::hot(),
        waiting::HOT,
        whispers::HOT,
    ];
    let connector = [
        claim::HOT,
        exchanges::HOT,
        fetches::HOT,
        &files::hot(),
        heads::HOT,
        intake::HOT,
        lease::TAKEOVER,
        registration::HOT,
        sender::HOT,
        takeover::HOT,
    ];
    // A doctor's question while nobody holds the lease.
    let beside = [exchanges::UNHELD, &[lease::RAISE, lease::RELEASE], takeover::HOT].concat();
    [
        ("chatserver", chatserver.concat()),
        ("connector", connector.concat()),
        ("loader", loader::hot()),
        ("operator", [decided.as_slice(), intake::REPLAYED, &beside].concat()),
    ]
}

/// Rights are asked for when a plan is made ready, whether there are rows or not: also of what seldom happens.
async fn every_statement_is_within_the_rights_of_its_component(connection: &Connection) {
    let mut denied = Vec::new();
    for (component, statements) in statements() {
        assert!(statements.len() > 5, "{component}");
        connection.batch_execute(&format!("SET ROLE switchboard_{component}")).await.unwrap();
        for sql in statements {
            let nulls = vec!["NULL"; connection.prepare(sql).await.unwrap().params().len()].join(", ");
            let arguments = if nulls.is_empty() { nulls } else { format!("({nulls})") };
            connection.batch_execute(&format!("PREPARE hot AS {sql}")).await.unwrap();
            if let Err(error) = connection.batch_execute(&format!("EXPLAIN EXECUTE hot{arguments}")).await {
                denied.push(format!("{component}: {error:?}: {sql}"));
            }
            connection.batch_execute("DEALLOCATE hot").await.unwrap();
        }
        connection.batch_execute("RESET ROLE").await.unwrap();
    }
    assert!(denied.is_empty(), "deploy/sql/roles.sql lacks a grant: {denied:#?}");
}
