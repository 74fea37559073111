//! Lanes: a reply does not wait behind a campaign, and the campaign still gets its share.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;
use switchboard_tests::agent::{Agent, View};
use switchboard_tests::harness::{Backlog, Fleet, FleetOptions, Lane, customer, until};

use crate::limits::{in_lane, to_each};
use crate::{full, taken_chat};

const CHATS: usize = 300;
/// Chats of the agent who answers meanwhile: one reply each, because a chat takes one a second.
const DESK: usize = 15;
/// Of the account's slots, while they wait: what the bots and the campaign are promised.
const BOT_SHARE: f64 = 0.2;
const BULK_SHARE: f64 = 0.1;

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_overtakes_a_campaign_and_the_campaign_goes_on() {
    let mut fleet = Fleet::start(FleetOptions::new("lanes")).await;
    let agent = fleet.agent("anna", 1);
    let mut desk = Vec::new();
    for n in 0..DESK {
        desk.push(taken_chat(&fleet, &agent, customer(1000 + n), &format!("hello [[d{n}]]")).await);
    }
    let backlog = Backlog::of(&fleet, "daria").await;
    let customers: Vec<i64> = (0..CHATS).map(customer).collect();
    let chats = backlog.chats(&fleet, &customers).await;
    let each = if full() { 34 } else { 10 };
    backlog.submit(in_lane(Lane::Bulk, &chats, each, "bulk")).await;
    for (n, chat) in desk.iter().enumerate() {
        answer(&agent, chat, n).await;
    }
    // All lanes wait at once, each in other chats.
    backlog.submit(in_lane(Lane::Bot, &chats[..CHATS / 3], 2, "bot")).await;
    backlog.submit(to_each(&chats[CHATS / 3..], 1, "inter")).await;
    let mut witness = fleet.witness();
    let waiting = "SELECT count(*) FROM outbox WHERE open AND lane = 0";
    let begun = witness.sent();
    until("the interactive ones to be sent", 60, async || (fleet.onlooker.number(waiting).await? == 0).then_some(()))
        .await;
    // Ended in order: what is under way is finished, and the rest of the campaign stays queued.
    fleet.connector(0).stop(15).await;
    let mut expected = fleet.expectations().require(&["OUT-1", "OUT-3", "OUT-4", "OUT-7", "OUT-8", "OUT-9", "OUT-10"]);
    // It would take five minutes more.
    expected.queued_grace_s = 600;
    let report = fleet.verdict(&expected).await;
    report.assert_clean();
    let figures = &report.figures;
    assert_eq!((figures.lost, figures.duplicated, figures.reordered, figures.unconfirmed), (0, 0, 0, 0));
    let late = replies_ms(&fleet);
    println!("accepted → called behind {} bulk messages: {late:?} ms", CHATS * each);
    assert_eq!(late.len(), DESK);
    assert!(late.iter().all(|ms| *ms <= 1000), "{late:?} ms");
    shares(&fleet, begun as usize);
}

/// A reply; returns when it is sent.
async fn answer(agent: &Agent, chat: &str, n: usize) {
    let key = format!("reply-{n}");
    let accepted = agent.send(chat, &key, &format!("at once [[{key}]]")).await.unwrap();
    let seq = accepted["seq"].as_i64().unwrap();
    let sent = |view: &View| view.part(chat, seq, 0).is_some_and(|part| part.state == "sent");
    agent.wait_until("the reply to be sent", Duration::from_secs(20), sent).await.unwrap();
}

fn lines(fleet: &Fleet, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(fleet.dir.join(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Messages in the order in which the platform was called: tag and time.
fn calls(fleet: &Fleet) -> Vec<(String, i64)> {
    let read = |line: &Value| Some((line["tag"].as_str()?.to_owned(), line["t_first"].as_i64()?));
    let mut calls: Vec<_> =
        lines(fleet, "mock.jsonl").iter().filter(|line| line["ev"] == "call").filter_map(read).collect();
    calls.sort_by_key(|(_, at)| *at);
    calls
}

/// From each reply's acceptance to its call, milliseconds.
fn replies_ms(fleet: &Fleet) -> Vec<i64> {
    let called: HashMap<String, i64> = calls(fleet).into_iter().collect();
    let accepted = lines(fleet, "agent.jsonl").into_iter().filter(|line| line["ev"] == "accepted");
    let late = |line: Value| {
        let key = line["client_key"].as_str()?;
        key.starts_with("reply-").then(|| (called[key] - line["t"].as_i64().unwrap()) / 1_000_000)
    };
    accepted.filter_map(late).collect()
}

/// While agents' messages waited, everybody had at least what is promised, and they had the rest. Without the last tenth of
/// them: then it is chance which chats still have to wait for their own second, and others go meanwhile.
fn shares(fleet: &Fleet, begun: usize) {
    let calls = calls(fleet);
    let urgent: Vec<usize> = (begun..calls.len()).filter(|place| calls[*place].0.starts_with("inter-")).collect();
    let during = &calls[begun..urgent[urgent.len() * 9 / 10]];
    let span = during.len();
    let share = |name: &str| during.iter().filter(|(tag, _)| tag.starts_with(name)).count() as f64 / span as f64;
    let (inter, bot, bulk) = (share("inter-"), share("bot-"), share("bulk-"));
    println!("{span} calls while all lanes waited: interactive {inter:.2}, bot {bot:.2}, bulk {bulk:.2}");
    assert!(span >= 150, "{span} calls are too few to tell");
    // One call more or less at either end.
    let one = 2.0 / span as f64;
    assert!(bot >= BOT_SHARE - one && bulk >= BULK_SHARE - one, "less than promised");
    assert!(inter >= 1.0 - BOT_SHARE - BULK_SHARE - 0.05, "agents had {inter:.2}");
}
