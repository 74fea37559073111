#![allow(clippy::unwrap_used)]

use super::super::take::Home;
use super::*;
use crate::model::QueueId;

const CHAT: ChatId = ChatId(17);
const QUEUE_FEED: FeedId = FeedId(3);
const AGENT_FEED: FeedId = FeedId(12);
const WRITER_FEED: FeedId = FeedId(13);

fn chat(state: ChatState) -> Chat {
    Chat {
        account: AccountId(1),
        last_seq: 4,
        state,
        agent: (state == ChatState::Taken).then_some((AgentId(7), AGENT_FEED)),
        queue: Some((QueueId(2), QUEUE_FEED)),
        home: Home { queue: QueueId(2), feed: QUEUE_FEED, name: "support".to_owned() },
        interaction: (state != ChatState::Closed).then_some(70),
        unread: 1,
        last_in_seq: 3,
        title: None,
        counted_today: true,
    }
}

fn plan(state: ChatState, items: Vec<What>) -> Plan {
    let row = |key: usize| Row {
        account: AccountId(1),
        chat: CHAT,
        chat_key: String::new(),
        kind: 0,
        key: format!("k{key}"),
        body: Some(format!("text {key}")),
        item: None,
        customer: Some((9, None)),
    };
    let rows = (0..items.len()).map(row).collect();
    let batch = Batch { rows, chats: BTreeMap::from([(CHAT, chat(state))]), unknown: 0, skipped: 0 };
    let mut known = Known::default();
    known.opened.insert(CHAT, 71);
    known.agents.insert(AgentId(7), AGENT_FEED);
    known.agents.insert(AgentId(8), WRITER_FEED);
    known.edited.insert((CHAT, "old".to_owned()), 2);
    known.shown.insert((CHAT, "before".to_owned()), 3);
    let items = items.into_iter().enumerate().map(|(row, what)| Item { row, what }).collect();
    route(batch, items, known)
}

fn message() -> What {
    What::Message { author: CustomerItem::default(), files: vec![], content: vec![] }
}

fn with_file(file: &str) -> What {
    let file = FileItem { file: file.to_owned(), kind: "photo".to_owned(), name: None, mime: None, size_bytes: None };
    What::Message { author: CustomerItem::default(), files: vec![file], content: vec![] }
}

fn end_of(file: &str) -> What {
    What::File(FileEndItem {
        file: file.to_owned(),
        of: None,
        state: "failed".to_owned(),
        size_bytes: None,
        mime: None,
        sha256: None,
        reason: Some("too large".to_owned()),
    })
}

fn outcome(agent: i32) -> What {
    What::Outcome(OutcomeItem {
        of: 2,
        part: 0,
        parts: 1,
        state: "sent".to_owned(),
        reason: None,
        agent_id: agent,
        by: None,
    })
}

fn entries(plan: &Plan) -> Vec<(i64, EntryKind, Vec<FeedId>)> {
    plan.entries.iter().map(|entry| (entry.seq, entry.kind, entry.feeds.clone())).collect()
}

#[test]
fn a_message_in_a_closed_chat_opens_one_interaction() {
    let plan = plan(ChatState::Closed, vec![message(), message()]);
    let want = [(5, EntryKind::Opened), (6, EntryKind::Message), (7, EntryKind::Message)];
    assert_eq!(entries(&plan), want.map(|(seq, kind)| (seq, kind, vec![QUEUE_FEED])));
    let after = &plan.chats[&CHAT];
    assert_eq!((after.chat.state, after.chat.interaction), (ChatState::Waiting, Some(71)));
    assert_eq!((after.chat.last_seq, after.chat.last_in_seq, after.chat.unread), (7, 7, 3));
    assert!(after.heard);
}

#[test]
fn only_the_agent_sees_a_taken_chat() {
    let plan = plan(ChatState::Taken, vec![message()]);
    assert_eq!(entries(&plan), [(5, EntryKind::Message, vec![AGENT_FEED])]);
    assert_eq!(plan.chats[&CHAT].chat.interaction, Some(70));
}

#[test]
fn edits_and_membership_open_nothing() {
    let edit = |of: &str| What::Edited { author: CustomerItem::default(), of_key: of.to_owned() };
    let member = What::Membership { author: CustomerItem::default(), left: true };
    let plan = plan(ChatState::Closed, vec![edit("old"), edit("never"), member]);
    let kinds = [(5, EntryKind::Edited), (6, EntryKind::Edited), (7, EntryKind::Membership)];
    assert_eq!(entries(&plan), kinds.map(|(seq, kind)| (seq, kind, vec![])));
    let items: Vec<&str> = plan.entries.iter().filter_map(|entry| entry.item.as_deref()).collect();
    assert_eq!(items, [r#"{"of":2}"#, "{}", r#"{"left":true}"#]);
    assert_eq!((plan.chats[&CHAT].chat.state, plan.chats[&CHAT].heard), (ChatState::Closed, false));
}

#[test]
fn an_edit_finds_its_message_in_the_same_batch() {
    let edit = What::Edited { author: CustomerItem::default(), of_key: "k0".to_owned() };
    let plan = plan(ChatState::Taken, vec![message(), edit]);
    assert_eq!(plan.entries[1].item.as_deref(), Some(r#"{"of":5}"#));
}

#[test]
fn the_end_of_a_file_names_the_message_that_shows_it() {
    let plan = plan(ChatState::Taken, vec![with_file("here"), end_of("here"), end_of("before"), end_of("never")]);
    let of = |entry: &NewEntry| serde_json::from_str::<FileEndItem>(entry.item.as_deref().unwrap()).unwrap().of;
    assert_eq!(plan.entries[1..].iter().map(of).collect::<Vec<_>>(), [Some(5), Some(3), None]);
    assert_eq!(entries(&plan)[1..], [6, 7, 8].map(|seq| (seq, EntryKind::File, vec![AGENT_FEED])));
    let shown: Vec<_> = plan.uses.iter().map(|shown| (shown.file.as_str(), shown.seq)).collect();
    assert_eq!(shown, [("here", 5)], "the use is written with the message");
    let after = &plan.chats[&CHAT];
    assert_eq!((after.chat.last_seq, after.chat.last_in_seq, after.chat.unread), (8, 5, 2), "no new message");
}

#[test]
fn the_end_of_a_file_opens_nothing() {
    let plan = plan(ChatState::Closed, vec![end_of("before")]);
    assert_eq!(entries(&plan), [(5, EntryKind::File, vec![])]);
    assert_eq!(plan.chats[&CHAT].chat.state, ChatState::Closed);
}

#[test]
fn an_outcome_reaches_the_writer_wherever_the_chat_is() {
    let feeds = |state, agent| plan(state, vec![outcome(agent)]).entries.remove(0).feeds;
    assert_eq!(feeds(ChatState::Taken, 8), [AGENT_FEED, WRITER_FEED]);
    assert_eq!(feeds(ChatState::Waiting, 8), [QUEUE_FEED, WRITER_FEED]);
    assert_eq!(feeds(ChatState::Closed, 8), [WRITER_FEED]);
    assert_eq!(feeds(ChatState::Closed, 99), [], "an agent nobody knows has no feed");
}

#[test]
fn a_chat_without_an_entry_is_left_alone() {
    assert!(plan(ChatState::Waiting, vec![]).chats.is_empty());
}
