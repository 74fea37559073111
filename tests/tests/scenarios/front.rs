//! The side that is reached from outside: a webhook and files, behind HAProxy with the sample configuration.

use std::time::Duration;

use switchboard_tests::harness::{Fleet, FleetOptions, customer, picture, until};

/// Updates come by webhook, files go both ways, each connector and the proxy give the same bytes.
#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_and_files_behind_the_proxy() {
    let fleet = Fleet::start(FleetOptions { webhook: true, proxy: true, ..FleetOptions::pair("front") }).await;
    let anna = fleet.agent_online("anna").await;
    fleet.platform.files_unavailable(1).await;
    fleet.platform.photo(customer(0), &picture(640, 480, 300_000, 7), "look [[q0]]").await;
    fleet.platform.document(customer(0), "act.pdf", "application/pdf", b"%PDF-1.7", "").await;
    fleet.platform.message(customer(0), "did you get it? [[q1]]").await;
    let waits = |view: &switchboard_tests::agent::View| view.waiting().next().is_some();
    anna.wait_until("the chat", Duration::from_secs(20), waits).await.expect("the customer is shown");
    let chat = anna.view().waiting().next().expect("it waits").to_owned();
    anna.take(&chat).await.expect("nobody else takes it");
    let files = fleet.file_client("anna");
    let servers = [fleet.connector_bases(), vec![fleet.public_base()]].concat();
    let bytes: Vec<u8> = (0..600_000_u32).map(|n| (n >> 3) as u8).collect();
    let own = files.put(&fleet.public_base(), "k1", "out.bin", "application/octet-stream", &bytes).await.file();
    for server in &servers {
        assert_eq!(files.get(server, &own).await.status, 200);
        assert_eq!(files.get_range(server, &own, 10, 300_000).await.status, 206);
    }
    fleet.rest(&[&anna], 60).await;
    let url = fleet.postgres.url();
    let came = until("the customer's files", 20, async || {
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.ok()?;
        tokio::spawn(connection);
        let rows = client.query("SELECT id FROM file WHERE inbound AND state = 1", &[]).await.ok()?;
        (rows.len() == 2).then(|| rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>())
    });
    for file in came.await {
        for server in &servers {
            assert_eq!(files.get(server, &file).await.status, 200);
        }
    }
    let all = ["IN-1", "IN-4", "IN-5", "IN-7", "IN-9", "FI-1", "FI-2", "FI-3", "FI-5"];
    let report = fleet.verdict(&fleet.expectations().require(&all)).await;
    report.assert_clean();
    fleet.no_secret_was_written();
}
