//! The outbox from the sender's side: heads, claims by lane, the fence.

use std::time::Duration;

use super::*;
use crate::model::OutboxId;

const SPAN: Duration = Duration::from_secs(3);

impl Fixture {
    async fn say(&self, chat: ChatId, key: &str, lane: Lane) {
        let new =
            Submission { agent: &self.agents[0], chat, client_key: key, text: "hi", file: None, lane, seen_seq: None };
        self.database.submit(&new).await.unwrap().unwrap();
    }

    async fn heads(&self) -> Vec<(i64, Lane, bool)> {
        let (heads, _) = self.database.heads_since(self.account, OutboxId(0)).await.unwrap();
        let mut heads: Vec<_> = heads.into_iter().map(|head| (head.id.0, head.lane, head.queued)).collect();
        heads.sort_unstable_by_key(|head| head.0);
        heads
    }

    async fn claim(&self, epoch: Epoch, ids: &[i64]) -> Vec<i64> {
        let ids: Vec<OutboxId> = ids.iter().map(|id| OutboxId(*id)).collect();
        let claimed =
            self.database.claim(self.account, epoch, ClaimToken::new(), &ids, ClaimSpans::all(SPAN)).await.unwrap();
        claimed.iter().map(|part| part.id.0).collect()
    }
}

#[tokio::test]
async fn heads_are_the_first_open_part_of_each_chat_and_lane() {
    let f = Fixture::new(1).await;
    let (one, two) = (f.taken("c1").await, f.taken("c2").await);
    f.say(one, "k1", Lane::Bulk).await;
    f.say(one, "k2", Lane::Bulk).await;
    f.say(one, "k3", Lane::Interactive).await;
    f.say(two, "k4", Lane::Interactive).await;
    let (b, i) = (Lane::Bulk, Lane::Interactive);
    assert_eq!(f.heads().await, [(1, b, true), (3, i, true), (4, i, true)]);
    let (newer, newest) = f.database.heads_since(f.account, OutboxId(3)).await.unwrap();
    assert_eq!((newer.len(), newest), (1, Some(OutboxId(4))), "only the second chat has news");
    let (again, _) = f.database.heads_since(f.account, OutboxId(1)).await.unwrap();
    assert!(again.iter().any(|head| head.id.0 == 1), "a newer part of the lane: its head is still the first");
    let of = f.database.heads_of(f.account, &[one]).await.unwrap();
    assert_eq!(of.iter().map(|head| head.id.0).collect::<Vec<_>>(), [3, 1]);
    f.finish().await;
}

#[tokio::test]
async fn a_chat_has_one_call_and_keeps_its_order_inside_a_lane() {
    let f = Fixture::new(1).await;
    let chat = f.taken("c1").await;
    for (key, lane) in [("k1", Lane::Bulk), ("k2", Lane::Bulk), ("k3", Lane::Interactive), ("k4", Lane::Interactive)] {
        f.say(chat, key, lane).await;
    }
    let epoch = f.active("a").await;
    assert_eq!(f.claim(epoch, &[2, 4]).await, [0i64; 0], "neither is the first of its lane");
    assert_eq!(f.claim(epoch, &[3]).await, [3], "a bulk part holds no reply back");
    assert_eq!(f.claim(epoch, &[1]).await, [0i64; 0], "one call in a chat");
    assert_eq!(f.heads().await, [(1, Lane::Bulk, true), (3, Lane::Interactive, false)]);
    let sent = Settlement::Sent { platform_id: "77".to_owned() };
    assert!(f.database.settle(f.account, OutboxId(3), 1, &sent).await.unwrap());
    assert_eq!(f.claim(epoch, &[4]).await, [4]);
    assert_eq!(f.claim(epoch, &[1]).await, [0i64; 0], "whatever the lane");
    f.finish().await;
}

