use serde_json::json;

use super::*;

#[tokio::test]
async fn a_change_of_an_account_is_versioned_and_written_down_with_it() {
    let f = Fixture::new(1).await;
    let operator = f.database.clone().by("ida/1000@desk");
    let change = AccountChange { settings: Some(&json!({"base_url": "http://a"})), ..AccountChange::default() };
    let made = operator.change_account(f.account, 1, &change).await.unwrap();
    assert_eq!(made, Changed::Made(2));
    assert_eq!(operator.change_account(f.account, 1, &change).await.unwrap(), Changed::Newer(2), "seen too early");
    assert_eq!(operator.change_account(f.account, 2, &change).await.unwrap(), Changed::Same);
    let shut = AccountChange { enabled: Some(false), ..AccountChange::default() };
    assert_eq!(operator.change_account(f.account, 2, &shut).await.unwrap(), Changed::Made(3));
    let nowhere = AccountChange { queue: Some("nowhere"), ..AccountChange::default() };
    let error = operator.change_account(f.account, 3, &nowhere).await.expect_err("there is no such queue");
    assert!(error.to_string().contains("nowhere"), "{error}");

    let account = f.database.account(&AccountName::new("main").unwrap()).await.unwrap().unwrap();
    assert_eq!((account.version, account.enabled, account.settings), (3, false, json!({"base_url": "http://a"})));
    let rows = f.database.audit(Some("main"), 10).await.unwrap();
    let told: Vec<_> = rows.iter().map(|row| (row.actor.as_str(), row.action.as_str(), row.version)).collect();
    let expected = [
        ("ida/1000@desk", "account.disable", Some(3)),
        ("ida/1000@desk", "account.set", Some(2)),
        ("test", "account.add", Some(1)),
    ];
    assert_eq!(told, expected);
    let (before, after) = (rows[1].before.clone().unwrap(), rows[1].after.clone().unwrap());
    assert_eq!((&before["settings"], &after["settings"]), (&json!({}), &json!({"base_url": "http://a"})));
    f.finish().await;
}

#[tokio::test]
async fn who_holds_the_lease_learns_of_changes_by_the_way() {
    let f = Fixture::new(1).await;
    let epoch = f.active("a").await;
    assert!(matches!(f.database.renew_lease(f.account, epoch).await.unwrap(), Renewed::Ours { version: 1, .. }));
    let shut = AccountChange { enabled: Some(false), ..AccountChange::default() };
    assert_eq!(f.database.change_account(f.account, 1, &shut).await.unwrap(), Changed::Made(2));
    assert_eq!(f.database.renew_lease(f.account, epoch).await.unwrap(), Renewed::Disabled);
    let lease = f.database.lease(f.account).await.unwrap();
    assert!(!lease.enabled && lease.version == 2);
    f.finish().await;
}

#[tokio::test]
async fn every_change_of_agents_and_queues_names_who_made_it() {
    let f = Fixture::new(1).await;
    let operator = f.database.clone().by("ida");
    assert!(operator.add_queue("sales").await.unwrap());
    assert!(!operator.add_queue("sales").await.unwrap(), "there already: no change");
    assert!(operator.set_agent_queues("a0", &["sales".to_owned()]).await.unwrap());
    assert!(operator.enable_agent("a0", false).await.unwrap());
    assert!(!operator.enable_agent("nobody", false).await.unwrap());
    let rows = f.database.audit(None, 10).await.unwrap();
    let told: Vec<_> =
        rows.iter().filter(|row| row.actor == "ida").map(|row| (row.action.as_str(), row.subject.as_str())).collect();
    assert_eq!(told, [("agent.disable", "a0"), ("agent.serve", "a0"), ("queue.add", "sales")]);
    let served = rows.iter().find(|row| row.action == "agent.serve").unwrap();
    assert_eq!(served.before, Some(json!({"queues": ["support"]})));
    assert_eq!(served.after, Some(json!({"queues": ["sales"]})));
    f.finish().await;
}
