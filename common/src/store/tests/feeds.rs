use std::time::Duration;

use super::*;

#[tokio::test]
async fn a_page_is_bounded_and_a_feed_without_news_is_not_entered() {
    let f = Fixture::new(1).await;
    f.store((0..FEED_PAGE + 20).map(|n| message("c1", n, "x")).collect()).await;
    drain(&f.database).await;
    let (own, queue) = (f.agents[0].own_feed(), f.agents[0].feeds[1].id);
    let page = f.database.read_feeds(&[(own, 0), (queue, 0)]).await.unwrap();
    assert_eq!(page.len(), FEED_PAGE);
    assert!(page.iter().all(|line| line.feed == queue));
    assert_eq!(f.feed(queue, 0).await.len(), FEED_PAGE + 21);
    assert!(f.database.read_feeds(&[(own, 0), (queue, 121)]).await.unwrap().is_empty());
    f.finish().await;
}

#[tokio::test]
async fn a_chat_s_own_log_is_read_like_a_feed() {
    let f = Fixture::new(1).await;
    f.store((0..FEED_PAGE + 20).map(|n| message("c1", n, "x")).chain([message("c2", 1, "y")]).collect()).await;
    drain(&f.database).await;
    let (long, short) = (f.chat("c1").await, f.chat("c2").await);
    let heads = f.database.log_heads(&[long, short, ChatId(99)]).await.unwrap();
    assert_eq!((heads.len(), heads[&long], heads[&short]), (2, 121, 2));
    let page = f.database.read_logs(&[(long, 10), (short, 1), (ChatId(99), 0)]).await.unwrap();
    let seqs = |chat| page.iter().filter(|entry| entry.chat == chat).map(|entry| entry.seq).collect::<Vec<_>>();
    assert_eq!((seqs(long), seqs(short)), ((11..=110).collect(), vec![2]));
    assert!(f.database.read_logs(&[(long, 121), (short, 2)]).await.unwrap().is_empty());
    let view = f.database.chat_view(None, short).await.unwrap().unwrap();
    assert_eq!((view.last_seq, view.queue.as_deref()), (2, Some("support")));
    assert!(f.database.chat_view(None, ChatId(99)).await.unwrap().is_none());
    f.finish().await;
}

#[tokio::test]
async fn only_old_entries_are_pruned_and_the_mark_moves_with_them() {
    let f = Fixture::new(1).await;
    let day = Duration::from_secs(86_400);
    f.store((0..700).map(|n| message("c1", n, "x")).collect()).await;
    drain(&f.database).await;
    let queue = f.agents[0].feeds[1].id;
    assert!(f.database.prunable_feeds(day).await.unwrap().is_empty());
    assert_eq!(f.database.prune_feed(queue, day).await.unwrap(), 0);
    f.run("UPDATE feed_entry SET at = now() - interval '2 days' WHERE seq <= 600").await;
    assert_eq!(f.database.prunable_feeds(day).await.unwrap(), [queue]);
    assert_eq!(f.database.prune_feed(queue, day).await.unwrap(), 500, "a bounded batch");
    assert_eq!(f.database.prune_feed(queue, day).await.unwrap(), 100);
    assert_eq!(f.database.prune_feed(queue, day).await.unwrap(), 0);
    let agent = f.database.agent("a0").await.unwrap().unwrap();
    assert_eq!((agent.feeds[1].pruned, agent.feeds[1].head), (600, 701));
    f.run("UPDATE feed_entry SET at = (SELECT at FROM history WHERE history.seq = chat_seq)").await;
    assert_eq!(f.feed(queue, 600).await.len(), 101);
    f.finish().await;
}

#[tokio::test]
async fn an_old_entry_behind_a_young_one_stays() {
    let f = Fixture::new(1).await;
    f.store((0..9).map(|n| message("c1", n, "x")).collect()).await;
    drain(&f.database).await;
    let queue = f.agents[0].feeds[1].id;
    f.run("UPDATE feed_entry SET at = now() - interval '2 days' WHERE seq IN (1, 2, 5)").await;
    assert_eq!(f.database.prune_feed(queue, Duration::from_secs(86_400)).await.unwrap(), 2);
    assert_eq!(f.number("SELECT pruned_seq FROM feed WHERE name = 'queue:1'").await, 2);
    f.run("UPDATE feed_entry SET at = (SELECT at FROM history WHERE history.seq = chat_seq)").await;
    f.finish().await;
}
