//! One connector by webhook, two chatservers.

use std::time::Duration;

use serde_json::json;
use switchboard_tests::agent::View;
use switchboard_tests::harness::{Backlog, Lane, Onlooker, Wanted, customer, lasting, until};
use switchboard_tests::observer::boottime_ns;

use crate::battery::office::Office;
use crate::run::Run;

pub const BUGS: &str = "ack_before_commit,fail_on_timeout,burst_limiter,serial_cursor,cursor_from_standby";

/// Beyond those of any load, and of the office.
const FIRST: usize = 7_000;

pub async fn break_it(run: &mut Run) {
    run.fleet.platform.deliveries(json!({"backoff_scale": 0.1})).await;
    answered_before_the_commit(run).await;
    never_answered(run).await;
    ninety_at_once(run).await;
    numbered_before_the_commit(run).await;
    read_from_a_standby(run).await;
}

/// Killed with updates in an open transaction.
async fn answered_before_the_commit(run: &mut Run) {
    for n in 0..2 {
        run.fleet.arm_connector(0, "W4:1", "kill").await;
        run.fleet.platform.message(customer(FIRST + n), &format!("hello [[w4-{n}]]")).await;
        run.more_in += 1;
        run.fleet.died_at(0, "W4:1").await;
        run.witnessed("the connector died at W4");
        run.fleet.start_connector(0, &[]).await;
    }
    run.fleet.active().await;
    // Of this customer or of the other.
    run.bug("answer_200_before_commit", &["IN-1"], format!("m:{}", customer(FIRST) / 10));
}

/// The platform takes a message and never answers.
async fn never_answered(run: &mut Run) {
    let mut office = Office::open(run, "anna", Vec::new(), 1).await;
    let chat = office.chat();
    run.fleet.platform.fault("hang_after", 1).await;
    run.injected("hang_after");
    let sent = office.agent.send(&chat, "unclear", "did it arrive? [[unclear]]").await;
    let seq = sent.unwrap_or_else(|error| panic!("{error}"))["seq"].as_i64().expect("a seq");
    run.more_out += 1;
    let decided = |view: &View| view.part(&chat, seq, 0).is_some();
    let shown = office.agent.wait_until("an outcome", Duration::from_secs(30), decided).await;
    shown.unwrap_or_else(|error| panic!("{error}"));
    run.witnessed("a call without an answer");
    run.bug("fail_on_timeout", &["OUT-4"], "unclear");
}

/// Three seconds' worth of the account's limit.
async fn ninety_at_once(run: &mut Run) {
    let backlog = Backlog::of(&run.fleet, "daria").await;
    let customers: Vec<i64> = (0..90).map(|n| customer(FIRST + 100 + n)).collect();
    let chats = backlog.chats(&run.fleet, &customers).await;
    run.more_in += chats.len();
    // The platform only counts: how it would punish is not the subject.
    run.fleet.platform.order("limits", json!({"enforce": false})).await;
    let news = |chat: &i64| {
        let key = format!("all-{chat}");
        Wanted { chat: *chat, text: format!("news [[{key}]]"), key, lane: Lane::Interactive }
    };
    backlog.submit(chats.iter().map(news).collect()).await;
    run.more_out += chats.len();
    run.rest().await;
    run.bug("burst_limiter", &["OUT-10"], "in the 1000 ms from");
}

/// A chatserver stops with numbers taken and nothing committed; the other one goes on with the next.
async fn numbered_before_the_commit(run: &mut Run) {
    let witness = run.fleet.crash_witness("C0:1");
    let environment =
        [("SWITCHBOARD_CRASH_AT", "C0:1"), ("SWITCHBOARD_CRASH_HOW", "stop"), ("SWITCHBOARD_CRASH_WITNESS", &witness)];
    run.fleet.chatserver(0).stop(15).await;
    run.fleet.start_chatserver(0, &environment).await;
    let mut n = 0;
    while !run.fleet.chatserver(0).is_stopped() {
        run.fleet.platform.message(customer(FIRST + 300 + n), &format!("whose number is first? [[c0-{n}]]")).await;
        (run.more_in, n) = (run.more_in + 1, n + 1);
        lasting(50).await;
    }
    let begun = boottime_ns();
    run.fleet.was_at("C0:1");
    run.fleet.platform.message(customer(FIRST + 300 + n), "and whose second? [[c0-last]]").await;
    run.more_in += 1;
    // Without the bug it waits for the one that stopped, which must not take long.
    let tries = tokio::time::Instant::now() + Duration::from_millis(1_200);
    let sql = "SELECT count(*) FROM history WHERE body LIKE '%[[c0-last]]%'";
    while tokio::time::Instant::now() < tries && run.fleet.onlooker.number(sql).await != Some(1) {
        lasting(20).await;
    }
    // Until agents have been shown it.
    lasting(200).await;
    run.fleet.chatserver(0).signal(rustix::process::Signal::CONT);
    run.fleet.fault("freeze", "chatserver:cs0", begun);
    run.witnessed("a chatserver stopped in its transaction");
    run.rest().await;
    // Only this bug leaves a hole; the next one only ends too early.
    run.bug("serial_cursor", &["WS-1"], "");
}

/// The copy of the database that chatservers read from, if they do, is behind.
async fn read_from_a_standby(run: &mut Run) {
    run.settle().await;
    let replica = run.fleet.postgres.replica(&run.fleet.dir.join("replica"));
    let url = replica.url();
    for number in 0..2 {
        run.fleet.chatserver(number).stop(15).await;
        run.fleet.start_chatserver(number, &[("SWITCHBOARD_SABOTAGE_STANDBY", &url)]).await;
    }
    run.rest().await;
    let standby = Onlooker::new(url);
    until("the standby to stand still", 10, async || {
        standby.text("SELECT pg_wal_replay_pause()::text").await;
        standby.text("SELECT pg_get_wal_replay_pause_state()").await.filter(|state| state == "paused")
    })
    .await;
    run.injected("a standby that is behind");
    run.fleet.platform.message(customer(FIRST + 400), "who reads this? [[standby]]").await;
    run.more_in += 1;
    until("the primary to have it", 20, async || {
        let sql = "SELECT count(*) FROM history WHERE body LIKE '%[[standby]]%'";
        (run.fleet.onlooker.number(sql).await? == 1).then_some(())
    })
    .await;
    // Two sweeps.
    lasting(2_000).await;
    run.witnessed("the standby did not follow");
    run.restless = run.sabotaged;
    run.bug("cursor_from_standby", &["WS-2"], ": reached ");
    run.rest().await;
}
