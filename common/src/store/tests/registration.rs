//! What only the active may write down, and what another program may begin while there is none.

use serde_json::json;

use super::*;
use crate::store::LeftBehind;

const MINUTE: Duration = Duration::from_secs(60);

/// What a candidate, or a doctor, would raise by.
fn dead(seen: Epoch) -> Raise<'static> {
    Raise { holder: "doctor", seen, way: Way::Anyone, stale: Duration::from_secs(8), answering: Duration::from_secs(2) }
}

impl Fixture {
    /// An exchange of a program that is no connector, with room for as many slots.
    async fn beside(&self, raise: Option<&Raise<'_>>, room: usize) -> Unheld<usize, usize> {
        let room = |left: &LeftBehind| {
            let used: usize = left.slots.iter().map(|slot| slot.cost).sum();
            if used + 2 <= room { Ok(used) } else { Err(used) }
        };
        self.database.begin_unheld_exchange(self.account, raise, (2, MINUTE), MINUTE, room).await.unwrap()
    }

    async fn exchanges(&self) -> i64 {
        self.number("SELECT count(*) FROM exchange").await
    }
}

#[tokio::test]
async fn only_the_present_tenure_writes_down_what_the_platform_said() {
    let f = Fixture::new(1).await;
    let note = async |epoch, word: &str| {
        f.database.note_registration(f.account, epoch, &json!({"word": word, "platforms_own": [1]})).await.unwrap()
    };
    let read = async || f.database.registration(f.account).await.unwrap();
    assert!(read().await.is_none());
    let first = f.active("a").await;
    assert!(note(first, "first").await && note(first, "again").await);
    let row = read().await.unwrap();
    assert_eq!((row.epoch, &row.said), (first, &json!({"word": "again", "platforms_own": [1]})));
    let second = f.active("b").await;
    assert!(!note(first, "late").await, "the fence");
    assert_eq!(read().await.unwrap().said["word"], "again");
    assert!(note(second, "new").await);
    f.run("UPDATE registration SET checked_at = checked_at - interval '1 h'").await;
    let row = read().await.unwrap();
    assert!(row.epoch == second && row.said["word"] == "new" && row.age >= 60 * MINUTE, "{row:?}");
    f.finish().await;
}

#[tokio::test]
async fn an_exchange_beside_begins_only_while_nobody_holds_the_lease() {
    let f = Fixture::new(1).await;
    assert!(matches!(f.beside(None, 2).await, Unheld::Noted(_, 0)), "nobody ever held it");
    assert!(matches!(f.beside(None, 3).await, Unheld::Full(2)), "the first is counted");
    let epoch = f.active("a").await;
    assert!(matches!(f.beside(None, 99).await, Unheld::Held));
    assert!(matches!(f.beside(Some(&dead(epoch)), 99).await, Unheld::Held), "it was renewed a moment ago");
    assert_eq!(f.exchanges().await, 1);
    assert!(f.database.release_lease(f.account, epoch).await.unwrap());
    assert!(matches!(f.beside(None, 99).await, Unheld::Noted(_, 2)));
    let left = f.database.left_behind(f.account, Epoch(epoch.0 + 1), MINUTE).await.unwrap();
    assert_eq!(left.slots.iter().map(|slot| slot.cost).collect::<Vec<_>>(), [2, 2], "a successor counts both");
    f.finish().await;
}