#[tokio::test]
async fn only_the_present_epoch_claims_and_the_ledger_tells_every_tenure() {
    let f = Fixture::new(1).await;
    let chat = f.taken("c1").await;
    f.say(chat, "k1", Lane::Interactive).await;
    let first = f.active("a").await;
    f.database.open_tenure(f.account, first).await.unwrap();
    let raise = |seen, stale| Raise { holder: "b", seen, way: Way::Lowest, stale, answering: SPAN };
    let early = f.database.raise_lease(f.account, &raise(first, SPAN)).await.unwrap();
    assert_eq!(early, None, "the incumbent has just renewed");
    assert!(f.database.ask_for_handover(f.account, first).await.unwrap());
    assert_eq!(f.database.renew_lease(f.account, first).await.unwrap(), Renewed::HandOver);
    assert!(f.database.release_lease(f.account, first).await.unwrap());
    assert!(!f.database.release_lease(f.account, first).await.unwrap(), "once");
    let second = f.database.raise_lease(f.account, &raise(first, SPAN)).await.unwrap().expect("it is free");
    assert!(f.database.gap_after(f.account, first).await.unwrap().is_none(), "not open yet");
    f.database.open_tenure(f.account, second).await.unwrap();
    let gap = f.database.gap_after(f.account, first).await.unwrap().expect("open");
    assert!((gap.epoch, gap.holder.as_str()) == (second, "b") && gap.span.is_some_and(|span| span < SPAN));
    assert_eq!(f.claim(first, &[1]).await, [0i64; 0], "the fence");
    assert_eq!(f.claim(second, &[1]).await, [1]);
    assert_eq!(f.database.renew_lease(f.account, first).await.unwrap(), Renewed::Lost);
    assert!(matches!(f.database.renew_lease(f.account, second).await.unwrap(), Renewed::Ours { version: 1, .. }));
    let third = f.active("c").await;
    let ways = "SELECT count(*) FROM tenure WHERE (epoch, way) IN ((1, 'released'), (2, 'released'), (3, 'anyone'))";
    assert_eq!((third, f.number(ways).await), (Epoch(3), 3));
    assert_eq!(f.number("SELECT count(*) FROM tenure WHERE stale_ms IS NOT NULL AND epoch = 3").await, 1);
    f.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_takeover_that_waits_for_a_renewal_sees_it() {
    let f = Fixture::new(1).await;
    let epoch = f.active("a").await;
    f.run("UPDATE account_lease SET renewed_at = now() - interval '1 min'").await;
    let mut connection = f.database.connection().await.unwrap();
    let renewal = connection.transaction().await.unwrap();
    renewal.execute("UPDATE account_lease SET renewed_at = clock_timestamp()", &[]).await.unwrap();
    let (database, account) = (f.database.clone(), f.account);
    let raising = tokio::spawn(async move {
        let raise = Raise { holder: "b", seen: epoch, way: Way::Lowest, stale: SPAN, answering: SPAN };
        database.raise_lease(account, &raise).await.unwrap()
    });
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while f.number(waiting).await == 0 {
        tokio::task::yield_now().await;
    }
    renewal.commit().await.unwrap();
    connection.done();
    assert_eq!(raising.await.unwrap(), None, "renewed while the takeover waited");
    f.finish().await;
}

#[tokio::test]
async fn what_an_attempt_spent_is_counted_by_its_successor() {
    let f = Fixture::new(1).await;
    let chat = f.taken("c1").await;
    f.say(chat, "k1", Lane::Interactive).await;
    let epoch = f.active("a").await;
    assert_eq!(f.claim(epoch, &[1]).await, [1]);
    assert!(f.database.spend(f.account, OutboxId(1), 1, 3, "moved").await.unwrap());
    let past = f.database.left_behind(f.account, Epoch(2), Duration::from_secs(60)).await.unwrap();
    assert!(past.write_by.is_some_and(|span| span <= SPAN), "of an earlier epoch");
    assert_eq!(
        past.slots
            .iter()
            .map(|exchange| (exchange.cost, exchange.chat_key.as_deref().unwrap_or_default()))
            .collect::<Vec<_>>(),
        [(3, "moved")]
    );
    let sent = Settlement::Sent { platform_id: "77".to_owned() };
    f.database.settle(f.account, OutboxId(1), 1, &sent).await.unwrap();
    assert!(
        !f.database.spend(f.account, OutboxId(1), 1, 4, "moved").await.unwrap(),
        "decided: nothing more may be sent"
    );
    f.finish().await;
}
