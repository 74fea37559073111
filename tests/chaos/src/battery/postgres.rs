//! The database is restarted, frozen, lost; its standby, too; what waits for it is cut short.

use std::time::Duration;

use rustix::process::Signal;
use switchboard_tests::harness::{Database, Fleet, FleetOptions, Onlooker, StopMode, connect, lasting, until};
use switchboard_tests::observer::boottime_ns;

use super::set_back::end_replication;
use super::{Scenario, by_webhook, comes_in, goes_on, usual, world};
use crate::observed::deliveries;
use crate::run::Run;

/// After the database answers again, so soon its work must go on, milliseconds.
const RECOVERY_MS: i64 = 5_000;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        id: "F15",
        name: "restart_postgres",
        about: "Postgres is restarted in order and as after a crash: the pool is back within 5 s, nothing is lost",
        quick: true,
        options: world,
        load: usual,
        breaking: |run| Box::pin(restart(run)),
    },
    Scenario {
        id: "F16",
        name: "lose_the_primary",
        about: "the primary's host is lost, synchronous: its standby takes over with all that was acknowledged",
        quick: true,
        options: synchronous,
        load: usual,
        breaking: |run| Box::pin(lose_the_primary(run)),
    },
    Scenario {
        id: "F06",
        name: "freeze_the_primary",
        about: "the primary is frozen, and then its Patroni alone: neither acknowledges what it cannot keep",
        quick: false,
        options: || FleetOptions { database: PAIR, ..by_webhook() },
        load: usual,
        breaking: |run| Box::pin(freeze_the_primary(run)),
    },
    Scenario {
        id: "F18",
        name: "lose_the_standby",
        about: "the synchronous standby is lost: /readyz says that nothing is replicated, and work goes on",
        quick: false,
        options: synchronous,
        load: usual,
        breaking: |run| Box::pin(lose_the_standby(run)),
    },
    Scenario {
        id: "F18",
        name: "lose_the_standby_strictly",
        about: "the same while Patroni is strict: nothing is acknowledged until there is a standby again",
        quick: false,
        options: strict,
        load: usual,
        breaking: |run| Box::pin(lose_the_standby_strictly(run)),
    },
    Scenario {
        id: "F19",
        name: "cancel_the_wait",
        about: "commits that wait for the standby are cancelled, then it is promoted: none of them was acknowledged",
        quick: false,
        options: strict,
        load: usual,
        breaking: |run| Box::pin(cancel_the_wait(run)),
    },
];

const PAIR: Database = Database::Patroni { synchronous: true, strict: false };

fn synchronous() -> FleetOptions {
    FleetOptions { database: PAIR, ..world() }
}

pub(super) fn strict() -> FleetOptions {
    FleetOptions { database: Database::Patroni { synchronous: true, strict: true }, ..by_webhook() }
}

/// How long it took from `begun` until the database answered, then until an update was acknowledged, milliseconds.
async fn back(fleet: &Fleet, begun: i64) -> (i64, i64) {
    until("the database to answer", 60, async || fleet.onlooker.lease().await.map(drop)).await;
    let answered = boottime_ns();
    comes_in(fleet, 1).await;
    ((answered - begun) / 1_000_000, (boottime_ns() - answered) / 1_000_000)
}

fn told(run: &mut Run, what: &str, recoveries: &[(i64, i64)]) {
    let (mut away, mut more): (Vec<i64>, Vec<i64>) = recoveries.iter().copied().unzip();
    run.notes.push(format!("{what}: away {away:?} ms, then the next acknowledgement after {more:?} ms"));
    away.sort_unstable();
    more.sort_unstable();
    let most = more.last().copied().unwrap_or_default();
    run.demand(most <= RECOVERY_MS, format!("the pool was back after {most} ms"));
}