#[tokio::test]
async fn a_dead_ones_lease_is_ended_before_another_program_begins_an_exchange() {
    let f = Fixture::new(1).await;
    let epoch = f.active("a").await;
    f.run("UPDATE account_lease SET renewed_at = now() - interval '1 min'").await;
    assert!(matches!(f.beside(None, 99).await, Unheld::Held), "it was not given up");
    assert!(
        matches!(f.beside(Some(&dead(Epoch(epoch.0 - 1))), 99).await, Unheld::Held),
        "somebody has raised it since"
    );
    f.run("UPDATE account_lease SET server = NULL").await;
    assert!(matches!(f.beside(Some(&dead(epoch)), 99).await, Unheld::Held), "nobody has vouched for the server");
    f.run("UPDATE account_lease SET server = pg_postmaster_start_time()").await;
    assert!(matches!(f.beside(Some(&dead(epoch)), 1).await, Unheld::Full(0)));
    let (tenures, ours) = ("SELECT count(*) FROM tenure", "SELECT epoch FROM account_lease");
    assert_eq!((f.number(tenures).await, f.number(ours).await, f.exchanges().await), (1, epoch.0, 0), "for nothing");

    assert!(matches!(f.beside(Some(&dead(epoch)), 2).await, Unheld::Noted(_, 0)));
    // It was only frozen, and goes on: nothing that its limiter allows begins.
    assert_eq!(f.database.begin_exchange(f.account, epoch, 1, MINUTE).await.unwrap(), None);
    assert_eq!(f.database.renew_lease(f.account, epoch).await.unwrap(), Renewed::Lost);
    let lease = f.database.lease(f.account).await.unwrap();
    assert!(lease.released && lease.epoch == Epoch(epoch.0 + 1), "whoever comes need not wait: {lease:?}");
    let ledger = "SELECT count(*) FROM tenure WHERE holder = 'doctor' AND way = 'anyone' AND opened_at IS NULL
                   AND released_at IS NOT NULL AND stale_ms >= 60000";
    assert_eq!((f.number(ledger).await, f.number(tenures).await), (1, 2));
    assert_eq!(f.active("b").await, Epoch(epoch.0 + 2));
    f.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_connector_that_begins_meanwhile_is_seen_or_counts_the_exchange() {
    let f = Fixture::new(1).await;
    let epoch = f.active("a").await;
    assert!(f.database.release_lease(f.account, epoch).await.unwrap());
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";

    // The connector is first: whoever waited for its raise begins nothing.
    let mut connection = f.database.connection().await.unwrap();
    let raise = connection.transaction().await.unwrap();
    raise.execute("UPDATE account_lease SET epoch = epoch + 1, released = false", &[]).await.unwrap();
    let (database, account) = (f.database.clone(), f.account);
    let asking = tokio::spawn(async move {
        let room = |_: &LeftBehind| Ok::<_, ()>(());
        database.begin_unheld_exchange(account, None, (2, MINUTE), MINUTE, room).await.unwrap()
    });
    while f.number(waiting).await == 0 {
        tokio::task::yield_now().await;
    }
    raise.commit().await.unwrap();
    assert!(matches!(asking.await.unwrap(), Unheld::Held));
    assert_eq!(f.exchanges().await, 0);

    // The other program is first: the connector waits for it.
    f.run("UPDATE account_lease SET released = true").await;
    connection.done();
    let (inside, deciding) = tokio::sync::oneshot::channel();
    let (decide, decided) = std::sync::mpsc::sync_channel::<()>(1);
    let database = f.database.clone();
    let asking = tokio::spawn(async move {
        let room = move |_: &LeftBehind| {
            inside.send(()).unwrap();
            tokio::task::block_in_place(|| decided.recv())
        };
        database.begin_unheld_exchange(account, None, (2, MINUTE), MINUTE, room).await.unwrap()
    });
    deciding.await.unwrap();
    let (database, seen) = (f.database.clone(), Epoch(epoch.0 + 1));
    let raising = tokio::spawn(async move { database.raise_lease(account, &dead(seen)).await.unwrap() });
    while f.number(waiting).await == 0 {
        tokio::task::yield_now().await;
    }
    decide.send(()).unwrap();
    assert!(matches!(asking.await.unwrap(), Unheld::Noted(..)));
    let raised = raising.await.unwrap().expect("it is free");
    let left = f.database.left_behind(f.account, raised, MINUTE).await.unwrap();
    assert_eq!(left.slots.len(), 1, "and its limiter counts what began before");
    f.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_programs_the_second_counts_the_first() {
    let f = Fixture::new(1).await;
    let told = futures_util::future::join_all((0..8).map(|_| f.beside(None, 6))).await;
    let noted = told.iter().filter(|told| matches!(told, Unheld::Noted(..))).count();
    assert_eq!((noted, f.exchanges().await), (3, 3), "six slots are three exchanges: {told:?}");
    f.finish().await;
}
