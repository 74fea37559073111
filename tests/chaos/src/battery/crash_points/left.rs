//! What a dead process has left behind, seen in the platform's log and in the tables.

use std::collections::{HashMap, HashSet};

use switchboard_tests::harness::Fleet;

use super::table::{Left, Point};
use crate::observed::each_line;
use crate::run::Run;

/// A reply whose end is looked at when all is at rest.
pub struct Promised {
    pub point: &'static Point,
    /// Rows of the outbox: the one of the deed, or under traffic whatever was under way.
    pub rows: Vec<i64>,
}

/// Updates acknowledged so far.
pub fn acknowledged(run: &Run) -> usize {
    Given::read(run).acknowledged.len()
}

/// Looks at what `point` left behind; `tag` is that of the deed, `before` how many updates were acknowledged before it. What
/// only the end can tell is returned.
pub async fn behind(run: &mut Run, point: &'static Point, holder: &str, tag: &str, before: usize) -> Option<Promised> {
    let name = point.name;
    let seen = match point.left {
        Left::Unacknowledged { stored } => {
            let given = Given::read(run);
            let unacknowledged = given.unacknowledged();
            assert!(!unacknowledged.is_empty(), "{name}: something was given out and not acknowledged");
            let mut kept = 0;
            for key in &unacknowledged {
                kept += usize::from(is_stored(&run.fleet, key).await);
            }
            // What died at an earlier point may not have been brought again yet, and under traffic only one of several was at
            // the point.
            let as_expected = match stored {
                true => kept > 0,
                false if run.is_quiet() => kept == 0,
                false => kept < unacknowledged.len(),
            };
            let what = format!("{name}: of {} given out and not acknowledged {kept} are stored", unacknowledged.len());
            assert!(as_expected, "{what}");
            what
        }
        Left::Acknowledged | Left::Answered => {
            let given = Given::read(run);
            let rest = given.unacknowledged();
            let all = point.left == Left::Acknowledged && run.is_quiet();
            assert!(rest.is_empty() || !all, "{name}: not acknowledged: {rest:?}");
            let acknowledged = given.acknowledged.len();
            assert!(all || acknowledged > before, "{name}: none was acknowledged");
            for key in given.acknowledged.iter().filter(|key| key.starts_with("m:")) {
                assert!(is_stored(&run.fleet, key).await, "{name}: {key} is acknowledged and not stored");
            }
            format!("{name}: {acknowledged} acknowledged and {before} before, all of them stored")
        }
        Left::Reply { .. } => {
            // Under traffic another reply than that of the deed may have been at the point: before its claim it waits, after its
            // settlement it is decided.
            let others = match name {
                _ if run.is_quiet() => "",
                "S1" => "OR (open AND state = 0)",
                "S7" => "OR id IN (SELECT id FROM outbox WHERE state = 2 ORDER BY id DESC LIMIT 8)",
                _ => "OR (open AND state = 1)",
            };
            let sql =
                format!("SELECT coalesce(array_agg(id), '{{}}') FROM outbox WHERE body LIKE '%[[{tag}]]%' {others}");
            let rows = run.fleet.onlooker.numbers(&sql).await.expect("the database answers");
            assert!(!rows.is_empty(), "{name}: the reply is in the outbox");
            return Some(Promised { point, rows });
        }
        Left::Lease { raised, opened } => {
            // By the ledger: the other one may hold the lease by now.
            let held = count(&run.fleet, &format!("tenure WHERE holder = '{holder}'")).await;
            let open = format!("tenure WHERE holder = '{holder}' AND opened_at IS NOT NULL");
            let open = count(&run.fleet, &open).await;
            assert_eq!((held == 1, open == 1), (raised, opened), "{name}: the lease of {holder}");
            format!("{name}: raised {raised}, opened {opened}")
        }
        Left::Fetch { bytes } => {
            assert!(count(&run.fleet, "file WHERE inbound AND state = 0").await > 0, "{name}: a file is pending");
            let chunks = "file_chunk c JOIN file f ON f.id = c.file_id WHERE f.inbound AND f.state = 0";
            let there = count(&run.fleet, chunks).await > 0;
            assert_eq!(there, bytes, "{name}: bytes of a pending file");
            format!("{name}: pending, bytes {there}")
        }
        Left::Request { done } => {
            let there = count(&run.fleet, &format!("history WHERE body LIKE '%[[{tag}]]%'")).await == 1;
            assert!(there == done || !run.is_quiet(), "{name}: carried out: {there}");
            format!("{name}: carried out: {there}")
        }
        Left::Upload { done } => {
            let there = count(&run.fleet, &format!("file WHERE client_key = '{tag}' AND state = 1")).await == 1;
            assert_eq!(there, done, "{name}: the file is there");
            format!("{name}: the file is there: {there}")
        }
        Left::Nothing => format!("{name}: the process died"),
    };
    run.witnessed(seen);
    None
}

