//! What waits, in memory: the heads of chats by lane, and whose turn it is.
//!
//! A head is the first open part of a chat in a lane. Each lies in one of two rows of its lane: ready, in the order in which the
//! parts were accepted, or later, by the moment at which to look again (a retry, a chat whose limit is used up). So a turn
//! costs a few steps, however many chats wait, and a chat that is held up holds up only itself.

use std::collections::{BTreeMap, HashMap};

use switchboard_common::model::{ChatId, Lane, OutboxId};
use switchboard_common::service::clock::Moment;
use switchboard_common::store::Head;

/// Heads of all lanes.
#[derive(Default)]
pub(super) struct Backlog {
    lanes: [Waiting; 3],
    turns: Turns,
}

#[derive(Default)]
struct Waiting {
    heads: HashMap<ChatId, (Head, Option<Moment>)>,
    ready: BTreeMap<OutboxId, ChatId>,
    later: BTreeMap<(Moment, OutboxId), ChatId>,
}

impl Waiting {
    fn put(&mut self, head: Head, due: Option<Moment>) {
        self.remove(head.chat);
        match due {
            Some(at) => drop(self.later.insert((at, head.id), head.chat)),
            None => drop(self.ready.insert(head.id, head.chat)),
        }
        self.heads.insert(head.chat, (head, due));
    }

    fn remove(&mut self, chat: ChatId) -> Option<Head> {
        let (head, due) = self.heads.remove(&chat)?;
        match due {
            Some(at) => drop(self.later.remove(&(at, head.id))),
            None => drop(self.ready.remove(&head.id)),
        }
        Some(head)
    }

    /// What was to be looked at again by now is ready.
    fn ripen(&mut self) {
        while let Some(entry) = self.later.first_entry().filter(|entry| !entry.key().0.is_ahead()) {
            let ((_, id), chat) = entry.remove_entry();
            self.ready.insert(id, chat);
            if let Some((_, due)) = self.heads.get_mut(&chat) {
                *due = None;
            }
        }
    }
}

impl Backlog {
    /// Puts a head in, in place of the one known of its chat and lane; one that is known keeps its place.
    pub(super) fn put(&mut self, head: Head) {
        let due = (!head.due_in.is_zero()).then(|| Moment::now() + head.due_in);
        let lane = self.lane(head.lane);
        match head.queued {
            true if due.is_none() && lane.heads.get(&head.chat).is_some_and(|(known, _)| known.id == head.id) => {}
            true => lane.put(head, due),
            // Under way: by us, then its end tells; or by the tenure before, then its chat waits for the outcome.
            false => drop(lane.remove(head.chat)),
        }
    }

    /// Forgets what is known of a chat.
    pub(super) fn forget(&mut self, chat: ChatId) {
        for lane in &mut self.lanes {
            lane.remove(chat);
        }
    }

    /// Puts a head back, to be looked at again at `moment`.
    pub(super) fn postpone(&mut self, head: Head, moment: Moment) {
        self.lane(head.lane).put(head, Some(moment));
    }

    /// Puts a head back as it was.
    pub(super) fn put_back(&mut self, head: Head) {
        self.lane(head.lane).put(head, None);
    }

    /// Takes out the head whose turn it is, of a chat that is not busy.
    pub(super) fn next(&mut self, busy: impl Fn(ChatId) -> bool) -> Option<Head> {
        let firsts = self.lanes.each_mut().map(|lane| {
            lane.ripen();
            lane.ready.values().copied().find(|chat| !busy(*chat))
        });
        let lane = self.turns.next(firsts.map(|first| first.is_some()))?;
        firsts[lane as usize].and_then(|chat| self.lane(lane).remove(chat))
    }

    /// The head's lane has had a turn.
    pub(super) fn went(&mut self, lane: Lane) {
        let waits = Lane::ALL.map(|lane| !self.lanes[lane as usize].ready.is_empty());
        self.turns.went(lane, waits);
    }

    /// When the first of those to be looked at again is due.
    pub(super) fn next_due(&self) -> Option<Moment> {
        self.lanes.iter().filter_map(|lane| lane.later.keys().next()).map(|(moment, _)| *moment).min()
    }

    fn lane(&mut self, lane: Lane) -> &mut Waiting {
        &mut self.lanes[lane as usize]
    }
}

/// Whose turn it is: the most urgent lane, unless another has saved up its guaranteed share.
#[derive(Default)]
struct Turns {
    saved: [f64; 3],
}

impl Turns {
    fn next(&self, can: [bool; 3]) -> Option<Lane> {
        let owed = |lane: &Lane| can[*lane as usize] && self.saved[*lane as usize] >= 1.0;
        let urgent = || Lane::ALL.into_iter().find(|lane| can[*lane as usize]);
        Lane::ALL.into_iter().rev().find(owed).or_else(urgent)
    }

