//! An active connector and its standby; the platform is polled.

use std::time::Duration;

use serde_json::{Value, json};
use switchboard_tests::agent::{Decision, View};
use switchboard_tests::harness::{customer, lasting, until};

use crate::battery::office::{Office, group};
use crate::battery::{epoch, raised};
use crate::run::Run;

pub const BUGS: &str =
    "ack_before_commit,resend_on_timeout,fence_unlocked,last_write_wins,limiter_not_restored,no_sweep";

const FIRST: usize = 7_000;
const GROUP: i64 = -500_200;

pub async fn break_it(run: &mut Run) {
    acknowledged_before_the_commit(run).await;
    let mut office = Office::open(run, "anna", Vec::new(), 3).await;
    never_answered(run, &mut office).await;
    stopped_before_the_claim(run, &mut office).await;
    evidence_after_the_decision(run, &mut office).await;
    handed_over_with_a_full_window(run).await;
    never_rung(run, &office).await;
}

/// Killed with a batch given out and not committed.
async fn acknowledged_before_the_commit(run: &mut Run) {
    let armed = run.fleet.arm_active("P3:1", "kill").await;
    run.fleet.platform.message(customer(FIRST), "hello [[p3]]").await;
    run.more_in += 1;
    run.fleet.died_at(armed, "P3:1").await;
    run.witnessed("the connector died at P3");
    run.fleet.start_connector(armed, &[]).await;
    run.bug("offset_before_commit", &["IN-1"], customer(FIRST).to_string());
}

/// An agent answers; returns the chat and the seq.
async fn answer(run: &mut Run, office: &mut Office, tag: &str) -> (String, i64) {
    let chat = office.chat();
    let sent = office.agent.send(&chat, tag, &format!("an answer [[{tag}]]")).await;
    run.more_out += 1;
    (chat, sent.unwrap_or_else(|error| panic!("{error}"))["seq"].as_i64().expect("a seq"))
}

async fn shown(office: &Office, chat: &str, seq: i64, state: Option<&str>) {
    let shows = |view: &View| view.part(chat, seq, 0).is_some_and(|part| state.is_none_or(|state| part.state == state));
    let waited = office.agent.wait_until("an outcome", Duration::from_secs(40), shows).await;
    waited.unwrap_or_else(|error| panic!("{error}"));
}

/// The platform takes a message and never answers.
async fn never_answered(run: &mut Run, office: &mut Office) {
    run.fleet.platform.fault("hang_after", 1).await;
    run.injected("hang_after");
    let (chat, seq) = answer(run, office, "unclear").await;
    shown(office, &chat, seq, None).await;
    run.witnessed("a call without an answer");
    run.bug("resend_on_timeout", &["OUT-3"], "unclear");
}

/// The active stops right before it claims a reply. Its successor is told to wait with that reply, and the stopped one
/// goes on.
async fn stopped_before_the_claim(run: &mut Run, office: &mut Office) {
    // Without the bug there is nothing between the check and the claim: it stops before both.
    let point = if run.sabotaged { "S0:1" } else { "S1:1" };
    let armed = run.fleet.arm_active(point, "stop").await;
    let wait = json!({"method": "sendMessage", "mode": "429", "retry_after": 4});
    run.fleet.platform.order("fault", wait).await;
    let told = async |run: &Run| run.fleet.platform.state().await["calls"]["by_reply"]["429"].as_u64().unwrap_or(0);
    let before = told(run).await;
    let (chat, seq) = answer(run, office, "fenced").await;
    let stopped = run.fleet.stopped_at(armed, point).await;
    until("the successor to be told to wait", 30, async || (told(run).await > before).then_some(())).await;
    until("the reply to wait again", 10, async || {
        let sql = "SELECT count(*) FROM outbox WHERE open AND state = 0";
        (run.fleet.onlooker.number(sql).await? == 1).then_some(())
    })
    .await;
    run.fleet.thaw_at(armed, point, stopped);
    shown(office, &chat, seq, None).await;
    run.witnessed("the successor was told to wait");
    run.fleet.paired().await;
    run.bug("fence_unlocked", &["OUT-8"], "(sendMessage)");
}