impl Promised {
    /// The ends of the replies, now that all is at rest.
    pub async fn kept(&self, run: &mut Run) {
        let Left::Reply { end, applied } = self.point.left else { return };
        let (mut ends, calls) = (Vec::new(), applied_by_tag(run));
        for row in &self.rows {
            let state = number(&run.fleet, &format!("SELECT state::bigint FROM outbox WHERE id = {row}")).await;
            let times = calls.get(&tag_of_row(run, *row).await).copied().unwrap_or_default();
            ends.push((state, times));
        }
        let due = |(state, times): &(i64, u64)| *state == end as i64 && applied.contains(times);
        let what = format!(
            "{}: (state, applied) are {ends:?}, and due was {end:?}, applied {applied:?} times",
            self.point.name
        );
        assert!(ends.iter().any(due), "{what}");
        run.witnessed(what);
    }
}

/// The tag in a part's text, by the platform's log of what it is.
async fn tag_of_row(run: &Run, row: i64) -> String {
    let sql = format!("SELECT substring(body FROM '\\[\\[([^\\]]*)\\]\\]') FROM outbox WHERE id = {row}");
    run.fleet.onlooker.text(&sql).await.unwrap_or_default()
}

async fn number(fleet: &Fleet, sql: &str) -> i64 {
    fleet.onlooker.number(sql).await.unwrap_or_else(|| panic!("no answer: {sql}"))
}

async fn count(fleet: &Fleet, of: &str) -> i64 {
    number(fleet, &format!("SELECT count(*) FROM {of}")).await
}

async fn is_stored(fleet: &Fleet, key: &str) -> bool {
    count(fleet, &format!("inbox WHERE dedupe_key = '{key}'")).await == 1
}

/// Updates by their keys.
struct Given {
    pushed: Vec<String>,
    acknowledged: HashSet<String>,
}

impl Given {
    fn read(run: &Run) -> Self {
        let mut given = Self { pushed: Vec::new(), acknowledged: HashSet::new() };
        let log = run.fleet.dir.join("mock.jsonl");
        let key = |event: &serde_json::Value| event["key"].as_str().unwrap_or_default().to_owned();
        each_line(&log, "\"push\"", |event| given.pushed.push(key(event)));
        each_line(&log, "\"ack\"", |event| _ = given.acknowledged.insert(key(event)));
        given
    }

    fn unacknowledged(&self) -> HashSet<&str> {
        let pushed = self.pushed.iter().map(String::as_str);
        pushed.filter(|key| key.starts_with("m:") && !self.acknowledged.contains(*key)).collect()
    }
}

fn applied_by_tag(run: &Run) -> HashMap<String, u64> {
    let mut applied = HashMap::new();
    each_line(&run.fleet.dir.join("mock.jsonl"), "\"call\"", |event| {
        if let Some(tag) = event["tag"].as_str().filter(|_| event["applied"] == true) {
            *applied.entry(tag.to_owned()).or_default() += 1;
        }
    });
    applied
}
