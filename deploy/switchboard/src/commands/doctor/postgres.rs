//! Postgres: reachable, new enough, durable, with our tables, and its clock ours.

use switchboard_common::service::config::Config;
use switchboard_common::store::{Database, ServerFacts, StoreError, needed_version, schema_version};

use super::Findings;

const OLDEST: i32 = 150_000;
/// Tokens, leases and schedules bear no more.
const CLOCK_S: f64 = 1.0;

/// Returns the database when the rest can be looked at.
pub(super) async fn examine(config: &Config, found: &mut Findings) -> Option<Database> {
    let database = match crate::commands::open(config) {
        Ok(database) => database,
        Err(error) => {
            found.bad(format!("{error:#}"), "see postgres.url and postgres.password_file");
            return None;
        }
    };
    let facts = match database.inspect().await {
        Ok(facts) => facts,
        Err(error) => {
            found.bad(format!("no connection: {error}"), mend(&error));
            return None;
        }
    };
    server(&facts, found);
    durability(&facts, found);
    processes(&facts.processes, found);
    schema(&database, found).await.then_some(database)
}

/// The SQLSTATE says what is wrong.
fn mend(error: &StoreError) -> String {
    let words = error.to_string();
    let has = |part: &str| words.contains(part);
    if has("28P01") || has("28000") || has("password") {
        "the server refuses this role or its password: see the user in postgres.url, postgres.password_file and the server's pg_hba.conf"
    } else if has("3D000") {
        "make the database: CREATE DATABASE switchboard OWNER switchboard"
    } else if has("53300") {
        "raise max_connections of the server, or lower postgres.pool_size"
    } else if has("synchronous_commit") {
        "set synchronous_commit = on (or remote_apply) on the server and for this role"
    } else {
        "is the server up, does postgres.url name its host and port, and is there a firewall between?"
    }
    .to_owned()
}

fn server(facts: &ServerFacts, found: &mut Findings) {
    let version = format!("{}.{}", facts.version / 10_000, facts.version % 10_000);
    match facts.version >= OLDEST {
        true => found.good(format!("version {version}, as {}", facts.role)),
        false => found.bad(format!("version {version}"), "PostgreSQL 15 or newer is needed"),
    }
    if facts.superuser {
        found.advice(
            format!("{} is a superuser", facts.role),
            "no part of Switchboard needs one: use the roles of deploy/sql/roles.sql",
        );
    }
    if !facts.unreadable.is_empty() {
        found.advice(
            format!("{} may not read {}", facts.role, facts.unreadable.join(", ")),
            "operators use the role switchboard_operator of deploy/sql/roles.sql",
        );
    }
    let (ahead, within) = (facts.clock_ahead_s, facts.round_trip.as_secs_f64());
    match ahead.abs() - within > CLOCK_S {
        true => found.bad(
            format!("its clock is {ahead:+.1} s from this host's"),
            "let both follow the same time servers (chrony or systemd-timesyncd)",
        ),
        false => found.good(format!("its clock is within {:.2} s of this host's", ahead.abs() + within)),
    }
    let (used, allowed) = facts.connections;
    match used * 10 > allowed * 8 {
        true => found.advice(
            format!("{used} of {allowed} connections are in use"),
            "raise max_connections, or lower postgres.pool_size",
        ),
        false => found.good(format!("{used} of {allowed} connections are in use")),
    }
}

fn durability(facts: &ServerFacts, found: &mut Findings) {
    let commit = &facts.synchronous_commit;
    match (facts.synchronous_standbys.as_str(), facts.standbys) {
        ("", _) => found.advice(
            format!("synchronous_commit is {commit}; no synchronous standby"),
            "with its disk, a lone primary loses what it had acknowledged: set synchronous_standby_names",
        ),
        (names, None) => found.good(format!(
            "synchronous_commit is {commit}, standbys {names}; this role may not see whether they follow"
        )),
        (names, Some((_, 0))) => found.bad(
            format!("synchronous_standby_names is {names}, and none of them follows: every commit waits for ever"),
            "start a standby, or take it out of synchronous_standby_names",
        ),
        (names, Some((all, sync))) => {
            found.good(format!("synchronous_commit is {commit}, standbys {names}: {sync} synchronous of {all}"));
        }
    }
}

async fn schema(database: &Database, found: &mut Findings) -> bool {
    let needed = needed_version();
    let have = schema_version(database).await;
    match &have {
        Ok(Some(version)) if *version == needed => found.good(format!("tables at version {version}")),
        Ok(Some(version)) if *version > needed => found.advice(
            format!("tables at version {version}, this program knows {needed}"),
            "this program is older than the fleet: install the newer one here, too",
        ),
        Ok(version) => found.bad(
            format!("tables at version {}, {needed} is needed", version.map_or("none".to_owned(), |v| v.to_string())),
            "switchboard migrate",
        ),
        Err(error) => found.bad(format!("the version of the tables cannot be read: {error}"), "see the role's rights"),
    }
    have.is_ok_and(|version| version.is_some_and(|version| version >= needed))
}

/// `switchboard/0.1.0 connector shop` of every process. Neighbouring versions run together, others do not.
fn processes(names: &[String], found: &mut Findings) {
    let versions: Vec<(u64, u64)> = names.iter().filter_map(|name| version(name)).collect();
    let (Some(oldest), Some(newest)) = (versions.iter().min(), versions.iter().max()) else { return };
    let apart = oldest.0 != newest.0 || newest.1 - oldest.1 > 1;
    let all = names.join(", ");
    match apart {
        true => found.bad(
            format!("processes of versions that do not run together: {all}"),
            "upgrade by one minor version at a time, all processes, and only then by the next",
        ),
        false => found.good(format!("{} kinds of processes are connected: {all}", names.len())),
    }
}

fn version(name: &str) -> Option<(u64, u64)> {
    let mut numbers = name.strip_prefix("switchboard/")?.split(['.', ' ', '-']).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(names: &[&str]) -> usize {
        let mut found = Findings::default();
        processes(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(), &mut found);
        found.bad_ones()
    }

    #[test]
    fn neighbouring_versions_run_together() {
        assert_eq!(version("switchboard/0.12.3 connector a-1.2"), Some((0, 12)));
        assert_eq!(judged(&["switchboard/0.1.0 connector a", "switchboard/0.2.7 chatserver b"]), 0);
        assert_eq!(judged(&["switchboard/0.1.0 connector a", "switchboard/0.3.0 connector a"]), 1);
        assert_eq!(judged(&["switchboard/0.9.0 connector a", "switchboard/1.0.0 connector a"]), 1);
    }
}
