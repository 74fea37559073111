//! HI-2, HI-3: a chat's log, page by page, in both directions.

use switchboard_common::model::{ChatId, Lane};
use switchboard_common::store::Submission;

use super::*;

fn seqs(page: &Value) -> Vec<i64> {
    page["entries"].as_array().unwrap().iter().map(|entry| entry["seq"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn a_log_is_read_in_both_directions() {
    let office = Office::new().await;
    office.say(0, (1..=9).map(|n| message("c1", n, &format!("number {n}"))).collect()).await;
    let chat = office.chat("c1").await;
    let whole = office.read(&format!("/v1/chats/{chat}/history"), &reader()).await;
    assert_eq!(seqs(&whole), (1..=10).collect::<Vec<i64>>(), "nine messages and `opened`");
    assert_eq!((&whole["next_before"], &whole["next_after"]), (&Value::Null, &Value::Null));

    let (mut newest_first, mut query) = (Vec::new(), String::new());
    loop {
        let page = office.read(&format!("/v1/chats/{chat}/history?limit=4{query}"), &reader()).await;
        newest_first.splice(0..0, seqs(&page));
        let Some(before) = page["next_before"].as_i64() else { break };
        query = format!("&before={before}");
    }
    let (mut oldest_first, mut after) = (Vec::new(), 0);
    loop {
        let page = office.read(&format!("/v1/chats/{chat}/history?limit=4&after={after}"), &reader()).await;
        oldest_first.extend(seqs(&page));
        let Some(next) = page["next_after"].as_i64() else { break };
        after = next;
    }
    assert_eq!((&newest_first, &oldest_first), (&seqs(&whole), &seqs(&whole)));
    // At the end of the log a reader asks again after the last seq, and gets what was written since.
    let end = format!("/v1/chats/{chat}/history?after=10");
    let nothing = office.read(&end, &reader()).await;
    assert_eq!((seqs(&nothing), &nothing["next_after"]), (Vec::new(), &Value::Null));
    office.say(0, vec![message("c1", 10, "one more")]).await;
    assert_eq!(seqs(&office.read(&end, &reader()).await), [11]);
    office.finish().await;
}

#[tokio::test]
async fn what_was_accepted_is_in_the_next_history() {
    let office = Office::new().await;
    office.say(0, vec![message("c1", 1, "hello")]).await;
    let chat = office.chat("c1").await;
    let anna = office.database.agent("anna").await.unwrap().unwrap();
    office.database.take_chat(&anna, ChatId(chat)).await.unwrap().unwrap();
    for n in 0..5 {
        let (client_key, text) = (format!("k{n}"), format!("answer {n}"));
        let new = Submission {
            agent: &anna,
            chat: ChatId(chat),
            client_key: &client_key,
            text: &text,
            lane: Lane::Bot,
            file: None,
            seen_seq: None,
        };
        let accepted = office.database.submit(&new).await.unwrap().unwrap();
        let page = office.read(&format!("/v1/chats/{chat}/history?limit=1"), &token("anna", "agent")).await;
        let entry = &page["entries"][0];
        assert_eq!(entry["seq"], accepted.seq, "{entry}");
        assert_eq!((&entry["text"], &entry["client_key"]), (&json!(text), &json!(client_key)));
        assert_eq!((&entry["author"]["kind"], &entry["author"]["name"]), (&json!("agent"), &json!("ANNA")));
        assert_eq!((&entry["lane"], &entry["parts"], &entry["kind"]), (&json!("bot"), &json!(1), &json!("message")));
        assert_eq!(entry["delivery"], json!([{"part": 0, "state": "queued", "reason": null}]));
    }
    office.finish().await;
}
