//! One doorbell's wake: from the set of a node to the news of it in another session, at the ZooKeeper of the run.

use std::time::{Duration, Instant};

use anyhow::Context;
use zookeeper_client::{Acls, Client, CreateMode};

/// `count` wakes, one after another, one `every` so long.
pub async fn times(connect: &str, count: usize, every: Duration) -> anyhow::Result<Vec<Duration>> {
    let session = async || {
        let connector = Client::connector().with_session_timeout(Duration::from_secs(10)).connect(connect);
        connector.await.context("ZooKeeper")
    };
    let (ringer, reader) = (session().await?, session().await?);
    let options = CreateMode::Ephemeral.with_acls(Acls::anyone_all());
    ringer.create("/floor-wake", b"0", &options).await?;
    let (mut times, mut turns) = (Vec::with_capacity(count), super::turns(every));
    for number in 0..count {
        turns.tick().await;
        let (_, _, watcher) = reader.get_and_watch_data("/floor-wake").await?;
        let begun = Instant::now();
        let set = ringer.set_data("/floor-wake", number.to_string().as_bytes(), None);
        let (woken, set) = tokio::join!(async { (watcher.changed().await, begun.elapsed()) }, set);
        set?;
        times.push(woken.1);
    }
    ringer.delete("/floor-wake", None).await?;
    Ok(times)
}
