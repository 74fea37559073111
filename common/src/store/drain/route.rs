//! Deciding: which entries a batch makes, what becomes of its chats, and which feeds see each entry. Pure.
//!
//! A taken chat is seen by its agent's feed, a waiting one by its queue's, a closed one by none; an outcome is also
//! seen by the agent who wrote the message, wherever the chat is by now.

use std::collections::{BTreeMap, HashMap};

use super::super::append::{By, NewEntry, item_json};
use super::super::entries::EntryItem;
use super::super::items::{ContentItem, CustomerItem, FileEndItem, FileItem, OutcomeItem};
use super::gather::Known;
use super::parse::{Item, What};
use super::take::{Batch, Chat, Row};
use crate::model::{AccountId, AgentId, ChatId, ChatState, EntryKind, FeedId};

/// What the batch writes.
pub(super) struct Plan {
    pub(super) entries: Vec<NewEntry>,
    pub(super) uses: Vec<Use>,
    pub(super) chats: BTreeMap<ChatId, After>,
}

/// A file that is shown in a chat from now on.
pub(super) struct Use {
    pub(super) account: AccountId,
    pub(super) file: String,
    pub(super) chat: ChatId,
    pub(super) seq: i64,
}

/// A chat after the batch.
pub(super) struct After {
    pub(super) chat: Chat,
    /// A customer wrote in this batch.
    pub(super) heard: bool,
}

/// Decides the whole batch, in the order of its rows.
pub(super) fn route(batch: Batch, items: Vec<Item>, known: Known) -> Plan {
    let mut router = Router {
        chats: batch.chats.into_iter().map(|(id, chat)| (id, After { chat, heard: false })).collect(),
        entries: Vec::with_capacity(items.len()),
        uses: Vec::new(),
        written: HashMap::new(),
        known,
    };
    for item in items {
        router.add(&batch.rows[item.row], item.what);
    }
    // A chat whose only rows were put aside is unchanged.
    let touched: std::collections::BTreeSet<ChatId> = router.entries.iter().map(|entry| entry.chat).collect();
    router.chats.retain(|id, _| touched.contains(id));
    Plan { entries: router.entries, uses: router.uses, chats: router.chats }
}

struct Router {
    chats: BTreeMap<ChatId, After>,
    entries: Vec<NewEntry>,
    uses: Vec<Use>,
    /// Messages of this batch, for edits in the same batch.
    written: HashMap<(ChatId, String), i64>,
    known: Known,
}

impl Router {
    fn add(&mut self, row: &Row, what: What) {
        match what {
            What::Message { author, files, content } => self.message(row, &author, files, content),
            What::Edited { author, of_key } => self.edited(row, &author, of_key),
            What::Membership { author, left } => {
                let item = EntryItem { left: Some(left), ..EntryItem::default() };
                let by = self.customer(row, &author);
                self.append(row, EntryKind::Membership, by, None, Some(&item), &[]);
            }
            What::File(end) => self.file(row, end),
            What::Outcome(outcome) => self.outcome(row, &outcome),
        }
    }

    fn message(&mut self, row: &Row, author: &CustomerItem, files: Vec<FileItem>, content: Vec<ContentItem>) {
        self.open_if_closed(row);
        let by = self.customer(row, author);
        let shown: Vec<String> = files.iter().map(|file| file.file.clone()).collect();
        let more = !files.is_empty() || !content.is_empty();
        let item = more.then(|| EntryItem { files, content, ..EntryItem::default() });
        let seq = self.append(row, EntryKind::Message, by, row.body.clone(), item.as_ref(), &[]);
        let of = |file| Use { account: row.account, file, chat: row.chat, seq };
        self.uses.extend(shown.into_iter().map(of));
        self.written.insert((row.chat, row.key.clone()), seq);
        let after = self.after(row);
        after.heard = true;
        after.chat.unread = after.chat.unread.saturating_add(1);
        after.chat.last_in_seq = seq;
        if author.title.is_some() {
            after.chat.title.clone_from(&author.title);
        }
    }

