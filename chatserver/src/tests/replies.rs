use super::*;

#[tokio::test]
async fn canned_replies_come_in_pages() {
    let mut fleet = Fleet::new().await;
    let address = fleet.start("one").await;
    for n in 0..5 {
        assert!(fleet.database.set_reply(Some("support"), &format!("k{n}"), &format!("text {n}")).await.unwrap());
    }
    assert!(fleet.database.set_reply(None, "bye", "Good bye!").await.unwrap());
    let mut anna = Client::enter(address, "anna").await;
    let mut keys = Vec::new();
    let mut after = Value::Null;
    loop {
        let page = anna.ok(json!({"type": "replies", "after": after, "limit": 4})).await;
        let replies = page["replies"].as_array().unwrap();
        assert!(replies.len() <= 4);
        keys.extend(replies.iter().map(|reply| reply["key"].as_str().unwrap().to_owned()));
        after = page["next_after"].clone();
        if after.is_null() {
            break;
        }
    }
    assert_eq!(keys, ["k0", "k1", "k2", "k3", "k4", "bye"]);
    let page = Client::enter(address, "eve").await.ok(json!({"type": "replies"})).await;
    assert_eq!(
        page,
        json!({"replies": [{"id": "6", "queue": null, "key": "bye", "text": "Good bye!"}], "next_after": null})
    );
    for limit in [0, 101] {
        assert_eq!(anna.refused(json!({"type": "replies", "limit": limit})).await, "bad_request");
    }
    let past = anna.ok(json!({"type": "replies", "after": "9999999999999"})).await;
    assert_eq!(past, json!({"replies": [], "next_after": null}));
    fleet.finish().await;
}
