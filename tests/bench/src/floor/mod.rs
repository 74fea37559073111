//! What nothing built of these parts can be faster than, measured in the same run: the path's own statements in a bare loop,
//! without HTTP, ZooKeeper and sockets, and the wake of one doorbell.

pub mod bare;
pub mod pgbench;
pub mod script;
pub mod wake;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;

use bare::Bare;
use tokio::sync::{Semaphore, watch};
use tokio::time::MissedTickBehavior;

use crate::figures::{Runs, percentile};

/// A floor's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name(pub &'static str);

impl Name {
    /// Its statements are the product's; others only tell what Postgres can do.
    #[cfg(test)]
    fn path_of_the_product(self) -> bool {
        !["plain"].contains(&self.0)
    }
}

macro_rules! file {
    ($name:literal) => {
        (Name($name), include_str!(concat!("../../sql/", $name, ".sql")))
    };
}

/// Makes what the others need.
pub const PREPARE: &str = include_str!("../../sql/prepare.sql");
/// Agents and chats, in the floors' database and in the fleet's.
pub const PEOPLE: &str = include_str!("../../sql/people.sql");
/// A batch of updates is stored.
pub const INTAKE: (Name, &str) = file!("intake");
/// A batch is drained.
pub const DRAIN: (Name, &str) = file!("drain");
/// Feeds are read.
pub const READ: (Name, &str) = file!("read");
/// An agent's message is stored.
pub const SUBMIT: (Name, &str) = file!("submit");
/// A part is found and claimed.
pub const CLAIM: (Name, &str) = file!("claim");
/// Plain rows.
pub const PLAIN: (Name, &str) = file!("plain");

/// All that are run.
#[cfg(test)]
pub const FILES: [(Name, &str); 6] = [INTAKE, DRAIN, READ, SUBMIT, CLAIM, PLAIN];

/// In milliseconds.
pub fn median_ms(mut times: Vec<Duration>) -> f64 {
    times.sort();
    let sorted: Vec<u64> = times.iter().map(|time| time.as_nanos() as u64).collect();
    percentile(&sorted, 0.5) as f64 / 1e6
}

/// One message through intake, drain and one reader, one after another: the time of each of `count`, one `every` so long.
pub async fn chain(url: &str, count: usize, every: Duration) -> anyhow::Result<Vec<Duration>> {
    let mut intake = Bare::open(url, INTAKE.1, &[("batch", "1")]).await?;
    let mut drain = Bare::open(url, DRAIN.1, &[]).await?;
    let reader = bare::connect(url).await?;
    let feeds = reader.query("SELECT id, last_seq FROM feed WHERE name LIKE 'agent:%' ORDER BY id", &[]).await?;
    let mut heads: BTreeMap<i32, i64> = feeds.iter().map(|row| (row.get(0), row.get(1))).collect();
    // The reader's own statement; what it has read the loop knows, as a chatserver does.
    let statement = script::parse(READ.1)?.into_iter().find_map(|command| match command {
        script::Command::Statement(it) if !it.inputs => Some(it.sql),
        _ => None,
    });
    let statement = reader.prepare(&statement.context("read.sql reads nothing")?).await?;
    let (mut times, mut turns) = (Vec::with_capacity(count), turns(every));
    for _ in 0..count {
        turns.tick().await;
        let stored = intake.once().await?;
        let drained = drain.once().await?;
        anyhow::ensure!(drain.number("taken") == 1, "one message was stored, {} drained", drain.number("taken"));
        let (ids, cursors): (Vec<i32>, Vec<i64>) = heads.iter().unzip();
        let begun = Instant::now();
        let rows = reader.query(&statement, &[&ids, &cursors]).await?;
        times.push(stored + drained + begun.elapsed());
        anyhow::ensure!(rows.len() == 1, "one entry was written, {} read", rows.len());
        heads.insert(rows[0].get("feed_id"), rows[0].get("feed_seq"));
    }
    Ok(times)
}

/// A turn after each `every`: a floor as often as the path beside it, because a processor that sleeps in between wakes up late
/// for both. One of no length has no pauses.
pub fn turns(every: Duration) -> tokio::time::Interval {
    let mut turns = tokio::time::interval(every.max(Duration::from_nanos(1)));
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    turns
}

/// Statements and wake of a path, in milliseconds, of several runs.
#[derive(Default)]
pub struct Parts {
    chains: Vec<f64>,
    wakes: Vec<f64>,
}

impl Parts {
    /// Those of one run.
    pub fn add(&mut self, chain: f64, wake: f64) {
        self.chains.push(chain);
        self.wakes.push(wake);
    }

    /// Both together, of each run.
    pub fn whole(&self) -> Vec<f64> {
        self.chains.iter().zip(&self.wakes).map(|(chain, wake)| chain + wake).collect()
    }

    /// What the floor is made of.
    pub fn note(&self) -> String {
        let median = |values: &[f64]| values.iter().copied().collect::<Runs>().median();
        format!("floor = statements {:.3} + wake {:.3}", median(&self.chains), median(&self.wakes))
    }
}

