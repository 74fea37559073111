//! The platform's limits, by the platform's own clock: never one call over, through kills and handovers, and not
//! much under either.

use serde_json::json;
use switchboard_tests::checker::Report;
use switchboard_tests::harness::{Backlog, Fleet, FleetOptions, Lane, Wanted, customer, until};

pub const GROUP: i64 = -500_100;
const CHATS: usize = 250;
/// The customer whose chat the platform pauses.
const PAUSED: usize = 7;
/// As long as the pauses last that the platform asks for, seconds.
const PAUSE_S: u64 = 30;

/// `count` messages to each of these chats.
pub fn to_each(chats: &[i64], count: usize, name: &str) -> Vec<Wanted> {
    in_lane(Lane::Interactive, chats, count, name)
}

/// The same, in a lane.
pub fn in_lane(lane: Lane, chats: &[i64], count: usize, name: &str) -> Vec<Wanted> {
    let message = |n: usize, chat: i64| {
        let key = format!("{name}-{chat}-{n}");
        Wanted { chat, text: format!("news [[{key}]]"), key, lane }
    };
    (0..count).flat_map(|n| chats.iter().map(move |chat| message(n, *chat))).collect()
}

fn split_first(all: Vec<i64>) -> (i64, Vec<i64>) {
    (all[0], all[1..].to_vec())
}

/// Calls that the platform refused, by scope.
pub async fn refused(fleet: &Fleet) -> Vec<(String, u64)> {
    let state = fleet.platform.state().await;
    let scopes = state["high_water"].as_object().expect("scopes");
    let refused =
        |(scope, figures): (&String, &serde_json::Value)| (scope.clone(), figures["refused"].as_u64().unwrap());
    scopes.iter().map(refused).filter(|(_, refused)| *refused > 0).collect()
}

/// Everything that the account, 300 chats and a group may take, with each call's way varying by 20 ms: through a
/// kill and a handover in the middle, and through another two while the platform has asked for silence.
#[tokio::test(flavor = "multi_thread")]
async fn no_window_ever_holds_more_than_its_limit() {
    let mut fleet = Fleet::start(FleetOptions { arrival_jitter_ms: 20, ..FleetOptions::pair("limits") }).await;
    let backlog = Backlog::of(&fleet, "daria").await;
    fleet.platform.order("group", json!({"chat": GROUP, "title": "A group"})).await;
    // The group first: its rest has to wait for a minute.
    let customers: Vec<i64> = std::iter::once(GROUP).chain((0..CHATS).map(customer)).collect();
    let (group, chats) = split_first(backlog.chats(&fleet, &customers).await);
    let pause = json!({"method": "sendMessage", "mode": "429", "chat": customer(PAUSED), "retry_after": PAUSE_S});
    fleet.platform.order("fault", pause).await;
    let mut wanted = to_each(&[group], 25, "group");
    wanted.extend(to_each(&chats[..1], 8, "one"));
    wanted.extend(to_each(&chats, 2, "all"));
    fleet.paired().await;
    backlog.submit(wanted).await;
    through_a_kill_and_a_handover(&mut fleet, 100, 200).await;
    let chat = format!("chat:{}", customer(PAUSED));
    until("all but the paused chat and the group's rest", 60, async || {
        let sql = "SELECT count(*) FROM outbox WHERE open AND chat_key NOT IN ($$-500100$$, $$700100007$$)";
        (fleet.onlooker.number(sql).await? == 0).then_some(())
    })
    .await;
    assert_eq!(refused(&fleet).await, [(chat.clone(), 1)], "only the pause that was ordered");

    let silence = json!({"method": "sendMessage", "mode": "429", "whole_bot": true, "retry_after": PAUSE_S});
    fleet.platform.order("fault", silence).await;
    backlog.submit(to_each(&chats[100..140], 1, "late")).await;
    until("the platform's pause", 10, async || {
        let paused = fleet.platform.state().await["high_water"]["bot"]["paused_ms"].as_u64()?;
        (paused > 0).then_some(())
    })
    .await;
    through_a_kill_and_a_handover(&mut fleet, 0, 0).await;
    fleet.rest(&[], 90).await;
    // An answer does not say whom it holds back: the second chat's tells that it is the account. What was under way
    // by then is refused too.
    let all: Vec<(String, u64)> = refused(&fleet).await.into_iter().filter(|(scope, _)| *scope != chat).collect();
    assert!(matches!(all.as_slice(), [(scope, 2..=4)] if scope == "bot"), "only the pause that was ordered: {all:?}");
    verdict(&fleet, None).await;
}

/// Each after so many further messages; the standby takes over at once after the second.
async fn through_a_kill_and_a_handover(fleet: &mut Fleet, first: u64, second: u64) {
    let mut witness = fleet.witness();
    let goal = witness.sent() + first;
    until("messages to go out", 60, async || (witness.sent() >= goal).then_some(())).await;
    let active = fleet.paired().await;
    fleet.kill_connector(active);
    fleet.start_connector(active, &[]).await;
    let active = fleet.paired().await;
    let goal = witness.sent() + second;
    until("messages to go out", 60, async || (witness.sent() >= goal).then_some(())).await;
    fleet.connector(active).stop(15).await;
    fleet.start_connector(active, &[]).await;
}

async fn verdict(fleet: &Fleet, least_used: Option<f64>) -> Report {
    let mut expected = fleet.expectations().require(&["OUT-1", "OUT-3", "OUT-4", "OUT-6", "OUT-7", "OUT-8", "OUT-9"]);
    expected.least_used = least_used;
    let report = fleet.verdict(&expected).await;
    report.assert_clean();
    assert_eq!((report.figures.lost, report.figures.duplicated, report.figures.stale_sends), (0, 0, 0));
    report
}

/// As many as there are chats, all at once.
async fn backlog_is_sent(options: FleetOptions, chats: usize, least_used: f64) {
    let fleet = Fleet::start(options).await;
    let backlog = Backlog::of(&fleet, "daria").await;
    let customers: Vec<i64> = (0..chats).map(customer).collect();
    let chats = backlog.chats(&fleet, &customers).await;
    backlog.submit(to_each(&chats, 1, "all")).await;
    fleet.rest(&[], 90).await;
    assert_eq!(refused(&fleet).await, [], "none over a limit");
    assert_eq!(fleet.witness().sent(), chats.len() as u64, "all are sent");
    let report = verdict(&fleet, Some(least_used)).await;
    assert_eq!(report.figures.unconfirmed, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_at_once_are_sent_as_fast_as_the_platform_allows() {
    backlog_is_sent(FleetOptions::new("limits-1000"), 1000, 0.97).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_takes_its_time_is_used_well() {
    backlog_is_sent(FleetOptions { reply_delay_ms: 100, ..FleetOptions::new("limits-slow") }, 300, 0.9).await;
}