/// The answer of the platform is recorded after a person has decided without it.
async fn evidence_after_the_decision(run: &mut Run, office: &mut Office) {
    let armed = run.fleet.arm_active("S6:1", "stop").await;
    let before = epoch(&run.fleet).await;
    let (chat, seq) = answer(run, office, "late").await;
    let stopped = run.fleet.stopped_at(armed, "S6:1").await;
    raised(&run.fleet, before).await;
    shown(office, &chat, seq, Some("unconfirmed")).await;
    let decided = office.agent.decide(Decision::MarkSent, &chat, seq, 0).await;
    decided.unwrap_or_else(|error| panic!("{error}"));
    shown(office, &chat, seq, Some("closed")).await;
    run.fleet.thaw_at(armed, "S6:1", stopped);
    until("the evidence to be recorded", 20, async || {
        let sql = "SELECT count(*) FROM attempt a JOIN outbox o ON o.id = a.outbox_id
                    WHERE o.body LIKE '%[[late]]%' AND a.platform_id IS NOT NULL";
        (run.fleet.onlooker.number(sql).await? == 1).then_some(())
    })
    .await;
    run.fleet.paired().await;
    run.witnessed("evidence after the decision");
    run.bug("last_write_wins", &["RC-1"], "[[late]]");
}

/// A handover after a group had all that it may have in a minute.
async fn handed_over_with_a_full_window(run: &mut Run) {
    run.fleet.platform.order("limits", json!({"enforce": false})).await;
    let (chat, agent) = group(run, GROUP, "group", 9).await;
    let mut witness = run.fleet.witness();
    let full = witness.sent() + 20;
    let mut seqs = Vec::new();
    for n in 0..22 {
        let key = format!("group-{n}");
        let sent = agent.send(&chat, &key, &format!("news [[{key}]]")).await;
        let sent: Value = sent.unwrap_or_else(|error| panic!("{error}"));
        seqs.push(sent["seq"].as_i64().expect("a seq"));
        run.more_out += 1;
    }
    until("the group's minute to be full", 30, async || (witness.sent() >= full).then_some(())).await;
    let before = epoch(&run.fleet).await;
    run.fleet.operate(&["handover", "support"]);
    let now = raised(&run.fleet, before).await;
    run.injected("handover");
    run.witnessed(format!("handover: epoch {now}"));
    // The rest is due in a minute; whoever forgot that sends it now.
    match run.sabotaged {
        true => until("more than the minute holds to go out", 20, async || (witness.sent() > full).then_some(())).await,
        false => lasting(1_500).await,
    }
    for seq in seqs.split_off(20) {
        // Refused when it has gone out.
        let _ = agent.cancel(&chat, seq).await;
    }
    run.bug("limiter_not_restored", &["OUT-10"], GROUP.to_string());
}

/// The connector dies between its commit and the ring, and nothing else happens.
async fn never_rung(run: &mut Run, office: &Office) {
    run.settle().await;
    let armed = run.fleet.arm_active("W5:1", "kill").await;
    run.fleet.platform.message(customer(FIRST), "is anybody there? [[w5]]").await;
    run.more_in += 1;
    run.fleet.died_at(armed, "W5:1").await;
    run.witnessed("the connector died at W5");
    // The database knows it; whether agents hear of it within three sweeps is the question.
    let seen = |view: &View| {
        view.customer_messages(0).any(|seen| seen.text.as_deref().is_some_and(|text| text.contains("[[w5]]")))
    };
    let waited = office.agent.wait_until("the last message", Duration::from_secs(3), seen).await;
    if !run.sabotaged {
        waited.unwrap_or_else(|error| panic!("{error}"));
    }
    run.fleet.start_connector(armed, &[]).await;
    until("everything to be acknowledged", 30, async || {
        (run.fleet.platform.state().await["queue"]["waiting"].as_u64()? == 0).then_some(())
    })
    .await;
    run.restless = run.sabotaged;
    run.bug("no_sweep", &["IN-5"], "is still pending");
}
