//! R44, HI-1: the order is stable, and pages are found by their keys.

use std::collections::BTreeSet;

use switchboard_common::store::testkit::TestDatabase;

use super::*;

#[tokio::test]
async fn pages_neither_repeat_nor_miss_a_chat_while_others_are_written() {
    let office = Office::new().await;
    let facts = |from: usize, to: usize| (from..to).map(|n| message(&format!("c{n}"), 1, "hello")).collect::<Vec<_>>();
    office.say(0, facts(0, 40)).await;
    office.say(1, facts(40, 60)).await;
    let now = around_now();
    let before: BTreeSet<i64> = office.chats(&now, &reader()).await.into_iter().collect();
    assert_eq!(before.len(), 60);

    let (mut seen, mut cursor, mut writes) = (Vec::new(), String::new(), 0);
    loop {
        let page = office.read(&format!("/v1/chats?{now}&limit=7{cursor}"), &reader()).await;
        seen.extend(ids(&page));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
        // New chats, and old ones that write again: neither moves what is still to come.
        if writes < 8 {
            writes += 1;
            office.say(writes % 2, facts(100 + 5 * writes, 105 + 5 * writes)).await;
            office.say(0, vec![message(&format!("c{}", 39 - writes), 2, "again")]).await;
        }
    }
    let union: BTreeSet<i64> = seen.iter().copied().collect();
    assert_eq!(union.len(), seen.len(), "no chat twice: {seen:?}");
    assert!(union.is_superset(&before), "every chat that was there before the first page");
    assert!(seen.is_sorted());
    assert!(union.len() > before.len(), "what came behind the cursor is there, too");
    // The same again, from one page to the next.
    assert_eq!(office.chats(&format!("{now}&limit=3"), &reader()).await, office.chats(&now, &reader()).await);
    office.finish().await;
}

#[tokio::test]
async fn a_cursor_is_good_at_every_loader_and_for_its_list_alone() {
    let mut office = Office::new().await;
    office.say(0, (0..5).map(|n| message(&format!("c{n}"), 1, "hello")).collect()).await;
    let another = office.start().await;
    let now = around_now();
    let first = office.read(&format!("/v1/chats?{now}&limit=2"), &reader()).await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let (status, second) = office.get_from(another, &format!("/v1/chats?{now}&cursor={cursor}"), &reader()).await;
    assert_eq!((status, ids(&second).len()), (200, 3));
    let other_length = office.read(&format!("/v1/chats?{now}&limit=1&cursor={cursor}"), &reader()).await;
    assert_eq!(ids(&other_length)[0], ids(&second)[0], "the length of pages may change");

    let mut changed: Vec<String> = (0..cursor.len())
        .map(|at| {
            let digit = if &cursor[at..=at] == "0" { "1" } else { "0" };
            format!("{}{digit}{}", &cursor[..at], &cursor[at + 1..])
        })
        .collect();
    changed.extend([cursor[1..].to_owned(), format!("{cursor}00"), String::new(), "0".repeat(64), "é".repeat(32)]);
    for cursor in changed {
        let (status, body) = office.get(&format!("/v1/chats?{now}&cursor={cursor}"), &reader()).await;
        assert_eq!((status, &body["code"]), (400, &json!("bad_request")), "{cursor}");
    }
    // Neither with another filter, nor for other eyes, nor in another list, nor in another fleet.
    let audit = office.get(&format!("/v1/audit?cursor={cursor}"), &token("root", "admin")).await.0;
    let filtered = office.get(&format!("/v1/chats?{now}&account=main&cursor={cursor}"), &reader()).await.0;
    let eyes = office.get(&format!("/v1/chats?{now}&cursor={cursor}"), &token("anna", "agent")).await.0;
    let elsewhere = TestDatabase::create().await;
    let stranger = office.start_on(elsewhere.another()).await;
    let foreign = office.get_from(stranger, &format!("/v1/chats?{now}&cursor={cursor}"), &reader()).await.0;
    assert_eq!([audit, filtered, eyes, foreign], [400; 4]);
    office.finish().await;
    elsewhere.finish().await;
}