    fn edited(&mut self, row: &Row, author: &CustomerItem, of_key: String) {
        let by = self.customer(row, author);
        let place = (row.chat, of_key);
        let of = self.written.get(&place).or_else(|| self.known.edited.get(&place)).copied();
        let item = EntryItem { of, ..EntryItem::default() };
        self.append(row, EntryKind::Edited, by, row.body.clone(), Some(&item), &[]);
    }

    /// A message is always stored before the end of its files, but may have been put aside.
    fn file(&mut self, row: &Row, end: FileEndItem) {
        let here = self.uses.iter().find(|shown| shown.chat == row.chat && shown.file == end.file);
        let of = here.map(|shown| shown.seq).or_else(|| self.known.shown.get(&(row.chat, end.file.clone())).copied());
        self.append(row, EntryKind::File, By::System, None, Some(&FileEndItem { of, ..end }), &[]);
    }

    fn outcome(&mut self, row: &Row, outcome: &OutcomeItem) {
        let writer = self.known.agents.get(&AgentId(outcome.agent_id)).copied();
        let by = outcome.by.map_or(By::System, |agent| By::Agent(AgentId(agent)));
        self.append(row, EntryKind::Outcome, by, None, Some(outcome), writer.as_slice());
    }

    /// A customer's message opens an interaction: the chat waits in its account's queue.
    fn open_if_closed(&mut self, row: &Row) {
        let Some(interaction) = self.known.opened.get(&row.chat).copied() else { return };
        let after = self.after(row);
        if after.chat.state != ChatState::Closed {
            return;
        }
        let home = after.chat.home.clone();
        after.chat.state = ChatState::Waiting;
        after.chat.agent = None;
        after.chat.queue = Some((home.queue, home.feed));
        after.chat.interaction = Some(interaction);
        let item = EntryItem { interaction: Some(interaction), queue: Some(home.name), ..EntryItem::default() };
        self.append_as(row, EntryKind::Opened, By::System, None, None, Some(&item), &[]);
    }

    fn append(
        &mut self,
        row: &Row,
        kind: EntryKind,
        by: By,
        body: Option<String>,
        item: Option<&impl serde::Serialize>,
        also: &[FeedId],
    ) -> i64 {
        self.append_as(row, kind, by, Some(row.key.clone()), body, item, also)
    }

    #[allow(clippy::too_many_arguments)] // the columns of one entry
    fn append_as(
        &mut self,
        row: &Row,
        kind: EntryKind,
        author: By,
        reference: Option<String>,
        body: Option<String>,
        item: Option<&impl serde::Serialize>,
        also: &[FeedId],
    ) -> i64 {
        let chat = &mut self.after(row).chat;
        chat.last_seq += 1;
        let (account, seq) = (chat.account, chat.last_seq);
        let feeds = seen_by(chat).into_iter().chain(also.iter().copied()).collect();
        let item = item.and_then(item_json);
        self.entries.push(NewEntry { account, chat: row.chat, seq, kind, author, reference, body, item, feeds });
        seq
    }

    fn after(&mut self, row: &Row) -> &mut After {
        self.chats.get_mut(&row.chat).expect("a claimed row's chat is locked")
    }

    fn customer(&self, row: &Row, author: &CustomerItem) -> By {
        let key: (AccountId, String) = (row.account, author.author_id.clone());
        let met = self.known.customers.get(&key).copied();
        met.or(row.customer.as_ref().map(|(id, _)| *id)).map_or(By::System, By::Customer)
    }
}

/// The feed that sees what happens in a chat now.
fn seen_by(chat: &Chat) -> Option<FeedId> {
    match chat.state {
        ChatState::Taken => chat.agent.map(|(_, feed)| feed),
        ChatState::Waiting => chat.queue.map(|(_, feed)| feed),
        ChatState::Closed => None,
    }
}

#[cfg(test)]
#[path = "route_tests.rs"]
mod tests;
