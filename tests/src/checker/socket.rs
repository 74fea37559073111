//! WS-1, WS-3 and WS-4: what one session was given, and whether every session was given the same.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::figures::Figures;
use super::index::Index;
use super::lines::{Frame, Open, Resync, SocketLine};
use super::logs::Run;
use super::report::Finding;

/// Decides the family.
pub fn check(run: &Run, index: &Index, figures: &mut Figures) -> Vec<Finding> {
    let mut sessions: BTreeMap<&str, Session<'_>> = BTreeMap::new();
    let (mut contiguous, mut honest) = (Finding::new("WS-1"), Finding::new("WS-4"));
    let feeds: HashMap<&str, &super::dump::Feed> =
        run.dump.feeds.iter().map(|feed| (feed.name.as_str(), feed)).collect();
    let pruned = |feed: &str| feeds.get(feed).map_or(0, |feed| feed.pruned_seq);
    for line in &run.socket {
        match line {
            SocketLine::Open(open) => {
                figures.sessions += 1;
                let old = sessions.insert(&open.sess, Session::new(open));
                honest.check(old.is_none(), || format!("session {} was opened twice", open.sess));
                honest_hello(open, &mut honest, &pruned);
            }
            SocketLine::Resync(resync) => {
                figures.resyncs += 1;
                match sessions.get_mut(resync.sess.as_str()) {
                    Some(session) => session.resync(resync, &mut honest, &pruned),
                    None => honest.violate(|| format!("resync of session {}, which was never opened", resync.sess)),
                }
            }
            SocketLine::Frame(frame) => {
                figures.frames += 1;
                match sessions.get_mut(&*frame.sess) {
                    Some(session) => session.frame(frame, &mut contiguous, figures),
                    None => contiguous.violate(|| format!("frame of session {}, which was never opened", frame.sess)),
                }
            }
            SocketLine::Close(close) => {
                if let Some(session) = sessions.get_mut(close.sess.as_str()) {
                    session.closed = true;
                }
            }
        }
    }
    for (name, session) in &sessions {
        honest.check(!session.resync_due || session.closed, || format!("session {name} was never given its resync"));
    }
    gapless_feeds(run, index, &mut honest);
    vec![contiguous, same_everywhere(run), honest]
}

/// What one session has been given.
struct Session<'a> {
    open: &'a Open,
    epoch: i64,
    /// Up to where each feed was read. Empty while a resync is due.
    cursors: BTreeMap<&'a str, i64>,
    resync_due: bool,
    closed: bool,
}

impl<'a> Session<'a> {
    fn new(open: &'a Open) -> Self {
        let sent = open.cursors.iter().flatten().map(|(feed, seq)| (feed.as_str(), *seq));
        let cursors = if open.recovered { sent.collect() } else { BTreeMap::new() };
        Self { open, epoch: open.feed_epoch, cursors, resync_due: !open.recovered, closed: false }
    }

    /// WS-4: a resync in the middle needs a reason just as one at the start.
    fn resync(&mut self, resync: &'a Resync, honest: &mut Finding, pruned: &dyn Fn(&str) -> i64) {
        let behind = self.cursors.iter().any(|(feed, seq)| *seq < pruned(feed));
        let known: BTreeSet<&str> = self.cursors.keys().copied().collect();
        let feeds: BTreeSet<&str> = resync.feeds.keys().map(String::as_str).collect();
        let allowed = self.resync_due || behind || resync.feed_epoch != self.epoch || known != feeds;
        honest.check(allowed, || format!("session {}: a resync in place of a replay, at {}", resync.sess, resync.t));
        self.resync_due = false;
        self.epoch = resync.feed_epoch;
        self.cursors = resync.feeds.iter().map(|(feed, seq)| (feed.as_str(), *seq)).collect();
    }

