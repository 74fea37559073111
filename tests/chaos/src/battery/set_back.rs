//! A database that went backwards: restored, or replaced by a standby that had not got everything. What was sent since waits
//! again in it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use switchboard_tests::agent::Agent;
use switchboard_tests::harness::{Database, Fleet, FleetOptions, connect, lasting, until};
use switchboard_tests::observer::boottime_ns;

use super::{Scenario, proxy_misses, usual, world};
use crate::observed::each_line;
use crate::run::Run;

/// Replies that wait in the database that comes back, and were sent since.
const HELD: usize = 12;
/// Replies of which it knows nothing any more.
const GONE: usize = 6;

/// What a database that was set back cannot know: what it accepted and showed since, and how many tenures there were.
const FORGOTTEN: &[&str] = &["OUT-1", "OUT-3", "OUT-5", "OUT-8", "RC-1", "LD-1"];

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        id: "F20",
        name: "restore_under_running_processes",
        about: "Postgres is restored to a moment before: who serves notices it, and what was undecided waits for a person",
        quick: false,
        options: || FleetOptions { zookeepers: 1, ..world() },
        load: usual,
        breaking: |run| Box::pin(restore(run, false)),
    },
    Scenario {
        id: "F20",
        name: "restore_under_new_processes",
        about: "the same while no process lives: those that are started afterwards know it from ZooKeeper",
        quick: false,
        options: || FleetOptions { zookeepers: 1, ..world() },
        load: usual,
        breaking: |run| Box::pin(restore(run, true)),
    },
    Scenario {
        id: "F17",
        name: "lossy_failover",
        about: "the primary is lost while replication is asynchronous: the loss is noticed, nothing is sent twice",
        quick: false,
        options: || FleetOptions { database: Database::Patroni { synchronous: false, strict: false }, ..world() },
        load: usual,
        breaking: |run| Box::pin(lossy_failover(run)),
    },
];

async fn restore(run: &mut Run, anew: bool) {
    tokio::task::block_in_place(|| run.fleet.postgres.back_up());
    let (agent, chats) = quiet(run).await;
    let fleet = &mut run.fleet;
    queue(fleet, &agent, &chats, "held", HELD).await;
    let moment = moment(fleet).await;
    lasting(50).await;
    send(fleet, &agent, &chats).await;
    if anew {
        for number in 0..2 {
            let server = format!("files_support/s{number}");
            let missed = run.fleet.proxy_missed(&server);
            run.fleet.kill_connector(number);
            proxy_misses(&run.fleet, &server, missed).await;
            run.witnessed(format!("HAProxy: {server} is DOWN"));
        }
    }
    let fleet = &mut run.fleet;
    let begun = boottime_ns();
    tokio::task::block_in_place(|| fleet.postgres.restore(&moment));
    fleet.fault("kill", "postgres", begun);
    if anew {
        for number in 0..2 {
            fleet.start_connector(number, &[]).await;
        }
    }
    held(run, &agent, begun).await;
}

async fn lossy_failover(run: &mut Run) {
    let (agent, chats) = quiet(run).await;
    let fleet = &mut run.fleet;
    queue(fleet, &agent, &chats, "held", HELD).await;
    let primary = fleet.patroni().primary().await;
    caught_up(fleet).await;
    end_replication(fleet, primary).await;
    send(fleet, &agent, &chats).await;
    let begun = boottime_ns();
    fleet.patroni().kill_host(primary);
    fleet.patroni().replaced(primary).await;
    fleet.fault("kill", "postgres", begun);
    held(run, &agent, begun).await;
    let master = connect(&run.fleet.postgres.url()).await.expect("the database answers");
    master.batch_execute("ALTER ROLE replicator LOGIN").await.expect("a superuser may");
    run.fleet.patroni().begin_host(primary);
    run.fleet.patroni().whole(false).await;
}

/// What the standby has by now is all that it will ever have. Frozen it would still find the rest in its kernel's buffers.
pub(super) async fn end_replication(fleet: &mut Fleet, primary: usize) {
    let direct = fleet.patroni().direct(primary);
    let master = connect(&direct).await.expect("the primary answers");
    master.batch_execute("ALTER ROLE replicator NOLOGIN").await.expect("a superuser may");
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_replication";
    master.query_one(end, &[]).await.expect("a superuser may");
}

/// Ends the traffic, and returns an agent and its chats.
async fn quiet(run: &mut Run) -> (Arc<Agent>, Vec<String>) {
    run.settle().await;
    let agent = run.agents[0].clone();
    let chats: Vec<String> = agent.view().own().map(str::to_owned).collect();
    assert!(chats.len() >= HELD, "{} chats", chats.len());
    (agent, chats)
}