/// An agent's message stored, found and claimed, `count` times, one `every` so long.
pub async fn answer_chain(url: &str, count: usize, every: Duration) -> anyhow::Result<Vec<Duration>> {
    let mut submit = Bare::open(url, SUBMIT.1, &[]).await?;
    let mut claim = Bare::open(url, CLAIM.1, &[]).await?;
    let (mut times, mut turns) = (Vec::with_capacity(count), turns(every));
    for _ in 0..count {
        turns.tick().await;
        times.push(submit.once().await? + claim.once().await?);
        anyhow::ensure!(claim.variables.get("ids").is_some_and(|ids| ids.len() > 2), "nothing was claimed");
    }
    Ok(times)
}

/// Messages a second through one intake connection and one drainer at once, batches of 100, for `span`.
pub async fn most_a_second(url: &str, span: Duration) -> anyhow::Result<f64> {
    /// The intake waits for the drain beyond so many.
    const AHEAD: usize = 1_000;
    drain_all(url).await?;
    let mut intake = Bare::open(url, INTAKE.1, &[("batch", "100")]).await?;
    let mut drain = Bare::open(url, DRAIN.1, &[]).await?;
    intake.maker = Some(updates(100));
    let room = Arc::new(Semaphore::new(AHEAD));
    let (news, mut stored) = watch::channel(0u64);
    let begun = Instant::now();
    let (until, taking) = (begun + span, room.clone());
    let storing = tokio::spawn(async move {
        while Instant::now() < until {
            taking.acquire_many(100).await?.forget();
            intake.once().await?;
            news.send_modify(|count| *count += 100);
        }
        anyhow::Ok(())
    });
    let mut drained = 0;
    // Closed and nothing more than was drained: the intake has ended.
    while stored.wait_for(|count| *count > drained).await.is_ok() {
        drain.once().await?;
        let taken = drain.number("taken");
        drained += taken;
        room.add_permits(taken as usize);
    }
    let elapsed = begun.elapsed();
    storing.await??;
    Ok(drained as f64 / elapsed.as_secs_f64())
}

/// Batches of new updates, alike to those that the file makes.
fn updates(batch: usize) -> bare::Maker {
    use std::fmt::Write as _;
    let mut number = 0u64;
    let run = Instant::now().elapsed().as_nanos() as u64 ^ crate::clock::now_ns() as u64;
    let repeated = |one: &str| format!("{{{}}}", vec![one; batch].join(","));
    let (body, raw) = (".".repeat(110), format!("\"\\\\x{}\"", "2e".repeat(600)));
    let (kinds, bodies, raws) = (repeated("1"), repeated(&body), repeated(&raw));
    Box::new(move |variables| {
        let (mut keys, mut chats, mut items) = ("{".to_owned(), "{".to_owned(), "{".to_owned());
        for place in 0..batch {
            number += 1;
            let chat = 700_100_000 + number.wrapping_mul(7919) % 1000;
            let comma = if place == 0 { "" } else { "," };
            let _ = write!(keys, "{comma}m:{chat}:{run}-{number}");
            let _ = write!(chats, "{comma}{chat}");
            let _ = write!(
                items,
                "{comma}\"{{\\\"author_id\\\":\\\"{chat}\\\",\\\"author_name\\\":\\\"Customer {chat}\\\"}}\""
            );
        }
        let made = [("keys", keys), ("chat_keys", chats), ("items", items)];
        variables.extend(made.map(|(name, value)| (name.to_owned(), value + "}")));
        let same = [("kinds", &kinds), ("bodies", &bodies), ("raws", &raws)];
        variables.extend(same.map(|(name, value)| (name.to_owned(), value.clone())));
    })
}

/// Drains what other floors left.
pub async fn drain_all(url: &str) -> anyhow::Result<()> {
    let mut drain = Bare::open(url, DRAIN.1, &[]).await?;
    loop {
        drain.once().await?;
        if drain.number("taken") == 0 {
            return Ok(());
        }
    }
}

/// Plain rows a second, 100 a commit, one connection.
pub async fn plain_rows_a_second(url: &str, span: Duration) -> anyhow::Result<f64> {
    let mut plain = Bare::open(url, PLAIN.1, &[("batch", "100")]).await?;
    let (begun, mut rows, mut spent) = (Instant::now(), 0.0, Duration::ZERO);
    while begun.elapsed() < span {
        spent += plain.once().await?;
        rows += 100.0;
    }
    // Neither its vacuum nor its log falls into the next measurement.
    bare::connect(url).await?.batch_execute("TRUNCATE floor_plain").await?;
    Ok(rows / spent.as_secs_f64())
}

/// Our loop's mean time over pgbench's, on the same file: about 1, or the floor is wrong.
pub async fn over_pgbench(
    url: &str,
    file: (Name, &str),
    batch: usize,
    passes: usize,
    folder: &std::path::Path,
) -> anyhow::Result<(f64, f64)> {
    let size = batch.to_string();
    let mut ours = Bare::open(url, file.1, &[("batch", &size)]).await?;
    ours.times(passes / 10 + 1).await?;
    let times = ours.times(passes).await?;
    let mean = times.iter().sum::<Duration>() / times.len() as u32;
    let theirs = pgbench::mean(url, (file.0.0, file.1), batch, passes, folder).await?;
    Ok((mean.as_secs_f64() * 1000.0, theirs.as_secs_f64() * 1000.0))
}
