//! Chats that an agent opens.

use super::*;

#[tokio::test]
async fn an_agent_opens_a_chat_writes_first_and_is_answered() {
    let mut fleet = Fleet::new().await;
    let address = fleet.start("one").await;
    let mut anna = Client::enter(address, "anna").await;
    let mut second = Client::enter(address, "anna").await;
    let mut bob = Client::enter(address, "bob").await;
    let open = json!({"type": "open", "account": "main", "address": "700100", "name": "Olga P."});
    assert_eq!(anna.ok(open.clone()).await, json!({"chat": "1", "seq": 2, "repeated": false}));
    assert_eq!(second.ok(open.clone()).await, json!({"chat": "1", "seq": 2, "repeated": true}));
    assert_eq!(bob.refused(open.clone()).await, "already_taken");
    for client in [&mut anna, &mut second] {
        let opened = client.entry().await;
        assert_eq!(
            (&opened["entry"]["kind"], &opened["entry"]["by"], &opened["feed"]),
            (&json!("opened"), &json!("anna"), &json!("agent:1"))
        );
        let chat = &opened["chat"];
        assert_eq!(
            (&chat["customer"]["name"], &chat["state"], &chat["agent"]),
            (&json!("Olga P."), &json!("taken"), &json!("anna"))
        );
        assert_eq!(client.entry().await["entry"]["kind"], "taken");
    }
    anna.ok(json!({"type": "send", "chat": "1", "client_key": "k", "text": "good day"})).await;
    assert_eq!(fleet.number("SELECT count(*) FROM outbox WHERE chat_key = '700100'").await, 1);
    fleet.say(vec![message("700100", 1, "who is it?")]).await;
    let answered = anna.entries_until(|frame| frame["entry"]["text"] == "who is it?").await;
    assert_eq!(answered.last().unwrap()["entry"]["chat"], "1");
    anna.ok(json!({"type": "close", "chat": "1"})).await;
    assert_eq!(bob.ok(json!({"type": "open", "chat": "1"})).await["repeated"], false);
    assert_eq!(bob.entry().await["chat"]["agent"], "bob");
    for (bad, code) in [
        (json!({}), "bad_request"),
        (json!({"account": "main"}), "bad_request"),
        (json!({"chat": "1", "account": "main", "address": "5"}), "bad_request"),
        (json!({"chat": "1", "name": "Olga"}), "bad_request"),
        (json!({"account": "main", "address": "+5"}), "bad_address"),
        (json!({"account": "main", "address": "5", "name": " "}), "bad_text"),
        (json!({"account": "main", "address": "5", "name": "x".repeat(101)}), "bad_text"),
        (json!({"account": "nowhere", "address": "5"}), "not_found"),
        (json!({"chat": "99"}), "not_found"),
    ] {
        let mut request = json!({"type": "open"});
        request.as_object_mut().unwrap().extend(bad.as_object().unwrap().clone());
        assert_eq!(bob.refused(request).await, code, "{bad}");
    }
    fleet.run_sql("UPDATE account SET capabilities = capabilities - 'address'").await;
    let open = json!({"type": "open", "account": "main", "address": "5"});
    assert_eq!(bob.refused(open.clone()).await, "unsupported");
    assert_eq!(Client::enter(address, "eve").await.refused(open).await, "not_found", "an account of others");
    assert_eq!(fleet.number("SELECT count(*) FROM chat").await, 1);
    fleet.finish().await;
}