    /// WS-1. After a gap or a repeat the count goes on from the frame, so that one fault is one violation.
    fn frame(&mut self, frame: &'a Frame, contiguous: &mut Finding, figures: &mut Figures) {
        let Some(cursor) = self.cursors.get_mut(&*frame.feed) else {
            let due = if self.resync_due { "before its resync" } else { "of a feed it has no cursor for" };
            contiguous.check(false, || format!("session {}: {} {} {due}", frame.sess, frame.feed, frame.seq));
            return;
        };
        let want = *cursor + 1;
        figures.gaps += u64::from(frame.seq > want);
        figures.repeats += u64::from(frame.seq < want);
        contiguous.check(frame.seq == want && frame.feed_epoch == self.epoch, || {
            let Open { agent, server, .. } = self.open;
            format!("{agent} at {server}, session {}: {} {} where {want} was due", frame.sess, frame.feed, frame.seq)
        });
        *cursor = (*cursor).max(frame.seq);
    }
}

/// WS-4: `recovered` exactly when the cursors can be served. What was pruned at that moment is not known,
/// only what is pruned at the end: a refusal may lean on that, an acceptance is judged by WS-1.
fn honest_hello(open: &Open, honest: &mut Finding, pruned: &dyn Fn(&str) -> i64) {
    let Some(cursors) = &open.cursors else {
        honest.check(!open.recovered, || format!("session {}: recovered without cursors", open.sess));
        return;
    };
    let ahead = |(feed, seq): (&String, &i64)| {
        open.heads.as_ref().is_some_and(|heads| heads.get(feed).is_some_and(|head| seq > head))
    };
    let other_epoch = open.cursor_epoch.is_some_and(|epoch| epoch != open.feed_epoch);
    let other_feeds = open.heads.as_ref().is_some_and(|heads| !heads.keys().eq(cursors.keys()));
    let unusable = other_epoch || other_feeds || cursors.iter().any(ahead);
    let behind = cursors.iter().any(|(feed, seq)| *seq < pruned(feed));
    honest.check(if open.recovered { !unusable } else { unusable || behind }, || {
        let said = if open.recovered { "recovered" } else { "not recovered" };
        format!(
            "{} session {} at {}: {said} from {cursors:?} of epoch {:?}, heads {:?} of epoch {}",
            open.agent, open.sess, open.server, open.cursor_epoch, open.heads, open.feed_epoch
        )
    });
}

/// WS-4: a feed in the dump holds every number above what may be pruned, once.
fn gapless_feeds(run: &Run, index: &Index, honest: &mut Finding) {
    let mut numbers: HashMap<i64, Vec<i64>> = HashMap::new();
    for entry in &run.dump.feed_entries {
        numbers.entry(entry.feed_id).or_default().push(entry.seq);
        if !index.history.contains_key(&(entry.chat_id, entry.chat_seq)) {
            honest.violate(|| {
                format!(
                    "feed {} seq {} points at chat {} seq {}, which is not there",
                    entry.feed_id, entry.seq, entry.chat_id, entry.chat_seq
                )
            });
        }
    }
    for feed in &run.dump.feeds {
        let mut seen = numbers.remove(&feed.id).unwrap_or_default();
        seen.retain(|seq| *seq > feed.pruned_seq);
        seen.sort_unstable();
        honest.check(seen.iter().copied().eq(feed.pruned_seq + 1..=feed.last_seq), || {
            let odd = seen.iter().zip(feed.pruned_seq + 1..).find(|(seq, want)| *seq != want);
            let odd = odd.map_or(feed.pruned_seq + 1 + seen.len() as i64, |(_, want)| want);
            format!(
                "{}: {} entries above {}, last_seq {}, first oddity at {odd}",
                feed.name,
                seen.len(),
                feed.pruned_seq,
                feed.last_seq
            )
        });
    }
}

/// WS-3.
fn same_everywhere(run: &Run) -> Finding {
    let mut finding = Finding::new("WS-3");
    let mut first: HashMap<(&Arc<str>, i64, i64), &Frame> = HashMap::new();
    for line in &run.socket {
        let SocketLine::Frame(frame) = line else { continue };
        let known = first.entry((&frame.feed, frame.feed_epoch, frame.seq)).or_insert(frame);
        finding.check(known.hash == frame.hash, || {
            format!(
                "{} {}: sessions {} and {} were given different entries",
                frame.feed, frame.seq, known.sess, frame.sess
            )
        });
    }
    finding
}