async fn restart(run: &mut Run) {
    let mut recoveries = Vec::new();
    for n in 0..run.tier.pick(4, 20) {
        let fleet = &mut run.fleet;
        goes_on(fleet, 10).await;
        fleet.witness().open_call(30).await;
        let begun = boottime_ns();
        fleet.postgres.end(if n % 4 == 0 { StopMode::Fast } else { StopMode::Immediate });
        assert!(Onlooker::new(fleet.postgres.url()).lease().await.is_none(), "nobody answers");
        fleet.postgres.begin();
        fleet.fault("postgres_restart", "postgres", begun);
        recoveries.push(back(fleet, begun).await);
        run.witnessed("connections to Postgres were refused");
    }
    told(run, "restarts", &recoveries);
}

async fn lose_the_primary(run: &mut Run) {
    let mut recoveries = Vec::new();
    for _ in 0..run.tier.pick(1, 4) {
        let fleet = &mut run.fleet;
        goes_on(fleet, 10).await;
        let primary = fleet.patroni().primary().await;
        fleet.witness().open_moment(30).await;
        let begun = boottime_ns();
        fleet.patroni().kill_host(primary);
        fleet.patroni().replaced(primary).await;
        recoveries.push(back(fleet, begun).await);
        fleet.fault("kill", "postgres", begun);
        goes_on(fleet, 5).await;
        fleet.patroni().begin_host(primary);
        fleet.patroni().whole(true).await;
        run.witnessed(format!("Patroni made server {} the primary", 1 - primary));
    }
    told(run, "failovers", &recoveries);
}

/// Frozen Postgres: its Patroni waits for it with the lock in hand, and only a host's watchdog could end that; so nobody replaces
/// it, and webhooks are answered 503. Frozen Patroni: the other takes the lock, while the old primary can still be written to.
async fn freeze_the_primary(run: &mut Run) {
    for span in [3_000, 10_000] {
        let fleet = &mut run.fleet;
        goes_on(fleet, 10).await;
        let primary = fleet.patroni().primary().await;
        let begun = boottime_ns();
        fleet.patroni().signal_postgres(primary, Signal::STOP);
        // What had been committed by then may still be answered.
        lasting(500).await;
        let mut witness = fleet.witness();
        let before = witness.acknowledged();
        lasting(span).await;
        assert_eq!(witness.acknowledged(), before, "nothing can be stored");
        fleet.patroni().signal_postgres(primary, Signal::CONT);
        fleet.fault("freeze", "postgres", begun);
        let (_, more) = back(fleet, begun).await;
        fleet.patroni().whole(true).await;
        let refused = deliveries(&fleet.dir).iter().filter(|(_, status)| *status == Some(503)).count();
        run.notes.push(format!("Postgres frozen for {span} ms: the next acknowledgement {more} ms after it answered"));
        run.demand(more <= RECOVERY_MS, format!("the pool was back after {more} ms"));
        run.demand(span < 10_000 || refused > 0, "no webhook was answered 503");
        run.witnessed(format!("{span} ms without an acknowledgement, {refused} answers were 503"));
    }
    let fleet = &mut run.fleet;
    goes_on(fleet, 10).await;
    let primary = fleet.patroni().primary().await;
    let begun = boottime_ns();
    fleet.patroni().signal_patroni(primary, Signal::STOP);
    fleet.patroni().replaced(primary).await;
    let recovery = back(fleet, begun).await;
    comes_in(fleet, 10).await;
    fleet.patroni().signal_patroni(primary, Signal::CONT);
    fleet.fault("freeze", "postgres", begun);
    fleet.patroni().whole(true).await;
    run.witnessed(format!("Patroni made server {} the primary", 1 - primary));
    told(run, "Patroni frozen", &[recovery]);
}

async fn lose_the_standby(run: &mut Run) {
    for _ in 0..run.tier.pick(1, 2) {
        let fleet = &mut run.fleet;
        comes_in(fleet, 10).await;
        assert_eq!(replication(fleet).await.as_deref(), Some("synchronous"));
        let standby = 1 - fleet.patroni().primary().await;
        let begun = boottime_ns();
        fleet.patroni().kill_host(standby);
        until("/readyz to say that nothing is replicated", 60, async || {
            replication(fleet).await.filter(|said| said.starts_with("degraded")).map(drop)
        })
        .await;
        let noticed = (boottime_ns() - begun) / 1_000_000;
        fleet.fault("kill", "postgres", begun);
        comes_in(fleet, 10).await;
        goes_on(fleet, 10).await;
        fleet.patroni().begin_host(standby);
        fleet.patroni().whole(true).await;
        until("/readyz to say that all is well", 30, async || {
            (replication(fleet).await.as_deref() == Some("synchronous")).then_some(())
        })
        .await;
        run.witnessed(format!("/readyz said degraded after {noticed} ms"));
    }
}

