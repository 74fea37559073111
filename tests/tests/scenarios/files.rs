//! Files both ways: byte for byte, from every server, before and after whoever served them died; and an upload that
//! breaks off in its middle.

use std::time::Duration;

use serde_json::Value;
use switchboard_tests::agent::{Agent, Decision, View};
use switchboard_tests::file_client::FileClient;
use switchboard_tests::harness::{ALL, Fleet, FleetOptions, customer, picture, until};

use crate::taken_chat;

const SOON: Duration = Duration::from_secs(20);

/// What a run with files must have had to check beside the rest.
const FILES: &[&str] = &["FI-1", "FI-2", "FI-3", "FI-5"];

/// Bytes of a document: several chunks and a bit, none like the one before, and like those of no other seed.
fn bytes(seed: u8, length: u32) -> Vec<u8> {
    (0..length).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8 ^ seed).collect()
}

fn shows<'a>(chat: &'a str, seq: i64, state: &'a str) -> impl Fn(&View) -> bool + 'a {
    move |view| view.part(chat, seq, 0).is_some_and(|part| part.state == state)
}

/// An agent with a chat, and everything that was said with a file in it.
struct Talk {
    agent: Agent,
    files: FileClient,
    chat: String,
    /// Each file's id and bytes.
    shown: Vec<(String, Vec<u8>)>,
}

impl Talk {
    async fn begin(fleet: &Fleet) -> Self {
        let agent = fleet.agent("anna", 1);
        let chat = taken_chat(fleet, &agent, customer(1), "hello [[q1]]").await;
        Self { files: fleet.file_client("anna"), agent, chat, shown: Vec::new() }
    }

    /// Waits until a customer's message with this caption has its file whole.
    async fn received(&mut self, caption: &str, bytes: &[u8]) {
        let file = until("a customer's file to be whole", 30, async || {
            let page = self.agent.history(&self.chat, None, 100).await.ok()?;
            let entries = page["entries"].as_array()?.clone();
            let message = entries.iter().find(|entry| entry["kind"] == "message" && entry["text"] == caption)?;
            entries.iter().find(|entry| entry["kind"] == "file" && entry["of"] == message["seq"]).cloned()
        })
        .await;
        assert_eq!(file["state"], "ready", "{file}");
        let id = file["file"].as_str().unwrap();
        self.files.expect(id, bytes);
        self.shown.push((id.to_owned(), bytes.to_vec()));
    }

    /// Uploads at `server` and sends; returns the message's answer.
    async fn send(&mut self, server: &str, key: &str, name: &str, mime: &str, bytes: &[u8]) -> Value {
        let file = self.files.put(server, &format!("upload-{key}"), name, mime, bytes).await.file();
        self.shown.push((file.clone(), bytes.to_vec()));
        self.agent.send_file(&self.chat, key, &format!("here [[{key}]]"), &file).await.unwrap()
    }

    async fn becomes(&self, sent: &Value, state: &str) {
        let seq = sent["seq"].as_i64().unwrap();
        self.agent.wait_until(state, SOON, shows(&self.chat, seq, state)).await.unwrap();
    }

