//! What an operator changes while everything runs is taken up within seconds: without a restart, a change of the
//! active, a lost or doubled message, or a call over the limit.

use serde_json::Value;
use switchboard_tests::harness::{Backlog, Fleet, FleetOptions, Load, customer, until};

use crate::limits::{refused, to_each};

/// Waits until both connectors answer with `value` at `key`.
async fn both_say(fleet: &Fleet, key: &str, value: &str) {
    until(&format!("{key}: {value}"), 15, async || {
        for number in 0..2 {
            let said = fleet.ready_of(number).await?;
            said[key].as_str().filter(|said| said.starts_with(value))?;
        }
        Some(())
    })
    .await;
}

async fn version(fleet: &Fleet) -> i64 {
    fleet.onlooker.number("SELECT version FROM account").await.expect("the database answers")
}

/// Changes something and waits until both connectors have it.
async fn operate(fleet: &Fleet, arguments: &[&str]) {
    let said = fleet.operate(arguments);
    let version = version(fleet).await;
    assert!(said.contains(&format!("at version {version}")), "{said}");
    both_say(fleet, "settings", &format!("version {version}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_changed_and_shut_and_opened_while_it_serves() {
    let load =
        Load { chats: 20, messages: 400, pause_ms: 50, replies: 150, reply_each: 2, file_each: 0, seed: 20_261_121 };
    let ran = load.run(FleetOptions::pair("settings"), async |fleet, traffic| {
        fleet.paired().await;
        let epoch = fleet.onlooker.lease().await.expect("a lease").epoch;
        operate(fleet, &["account", "limit", "support", "account=25/1s"]).await;
        operate(fleet, &["--actor", "ida", "account", "set", "support", "--unset", "limits"]).await;

        // What cannot be opened here is not taken up: the old settings stay in force until it is mended.
        let broken = "UPDATE account SET settings = settings || '{\"token\": \"file:/nowhere\"}', version = version + 1
                      RETURNING version - 1";
        let held = fleet.onlooker.number(broken).await.expect("the database answers");
        both_say(fleet, "settings", &format!("version {held}; {} cannot be taken up", held + 1)).await;
        let token = format!("token=file:{}", fleet.dir.join("token").display());
        operate(fleet, &["account", "set", "support", &token]).await;
        assert_eq!(fleet.onlooker.lease().await.expect("a lease").epoch, epoch, "nobody had to take over");

        fleet.operate(&["account", "disable", "support"]);
        both_say(fleet, "account", "disabled").await;
        until("the lease to be given up", 10, async || fleet.onlooker.lease().await?.released.then_some(())).await;
        until("updates to wait at the platform", 20, async || {
            (fleet.platform.state().await["queue"]["waiting"].as_u64()? > 5).then_some(())
        })
        .await;
        let lease = fleet.onlooker.lease().await.expect("a lease");
        assert!(lease.released && lease.epoch == epoch, "nobody is active meanwhile: {lease:?}");
        fleet.operate(&["account", "enable", "support"]);
        both_say(fleet, "account", "enabled").await;
        assert!(!traffic.is_finished(), "all changes lie inside the traffic");
    });
    let ran = ran.await;
    assert_eq!(ran.held(0).await.figures.unconfirmed, 0, "nobody died");
    let told: Value = serde_json::from_str(&ran.fleet.operate(&["audit", "support", "--json"])).expect("JSON");
    let told: Vec<&str> = told.as_array().expect("rows").iter().filter_map(|row| row["action"].as_str()).collect();
    // Then come those of the queue of the same name.
    let expected = ["account.enable", "account.disable", "account.set", "account.set", "account.set", "account.add"];
    assert_eq!(told[..6], expected);
    let shown: Value =
        serde_json::from_str(&ran.fleet.operate(&["account", "show", "support", "--json"])).expect("JSON");
    assert_eq!(shown["changes"][3]["actor"], "ida");
    assert_eq!(shown["capabilities"]["limits"][0]["count"], 30, "{shown}");
}

/// A sender that begins anew must know what the one before it has used of the platform's windows.
#[tokio::test(flavor = "multi_thread")]
async fn no_limit_is_exceeded_where_settings_change() {
    let fleet = Fleet::start(FleetOptions { arrival_jitter_ms: 20, ..FleetOptions::pair("settings-limits") }).await;
    let backlog = Backlog::of(&fleet, "daria").await;
    let customers: Vec<i64> = (0..150).map(customer).collect();
    let chats = backlog.chats(&fleet, &customers).await;
    fleet.paired().await;
    backlog.submit(to_each(&chats, 2, "all")).await;
    let mut witness = fleet.witness();
    for (change, limit) in ["account=29/1s", "account=30/1s", "account=28/1s", "account=30/1s"].into_iter().enumerate()
    {
        let goal = 40 * (change as u64 + 1);
        until("messages to go out", 60, async || (witness.sent() >= goal).then_some(())).await;
        operate(&fleet, &["account", "limit", "support", limit]).await;
    }
    assert!(witness.sent() < 300, "all changes lie inside the backlog");
    fleet.rest(&[], 90).await;
    assert_eq!(refused(&fleet).await, [], "none over a limit");
    let required = ["OUT-1", "OUT-3", "OUT-4", "OUT-6", "OUT-7", "OUT-8", "OUT-9", "OUT-10"];
    let report = fleet.verdict(&fleet.expectations().require(&required)).await;
    report.assert_clean();
    assert_eq!((report.figures.lost, report.figures.duplicated, report.figures.unconfirmed), (0, 0, 0));
}
