//! The bot's queue of updates: what getUpdates confirms, forgets and gives.
//!
//! An update stays until a later call asks for a higher number, or until it is too old. Giving it removes nothing.

use std::collections::VecDeque;

use crate::delivery::Lane;

/// First update number of a bot; the platform's begin at some positive 32-bit number too.
pub const FIRST_UPDATE_ID: i64 = 500_100_000;
/// How far beyond the end of the queue an offset may point and still be believed; the official server's figure.
const BEYOND_END: i64 = 10;
/// How far before its head, and the most updates a queue holds; the official server's figure.
const MAX_UPDATES: i64 = 100_000;
/// Bytes of updates in one answer, and what it charges for each update's own envelope; the official server's figures.
const ANSWER_BYTES: usize = 1 << 22;
const UPDATE_OVERHEAD: usize = 50;

/// One update waiting to be confirmed.
#[derive(Clone, Debug)]
pub struct Update {
    /// Its number in the queue.
    pub id: i64,
    /// The exact bytes that are sent, each time.
    pub bytes: Vec<u8>,
    /// The connector's dedupe key of it.
    pub key: String,
    /// The chat it is about.
    pub chat: Option<String>,
    /// Number of the customer's deed in that chat.
    pub pseq: u64,
    /// How often it was given.
    pub tries: u32,
    /// Unix time after which it vanishes.
    pub expires_at: i64,
    /// Which line to the webhook it stands in.
    pub lane: Lane,
}

/// Updates in the order of their numbers.
#[derive(Debug)]
pub struct Queue {
    updates: VecDeque<Update>,
    next_id: i64,
    /// Highest number ever confirmed.
    pub last_confirmed: Option<i64>,
}

impl Default for Queue {
    fn default() -> Self {
        Self { updates: VecDeque::new(), next_id: FIRST_UPDATE_ID, last_confirmed: None }
    }
}

impl Queue {
    /// The number that the next update gets.
    pub fn next_id(&self) -> i64 {
        self.next_id
    }

    /// Updates not confirmed yet.
    pub fn len(&self) -> usize {
        self.updates.len()
    }

    /// Whether everything is confirmed.
    pub fn is_empty(&self) -> bool {
        self.updates.is_empty()
    }

    /// Whether the platform would lose the next update.
    pub fn is_full(&self) -> bool {
        self.updates.len() as i64 >= MAX_UPDATES
    }

    /// Appends an update; its number must not be below the next one.
    pub fn push(&mut self, update: Update) {
        debug_assert!(update.id >= self.next_id, "numbers only grow");
        self.next_id = update.id + 1;
        self.updates.push_back(update);
    }

    /// Starts numbering anew, as the platform may after a week of silence. Only an empty queue can.
    pub fn renumber(&mut self, next: i64) -> bool {
        let empty = self.updates.is_empty();
        if empty {
            self.next_id = next;
        }
        empty
    }