    /// Downloads everything whole and a range of it; FI-1 compares, this only sees that it came.
    async fn get_all(&self, servers: &[String]) {
        for server in servers {
            for (file, bytes) in &self.shown {
                let whole = self.files.get(server, file).await;
                assert!(whole.status == 200 && whole.body == *bytes, "{file} of {server}: {}", whole.status);
                let (first, last) = (bytes.len() / 3, bytes.len() / 3 * 2);
                let range = self.files.get_range(server, file, first, last).await;
                assert!(
                    range.status == 206 && range.body == bytes[first..=last],
                    "{file} of {server}: {}",
                    range.status
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_both_ways_and_outlive_a_takeover() {
    let mut fleet = Fleet::start(FleetOptions::pair("files")).await;
    let active = fleet.paired().await;
    let mut talk = Talk::begin(&fleet).await;
    let bases = fleet.connector_bases();
    let (photo, act) = (picture(800, 600, 300_000, 1), bytes(2, 1_100_000));
    fleet.platform.photo(customer(1), &photo, "a photo [[q2]]").await;
    fleet.platform.document(customer(1), "act.pdf", "application/pdf", &act, "a document [[q3]]").await;
    talk.received("a photo [[q2]]", &photo).await;
    talk.received("a document [[q3]]", &act).await;
    // Uploads are taken by either; the active sends.
    let (ours, bill) = (picture(640, 480, 200_000, 3), bytes(4, 700_000));
    let one = talk.send(&bases[active], "r1", "ours.png", "image/png", &ours).await;
    let two = talk.send(&bases[1 - active], "r2", "bill \"2\".bin", "application/octet-stream", &bill).await;
    talk.becomes(&one, "sent").await;
    talk.becomes(&two, "sent").await;
    talk.get_all(&bases).await;

    fleet.kill_connector(active);
    let standby = [bases[1 - active].clone()];
    talk.get_all(&standby).await;
    let more = bytes(5, 600_000);
    let three = talk.send(&standby[0], "r3", "more.txt", "text/plain", &more).await;
    let late = picture(100, 100, 50_000, 6);
    fleet.platform.photo(customer(1), &late, "one more [[q4]]").await;
    talk.becomes(&three, "sent").await;
    talk.received("one more [[q4]]", &late).await;
    fleet.start_connector(active, &[]).await;
    let ready = format!("{}/readyz", bases[active]);
    until("the restarted one to serve", 20, async || {
        reqwest::get(&ready).await.ok()?.status().is_success().then_some(())
    })
    .await;
    talk.get_all(&bases).await;

    let arrived = fleet.platform.files_sent(customer(1)).await;
    let told: Vec<_> =
        arrived.iter().map(|file| (file.kind.as_str(), file.name.as_deref(), file.text.as_deref())).collect();
    let want = [
        ("photo", Some("ours.png"), Some("here [[r1]]")),
        ("document", Some("bill \"2\".bin"), Some("here [[r2]]")),
        ("document", Some("more.txt"), Some("here [[r3]]")),
    ];
    assert_eq!(told, want);
    for (file, sent) in arrived.iter().zip([&ours, &bill, &more]) {
        assert_eq!(fleet.platform.media(&file.file_id).await, *sent, "{file:?}");
    }
    fleet.rest(&[&talk.agent], 30).await;
    let report = fleet.verdict(&fleet.expectations().require(ALL).require(FILES)).await;
    report.assert_clean();
    assert_eq!(report.figures.unconfirmed, 0);
    fleet.no_secret_was_written();
}

/// Dead, and frozen, with some of the file written: the rest never follows, nobody sends it again by itself, and the chat
/// goes on.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_off_is_unconfirmed() {
    let mut fleet = Fleet::start(FleetOptions::pair("files-broken")).await;
    let mut talk = Talk::begin(&fleet).await;
    let bases = fleet.connector_bases();
    for (number, how) in [(1, "kill"), (2, "stop")] {
        // Of eight chunks and an end, the fourth is not handed over any more.
        let armed = fleet.arm_active("S4:3", how).await;
        let film = bytes(number, 2_000_000);
        let key = format!("broken-{how}");
        let sent = talk.send(&bases[armed], &key, "film.bin", "video/mp4", &film).await;
        let next = talk.agent.send(&talk.chat, &format!("next-{how}"), &format!("next [[next-{how}]]")).await.unwrap();
        let stopped = match how {
            "kill" => {
                fleet.died_at(armed, "S4:3").await;
                None
            }
            _ => Some(fleet.stopped_at(armed, "S4:3").await),
        };
        talk.becomes(&sent, "unconfirmed").await;
        talk.becomes(&next, "sent").await;
        match stopped {
            Some(stopped) => fleet.thaw_at(armed, "S4:3", stopped),
            None => fleet.start_connector(armed, &[]).await,
        }
        fleet.paired().await;
    }
    assert_eq!(fleet.platform.files_sent(customer(1)).await, [], "half a file is no message");
    let seq = talk.agent.view().parts.iter().find(|(_, part)| part.state == "unconfirmed").map(|((_, seq, _), _)| *seq);
    talk.agent.decide(Decision::Resend, &talk.chat, seq.unwrap(), 0).await.unwrap();
    talk.agent.wait_until("the resend", SOON, shows(&talk.chat, seq.unwrap(), "sent")).await.unwrap();
    assert_eq!(fleet.platform.files_sent(customer(1)).await.len(), 1, "whole, and once");
    fleet.rest(&[&talk.agent], 30).await;
    let report = fleet.verdict(&fleet.expectations().require(&["OUT-3", "OUT-4", "OUT-5", "OUT-8", "OUT-14"])).await;
    report.assert_clean();
    let figures = &report.figures;
    assert_eq!((figures.lost, figures.duplicated, figures.unexplained, figures.stale_sends), (0, 0, 0, 0));
}
