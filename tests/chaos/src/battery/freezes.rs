//! Processes that stop and go on: long pauses of a virtual machine, a debugger, a suspended host. What they believed
//! before they stopped may be wrong when they go on.

use std::time::Duration;

use rustix::process::Signal;
use switchboard_tests::harness::{SESSION_TIMEOUT_MS as T, lasting, until};
use switchboard_tests::observer::boottime_ns;

use super::{Scenario, by_webhook, epoch, goes_on, led_by_another, raised, usual, world};
use crate::observed::calls_between;
use crate::run::Run;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        id: "F04",
        name: "freeze_active",
        about: "SIGSTOP of the active for 0.5 to 3 T: below T no takeover, above it is fenced when it goes on",
        quick: true,
        options: world,
        load: usual,
        breaking: |run| Box::pin(freeze_active(run)),
    },
    Scenario {
        id: "F05",
        name: "freeze_before_the_first_byte",
        about: "stopped between the last check and the first byte (S3), or in the middle (S4): one late call at most",
        quick: true,
        options: world,
        load: usual,
        breaking: |run| Box::pin(freeze_at_points(run)),
    },
    Scenario {
        id: "F06",
        name: "freeze_zookeeper_leader",
        about: "SIGSTOP of ZooKeeper's leader: the others elect one, no tenure changes",
        quick: false,
        options: world,
        load: usual,
        breaking: |run| Box::pin(freeze_zookeeper_leader(run)),
    },
    Scenario {
        id: "F06",
        name: "freeze_proxy",
        about: "SIGSTOP of HAProxy: webhooks and agents wait, and nothing is lost",
        quick: false,
        options: by_webhook,
        load: usual,
        breaking: |run| Box::pin(freeze_proxy(run)),
    },
];

async fn freeze_active(run: &mut Run) {
    // Each with whether it lasts until there is a takeover. In the others whichever is faster comes first; the lease is not even
    // stale in the shortest, unless the machine itself hesitates.
    let spans = [(T / 2, false), (T * 95 / 100, false), (T * 3 / 2, true), (T * 3, true), (T * 105 / 100, false)];
    let rounds = run.tier.pick(1, 2);
    for (span, takeover) in spans.repeat(rounds).into_iter().take(run.tier.pick(4, 10)) {
        let fleet = &mut run.fleet;
        let active = fleet.paired().await;
        let before = epoch(fleet).await;
        goes_on(fleet, 10).await;
        fleet.witness().open_call(30).await;
        let frozen = fleet.freeze(active);
        lasting(span).await;
        if takeover {
            raised(fleet, before).await;
        }
        let silent_until = boottime_ns();
        fleet.thaw(active, frozen);
        fleet.active().await;
        let takeovers = epoch(fleet).await - before;
        let stale = silent_until - frozen > (T / 2 + T / 4) as i64 * 1_000_000;
        assert!(takeovers <= i64::from(stale), "frozen for {span} ms: {takeovers} takeovers");
        match takeovers {
            0 => {
                // What it had handed to its kernel may still arrive in the first moments.
                let calls = calls_between(&fleet.dir, frozen + 100_000_000, silent_until);
                assert_eq!(calls, 0, "a frozen process calls nobody");
                run.witnessed(format!("frozen for {span} ms: no call began"));
            }
            _ => run.witnessed(format!("frozen for {span} ms: takeover")),
        }
        run.stale_allowed += 1;
    }
}

/// The one call that may still go out when it thaws is known as unclear by then.
async fn freeze_at_points(run: &mut Run) {
    for point in ["S3:3", "S4:3"].repeat(run.tier.pick(1, 3)) {
        let fleet = &mut run.fleet;
        let armed = 1 - fleet.paired().await;
        fleet.arm_connector(armed, point, "stop").await;
        fleet.paired().await;
        let before = epoch(fleet).await;
        fleet.operate(&["handover", "support"]);
        let held = raised(fleet, before).await;
        let stopped = fleet.stopped_at(armed, point).await;
        let now = raised(fleet, held).await;
        goes_on(fleet, 10).await;
        // Nothing of the stopped one's tenure is under way any more: its successor has shown it as unclear.
        until("its message to be unconfirmed", 30, async || {
            let sql = format!("SELECT count(*) FROM outbox WHERE epoch = {held} AND state = 1");
            (fleet.onlooker.number(&sql).await? == 0).then_some(())
        })
        .await;
        fleet.thaw_at(armed, point, stopped);
        assert_ne!(fleet.paired().await, armed, "the thawed one stands by");
        run.witnessed(format!("stopped at {point}, takeover: epoch {now}"));
        run.stale_allowed += 1;
    }
}

async fn freeze_zookeeper_leader(run: &mut Run) {
    let before = epoch(&run.fleet).await;
    for span in [1_000, 4_000, 8_000, 3_000] {
        let fleet = &mut run.fleet;
        fleet.paired().await;
        let leader = fleet.zookeeper.leader().await;
        let begun = boottime_ns();
        fleet.zookeeper.process(leader).signal(Signal::STOP);
        lasting(span).await;
        assert_eq!(fleet.zookeeper.mode(leader), None, "a frozen server says nothing");
        goes_on(fleet, 5).await;
        // Followers give a silent leader up after syncLimit, clients long before.
        fleet.zookeeper.process(leader).signal(Signal::CONT);
        fleet.fault("freeze", &format!("zookeeper:{leader}"), begun);
        run.witnessed(format!("ZooKeeper's leader answered nobody for {span} ms"));
    }
    // Long enough for the others to elect one of them.
    let fleet = &mut run.fleet;
    let leader = fleet.zookeeper.leader().await;
    let begun = boottime_ns();
    fleet.zookeeper.process(leader).signal(Signal::STOP);
    let other = led_by_another(fleet, leader).await;
    goes_on(fleet, 10).await;
    fleet.zookeeper.process(leader).signal(Signal::CONT);
    fleet.fault("freeze", &format!("zookeeper:{leader}"), begun);
    run.witnessed(format!("ZooKeeper's server {other} leads instead of {leader}"));
    run.fleet.paired().await;
    assert_eq!(epoch(&run.fleet).await, before, "no takeover");
}

async fn freeze_proxy(run: &mut Run) {
    for span in [1_000, 3_000, 8_000, 15_000] {
        let fleet = &mut run.fleet;
        goes_on(fleet, 10).await;
        let client = reqwest_of();
        let begun = boottime_ns();
        let proxy = fleet.proxy.as_mut().expect("the fleet has a proxy");
        proxy.process().signal(Signal::STOP);
        let base = fleet.public_base();
        let (asked, ()) = tokio::join!(client.get(format!("{base}/files/support/none")).send(), lasting(span));
        assert!(asked.is_err(), "a frozen proxy answers nobody");
        let proxy = fleet.proxy.as_mut().expect("the fleet has a proxy");
        proxy.process().signal(Signal::CONT);
        fleet.fault("freeze", "proxy", begun);
        run.witnessed(format!("HAProxy answered nobody for {span} ms"));
    }
    assert_eq!(epoch(&run.fleet).await, 1, "no takeover");
}

fn reqwest_of() -> reqwest::Client {
    reqwest::Client::builder().timeout(Duration::from_millis(800)).build().expect("a client")
}
