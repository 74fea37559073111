//! A connector that stops and goes on: long pauses of a virtual machine, a debugger, a suspended host. What it
//! believed before it stopped may be wrong when it goes on.

use std::time::Duration;

use switchboard_tests::agent::View;
use switchboard_tests::harness::{Fleet, FleetOptions, Load, SESSION_TIMEOUT_MS as T, customer, lasting, until};

use crate::taken_chat;

const SEED: u64 = 20_261_122;

#[tokio::test(flavor = "multi_thread")]
async fn freeze_the_active_under_traffic() {
    let options = FleetOptions { reply_delay_ms: 20, ..FleetOptions::pair("freezes") };
    let load = Load { chats: 100, messages: 800, pause_ms: 35, replies: 400, reply_each: 2, file_each: 0, seed: SEED };
    let ran = load.run(options, async |fleet, traffic| {
        let mut witness = fleet.witness();
        // Each with what it must come to: a takeover, none, or whichever is faster.
        for (span, takeover) in
            [(T / 2, Some(false)), (T * 95 / 100, None), (T * 3 / 2, Some(true)), (T * 3, Some(true))]
        {
            let active = fleet.paired().await;
            let before = fleet.onlooker.lease().await.unwrap().epoch;
            let goal = witness.sent() + 15;
            until("some replies to go out", 60, async || (witness.sent() >= goal).then_some(())).await;
            witness.open_call(30).await;
            let frozen = fleet.freeze(active);
            lasting(span).await;
            fleet.thaw(active, frozen);
            fleet.active().await;
            let raised = fleet.onlooker.lease().await.unwrap().epoch - before;
            match takeover {
                Some(expected) => assert_eq!(raised, i64::from(expected), "frozen for {span} ms"),
                None => assert!(raised <= 1, "frozen for {span} ms: {raised} takeovers"),
            }
        }
        assert!(!traffic.is_finished(), "all freezes lie inside the traffic");
    });
    ran.await.held(0).await;
}

const SOON: Duration = Duration::from_secs(20);

/// Whether a message is in this state.
fn shows<'a>(chat: &'a str, seq: i64, state: &'a str) -> impl Fn(&View) -> bool + 'a {
    move |view| view.part(chat, seq, 0).is_some_and(|part| part.state == state)
}

/// Frozen after its last check and before the first byte (S3), and with half of the request written (S4): the one
/// call that may still go out when it thaws is known as unclear by then.
#[tokio::test(flavor = "multi_thread")]
async fn freeze_between_the_last_check_and_the_last_byte() {
    let mut fleet = Fleet::start(FleetOptions::pair("freeze-points")).await;
    let agent = fleet.agent("anna", 1);
    let chats = [
        taken_chat(&fleet, &agent, customer(1), "hello [[q1]]").await,
        taken_chat(&fleet, &agent, customer(2), "good day [[q2]]").await,
    ];
    for point in ["S3:1", "S4:1"] {
        let armed = armed_active(&mut fleet, point, "stop").await;
        let key = |what: &str| format!("{what}-{}", &point[..2]);
        let text = |what: &str| format!("{what} [[{}]]", key(what));
        let sent = agent.send(&chats[0], &key("frozen"), &text("frozen")).await.unwrap();
        let seq = sent["seq"].as_i64().unwrap();
        let stopped = fleet.stopped_at(armed, point).await;
        let other =
            until("the standby to take over", 30, async || fleet.active_now().await.filter(|now| *now != armed)).await;
        let next = agent.send(&chats[1], &key("next"), &text("next")).await.unwrap()["seq"].as_i64().unwrap();
        agent.wait_until("the other's call", SOON, shows(&chats[1], next, "sent")).await.unwrap();
        agent.wait_until("it to be unconfirmed", SOON, shows(&chats[0], seq, "unconfirmed")).await.unwrap();
        fleet.thaw_at(armed, point, stopped);
        assert_eq!(fleet.paired().await, other, "the thawed one stands by");
    }
    fleet.rest(&[&agent], 60).await;
    let report = fleet.verdict(&fleet.expectations().require(&["OUT-3", "OUT-4", "OUT-5", "OUT-8", "OUT-14"])).await;
    report.assert_clean();
    let figures = &report.figures;
    assert_eq!((figures.lost, figures.duplicated, figures.unexplained), (0, 0, 0));
    assert!(figures.stale_sends <= 2, "one frozen call each");
    assert_eq!(figures.unconfirmed, 2);
}

/// Makes a connector active that will freeze itself, or die, at a point; the other one stands by.
pub async fn armed_active(fleet: &mut Fleet, point: &str, how: &str) -> usize {
    let armed = 1 - fleet.paired().await;
    fleet.arm_connector(armed, point, how).await;
    fleet.paired().await;
    fleet.operate(&["handover", "support"]);
    assert_eq!(fleet.paired().await, armed, "handed over");
    armed
}
