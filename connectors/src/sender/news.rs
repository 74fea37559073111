//! What has to be read from the outbox, so that the backlog is what the table says.
//!
//! A ring asks for what is new. Everything else that can change a head (a resend, a cancel, what an earlier tenure settles late)
//! is found by looking at everything, which is done once a second, or less often when that takes long.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use switchboard_common::model::{AccountId, ChatId, OutboxId};
use switchboard_common::service::clock::Moment;
use switchboard_common::store::{Database, StoreError};

use super::backlog::Backlog;

/// Ids are given out before they are committed: one that is lower than what was seen may turn up for as long as a submission
/// may take (`postgres.statement_timeout_ms`, 5 s). A later one is found by the next look at everything.
const LATE: Duration = Duration::from_secs(6);

/// Something that takes long when much waits, and is done the less often, the longer it takes: a twentieth of the time at most.
pub(super) struct Seldom {
    least: Duration,
    again: Moment,
}

impl Seldom {
    pub(super) fn every(least: Duration) -> Self {
        Self { least, again: Moment::now() }
    }

    pub(super) fn is_due(&self) -> bool {
        !self.again.is_ahead()
    }

    /// It has been done, and began at `begun`.
    pub(super) fn done(&mut self, begun: Moment) {
        self.again = Moment::now() + self.least.max(begun.elapsed() * 20);
    }
}

/// What to read next.
pub(super) struct News {
    /// Somebody rang: there are new parts.
    rung: bool,
    /// Looks at everything because somebody rang.
    full: Seldom,
    /// Looks at everything because time has passed.
    round: Seldom,
    /// Chats whose heads have changed.
    asked: HashSet<ChatId>,
    /// The newest part seen, and when.
    seen: VecDeque<(Moment, OutboxId)>,
}

impl Default for News {
    fn default() -> Self {
        let (full, round) = (Seldom::every(Duration::from_millis(50)), Seldom::every(Duration::from_secs(1)));
        Self { rung: true, full, round, asked: HashSet::new(), seen: VecDeque::new() }
    }
}

impl News {
    /// Somebody rang, or could have.
    pub(super) fn heard(&mut self) {
        self.rung = true;
    }

    /// The heads of this chat have changed.
    pub(super) fn ask(&mut self, chat: ChatId) {
        self.asked.insert(chat);
    }

    /// How long until something can be read that is known to be there.
    pub(super) fn wait(&self) -> Option<Duration> {
        self.rung.then(|| self.full.again.remaining())
    }

    /// Reads what there is to read; after an error the same is read again.
    pub(super) async fn read(
        &mut self,
        database: &Database,
        account: AccountId,
        backlog: &mut Backlog,
    ) -> Result<(), StoreError> {
        let begun = Moment::now();
        let known = self.known(begun);
        let everything = self.round.is_due() || (self.rung && self.full.is_due());
        if everything || (self.rung && known.0 > 0) {
            let known = if everything { OutboxId(0) } else { known };
            let read = database.heads_since(account, known).await;
            if everything {
                // After an error, too: what is known can go on meanwhile.
                self.full.done(begun);
                self.round.done(begun);
            }
            let (heads, newest) = read?;
            self.rung = false;
            if let Some(newest) = newest {
                self.seen.push_back((begun, newest));
            }
            for head in heads {
                backlog.put(head);
            }
        }
        if !self.asked.is_empty() {
            let chats: Vec<ChatId> = self.asked.iter().copied().collect();
            let heads = database.heads_of(account, &chats).await?;
            self.asked.clear();
            chats.into_iter().for_each(|chat| backlog.forget(chat));
            for head in heads {
                backlog.put(head);
            }
        }
        Ok(())
    }

    /// Up to which part everything has been seen for sure; 0: nothing.
    fn known(&mut self, now: Moment) -> OutboxId {
        let settled = |seen: &(Moment, OutboxId)| seen.0 + LATE <= now;
        while self.seen.len() > 1 && settled(&self.seen[1]) {
            self.seen.pop_front();
        }
        self.seen.front().filter(|seen| settled(seen)).map_or(OutboxId(0), |seen| seen.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_known_only_when_no_earlier_part_can_turn_up() {
        let start = Moment::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut news = News::default();
        assert_eq!(news.known(at(0)), OutboxId(0));
        news.seen = [(at(0), OutboxId(10)), (at(4), OutboxId(20)), (at(5), OutboxId(30))].into();
        assert_eq!(news.known(at(5)), OutboxId(0));
        assert_eq!(news.known(at(7)), OutboxId(10));
        assert_eq!(news.known(at(10)), OutboxId(20));
        assert_eq!(news.known(at(60)), OutboxId(30));
        assert_eq!(news.seen.len(), 1);
    }

    #[test]
    fn what_takes_long_is_done_seldom() {
        let mut look = Seldom::every(Duration::from_secs(1));
        assert!(look.is_due());
        look.done(Moment::now());
        assert!(!look.is_due() && look.again.remaining() <= Duration::from_secs(1));
        look.done(Moment::now() - Duration::from_secs(1));
        assert!(look.again.remaining() > Duration::from_secs(19));
    }
}
