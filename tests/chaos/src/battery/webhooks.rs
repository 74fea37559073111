//! Updates that come more than once, in any order, at both connectors, and again much later.

use serde_json::json;
use switchboard_tests::harness::{Fleet, customer};

use super::{Scenario, by_webhook, comes_in, usual};
use crate::observed::deliveries;
use crate::run::Run;

pub const SCENARIOS: &[Scenario] = &[Scenario {
    id: "F29",
    name: "webhooks_in_disorder",
    about: "each update five times, newest first, at both connectors at once, bad ones among them, replayed: stored once",
    quick: false,
    options: by_webhook,
    load: usual,
    breaking: |run| Box::pin(disorder(run)),
}];

/// Requests that are not the platform's.
const FORGED: [&str; 7] =
    ["no_secret", "empty_secret", "wrong_secret", "changed_secret", "short_secret", "long_secret", "two_secrets"];

/// An update that cannot be read.
const UNREADABLE: &str = "{\"hologram\":{\"id\":1}}";

async fn disorder(run: &mut Run) {
    run.expected.disordered.insert("support".to_owned());
    run.expected.required.remove("IN-7");
    let both: Vec<String> = run.fleet.connector_bases().iter().map(|base| Fleet::webhook_at(base)).collect();
    for round in 0..run.tier.pick(1, 3) {
        let fleet = &run.fleet;
        let order = json!({"copies": 5, "to": both, "reorder": true, "hold": true});
        fleet.platform.deliveries(order).await;
        let items: Vec<_> = (0..60)
            .map(|n| json!({"chat": customer(n % 12), "text": format!("disordered [[d{round}-{n}]]")}))
            .collect();
        fleet.platform.order("messages", json!({ "items": items })).await;
        fleet.platform.order("update", json!({"text_raw": UNREADABLE, "keep_id": true})).await;
        let before = deliveries(&fleet.dir).len();
        fleet.platform.deliveries(json!({"hold": false})).await;
        comes_in(fleet, 60).await;
        fleet.platform.deliveries(json!({"copies": 1, "to": [], "reorder": false})).await;
        let came = deliveries(&run.fleet.dir).len() - before;
        assert!(came >= 60 * 10, "{came} requests for 60 updates");
        // The same bytes are the same update.
        run.more_in += 60 + usize::from(round == 0);
        run.injected("each update five times at both connectors, newest first");
        run.witnessed(format!("{came} requests for 61 updates and the traffic's"));
        let rows = async |run: &Run| run.fleet.onlooker.number("SELECT count(*) FROM quarantine").await;
        comes_in(&run.fleet, 30).await;
        assert_eq!(rows(run).await, Some(1), "unreadable, and kept once");
    }
    run.settle().await;
    harmless(run).await;
}

/// Everything again, and what the platform never sent: no new row but for what the platform vouches for.
pub async fn harmless(run: &mut Run) {
    let rows = async |run: &Run| run.fleet.onlooker.number("SELECT count(*) FROM history").await;
    let aside = async |run: &Run| run.fleet.onlooker.number("SELECT count(*) FROM quarantine").await;
    let (before, known) = (rows(run).await, aside(run).await);
    for again in [json!({"last": 200, "at_once": true}), json!({"last": 2, "times": 100, "at_once": true})] {
        let replayed = run.fleet.platform.order("replay", again).await;
        assert_eq!(replayed["counted"], json!({"200": 200}), "what was stored is answered well again");
        run.injected("replayed");
        run.witnessed("200 replayed requests were answered 200");
    }
    for how in FORGED {
        assert_eq!(run.fleet.platform.forge(how, customer(1), None).await, 401, "{how}");
        run.injected(how);
        run.witnessed(format!("{how}: 401"));
    }
    let huge = run.fleet.platform.forge("huge_body", customer(1), None).await;
    // Refused before its end is sent: the answer may be lost on the way.
    assert!([413, 0].contains(&huge), "{huge}");
    assert_eq!(run.fleet.platform.forge("changed_body", customer(1), None).await, 200, "this platform signs no body");
    run.more_in += 1;
    run.rest().await;
    assert_eq!(aside(run).await, known.map(|known| known + 1), "unreadable, and kept");
    assert_eq!(rows(run).await, before, "no new row");
}
