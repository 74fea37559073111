//! Everything behind nginx with the sample configuration: agents' websockets, webhooks, files, REST, while whoever serves them
//! dies.

use reqwest::StatusCode;
use switchboard_tests::harness::{ALL, Fleet, FleetOptions, Load, Underway, finished, until};

use crate::downloads::{SETTINGS, Street, slow_readers};
use crate::full;

/// More than nginx holds of a body in memory, and more than it lets through where nobody uploads.
const LARGE: usize = 6 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn both_ways_and_files_behind_nginx() {
    let options = FleetOptions {
        webhook: true,
        proxy: true,
        nginx: true,
        loader: true,
        settings: SETTINGS,
        ..FleetOptions::pair("nginx")
    };
    // Customers write for as long as something is broken, and the agents answer for as long.
    let load = Load {
        chats: 20,
        messages: 0,
        pause_ms: 30,
        replies: usize::MAX,
        reply_each: 2,
        file_each: 10,
        seed: 20_261_130,
    };
    let bytes: Vec<u8> = (0..LARGE as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut fleet = Fleet::start(options).await;
    let Underway { mut traffic, desks, budget } = load.begin(&fleet);
    let octets = "application/octet-stream";
    let large = fleet.file_client("anna").put(&fleet.public_base(), "large", "large.bin", octets, &bytes).await.file();
    downloaded(&fleet, &large, &bytes).await;
    fleet.paired().await;
    // The connector that nginx asks first dies, and then the other: at least one of them is the active.
    for number in [0, 1] {
        traffic_flows(&fleet).await;
        fleet.kill_connector(number);
        traffic_flows(&fleet).await;
        downloaded(&fleet, &large, &bytes).await;
        fleet.start_connector(number, &[]).await;
        fleet.behind_proxy(number).await;
    }
    assert!(fleet.onlooker.lease().await.is_some_and(|lease| lease.epoch > 1), "the other took over");
    fleet.kill_chatserver(0).await;
    traffic_flows(&fleet).await;
    traffic.finish().await;
    budget.close();
    let (agents, replies) = finished(desks).await;
    fleet.rest(&agents.iter().map(AsRef::as_ref).collect::<Vec<_>>(), 60).await;
    only_what_is_for_outside(&fleet).await;
    if full() {
        slow_readers(&fleet, &street(&fleet)).await;
    }
    let files = ["IN-9", "FI-1", "FI-2", "FI-3", "FI-5"];
    let report = fleet.verdict(&fleet.expectations().require(&[ALL, &files].concat())).await;
    report.assert_clean();
    assert!(report.figures.out == replies && replies > 20, "{replies} replies");
    fleet.no_secret_was_written();
}

fn street(fleet: &Fleet) -> Street {
    let token = |agent| fleet.operate(&["token", "--agent", agent]);
    Street { client: reqwest::Client::new(), base: fleet.public_base(), anna: token("anna"), eve: token("boris") }
}

/// Waits until messages go both ways.
async fn traffic_flows(fleet: &Fleet) {
    let mut witness = fleet.witness();
    let (taken, sent) = (witness.acknowledged() + 15, witness.sent() + 4);
    until("messages both ways", 60, async || (witness.acknowledged() >= taken && witness.sent() >= sent).then_some(()))
        .await;
}

/// A file whole and a range of it; FI-1 compares them, too.
async fn downloaded(fleet: &Fleet, file: &str, bytes: &[u8]) {
    let (files, base) = (fleet.file_client("anna"), fleet.public_base());
    files.expect(file, bytes);
    let whole = files.get(&base, file).await;
    assert!(whole.status == 200 && whole.body == bytes, "{}", whole.status);
    let range = files.get_range(&base, file, 1_000_000, 4_999_999).await;
    assert!(range.status == 206 && range.body == bytes[1_000_000..5_000_000], "{}", range.status);
}

/// The operators' paths and accounts that are not there are nobody's; the rest is whose it is.
async fn only_what_is_for_outside(fleet: &Fleet) {
    let (client, base, anna) =
        (reqwest::Client::new(), fleet.public_base(), fleet.operate(&["token", "--agent", "anna"]));
    for (path, status) in [
        ("/metrics?signature=x", 404),
        ("/livez", 404),
        ("/readyz", 404),
        ("/files/sales/0", 404),
        ("/webhooks/sales/telegram", 404),
        ("/", 200),
        ("/v1/accounts", 200),
        ("/v1/chats/1/history?after=0", 200),
    ] {
        let answer = client.get(format!("{base}{path}")).bearer_auth(&anna).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path}");
    }
    let large = client.post(format!("{base}/webhooks/support/telegram")).body(vec![b'x'; 2 << 20]).send().await;
    assert_eq!(large.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
    let log = std::fs::read_to_string(fleet.dir.join("nginx-access.log")).unwrap();
    assert!(log.contains("GET /metrics HTTP/1.1") && !log.contains("signature"), "a query is in nginx's log");
}
