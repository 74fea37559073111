use super::*;
use crate::model::{OutboxId, PartState};
use crate::store::{OperatorDecision, PartFilter, Settlement};

async fn found(f: &Fixture) -> Whereabouts {
    f.database.lease(f.account).await.unwrap().whereabouts
}

async fn states(f: &Fixture) -> Vec<&'static str> {
    let rows = f.database.parts(f.account, &PartFilter::default(), OutboxId(0), 100).await.unwrap();
    rows.iter().filter_map(|row| row.state).map(PartState::as_str).collect()
}

async fn claim(f: &Fixture, epoch: Epoch, id: i64) -> usize {
    let spans = ClaimSpans::all(Duration::from_secs(3));
    f.database.claim(f.account, epoch, ClaimToken::new(), &[OutboxId(id)], spans).await.unwrap().len()
}

#[tokio::test]
async fn nothing_is_claimed_at_a_server_that_nobody_vouched_for() {
    let f = Fixture::new(1).await;
    let chat = f.taken("c1").await;
    f.submit(0, chat, "a", "hi").await.unwrap();
    let epoch = f.active("a").await;
    // As if the server had been started again.
    f.run("UPDATE account_lease SET server = server - interval '1 min'").await;
    assert_eq!(claim(&f, epoch, 1).await, 0);
    let Renewed::Ours { whereabouts, .. } = f.database.renew_lease(f.account, epoch).await.unwrap() else {
        panic!("the tenure goes on");
    };
    assert!(!whereabouts.here.vouched);
    assert_eq!(whereabouts.mark.lineage.as_ref(), Some(&whereabouts.here.lineage), "the same cluster");
    let raise =
        Raise { holder: "b", seen: epoch, way: Way::Anyone, stale: Duration::ZERO, answering: Duration::from_secs(3) };
    assert_eq!(f.database.raise_lease(f.account, &raise).await.unwrap(), None, "nobody becomes active there");
    let stale = Whereabouts { mark: Mark { beat: 0, ..whereabouts.mark.clone() }, ..whereabouts.clone() };
    assert!(!f.database.vouch(f.account, &stale).await.unwrap(), "by what was read before the renewal");
    assert!(f.database.vouch(f.account, &whereabouts).await.unwrap());
    assert_eq!(claim(&f, epoch, 1).await, 1);
    f.finish().await;
}

#[tokio::test]
async fn what_is_undecided_in_a_restored_database_waits_for_a_person() {
    let f = Fixture::new(1).await;
    let chats = [f.taken("c1").await, f.taken("c2").await, f.taken("c3").await];
    let epoch = f.active("a").await;
    let mut seq = 0;
    for (n, chat) in chats.iter().enumerate() {
        seq = f.submit(0, *chat, &format!("k{n}"), "hi").await.unwrap().seq;
    }
    // One was sent, one is under way, one waits that was unconfirmed and asked for again, as its key tells.
    assert_eq!(claim(&f, epoch, 1).await + claim(&f, epoch, 2).await + claim(&f, epoch, 3).await, 3);
    let sent = Settlement::Sent { platform_id: "77".to_owned() };
    assert!(f.database.settle(f.account, OutboxId(1), 1, &sent).await.unwrap());
    let unclear = Settlement::Unconfirmed { reason: "no answer".to_owned() };
    assert!(f.database.settle(f.account, OutboxId(3), 1, &unclear).await.unwrap());
    drain(&f.database).await;
    let agent = &f.agents[0];
    let again = f.database.decide(agent, chats[2], seq, Decision::Resend(0)).await.unwrap();
    assert!(again.is_ok(), "{again:?}");
    assert_eq!(states(&f).await, ["sent", "sending", "queued"]);

    let before = found(&f).await;
    let newest = Mark { epoch: 9, beat: 99, feed_epoch: 5, ..before.mark.clone() };
    let held = f.database.hold_back(f.account, &before, &newest).await.unwrap();
    assert_eq!(held, Some(HeldBack { parts: 2, feed_epoch: 6 }));
    assert_eq!(f.database.hold_back(f.account, &before, &newest).await.unwrap(), None, "once");
    assert_eq!(states(&f).await, ["sent", "unconfirmed", "unconfirmed"]);
    assert_eq!(f.database.renew_lease(f.account, epoch).await.unwrap(), Renewed::Lost);
    let after = found(&f).await;
    assert_eq!((after.mark.place(), after.here.vouched), ((10, 100), true), "beyond all that was");
    assert_eq!(drain(&f.database).await.entries, 2, "agents are told of both");
    let late = Settlement::Sent { platform_id: "78".to_owned() };
    assert!(f.database.settle(f.account, OutboxId(2), 1, &late).await.unwrap(), "a late answer is a fact");

    let next = f.active("b").await;
    assert_eq!(next, Epoch(11));
    assert_eq!(claim(&f, next, 3).await, 0);
    let filter = PartFilter { states: vec![PartState::Unconfirmed], ..PartFilter::default() };
    let rows = f.database.parts(f.account, &filter, OutboxId(0), 10).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert!(f.database.decide_as_operator(&rows[0], "main", OperatorDecision::Close).await.unwrap());
    assert_eq!(states(&f).await, ["sent", "sent", "closed"]);
    f.finish().await;
}

#[tokio::test]
async fn an_operator_s_word_is_as_good_as_a_mark() {
    let f = Fixture::new(1).await;
    let epoch = f.active("a").await;
    assert_eq!(f.database.distrust().await.unwrap(), 1);
    let found = found(&f).await;
    assert!(!found.here.vouched && found.mark.lineage.as_ref() != Some(&found.here.lineage) && !found.mark.replicated);
    let chat = f.taken("c1").await;
    f.submit(0, chat, "a", "hi").await.unwrap();
    assert_eq!(claim(&f, epoch, 1).await, 0);
    f.finish().await;
}