    /// All that wait, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Update> {
        self.updates.iter()
    }

    /// One of them, marked as given once more.
    pub fn try_one(&mut self, id: i64) -> Option<Update> {
        let place = self.updates.binary_search_by_key(&id, |update| update.id).ok()?;
        let update = self.updates.get_mut(place)?;
        update.tries += 1;
        Some(update.clone())
    }

    /// Takes one out: a webhook has it, or it is given up.
    pub fn remove(&mut self, id: i64) {
        if let Ok(place) = self.updates.binary_search_by_key(&id, |update| update.id) {
            self.updates.remove(place);
        }
    }

    /// Drops what is too old, without a word to anyone.
    pub fn expire(&mut self, unix_now: i64) {
        self.updates.retain(|update| update.expires_at >= unix_now);
    }

    /// Confirms everything before `offset`, by the rules of the method, and returns it.
    pub fn confirm(&mut self, offset: i64) -> Vec<Update> {
        let head = self.updates.front().map_or(self.next_id, |update| update.id);
        let confirmed: Vec<_> = if offset < 0 {
            let keep = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
            self.updates.drain(..self.updates.len().saturating_sub(keep)).collect()
        } else if offset == 0 || offset > self.next_id + BEYOND_END || offset < head - MAX_UPDATES {
            // Nothing asked for, or a number that this queue cannot place: from the oldest on.
            Vec::new()
        } else {
            let count = self.updates.partition_point(|update| update.id < offset);
            self.updates.drain(..count).collect()
        };
        self.last_confirmed = self.last_confirmed.max(confirmed.last().map(|update| update.id));
        confirmed
    }

    /// Takes everything out, as drop_pending_updates does.
    pub fn clear(&mut self) -> Vec<Update> {
        self.updates.drain(..).collect()
    }

    /// The oldest updates that fit into one answer, each marked as given once more.
    pub fn give(&mut self, limit: usize) -> impl Iterator<Item = &Update> {
        let mut left = ANSWER_BYTES;
        let fits = move |update: &&mut Update| {
            let size = update.bytes.len() + UPDATE_OVERHEAD;
            let fits = size < left;
            left = left.saturating_sub(size);
            fits
        };
        self.updates.iter_mut().take(limit).take_while(fits).map(|update| {
            update.tries += 1;
            &*update
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(sizes: &[usize]) -> Queue {
        let mut queue = Queue::default();
        for size in sizes {
            let bytes = vec![b' '; *size];
            let id = queue.next_id();
            let lane = Lane::Loose(id);
            let key = String::new();
            queue.push(Update { id, bytes, key, chat: None, pseq: 0, tries: 0, expires_at: 100, lane });
        }
        queue
    }

    fn ids(queue: &mut Queue, limit: usize) -> Vec<i64> {
        queue.give(limit).map(|update| update.id - FIRST_UPDATE_ID).collect()
    }

    #[test]
    fn giving_removes_nothing_and_an_offset_confirms_what_is_below() {
        let mut queue = queue(&[1; 5]);
        assert_eq!(ids(&mut queue, 2), [0, 1]);
        assert_eq!(ids(&mut queue, 100), [0, 1, 2, 3, 4]);
        assert_eq!(queue.confirm(FIRST_UPDATE_ID + 3).len(), 3);
        assert_eq!(queue.last_confirmed, Some(FIRST_UPDATE_ID + 2));
        assert_eq!(queue.give(1).next().map(|update| update.tries), Some(2));
        assert_eq!(queue.confirm(FIRST_UPDATE_ID).len(), 0, "a lower offset brings nothing back");
        assert_eq!(ids(&mut queue, 100), [3, 4]);
    }

    #[test]
    fn an_offset_a_little_beyond_the_end_is_believed_a_far_one_is_not() {
        let mut far = queue(&[1; 3]);
        assert!(far.confirm(far.next_id() + 11).is_empty());
        assert_eq!(ids(&mut far, 100), [0, 1, 2]);
        let mut near = queue(&[1; 3]);
        assert_eq!(near.confirm(near.next_id() + 10).len(), 3);
    }

    #[test]
    fn a_negative_offset_keeps_so_many_from_the_end() {
        let mut queue = queue(&[1; 5]);
        assert_eq!(queue.confirm(-2).len(), 3);
        assert_eq!(ids(&mut queue, 100), [3, 4]);
        assert_eq!(queue.confirm(-9).len(), 0);
    }

    #[test]
    fn an_answer_has_about_four_mebibytes() {
        let mut queue = queue(&[2 << 20, 1 << 20, 1 << 20, 1]);
        assert_eq!(ids(&mut queue, 100), [0, 1], "the third would make it 4 MiB and some");
    }

    #[test]
    fn old_updates_vanish() {
        let mut queue = queue(&[1; 2]);
        queue.expire(100);
        assert_eq!(queue.len(), 2);
        queue.expire(101);
        assert!(queue.is_empty());
        assert_eq!(queue.last_confirmed, None);
    }

    #[test]
    fn numbering_starts_anew_only_when_nothing_waits() {
        let mut queue = queue(&[1]);
        assert!(!queue.renumber(7));
        queue.clear();
        assert!(queue.renumber(7));
        assert!(queue.confirm(FIRST_UPDATE_ID + 1).is_empty());
    }
}
