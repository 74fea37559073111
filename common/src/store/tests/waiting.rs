use std::time::Duration;

use super::*;

const LEASE: Duration = Duration::from_secs(5);
use crate::model::{AttemptOutcome, Epoch, FreezeScope, OutboxId, PartState};
use crate::store::waiting;

/// A lease that somebody holds, and what the platform allows.
const SERVED: &str = "
UPDATE account_lease SET epoch = 1, holder = 'me', released = false, renewed_at = now(), server = pg_postmaster_start_time();
UPDATE account SET capabilities = '{\"text_max_utf16\": 10, \"limits\": [{\"count\": 10, \"window_ms\": 1000, \"scope\": \"account\"},
  {\"count\": 1, \"window_ms\": 1000, \"scope\": \"chat\"}]}'";

impl Fixture {
    async fn queue(&self, chat: ChatId, key: &str, lane: Lane) -> i64 {
        let new =
            Submission { agent: &self.agents[0], chat, client_key: key, text: "hi", file: None, lane, seen_seq: None };
        self.database.submit(&new).await.unwrap().unwrap().seq
    }

    /// The parts of a chat that wait.
    async fn look(&self, chat: ChatId) -> Vec<WaitingPart> {
        self.database.waiting(Some(self.agents[0].id), chat, None, LEASE).await.unwrap().expect("the agent's own").parts
    }

    /// Position and reason of the first of them.
    async fn first(&self, chat: ChatId) -> (usize, WaitReason) {
        let parts = self.look(chat).await;
        (parts[0].position, parts[0].reason)
    }

    /// A call for the oldest part of a chat, and its end.
    async fn attempt(&self, chat: ChatId, end: Option<&Settlement>) {
        let id =
            OutboxId(self.number(&format!("SELECT min(id) FROM outbox WHERE open AND chat_id = {}", chat.0)).await);
        let span = Duration::from_secs(10);
        let claimed =
            self.database.claim(self.account, Epoch(1), ClaimToken::new(), &[id], ClaimSpans::all(span)).await.unwrap();
        if let Some(end) = end {
            self.database.settle(self.account, id, claimed[0].n, end).await.unwrap();
        }
    }
}

fn retry(outcome: AttemptOutcome, after: Duration, freeze: Option<Freeze>) -> Settlement {
    Settlement::Retry { outcome, after, freeze, reason: "no".to_owned() }
}

#[tokio::test]
async fn a_part_moves_up_as_those_before_it_are_decided() {
    let f = Fixture::new(1).await;
    f.run(SERVED).await;
    let mut chats = Vec::new();
    for n in 0..6 {
        chats.push(f.taken(&format!("c{n}")).await);
        f.queue(chats[n], &format!("k{n}"), Lane::Interactive).await;
    }
    let mine = chats[5];
    let bulk = f.queue(mine, "bulk", Lane::Bulk).await;
    let sent = Settlement::Sent { platform_id: "p".to_owned() };
    for (n, chat) in chats[..5].iter().enumerate() {
        let parts = f.look(mine).await;
        assert_eq!(parts[0].position, 6 - n);
        assert_eq!((parts[1].seq, parts[1].lane, parts[1].position), (bulk, Lane::Bulk, 7 - n), "urgent ones go first");
        assert!(parts.iter().all(|part| part.exact && part.state == PartState::Queued), "{parts:?}");
        f.attempt(*chat, Some(&sent)).await;
    }
    assert_eq!(f.first(mine).await, (1, WaitReason::Next));
    f.attempt(mine, None).await;
    let parts = f.look(mine).await;
    assert_eq!(
        (parts[0].state, parts[0].reason, parts[0].expected_s),
        (PartState::Sending, WaitReason::Sending, Some(0.0))
    );
    assert_eq!((parts[1].position, parts[1].reason), (2, WaitReason::ChatLimit), "one call of a chat at a time");
    let one = f.database.waiting(Some(f.agents[0].id), mine, Some(bulk), LEASE).await.unwrap().unwrap();
    assert_eq!((one.parts.len(), one.parts[0].seq, one.more), (1, bulk, false));
    assert_eq!(f.look(chats[0]).await, [], "decided");
    f.finish().await;
}

#[tokio::test]
async fn the_reason_is_what_holds() {
    let f = Fixture::new(1).await;
    let chat = f.taken("c1").await;
    f.queue(chat, "k", Lane::Interactive).await;
    let nobody = f.look(chat).await;
    assert_eq!((nobody[0].reason, nobody[0].expected_s), (WaitReason::NoConnector, None));
    f.run(SERVED).await;
    assert_eq!(f.first(chat).await, (1, WaitReason::Next));
    for (sql, reason) in [
        ("UPDATE account_lease SET renewed_at = now() - interval '6 s'", WaitReason::NoConnector),
        ("UPDATE account_lease SET renewed_at = now(), released = true", WaitReason::NoConnector),
        ("UPDATE account_lease SET released = false", WaitReason::Next),
    ] {
        f.run(sql).await;
        assert_eq!(f.first(chat).await.1, reason, "{sql}");
    }

    let minute = Duration::from_secs(60);
    f.attempt(chat, Some(&retry(AttemptOutcome::NotSent, minute, None))).await;
    let part = f.look(chat).await.remove(0);
    let in_seconds = (part.until.unwrap() - chrono::Utc::now()).num_seconds();
    assert_eq!((part.reason, part.state), (WaitReason::Retrying, PartState::Queued));
    assert!((55..=60).contains(&in_seconds) && part.expected_s.unwrap() > 55.0, "{part:?}");

    for scope in [FreezeScope::Account, FreezeScope::Chat("c1".to_owned())] {
        f.run("UPDATE outbox SET retry_at = NULL").await;
        let pause = Freeze { scope, remaining: minute };
        f.attempt(chat, Some(&retry(AttemptOutcome::Throttled, minute, Some(pause)))).await;
        let part = f.look(chat).await.remove(0);
        assert_eq!(part.reason, WaitReason::Paused);
        assert!((part.until.unwrap() - chrono::Utc::now()).num_seconds() > 55, "{part:?}");
        f.run("UPDATE attempt SET freeze_until = now()").await;
    }

    // The platform asked for it when it was asked for a file: that names no chat.
    let epoch = f.database.lease(f.account).await.unwrap().epoch;
    let lookup = f.database.begin_exchange(f.account, epoch, 1, minute).await.unwrap().unwrap();
    f.database.end_exchange(f.account, lookup, Some(minute)).await.unwrap();
    f.run("UPDATE outbox SET retry_at = NULL").await;
    let part = f.look(chat).await.remove(0);
    assert!(part.reason == WaitReason::Paused && part.expected_s.unwrap() > 55.0, "{part:?}");
    let frozen = f.database.account_states().await.unwrap()[0].frozen_s;
    assert!(frozen.is_some_and(|seconds| seconds > 55.0), "{frozen:?}");
    f.run("UPDATE exchange SET freeze_until = now()").await;

    f.run("UPDATE outbox SET retry_at = NULL; UPDATE attempt SET ended_at = ended_at - interval '2 s'").await;
    f.attempt(chat, Some(&retry(AttemptOutcome::AccountDown, minute, None))).await;
    let down = f.look(chat).await;
    assert_eq!((down[0].reason, down[0].expected_s), (WaitReason::AccountDown, None));
    f.run("UPDATE account_lease SET epoch = 2; UPDATE outbox SET retry_at = NULL").await;
    assert_eq!(
        f.first(chat).await.1,
        WaitReason::ChatLimit,
        "a new tenure knows nothing of that, but the call was made"
    );
    f.queue(chat, "next", Lane::Interactive).await;
    assert_eq!(f.look(chat).await[1].reason, WaitReason::EarlierMessage);
    f.finish().await;
}

#[tokio::test]
async fn what_waits_is_for_those_to_see_who_see_the_chat() {
    let f = Fixture::new(1).await;
    assert!(f.database.add_queue("other").await.unwrap());
    assert!(f.database.add_agent("stranger", "S", &["other".to_owned()]).await.unwrap());
    let stranger = f.database.agent("stranger").await.unwrap().unwrap();
    let chat = f.taken("c1").await;
    assert_eq!(f.look(chat).await, []);
    f.queue(chat, "k", Lane::Interactive).await;
    for seq in [None, Some(4)] {
        assert_eq!(f.database.waiting(Some(stranger.id), chat, seq, LEASE).await.unwrap(), None);
        assert_eq!(f.database.waiting(Some(f.agents[0].id), ChatId(999), seq, LEASE).await.unwrap(), None);
    }
    f.finish().await;
}

/// A backlog of ten thousand costs no more than one of a thousand, and what was sent before costs nothing.
#[tokio::test]
async fn a_long_backlog_is_not_read() {
    let f = Fixture::new(1).await;
    f.run(SERVED).await;
    let chat = f.taken("c1").await;
    let other = |lane: u8, from: u32, to: u32, open: bool| {
        format!(
            "INSERT INTO outbox (account_id, chat_id, chat_key, chat_seq, agent_id, client_key, content_hash, body, lane, open, state)
             SELECT 1, 100 + n % 2000, 'x', n, 1, 'n{lane}-' || n, '', '', {lane}, {open}, CASE WHEN {open} THEN 0 ELSE 2 END
               FROM generate_series({from}, {to}) n"
        )
    };
    f.run(&other(0, 1, 20_000, false)).await;
    f.run(&other(2, 1, 10_000, true)).await;
    f.queue(chat, "urgent", Lane::Interactive).await;
    f.queue(chat, "bulk", Lane::Bulk).await;
    f.run(&other(2, 10_001, 12_000, true)).await;
    for (seq, text) in (10..300).map(|n| (n, format!("many{n}"))) {
        f.run(
            &other(1, seq, seq, true)
                .replace("100 + n % 2000", &chat.0.to_string())
                .replace("'n1-' || n", &format!("'{text}'")),
        )
        .await;
    }
    let all = f.database.waiting(Some(f.agents[0].id), chat, None, LEASE).await.unwrap().unwrap();
    assert_eq!((all.parts.len(), all.more), (202, true), "the newest 200 of a lane");
    let (urgent, bulk) = (&all.parts[0], &all.parts[201]);
    assert_eq!((urgent.position, urgent.exact, urgent.reason), (1, true, WaitReason::Next));
    assert_eq!((bulk.position, bulk.exact, bulk.reason), (1000, false, WaitReason::AccountLimit));
    // Ten thousand others, nine of ten slots of a second and a call, and the bot's parts of this chat meanwhile.
    let seconds = bulk.expected_s.unwrap();
    assert!((1050.0..1300.0).contains(&seconds), "{seconds}");

    let connection = f.database.connection().await.unwrap();
    for (sql, arguments) in waiting::HOT.iter().zip(["1, 1, 5", "1, 9223372036854775807", "1", "1, 'c1', 1, 1"]) {
        connection.batch_execute(&format!("PREPARE look AS {sql}")).await.unwrap();
        let rows =
            connection.query(&format!("EXPLAIN (ANALYZE, BUFFERS) EXECUTE look({arguments})"), &[]).await.unwrap();
        connection.batch_execute("DEALLOCATE look").await.unwrap();
        let plan = rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>().join("\n");
        let decided = ["outbox_pkey", "outbox_message", "Seq Scan"].iter().any(|words| plan.contains(words));
        let filtered =
            plan.lines().filter_map(|line| line.trim().strip_prefix("Rows Removed by Filter: ")?.parse::<u64>().ok());
        assert!(!decided && filtered.sum::<u64>() < 100, "{plan}");
    }
    connection.done();
    f.test.finish().await;
}
