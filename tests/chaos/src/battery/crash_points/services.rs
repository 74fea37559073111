//! Webhooks, files and fetches of one connector, a chatserver under an agent who comes, catches up and sends, and a loader
//! that exports.

use serde_json::{Value, json};
use switchboard_tests::file_client::FileClient;
use switchboard_tests::harness::{customer, until};

use super::left::{acknowledged, behind};
use super::operator::{export, migrate};
use super::rounds;
use super::table::{CHATSERVER, FETCH, FILES, Left, Point, WEBHOOK};
use crate::battery::office::Office;
use crate::run::Run;

/// Three chunks.
const UPLOAD: usize = 700_000;

pub async fn die(run: &mut Run) {
    run.fleet.platform.deliveries(json!({"backoff_scale": 0.1})).await;
    let mut office = Office::open(run, "boris", run.fleet.websockets()[..1].to_vec(), 3).await;
    run.fleet.active().await;
    let mut hit = 0;
    for round in 0..rounds(run) {
        hit += connector(run, round).await;
        hit += chatserver(run, &mut office, round).await;
        hit += export(run).await;
        hit += migrate(run, round).await;
    }
    run.notes.push(format!("points hit: {hit}"));
}

/// The connector dies at one point after the other; nobody stands by.
async fn connector(run: &mut Run, round: usize) -> usize {
    let client = run.fleet.file_client("anna");
    let points: Vec<&Point> = WEBHOOK.iter().chain(&FILES).chain(&FETCH).collect();
    run.fleet.connector(0).stop(15).await;
    for point in &points {
        let (told, before) = (point.told(), acknowledged(run));
        run.fleet.start_dying_connector(0, &told).await;
        let tag = format!("{}-{round}", point.name.to_lowercase());
        match point.name {
            "F1" | "F2" => {
                let server = run.fleet.public_base();
                let uploading = upload(&client, &server, &tag);
                let ((), status) = tokio::join!(run.fleet.died_at(0, &told), uploading);
                assert_eq!(status, 0, "{}: the upload is not answered", point.name);
            }
            "F3" => {
                let (server, file) = (run.fleet.public_base(), uploaded(run, &format!("f2-{round}")).await);
                let ((), got) = tokio::join!(run.fleet.died_at(0, &told), client.get(&server, &file));
                assert_eq!(got.status, 0, "the download breaks off");
            }
            "M1" => {
                let bytes = format!("the file of {tag}\n").repeat(500);
                let caption = format!("a file [[{tag}]]");
                let document =
                    run.fleet.platform.document(customer(6_000), "file.txt", "text/plain", bytes.as_bytes(), &caption);
                document.await;
                run.more_in += 1;
                run.fleet.died_at(0, &told).await;
            }
            // The file of M1 is still to be fetched.
            "M2" | "M3" => run.fleet.died_at(0, &told).await,
            _ => {
                run.fleet.platform.message(customer(6_000), &format!("a customer writes [[{tag}]]")).await;
                run.more_in += 1;
                run.fleet.died_at(0, &told).await;
            }
        }
        let holder = run.fleet.holder(0);
        behind(run, point, &holder, &tag, before).await;
    }
    run.fleet.start_connector(0, &[]).await;
    let server = run.fleet.public_base();
    for (key, status) in [("f1", 201), ("f2", 200)] {
        let again = upload(&client, &server, &format!("{key}-{round}")).await;
        assert_eq!(again, status, "{key}: the upload again");
    }
    let file = uploaded(run, &format!("f2-{round}")).await;
    assert_eq!(client.get(&server, &file).await.body, bytes_of(&format!("f2-{round}")), "the download again");
    points.len()
}

fn bytes_of(key: &str) -> Vec<u8> {
    key.bytes().cycle().take(UPLOAD).collect()
}

async fn upload(client: &FileClient, server: &str, key: &str) -> u16 {
    client.put(server, key, "upload.bin", "application/octet-stream", &bytes_of(key)).await.status
}

async fn uploaded(run: &Run, key: &str) -> String {
    let sql = format!("SELECT id FROM file WHERE client_key = '{key}' AND state = 1");
    run.fleet.onlooker.text(&sql).await.expect("the upload is there")
}

/// The first chatserver dies under an agent who knows no other.
async fn chatserver(run: &mut Run, office: &mut Office, round: usize) -> usize {
    run.fleet.chatserver(0).stop(15).await;
    for point in &CHATSERVER {
        let tag = format!("{}-{round}", point.name.to_lowercase());
        if matches!(point.name, "C2" | "C6") {
            missed(run, &tag).await;
        }
        run.fleet.start_dying_chatserver(0, &point.told());
        match point.left {
            Left::Request { done } => {
                let chat = office.chat();
                let text = format!("an agent answers [[{tag}]]");
                let sending = office.agent.send(&chat, &tag, &text);
                let (sent, ()) = tokio::join!(sending, async {
                    run.fleet.chatserver_died_at(0, &point.told()).await;
                    behind(run, point, "", &tag, 0).await;
                    // The agent asks again until somebody answers.
                    run.fleet.start_chatserver(0, &[]).await;
                });
                let sent: Value = sent.unwrap_or_else(|error| panic!("{}: {error}", point.name));
                run.more_out += 1;
                if run.is_quiet() {
                    assert_eq!(sent["repeated"], done, "{}: {sent}", point.name);
                }
                run.fleet.chatserver(0).stop(15).await;
            }
            _ => {
                run.fleet.chatserver_died_at(0, &point.told()).await;
                behind(run, point, "", &tag, 0).await;
            }
        }
        run.injected(point.name);
    }
    run.fleet.start_chatserver(0, &[]).await;
    CHATSERVER.len()
}

/// Customers write while the agent's chatserver is away.
async fn missed(run: &mut Run, tag: &str) {
    for n in 0..6 {
        run.fleet.platform.message(customer(6_001 + n), &format!("is anybody there? [[{tag}-{n}]]")).await;
        run.more_in += 1;
    }
    until("the other chatserver to have it", 20, async || {
        let sql = format!("SELECT count(*) FROM history WHERE body LIKE '%[[{tag}-%'");
        (run.fleet.onlooker.number(&sql).await? == 6).then_some(())
    })
    .await;
}
