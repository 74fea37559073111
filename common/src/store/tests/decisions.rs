use std::time::Duration;

use super::*;
use crate::model::OutboxId;
use crate::store::ClaimToken;

async fn parts(f: &Fixture) -> Vec<(i16, i16, bool)> {
    let connection = f.database.connection().await.unwrap();
    let rows = connection.query("SELECT part, state, open FROM outbox ORDER BY id", &[]).await.unwrap();
    connection.done();
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

#[tokio::test]
async fn cancel_takes_back_what_nobody_claimed() {
    let f = Fixture::new(2).await;
    let chat = f.taken("c1").await;
    let seq = f.submit(0, chat, "k", "one two three four").await.unwrap().seq;
    f.run("UPDATE outbox SET state = 1 WHERE part = 0").await;
    assert_eq!(f.database.decide(&f.agents[1], chat, seq, Decision::Cancel).await.unwrap(), Err(Refusal::NotYours));
    let decided = f.database.decide(&f.agents[0], chat, seq, Decision::Cancel).await.unwrap().unwrap();
    assert_eq!(decided.parts, [1]);
    assert_eq!(f.database.decide(&f.agents[0], chat, seq, Decision::Cancel).await.unwrap(), Err(Refusal::TooLate));
    assert_eq!(f.database.decide(&f.agents[0], chat, 99, Decision::Cancel).await.unwrap(), Err(Refusal::NotFound));
    assert_eq!(parts(&f).await, [(0, 1, true), (1, 5, false)]);
    let entries = f.feed(f.agents[0].own_feed(), 2).await;
    let EntryBody::Outcome { item, by } = &entries[0].body else { panic!("an outcome: {entries:?}") };
    assert_eq!((item.of, item.part, item.parts, item.state.as_str()), (seq, 1, 2, "cancelled"));
    assert_eq!((by.as_deref(), entries.len()), (Some("a0"), 1));
    f.finish().await;
}

#[tokio::test]
async fn only_an_unconfirmed_part_is_resent_or_closed() {
    let f = Fixture::new(1).await;
    let chat = f.taken("c1").await;
    let decide = |seq, decision| {
        let (database, agent) = (&f.database, &f.agents[0]);
        async move { database.decide(agent, chat, seq, decision).await.unwrap().map(|decided| decided.parts) }
    };
    for (key, decision, state, open) in [
        ("a", Decision::Resend(0), 0, true),
        ("b", Decision::MarkSent(0), 6, false),
        ("c", Decision::Drop(0), 6, false),
    ] {
        f.run("DELETE FROM outbox").await;
        let seq = f.submit(0, chat, key, "hi").await.unwrap().seq;
        for wrong in [0, 1, 2, 4, 5, 6] {
            f.run(&format!("UPDATE outbox SET state = {wrong}, open = {}", wrong < 2)).await;
            assert_eq!(decide(seq, decision).await, Err(Refusal::TooLate), "from {wrong}");
        }
        f.run("UPDATE outbox SET state = 3, open = false, retry_at = now() + interval '1 h'").await;
        assert_eq!(decide(seq, decision).await, Ok(vec![0]));
        assert_eq!(parts(&f).await, [(0, state, open)]);
        assert_eq!(f.number("SELECT count(*) FROM outbox WHERE retry_at IS NULL").await, 1);
    }
    // The writer may decide after the chat is closed, too, and is told.
    let seq = f.submit(0, chat, "d", "hi").await.unwrap().seq;
    f.database.close_chat(&f.agents[0], chat, None).await.unwrap().unwrap();
    f.run("UPDATE outbox SET state = 3, open = false").await;
    let cursor = f.number("SELECT last_seq FROM feed WHERE name = 'agent:1'").await;
    assert_eq!(decide(seq, Decision::Drop(0)).await, Ok(vec![0]));
    assert_eq!(kinds(&f.feed(f.agents[0].own_feed(), cursor).await), ["outcome"]);
    f.finish().await;
}

/// An agent's own answer goes in a lane that no bot may use, not by way of a resend either.
#[tokio::test]
async fn a_bot_resends_what_is_in_its_own_lanes() {
    let f = Fixture::new(1).await;
    let chat = f.taken("c1").await;
    let seq = f.submit(0, chat, "k", "hi").await.unwrap().seq;
    for lane in Lane::ALL {
        f.run(&format!("UPDATE outbox SET state = 3, open = false, lane = {}", lane as i16)).await;
        let decided = f.database.decide(&f.agents[0], chat, seq, Decision::ResendByBot(0)).await.unwrap();
        let want = if lane == Lane::Interactive { Err(Refusal::NotItsLane) } else { Ok(vec![0]) };
        assert_eq!(decided.map(|decided| decided.parts), want, "{lane:?}");
    }
    f.finish().await;
}

/// A claim and a cancel of the same part at the same moment: one of them has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_is_claimed_or_cancelled() {
    let f = Fixture::new(1).await;
    let chat = f.taken("c1").await;
    let epoch = f.active("me").await;
    let (mut claims, mut cancels) = (0, 0);
    for round in 0..60 {
        f.run("DELETE FROM attempt; DELETE FROM outbox").await;
        let seq = f.submit(0, chat, &format!("k{round}"), "hi").await.unwrap().seq;
        let id = OutboxId(f.number("SELECT id FROM outbox").await);
        let (database, account) = (f.database.clone(), f.account);
        let claim = tokio::spawn(async move {
            let span = Duration::from_secs(3);
            !database.claim(account, epoch, ClaimToken::new(), &[id], ClaimSpans::all(span)).await.unwrap().is_empty()
        });
        let (database, agent) = (f.database.clone(), f.agents[0].clone());
        let cancel = tokio::spawn(async move { database.decide(&agent, chat, seq, Decision::Cancel).await.unwrap() });
        let (claimed, cancelled) = (claim.await.unwrap(), cancel.await.unwrap());
        match (claimed, cancelled) {
            (true, Err(refusal)) => {
                assert_eq!((refusal, parts(&f).await), (Refusal::TooLate, vec![(0, 1, true)]));
                claims += 1;
            }
            (false, Ok(_)) => {
                assert_eq!(parts(&f).await, [(0, 5, false)]);
                cancels += 1;
            }
            both => panic!("{both:?}"),
        }
    }
    assert_eq!(claims + cancels, 60);
    f.finish().await;
}

/// A claim that was never answered is put back by its own number only: when it was not carried out, the next claim makes an
/// attempt of the same number, and that one's call is under way.
#[tokio::test]
async fn a_lost_claim_puts_back_nothing_of_the_next_one() {
    let f = Fixture::new(1).await;
    let chat = f.taken("c1").await;
    let epoch = f.active("me").await;
    f.submit(0, chat, "k", "hi").await.unwrap();
    let id = OutboxId(f.number("SELECT id FROM outbox").await);
    let (lost, next, span) = (ClaimToken::new(), ClaimToken::new(), Duration::from_secs(3));
    let claimed = f.database.claim(f.account, epoch, next, &[id], ClaimSpans::all(span)).await.unwrap();
    assert_eq!(claimed[0].n, 1);
    f.database.release_unsent(f.account, lost).await.unwrap();
    assert_eq!(parts(&f).await, [(0, 1, true)], "still being sent");
    f.database.release_unsent(f.account, next).await.unwrap();
    assert_eq!(parts(&f).await, [(0, 0, true)], "waiting again");
    f.finish().await;
}
