//! What has to be read from the outbox, so that the backlog is what the table says.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use switchboard_common::model::{AccountId, ChatId, OutboxId};
use switchboard_common::service::clock::Moment;
use switchboard_common::store::{Database, StoreError};

use super::backlog::Backlog;

/// Ids are given out before they are committed: one that is lower than what was seen may turn up for as long as a submission
/// may take (`postgres.statement_timeout_ms`, 5 s). A later one is found by the next look at everything.
const LATE: Duration = Duration::from_secs(6);

/// What to read next.
pub(super) struct News {
    /// Look at everything.
    all: bool,
    /// Somebody rang: there are new parts.
    rung: bool,
    /// Chats whose heads may have changed.
    asked: HashSet<ChatId>,
    /// The newest part seen, and when.
    seen: VecDeque<(Moment, OutboxId)>,
}

impl Default for News {
    fn default() -> Self {
        Self { all: true, rung: false, asked: HashSet::new(), seen: VecDeque::new() }
    }
}

impl News {
    /// A ring, or a sweep: then everything is looked at.
    pub(super) fn heard(&mut self, everything: bool) {
        self.rung = true;
        self.all |= everything;
    }

    /// The heads of this chat may have changed.
    pub(super) fn ask(&mut self, chat: ChatId) {
        self.asked.insert(chat);
    }

    /// Reads what there is to read; after an error the same is read again.
    pub(super) async fn read(
        &mut self,
        database: &Database,
        account: AccountId,
        backlog: &mut Backlog,
    ) -> Result<(), StoreError> {
        if self.all || self.rung {
            let begun = Moment::now();
            let known = if self.all { OutboxId(0) } else { self.known(begun) };
            let (heads, newest) = database.heads_since(account, known).await?;
            (self.all, self.rung) = (false, false);
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

    /// Up to which part everything has been seen for sure.
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
}
