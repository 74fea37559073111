#![allow(clippy::unwrap_used)]

use chrono::Utc;
use switchboard_common::store::{Author, Entry, EntryBody};

use super::super::outlet::{Inlet, Next, outlet};
use super::*;
use crate::wakes::Wakes;

const FEED: Source = Source::Feed(FeedId(1));

fn line(seq: i64) -> Line {
    line_of(FEED, seq)
}

fn line_of(source: Source, seq: i64) -> Line {
    let entry = Entry {
        chat: ChatId(17),
        account: "support".to_owned(),
        seq,
        at: Utc::now(),
        author: Author::System,
        body: EntryBody::Membership { left: true },
    };
    Line { source, seq, entry, chat: None }
}

fn join(sessions: &mut Sessions, agent: i32, cursor: i64, most_bytes: usize) -> (Uuid, Inlet, bool) {
    let (outlet, inlet) = outlet(most_bytes, Arc::new(Wakes::default()));
    let session = Uuid::now_v7();
    let feeds = vec![Reading { source: FEED, name: Arc::from("queue:1"), cursor }];
    let (answer, mut answered) = oneshot::channel();
    sessions.apply(
        Command::Join(
            Box::new(Joining {
                session,
                agent: AgentId(agent),
                scopes: TokenScopes::default(),
                key: KeyMark::default(),
                feeds,
                outlet,
            }),
            answer,
        ),
        2,
    );
    (session, inlet, answered.try_recv().unwrap())
}

/// The seqs that wait to be written, and the close code when there is one.
async fn drain(inlet: &mut Inlet) -> (Vec<i64>, Option<CloseCode>) {
    let mut seqs = Vec::new();
    loop {
        let next = tokio::select! {
            biased;
            next = inlet.next() => next,
            () = std::future::ready(()) => return (seqs, None),
        };
        match next {
            Next::Write(frame) => {
                let frame_json: serde_json::Value = serde_json::from_str(&frame).unwrap();
                seqs.push(frame_json["seq"].as_i64().unwrap());
                inlet.written(frame.len());
            }
            Next::Close(code) => return (seqs, Some(code)),
        }
    }
}

#[tokio::test]
async fn each_session_gets_what_is_next_for_it() {
    let mut sessions = Sessions::default();
    let (_, mut behind, _) = join(&mut sessions, 1, 3, 10_000);
    let (_, mut ahead, _) = join(&mut sessions, 2, 5, 10_000);
    let asked = sessions.wanted();
    assert_eq!(asked, BTreeMap::from([(FEED, 3)]));
    let (_, mut late, _) = join(&mut sessions, 3, 1, 10_000);
    sessions.deliver(&asked, &[line(4), line(5), line(6)], true);
    assert_eq!(drain(&mut behind).await, (vec![4, 5, 6], None));
    assert_eq!(drain(&mut ahead).await, (vec![6], None));
    assert_eq!(drain(&mut late).await, (vec![], None), "it joined after the read had begun: the next one is its own");
    assert_eq!(sessions.wanted(), BTreeMap::from([(FEED, 1)]));
}

#[tokio::test]
async fn a_full_session_is_left_out_and_loses_nothing() {
    let mut sessions = Sessions::default();
    let (_, mut slow, _) = join(&mut sessions, 1, 0, 1);
    let (_, mut quick, _) = join(&mut sessions, 2, 0, 10_000);
    let asked = sessions.wanted();
    sessions.deliver(&asked, &[line(1), line(2), line(3)], true);
    assert_eq!(drain(&mut quick).await, (vec![1, 2, 3], None));
    assert_eq!(sessions.wanted(), BTreeMap::from([(FEED, 3)]), "one entry waits: it is not read for");
    assert_eq!(drain(&mut slow).await, (vec![1], None));
    let asked = sessions.wanted();
    assert_eq!(asked, BTreeMap::from([(FEED, 1)]));
    sessions.deliver(&asked, &[line(2), line(3)], true);
    assert_eq!(drain(&mut slow).await, (vec![2], None));
    assert_eq!(drain(&mut quick).await, (vec![], None), "nobody sees an entry twice");
}

