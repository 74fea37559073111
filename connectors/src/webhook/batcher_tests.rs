use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};

use super::*;

/// A database that stores a batch when it is told to.
#[derive(Default)]
struct Slow {
    batches: Mutex<Vec<usize>>,
    begun: Notify,
    go_on: Notify,
}

#[async_trait]
impl Store for Slow {
    async fn store(&self, updates: &[RawUpdate]) -> bool {
        self.batches.lock().expect("no panic").push(updates.len());
        self.begun.notify_one();
        self.go_on.notified().await;
        updates.iter().all(|update| update.0 != b"bad")
    }
}

/// Waits until so many requests wait for the next batch.
async fn queued(batcher: &Batcher, count: usize) {
    while batcher.queue.max_capacity() - batcher.queue.capacity() < count {
        tokio::task::yield_now().await;
    }
}

fn one(text: &str) -> Vec<RawUpdate> {
    vec![RawUpdate(text.as_bytes().to_vec())]
}

fn room() -> OwnedSemaphorePermit {
    Arc::new(Semaphore::new(1)).try_acquire_owned().expect("it is new")
}

#[tokio::test]
async fn updates_take_room_until_they_are_stored_whoever_waits() {
    let (store, shutdown) = (Arc::new(Slow::default()), Shutdown::default());
    let (batcher, bodies) = (Batcher::start(store.clone(), &shutdown), Arc::new(Semaphore::new(1)));
    let space = bodies.clone().try_acquire_owned().expect("room");
    let request = tokio::spawn(async move { batcher.store(one("x"), space).await });
    store.begun.notified().await;
    request.abort();
    assert!(request.await.is_err(), "its time was over");
    assert_eq!(bodies.available_permits(), 0, "they are still being stored");
    store.go_on.notify_one();
    let stored = tokio::time::timeout(Duration::from_secs(5), bodies.acquire());
    assert!(stored.await.is_ok_and(|space| space.is_ok()), "given back when they are");
}

#[tokio::test]
async fn what_has_queued_goes_together_and_nobody_is_answered_before() {
    let (store, shutdown) = (Arc::new(Slow::default()), Shutdown::default());
    let batcher = Batcher::start(store.clone(), &shutdown);
    let bring = |text: &'static str| {
        let batcher = batcher.clone();
        tokio::spawn(async move { batcher.store(one(text), room()).await })
    };
    let first = bring("first");
    store.begun.notified().await;
    let others: Vec<_> = (0..150).map(|_| bring("other")).collect();
    queued(&batcher, 150).await;
    assert!(!first.is_finished());
    for _ in 0..2 {
        store.go_on.notify_one();
        store.begun.notified().await;
    }
    store.go_on.notify_one();
    assert_eq!(first.await.expect("no panic"), Ok(()));
    for other in others {
        assert_eq!(other.await.expect("no panic"), Ok(()));
    }
    assert_eq!(*store.batches.lock().expect("no panic"), [1, BATCH, 50]);
    drop(batcher);
    shutdown.begin();
    assert!(shutdown.drained(Duration::from_secs(1)).await, "it ends with the last who could bring something");
}

#[tokio::test]
async fn a_batch_that_failed_is_acknowledged_to_nobody() {
    let (store, shutdown) = (Arc::new(Slow::default()), Shutdown::default());
    let batcher = Batcher::start(store.clone(), &shutdown);
    store.go_on.notify_one();
    assert_eq!(batcher.store(one("bad"), room()).await, Err(NotStored::Unknown));
}

#[tokio::test]
async fn what_waits_has_a_bound() {
    let (store, shutdown) = (Arc::new(Slow::default()), Shutdown::default());
    let batcher = Batcher::start(store.clone(), &shutdown);
    let bring = || {
        let batcher = batcher.clone();
        tokio::spawn(async move { batcher.store(one("x"), room()).await })
    };
    let mut waiting = vec![bring()];
    store.begun.notified().await;
    waiting.extend((0..WAITING).map(|_| bring()));
    queued(&batcher, WAITING).await;
    let late = tokio::time::timeout(Duration::from_secs(1), batcher.store(one("one too many"), room())).await;
    assert_eq!(late.expect("told at once"), Err(NotStored::Full));
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}
