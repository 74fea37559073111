//! Customers' files: the message at once, the bytes later, whatever dies in between.

use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use switchboard_tests::agent::{Agent, View};
use switchboard_tests::harness::{Fleet, FleetOptions, customer, until};

use crate::taken_chat;

/// Bytes of one file: more than one chunk, and none like the one before.
fn bytes(seed: u8) -> Vec<u8> {
    (0..700_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8 ^ seed).collect()
}

fn hex(digest: impl AsRef<[u8]>) -> String {
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A customer sends a document.
async fn document(fleet: &Fleet, caption: &str, bytes: Vec<u8>) {
    let query = [("acct", "support"), ("kind", "document"), ("name", "act.bin"), ("caption", caption)];
    let url = format!("{}/control/file", fleet.platform.base());
    let to = customer(1).to_string();
    let request = reqwest::Client::new().post(url).query(&query).query(&[("chat", to)]).body(bytes);
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
}

/// Waits for the message with this caption, then for the end of its file; returns both.
async fn fetched(agent: &Agent, chat: &str, caption: &str) -> (Value, Value) {
    let said = |view: &View| view.customer_messages(0).any(|seen| seen.text.as_deref() == Some(caption));
    agent.wait_until("the message", Duration::from_secs(30), said).await.unwrap();
    until("the end of the file", 60, async || {
        let page = agent.history(chat, None, 50).await.ok()?;
        let entries = page["entries"].as_array()?.clone();
        let message = entries.iter().find(|entry| entry["kind"] == "message" && entry["text"] == caption)?;
        let end = entries.iter().find(|entry| entry["kind"] == "file" && entry["of"] == message["seq"])?;
        Some((message.clone(), end.clone()))
    })
    .await
}

/// M1 before the look-up, M2 with half of the bytes in the table, M3 with all of them and not ready.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_fetched_whole_wherever_the_connector_dies() {
    let mut fleet = Fleet::start(FleetOptions { chatservers: 1, ..FleetOptions::new("media-crash") }).await;
    let agent = fleet.agent("anna", 1);
    let chat = taken_chat(&fleet, &agent, customer(1), "hello [[q1]]").await;
    for (seed, point) in [(1, "M1:1"), (2, "M2:1"), (3, "M3:1")] {
        fleet.arm_connector(0, point, "kill").await;
        fleet.active().await;
        let caption = format!("a file for {point} [[f{seed}]]");
        document(&fleet, &caption, bytes(seed)).await;
        fleet.died_at(0, point).await;
        let readable = "SELECT count(*) FROM file WHERE state <> 0";
        assert_eq!(fleet.onlooker.number(readable).await, Some(i64::from(seed) - 1), "nothing of it is readable yet");
        let halfway = fleet
            .onlooker
            .number("SELECT count(*) FROM file f JOIN file_chunk c ON c.file_id = f.id WHERE f.state = 0");
        assert_eq!(halfway.await.map(|chunks| chunks.min(1)), Some(i64::from(seed > 1)), "{point} is where it says");
        fleet.start_connector(0, &[]).await;
        let (message, end) = fetched(&agent, &chat, &caption).await;
        let [file] = &message["files"].as_array().unwrap()[..] else { panic!("{message}") };
        assert_eq!((&file["kind"], &file["name"]), (&json!("document"), &json!("act.bin")));
        assert_eq!(
            (&end["file"], &end["state"], &end["size_bytes"]),
            (&file["file"], &json!("ready"), &json!(700_000))
        );
        assert_eq!(end["sha256"], json!(hex(Sha256::digest(bytes(seed)))));
    }
    let id = "SELECT count(*) FROM file f JOIN file_use u ON u.file_id = f.id WHERE f.state = 1 AND f.size_bytes =
               (SELECT sum(octet_length(data)) FROM file_chunk c WHERE c.file_id = f.id)";
    assert_eq!(fleet.onlooker.number(id).await, Some(3));
    fleet.rest(&[&agent], 60).await;
    fleet.verdict(&fleet.expectations().require(&["LOG", "IN-1", "IN-2", "IN-5", "IN-6", "WS-1"])).await.assert_clean();
    fleet.no_secret_was_written();
}

/// The platform stops giving files: messages come as ever, and what cannot be had is said.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_never_waits_for_its_file() {
    let fleet = Fleet::start(FleetOptions { chatservers: 1, ..FleetOptions::new("media-late") }).await;
    let agent = fleet.agent("anna", 1);
    let chat = taken_chat(&fleet, &agent, customer(1), "hello [[q1]]").await;
    fleet.platform.order("fault", json!({"method": "download", "mode": "hang_after", "count": 2})).await;
    document(&fleet, "stuck [[f1]]", bytes(1)).await;
    document(&fleet, "stuck, too [[f2]]", bytes(2)).await;
    fleet.platform.message(customer(1), "and words [[q2]]").await;
    let words = |view: &View| view.customer_messages(0).any(|seen| seen.text.as_deref() == Some("and words [[q2]]"));
    agent.wait_until("the words", Duration::from_secs(10), words).await.unwrap();
    let sent = agent.send(&chat, "k1", "I see [[r1]]").await.unwrap();
    let seq = sent["seq"].as_i64().unwrap();
    let shown = |view: &View| view.part(&chat, seq, 0).is_some_and(|part| part.state == "sent");
    agent.wait_until("the reply to be sent", Duration::from_secs(10), shown).await.unwrap();
    assert_eq!(fleet.onlooker.number("SELECT count(*) FROM file WHERE state = 0").await, Some(2), "both still hang");
    fleet.rest(&[&agent], 60).await;
    fleet.verdict(&fleet.expectations().require(&["LOG", "IN-1", "IN-2", "IN-5", "IN-6", "WS-1"])).await.assert_clean();
    fleet.no_secret_was_written();
}
