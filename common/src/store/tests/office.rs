use std::time::Duration;

use super::*;
use crate::model::{OutboxId, PartState};
use crate::store::{OperatorDecision, PartFilter, PartRow};

async fn parts(f: &Fixture, filter: PartFilter) -> Vec<PartRow> {
    f.database.parts(f.account, &filter, OutboxId(0), 100).await.unwrap()
}

fn states(rows: &[PartRow]) -> Vec<&'static str> {
    rows.iter().filter_map(|row| row.state).map(PartState::as_str).collect()
}

#[tokio::test]
async fn parts_are_found_by_state_chat_and_age_page_by_page() {
    let f = Fixture::new(1).await;
    let (one, two) = (f.taken("c1").await, f.taken("c2").await);
    f.submit(0, one, "a", "one two three four").await.unwrap();
    f.submit(0, two, "b", "hi").await.unwrap();
    f.run("UPDATE outbox SET state = 4, open = false, reason = 'blocked', created_at = now() - interval '1 h' WHERE part = 1")
        .await;
    let of = |states: &[PartState]| PartFilter { states: states.to_vec(), ..PartFilter::default() };
    assert_eq!(states(&parts(&f, PartFilter::default()).await), ["queued", "failed", "queued"]);
    let failed = parts(&f, of(&[PartState::Failed])).await;
    assert_eq!((failed.len(), failed[0].reason.as_deref(), failed[0].part), (1, Some("blocked"), (1, 2)));
    assert_eq!(parts(&f, PartFilter { chat: Some(two), ..PartFilter::default() }).await.len(), 1);
    let old = PartFilter { older: Some(Duration::from_secs(60)), ..PartFilter::default() };
    assert_eq!(states(&parts(&f, old).await), ["failed"]);
    let page = f.database.parts(f.account, &PartFilter::default(), OutboxId(1), 1).await.unwrap();
    assert_eq!(page.iter().map(|row| row.id.0).collect::<Vec<_>>(), [2]);
    f.finish().await;
}

#[tokio::test]
async fn an_operator_s_decision_is_shown_to_agents_and_written_down() {
    let f = Fixture::new(1).await;
    let chat = f.taken("c1").await;
    let seq = f.submit(0, chat, "a", "one two three four").await.unwrap().seq;
    let operator = f.database.clone().by("ida");
    let decide = |row: PartRow, decision| {
        let operator = &operator;
        async move { operator.decide_as_operator(&row, "main", decision).await.unwrap() }
    };
    let rows = parts(&f, PartFilter::default()).await;
    for wrong in [1, 2, 3, 4, 5, 6] {
        f.run(&format!("UPDATE outbox SET state = {wrong} WHERE part = 0")).await;
        assert!(!decide(rows[0].clone(), OperatorDecision::Cancel).await, "from {wrong}");
    }
    for wrong in [0, 1, 2, 5, 6] {
        f.run(&format!("UPDATE outbox SET state = {wrong} WHERE part = 0")).await;
        assert!(!decide(rows[0].clone(), OperatorDecision::Requeue).await, "from {wrong}");
    }
    f.run("UPDATE outbox SET state = 4, open = false, reason = 'blocked', retry_at = now() WHERE part = 0").await;
    assert!(decide(rows[0].clone(), OperatorDecision::Requeue).await);
    assert!(decide(rows[1].clone(), OperatorDecision::Cancel).await);
    assert_eq!(states(&parts(&f, PartFilter::default()).await), ["queued", "cancelled"]);
    assert_eq!(
        f.number("SELECT count(*) FROM outbox WHERE open AND part = 0 AND reason IS NULL AND retry_at IS NULL").await,
        1
    );
    assert_eq!(f.number("SELECT count(*) FROM outbox WHERE open").await, 1);

    let entries = f.feed(f.agents[0].own_feed(), 2).await;
    let told: Vec<_> = entries
        .iter()
        .map(|entry| {
            let EntryBody::Outcome { item, by } = &entry.body else { panic!("an outcome: {entries:?}") };
            assert_eq!((item.of, by, item.reason.as_deref()), (seq, &None, Some("operator")));
            assert_eq!(entry.author, Author::System);
            (item.part, item.state.as_str())
        })
        .collect();
    assert_eq!(told, [(0, "queued"), (1, "cancelled")]);
    let rows = f.database.audit(Some("main"), 2).await.unwrap();
    let told: Vec<_> = rows.iter().map(|row| (row.actor.as_str(), row.action.as_str())).collect();
    assert_eq!(told, [("ida", "outbox.cancel"), ("ida", "outbox.requeue")]);
    assert_eq!(rows[1].before.as_ref().unwrap()["state"], "failed");
    f.finish().await;
}