/// Replies wait, because nobody sends.
async fn queue(fleet: &mut Fleet, agent: &Agent, chats: &[String], name: &str, count: usize) {
    for number in 0..2 {
        assert!(fleet.connector(number).stop(20).await.success());
    }
    say(agent, chats, name, count).await;
}

async fn say(agent: &Agent, chats: &[String], name: &str, count: usize) {
    for (n, chat) in chats.iter().cycle().take(count).enumerate() {
        let key = format!("{name}-{n}");
        agent.send(chat, &key, &format!("reply [[{key}]]")).await.unwrap_or_else(|error| panic!("{key}: {error}"));
    }
}

/// They are sent, and others that came later.
async fn send(fleet: &mut Fleet, agent: &Agent, chats: &[String]) {
    let before = fleet.witness().sent();
    for number in 0..2 {
        fleet.start_connector(number, &[]).await;
    }
    say(agent, chats, "gone", GONE).await;
    let mut witness = fleet.witness();
    let all = before + (HELD + GONE) as u64;
    until("all replies to go out", 60, async || (witness.sent() >= all).then_some(())).await;
    // A few renewals: their mark is what tells.
    lasting(2_000).await;
}

async fn moment(fleet: &Fleet) -> String {
    fleet.onlooker.text("SELECT clock_timestamp()::text").await.expect("the database answers")
}

async fn caught_up(fleet: &Fleet) {
    until("the standby to have everything", 30, async || {
        let behind = "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn < pg_current_wal_lsn()";
        (fleet.onlooker.number(behind).await? == 0).then_some(())
    })
    .await;
}

/// What must be true once the database is back: nothing of before is called again, agents begin anew, a person decides, and
/// work goes on.
async fn held(run: &mut Run, agent: &Agent, begun: i64) {
    let fleet = &mut run.fleet;
    let unconfirmed = "SELECT count(*) FROM outbox WHERE state = 3 AND reason LIKE 'the database was set back%'";
    let found = until("what was undecided to be held back", 60, async || {
        fleet.onlooker.number(unconfirmed).await.filter(|held| *held > 0)
    })
    .await;
    let noticed = (boottime_ns() - begun) / 1_000_000;
    fleet.paired().await;
    let anew = |view: &switchboard_tests::agent::View| view.feed_epoch == 2;
    agent.wait_until("a resync", Duration::from_secs(30), anew).await.unwrap_or_else(|error| panic!("{error}"));
    lasting(6_000).await;
    let twice = twice(fleet);
    assert!(twice.is_empty(), "sent twice: {twice:?}");
    let listed: Value =
        serde_json::from_str(&fleet.operate(&["outbox", "list", "support", "--state", "unconfirmed", "--json"]))
            .expect("JSON");
    let listed = listed.as_array().map_or(0, Vec::len);
    fleet.operate(&["outbox", "close", "support", "--state", "unconfirmed"]);
    let chat = agent.view().own().next().expect("chats came back").to_owned();
    let before = fleet.witness().sent();
    agent.send(&chat, "after", "reply [[after]]").await.unwrap_or_else(|error| panic!("{error}"));
    let mut witness = fleet.witness();
    until("a new reply to go out", 30, async || (witness.sent() > before).then_some(())).await;
    run.demand(found == HELD as i64, format!("{found} parts were held back, {HELD} had been waiting"));
    run.demand(listed == found as usize, format!("{listed} parts are listed, {found} were held back"));
    run.notes.push(format!(
        "noticed {noticed} ms after the loss; {found} parts held back, {GONE} forgotten, none sent twice"
    ));
    run.rest().await;
    let twice = self::twice(&run.fleet);
    run.demand(twice.is_empty(), format!("sent twice after it was decided: {twice:?}"));
    run.witnessed("agents were told to begin anew, and the platform was called for nothing of before");
    run.forgotten = FORGOTTEN.to_vec();
    // The held ones were called under a tenure that is not in the ledger any more.
    run.forgot = (GONE as u64, HELD as u64);
}

/// Texts that the platform delivered more than once.
fn twice(fleet: &Fleet) -> Vec<String> {
    let mut applied: HashMap<String, usize> = HashMap::new();
    each_line(&fleet.dir.join("mock.jsonl"), "\"call\"", |event| {
        if let (Some(tag), Some(true)) = (event["tag"].as_str(), event["applied"].as_bool()) {
            *applied.entry(tag.to_owned()).or_default() += 1;
        }
    });
    applied.into_iter().filter(|(_, times)| *times > 1).map(|(tag, _)| tag).collect()
}
