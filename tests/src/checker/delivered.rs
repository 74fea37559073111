//! WS-2: an agent's sessions together saw everything, and it is what the database holds.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::index::Index;
use super::lines::SocketLine;
use super::logs::Run;
use super::report::Finding;

/// Decides WS-2.
pub fn check(run: &Run, index: &Index) -> Vec<Finding> {
    let mut finding = Finding::new("WS-2");
    let epoch = run.socket.iter().filter_map(epoch_of).max().unwrap_or(0);
    every_agent(run, epoch, &mut finding);
    frames_agree(run, index, epoch, &mut finding);
    messages_have_a_reader(run, &mut finding);
    vec![finding]
}

fn epoch_of(line: &SocketLine) -> Option<i64> {
    match line {
        SocketLine::Open(open) => Some(open.feed_epoch),
        SocketLine::Resync(resync) => Some(resync.feed_epoch),
        SocketLine::Close(_) | SocketLine::Frame(_) => None,
    }
}

/// What one agent saw of one feed in the newest epoch.
#[derive(Default)]
struct Seen<'a> {
    /// Where it began: its first cursor, or the head of its first resync.
    base: Option<i64>,
    /// The head of the newest resync: what lies below was in a snapshot.
    snapshot: i64,
    numbers: HashSet<i64>,
    /// Sessions still open at the end, with how far they came.
    live: BTreeMap<&'a str, i64>,
}

impl<'a> Seen<'a> {
    fn begin(&mut self, sess: &'a str, seq: i64, snapshot: bool) {
        self.base = Some(self.base.map_or(seq, |base| base.min(seq)));
        self.snapshot = if snapshot { self.snapshot.max(seq) } else { self.snapshot };
        self.live.insert(sess, seq);
    }
}

/// Everything from an agent's first cursor to the end, in one session or another. An agent that is not
/// connected at the end answers only for what it reached.
fn every_agent(run: &Run, epoch: i64, finding: &mut Finding) {
    let mut agents: HashMap<&str, &str> = HashMap::new(); // by session
    let mut seen: BTreeMap<(&str, &str), Seen<'_>> = BTreeMap::new();
    for line in &run.socket {
        match line {
            SocketLine::Open(open) => {
                agents.insert(&open.sess, &open.agent);
                let cursors = open.cursors.iter().flatten().filter(|_| open.recovered && open.feed_epoch == epoch);
                for (feed, seq) in cursors {
                    seen.entry((&open.agent, feed)).or_default().begin(&open.sess, *seq, false);
                }
            }
            SocketLine::Resync(resync) if resync.feed_epoch == epoch => {
                let Some(agent) = agents.get(&*resync.sess).copied() else { continue };
                for (feed, seq) in &resync.feeds {
                    seen.entry((agent, feed)).or_default().begin(&resync.sess, *seq, true);
                }
            }
            SocketLine::Frame(frame) if frame.feed_epoch == epoch => {
                let Some(agent) = agents.get(&*frame.sess).copied() else { continue };
                let seen = seen.entry((agent, &*frame.feed)).or_default();
                seen.numbers.insert(frame.seq);
                if let Some(reached) = seen.live.get_mut(&*frame.sess) {
                    *reached = (*reached).max(frame.seq);
                }
            }
            SocketLine::Close(close) => seen.values_mut().for_each(|seen| {
                seen.live.remove(&*close.sess);
            }),
            SocketLine::Resync(_) | SocketLine::Frame(_) => {}
        }
    }
    let heads: HashMap<&str, i64> = run.dump.feeds.iter().map(|feed| (feed.name.as_str(), feed.last_seq)).collect();
    for ((agent, feed), seen) in &seen {
        let head = heads.get(feed).copied().unwrap_or(0);
        for (sess, reached) in &seen.live {
            finding.check(*reached == head, || {
                format!("{agent} session {sess}: reached {reached} of {feed}, whose head is {head}")
            });
        }
        let from = seen.base.unwrap_or(0).max(seen.snapshot);
        let reached =
            seen.numbers.iter().copied().max().unwrap_or(from).max(if seen.live.is_empty() { from } else { head });
        // Below a later snapshot nothing can be demanded; above it every number was some session's to show.
        for seq in from + 1..=reached {
            finding.check(seen.numbers.contains(&seq), || format!("{agent} never saw {feed} {seq}"));
        }
    }
}

/// A frame shows what the feed's row points at.
fn frames_agree(run: &Run, index: &Index, epoch: i64, finding: &mut Finding) {
    let feeds: HashMap<&str, &super::dump::Feed> =
        run.dump.feeds.iter().map(|feed| (feed.name.as_str(), feed)).collect();
    let entries: HashMap<(i64, i64), (i64, i64)> = run
        .dump
        .feed_entries
        .iter()
        .map(|entry| ((entry.feed_id, entry.seq), (entry.chat_id, entry.chat_seq)))
        .collect();
    for line in &run.socket {
        let SocketLine::Frame(frame) = line else { continue };
        let Some(feed) = feeds.get(&*frame.feed).filter(|_| frame.feed_epoch == epoch) else { continue };
        let row = entries.get(&(feed.id, frame.seq));
        let place = (frame.chat, frame.chat_seq);
        let kind = index.history.get(&place).and_then(|place| run.dump.history[*place].kind_word());
        let pointed = row.map_or(frame.seq <= feed.pruned_seq, |row| *row == place);
        finding.check(pointed && kind == Some(&*frame.kind), || {
            format!(
                "session {}: {} {} showed {} of chat {} at {}, the database has {row:?}, {kind:?}",
                frame.sess, frame.feed, frame.seq, frame.kind, frame.chat, frame.chat_seq
            )
        });
    }
}

/// A message in a chat's log that no feed points at would reach nobody, and no session could miss it.
fn messages_have_a_reader(run: &Run, finding: &mut Finding) {
    if run.dump.feeds.iter().any(|feed| feed.pruned_seq > 0) {
        return; // its pointer may be gone
    }
    let pointed: HashSet<(i64, i64)> =
        run.dump.feed_entries.iter().map(|entry| (entry.chat_id, entry.chat_seq)).collect();
    for row in run.dump.history.iter().filter(|row| row.kind == 1) {
        finding.check(pointed.contains(&(row.chat_id, row.seq)), || {
            format!("the message of chat {} at {} is in nobody's feed", row.chat_id, row.seq)
        });
    }
}