#[tokio::test]
async fn a_gap_ends_the_session() {
    let mut sessions = Sessions::default();
    let (_, mut inlet, _) = join(&mut sessions, 1, 0, 10_000);
    let asked = sessions.wanted();
    sessions.deliver(&asked, &[line(1), line(3), line(4)], true);
    assert_eq!(drain(&mut inlet).await.1, Some(CloseCode::Internal));
}

#[tokio::test]
async fn an_agent_has_a_bounded_number_of_sessions() {
    let mut sessions = Sessions::default();
    let (first, _one, _) = join(&mut sessions, 1, 0, 100);
    let (_, _two, joined) = join(&mut sessions, 1, 0, 100);
    assert!(joined);
    assert!(!join(&mut sessions, 1, 0, 100).2);
    assert!(join(&mut sessions, 2, 0, 100).2, "another agent's");
    sessions.apply(Command::Leave(first), 2);
    assert!(join(&mut sessions, 1, 0, 100).2);
}

#[tokio::test]
async fn a_session_that_is_gone_is_forgotten() {
    let mut sessions = Sessions::default();
    let (_, inlet, _) = join(&mut sessions, 1, 0, 100);
    drop(inlet);
    let asked = sessions.wanted();
    sessions.deliver(&asked, &[line(1)], true);
    assert!(sessions.wanted().is_empty() && sessions.all.is_empty() && sessions.by_source.is_empty());
}

#[tokio::test]
async fn a_watched_chat_comes_beside_the_feeds_until_it_is_not() {
    let mut sessions = Sessions::default();
    let (session, mut watching, _) = join(&mut sessions, 1, 5, 10_000);
    let (_, mut other, _) = join(&mut sessions, 2, 5, 10_000);
    let chat = Source::Chat(ChatId(17));
    assert!(sessions.apply(Command::Watch(session, Reading::chat(ChatId(17), 8)), 2), "there may be something to read");
    assert!(!sessions.apply(Command::Watch(session, Reading::chat(ChatId(17), 2)), 2), "it is read already");
    assert!(!sessions.apply(Command::Watch(Uuid::now_v7(), Reading::chat(ChatId(17), 2)), 2), "nobody");
    let asked = sessions.wanted();
    assert_eq!(asked, BTreeMap::from([(FEED, 5), (chat, 8)]));
    sessions.deliver(&asked, &[line(6), line_of(chat, 9)], true);
    assert_eq!(drain(&mut watching).await, (vec![6, 9], None));
    assert_eq!(drain(&mut other).await, (vec![6], None));
    let (list, mut listed) = oneshot::channel();
    sessions.apply(Command::List(list), 2);
    assert!(
        listed.try_recv().unwrap().iter().all(|live| live.feeds == [FeedId(1)]),
        "who may read a chat is no matter of feeds"
    );
    sessions.apply(Command::Unwatch(session, ChatId(17)), 2);
    sessions.apply(Command::Unwatch(session, ChatId(17)), 2);
    assert_eq!(sessions.wanted(), BTreeMap::from([(FEED, 6)]));
    assert_eq!(sessions.by_source.len(), 1);
}

#[tokio::test]
async fn what_is_said_in_passing_goes_to_the_readers_of_the_feed_with_room() {
    let mut sessions = Sessions::default();
    let (_, mut full, _) = join(&mut sessions, 1, 0, 1);
    let (_, mut quick, _) = join(&mut sessions, 2, 0, 10_000);
    let say = |sessions: &mut Sessions, feed: i32, seq: i64| {
        let frame = format!("{{\"seq\":{seq}}}");
        sessions.apply(Command::Whisper(FeedId(feed), frame.into()), 2)
    };
    for seq in [1, 2] {
        assert!(!say(&mut sessions, 1, seq));
    }
    say(&mut sessions, 2, 3);
    assert_eq!(drain(&mut quick).await, (vec![1, 2], None));
    assert_eq!(drain(&mut full).await, (vec![1], None), "the second is lost to it");
}
