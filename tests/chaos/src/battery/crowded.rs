//! Others at the same database: they take its connections, hold its locks, wait crosswise.

use switchboard_tests::harness::{Client, Fleet, connect, lasting, until};
use switchboard_tests::observer::boottime_ns;

use super::{Scenario, by_webhook, comes_in, goes_on, usual};
use crate::run::Run;

/// Tables that everything passes through.
const TABLES: [&str; 5] = ["inbox", "pending", "chat", "outbox", "account_lease"];

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        id: "F24",
        name: "no_connection_left",
        about: "others take every connection of Postgres: webhooks are refused and not acknowledged, then all goes on",
        quick: false,
        options: by_webhook,
        load: usual,
        breaking: |run| Box::pin(no_connection_left(run)),
    },
    Scenario {
        id: "F24",
        name: "locked_tables",
        about: "LOCK TABLE for longer than a lock is waited for, on each table that matters",
        quick: false,
        options: by_webhook,
        load: usual,
        breaking: |run| Box::pin(locked_tables(run)),
    },
    Scenario {
        id: "F24",
        name: "deadlocks",
        about: "another locks feeds in the opposite order: a drain is the victim, and what it had is drained again",
        quick: false,
        options: by_webhook,
        load: usual,
        breaking: |run| Box::pin(deadlocks(run)),
    },
];

async fn no_connection_left(run: &mut Run) {
    for _ in 0..run.tier.pick(1, 3) {
        let fleet = &mut run.fleet;
        comes_in(fleet, 20).await;
        fleet.witness().open_moment(30).await;
        let master = connect(&fleet.postgres.url()).await.expect("the database answers");
        let begun = boottime_ns();
        let mut crowd = Vec::new();
        // A free place is taken before the product, which tries again and again, finds it.
        let cut = "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
                    WHERE application_name LIKE 'switchboard/%'";
        let left = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'switchboard/%'";
        until("every connection to be ours", 30, async || {
            while let Ok(one) = connect(&fleet.postgres.url()).await {
                crowd.push(one);
            }
            master.query_one(cut, &[]).await.ok()?;
            while let Ok(one) = connect(&fleet.postgres.url()).await {
                crowd.push(one);
            }
            (master.query_one(left, &[]).await.ok()?.get::<_, i64>(0) == 0).then_some(())
        })
        .await;
        let mut witness = fleet.witness();
        let before = witness.acknowledged();
        lasting(5_000).await;
        assert_eq!(witness.acknowledged(), before, "nothing can be stored");
        drop(crowd);
        let freed = boottime_ns();
        fleet.fault("freeze", "postgres", begun);
        comes_in(fleet, 1).await;
        let took = (boottime_ns() - freed) / 1_000_000;
        goes_on(fleet, 10).await;
        run.demand(took <= 5_000, format!("the next acknowledgement came {took} ms after there was room"));
        run.notes.push(format!("room again -> acknowledged: {took} ms"));
        run.witnessed("5 s without an acknowledgement, and no connection of ours");
    }
}

async fn locked_tables(run: &mut Run) {
    for table in TABLES {
        let fleet = &mut run.fleet;
        comes_in(fleet, 10).await;
        goes_on(fleet, 5).await;
        let master = connect(&fleet.postgres.url()).await.expect("the database answers");
        let begun = boottime_ns();
        master.batch_execute(&format!("BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")).await.expect("a lock");
        let waiting = waits(fleet, table).await;
        lasting(4_000).await;
        master.batch_execute("ROLLBACK").await.expect("the lock is ours to give");
        fleet.fault("freeze", "postgres", begun);
        comes_in(fleet, 10).await;
        run.witnessed(format!("{waiting} statements waited for {table}"));
    }
}

/// Waits until somebody of the product waits for a table.
async fn waits(fleet: &Fleet, table: &str) -> i64 {
    let sql = format!(
        "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
          WHERE NOT granted AND relation = '{table}'::regclass AND a.application_name LIKE 'switchboard/%'"
    );
    until("somebody to wait for a table", 30, async || fleet.onlooker.number(&sql).await.filter(|waiting| *waiting > 0))
        .await
}

async fn deadlocks(run: &mut Run) {
    let mut ours = 0;
    for _ in 0..run.tier.pick(15, 60) {
        let fleet = &mut run.fleet;
        comes_in(fleet, 1).await;
        let other: Client = connect(&fleet.postgres.url()).await.expect("the database answers");
        // They look for the circle after a second, by their server's default; we only much later.
        other.batch_execute("SET deadlock_timeout = '10s'; BEGIN").await.expect("a transaction");
        // Drains skip chats that others hold, but wait for feeds, lowest first: we hold the highest until some wait for it.
        let feeds = other.query("SELECT id FROM feed ORDER BY id DESC", &[]).await.expect("rows");
        for row in feeds {
            let lock = format!("SELECT 1 FROM feed WHERE id = {} FOR UPDATE", row.get::<_, i32>(0));
            if let Err(error) = other.batch_execute(&lock).await {
                ours += usize::from(error.code().is_some_and(|code| code.code() == "40P01"));
                break;
            }
            // Long enough for a drain to want this one, too short for it to have looked for a circle.
            lasting(50).await;
        }
    }
    goes_on(&run.fleet, 10).await;
    comes_in(&run.fleet, 10).await;
    let log = std::fs::read_to_string(run.fleet.dir.join("postgres/log")).unwrap_or_default();
    let theirs = log.matches("deadlock detected").count() - ours;
    run.notes.push(format!("{theirs} deadlocks ended the product's transaction, {ours} the other's"));
    run.injected("locks in the opposite order");
    if theirs > 0 {
        run.witnessed(format!("Postgres's log: {theirs} deadlocks"));
    }
    run.expected.max_unconfirmed = Some(0);
}
