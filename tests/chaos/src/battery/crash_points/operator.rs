//! What an operator or a program begins and somebody ends: an export, a migration.

use switchboard_tests::harness::run_to_its_end;

use super::left::behind;
use super::table::{LOADER, OPERATOR};
use crate::run::Run;

/// A loader dies in the middle of an export: the reader knows that it is not whole, and another loader gives all of it.
pub async fn export(run: &mut Run) -> usize {
    let token = run.fleet.operate(&["token", "--service", "reports", "--scope", "loader"]);
    let day = "SELECT to_char(now() AT TIME ZONE 'UTC' + interval '1 day', 'YYYY-MM-DD') || 'T00:00:00Z'";
    let to = run.fleet.onlooker.text(day).await.expect("the database answers");
    let from = run.fleet.onlooker.text(&day.replace("+ interval '1 day'", "- interval '1 day'")).await;
    let path = format!("/v1/chats/export?format=ndjson&from={}&to={to}", from.expect("the database answers"));
    for point in &LOADER {
        let environment = run.fleet.dying_at(&point.told());
        let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut dying = run.fleet.loader("loader-dying", &environment).await;
        assert_eq!(dying.whole(&path, &token).await, None, "an export that breaks off says so");
        dying.process.ended(30).await;
        run.fleet.ended_at("loader", &point.told());
        run.injected(point.name);
        behind(run, point, "", "", 0).await;
        let next = run.fleet.loader("loader-next", &[]).await;
        let rows = next.whole(&path, &token).await.expect("the next loader gives all of it");
        assert!(rows.ends_with(b"}\n") && rows.iter().filter(|byte| **byte == b'\n').count() > 2, "rows");
    }
    LOADER.len()
}

/// A migration dies in the middle: there is all of it or nothing, and the next one brings it to its end.
pub async fn migrate(run: &mut Run, round: usize) -> usize {
    let name = format!("another_{round}");
    for point in &OPERATOR {
        let mut command = run.fleet.migrate_another(&name).await;
        command.envs(run.fleet.dying_at(&point.told()));
        assert!(!run_to_its_end(command).success());
        run.fleet.was_at(&point.told());
        run.injected(point.name);
        behind(run, point, "", "", 0).await;
        let again = run.fleet.migrate_another(&name).await;
        assert!(run_to_its_end(again).success(), "the next migration ends");
        assert_eq!(run.fleet.tables_of(Some(&name)).await, run.fleet.tables_of(None).await, "the same tables");
    }
    OPERATOR.len()
}