/// What the first connector's `/readyz` says about replication.
async fn replication(fleet: &Fleet) -> Option<String> {
    fleet.ready_of(0).await?["replication"].as_str().map(str::to_owned)
}

async fn lose_the_standby_strictly(run: &mut Run) {
    let fleet = &mut run.fleet;
    comes_in(fleet, 10).await;
    let standby = 1 - fleet.patroni().primary().await;
    let begun = boottime_ns();
    fleet.patroni().kill_host(standby);
    // Answers to commits of the last moment may still be on their way.
    lasting(500).await;
    let mut witness = fleet.witness();
    let before = witness.acknowledged();
    lasting(8_000).await;
    let meanwhile = witness.acknowledged() - before;
    assert_eq!(meanwhile, 0, "acknowledged without a standby");
    fleet.patroni().begin_host(standby);
    fleet.patroni().whole(true).await;
    comes_in(fleet, 10).await;
    fleet.fault("kill", "postgres", begun);
    goes_on(fleet, 10).await;
    run.witnessed("8 s without an acknowledgement");
}

/// A cancelled wait is answered like a commit, and the row can be seen; but the standby does not have it.
pub(super) async fn cancel_the_wait(run: &mut Run) {
    let fleet = &mut run.fleet;
    comes_in(fleet, 10).await;
    let primary = fleet.patroni().primary().await;
    let direct = Onlooker::new(fleet.patroni().direct(primary));
    let seen = |table: &'static str| format!("SELECT count(*) FROM {table}");
    let before = direct.number(&seen("inbox")).await.expect("the primary answers");
    let begun = boottime_ns();
    // The standby stays the one to be promoted: the primary's Patroni does not see that it gets nothing any more.
    fleet.patroni().signal_patroni(primary, Signal::STOP);
    end_replication(fleet, primary).await;
    let mut witness = fleet.witness();
    let acknowledged = witness.acknowledged();
    let mut cancelled = 0;
    let until_then = tokio::time::Instant::now() + Duration::from_millis(2_500);
    while tokio::time::Instant::now() < until_then {
        let sql =
            "SELECT count(*) FILTER (WHERE pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        cancelled += direct.number(sql).await.unwrap_or_default();
        lasting(20).await;
    }
    let stored = direct.number(&seen("inbox")).await.expect("the primary answers") - before;
    if !run.sabotaged {
        assert_eq!(witness.acknowledged() - acknowledged, 0, "a cancelled wait was taken for a commit");
    }
    assert!(cancelled > 0 && stored > 0, "{cancelled} waits were cancelled, {stored} rows are only at the primary");
    // And the client dies in the middle of its retries.
    let active = fleet.active_now().await.unwrap_or_default();
    fleet.kill_connector(active);
    fleet.patroni().kill_host(primary);
    fleet.patroni().replaced(primary).await;
    fleet.fault("kill", "postgres", begun);
    let direct = fleet.patroni().direct(1 - primary);
    until("the new primary to take writes", 30, async || {
        let master = connect(&direct).await.ok()?;
        master.batch_execute("SET synchronous_commit = local; ALTER ROLE replicator LOGIN").await.ok()
    })
    .await;
    fleet.start_connector(active, &[]).await;
    let kept = Onlooker::new(fleet.patroni().direct(1 - primary)).number(&seen("inbox")).await;
    fleet.patroni().begin_host(primary);
    fleet.patroni().whole(true).await;
    comes_in(fleet, 20).await;
    goes_on(fleet, 10).await;
    run.notes.push(format!("{cancelled} waits cancelled; {stored} rows were only at the primary, {kept:?} were kept"));
    run.witnessed(format!("{stored} rows that nobody was told of"));
    run.witnessed(format!("Patroni made server {} the primary", 1 - primary));
}