    fn went(&mut self, went: Lane, waits: [bool; 3]) {
        for lane in Lane::ALL {
            let saved = &mut self.saved[lane as usize];
            // Only who waits saves: a share is a guarantee under load, not a credit for quiet times.
            if lane == went || waits[lane as usize] {
                *saved = (*saved + lane.guaranteed_share()).min(2.0);
            }
            if lane == went {
                *saved = (*saved - 1.0).max(0.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn head(id: i64, lane: Lane, chat: i64) -> Head {
        let chat_key = chat.to_string();
        Head { id: OutboxId(id), lane, chat: ChatId(chat), chat_key, queued: true, due_in: Duration::ZERO }
    }

    fn order(backlog: &mut Backlog, turns: usize) -> Vec<i64> {
        let mut order = Vec::new();
        while let Some(head) = backlog.next(|_| false).filter(|_| order.len() < turns) {
            order.push(head.id.0);
            backlog.went(head.lane);
        }
        order
    }

    #[test]
    fn the_longest_waiting_goes_first_and_urgent_lanes_before_others() {
        let mut backlog = Backlog::default();
        for (id, lane, chat) in [
            (5, Lane::Bulk, 1),
            (1, Lane::Bulk, 2),
            (4, Lane::Bot, 3),
            (3, Lane::Interactive, 1),
            (2, Lane::Interactive, 4),
        ] {
            backlog.put(head(id, lane, chat));
        }
        assert_eq!(order(&mut backlog, 9), [2, 3, 4, 1, 5]);
    }

    #[test]
    fn lanes_get_their_guaranteed_share_and_no_more_while_others_wait() {
        let mut backlog = Backlog::default();
        for n in 0..1000 {
            for lane in Lane::ALL {
                backlog.put(head(3 * n + lane as i64, lane, n));
            }
        }
        let turns = order(&mut backlog, 900);
        let of = |lane: Lane| turns.iter().filter(|id| **id % 3 == lane as i64).count();
        assert!((178..=181).contains(&of(Lane::Bot)), "{}", of(Lane::Bot));
        assert!((88..=91).contains(&of(Lane::Bulk)), "{}", of(Lane::Bulk));
    }

    #[test]
    fn quiet_times_save_nothing_up() {
        let mut backlog = Backlog::default();
        (0..100).for_each(|n| backlog.put(head(n, Lane::Interactive, n)));
        assert_eq!(order(&mut backlog, 50).len(), 50);
        (200..210).for_each(|n| backlog.put(head(n, Lane::Bulk, n)));
        let turns = order(&mut backlog, 9);
        assert!(turns.iter().all(|id| *id < 200), "nine turns of the urgent lane come first: {turns:?}");
    }

    #[test]
    fn busy_and_postponed_chats_hold_up_only_themselves() {
        let mut backlog = Backlog::default();
        (1..=3).for_each(|n| backlog.put(head(n, Lane::Interactive, n)));
        let first = backlog.next(|chat| chat == ChatId(1)).map(|head| head.id);
        assert_eq!(first, Some(OutboxId(2)));
        let soon = Moment::now() + Duration::from_secs(3600);
        let one = backlog.next(|_| false).expect("the first is free now");
        backlog.postpone(one, soon);
        assert_eq!((order(&mut backlog, 9), backlog.next_due()), (vec![3], Some(soon)));
        backlog.postpone(head(1, Lane::Interactive, 1), Moment::now());
        assert_eq!(order(&mut backlog, 9), [1], "due again");
    }

    #[test]
    fn a_look_does_not_hurry_what_was_postponed() {
        let mut backlog = Backlog::default();
        let later = Moment::now() + Duration::from_secs(3600);
        backlog.postpone(head(1, Lane::Bulk, 1), later);
        backlog.put(head(1, Lane::Bulk, 1));
        assert_eq!((order(&mut backlog, 9), backlog.next_due()), (vec![], Some(later)));
        backlog.put(head(2, Lane::Bulk, 1));
        assert_eq!(order(&mut backlog, 9), [2], "another part is the head now");
    }

    #[test]
    fn a_newer_look_replaces_what_was_known_of_a_chat() {
        let mut backlog = Backlog::default();
        backlog.put(head(1, Lane::Bulk, 1));
        backlog.put(head(7, Lane::Bulk, 1));
        assert_eq!(order(&mut backlog, 9), [7]);
        backlog.put(head(8, Lane::Bulk, 1));
        backlog.put(Head { queued: false, ..head(8, Lane::Bulk, 1) });
        assert_eq!(order(&mut backlog, 9), Vec::<i64>::new());
    }
}
