#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::*;

/// Telegram's: 30 a second for the account, 1 a second in a chat, 20 a minute in a group.
fn limits() -> Vec<Limit> {
    let limit = |count, seconds, scope| Limit { count, window: Duration::from_secs(seconds), scope };
    vec![limit(30, 1, Scope::Account), limit(1, 1, Scope::Chat), limit(20, 60, Scope::Group)]
}

/// An account that is served, whose calls take 100 ms, with this many parts of each lane, every one of another chat; then
/// one interactive part of the chat in question.
fn scene(counts: [usize; 3]) -> Scene {
    let mut scene = Scene { active: true, limits: limits(), ..Scene::default() };
    let mut next = 1;
    for (lane, count) in counts.into_iter().enumerate() {
        scene.lines[lane] = line(next..next + count as i64);
        next += count as i64;
    }
    ask(&mut scene, Lane::Interactive, 1);
    scene
}

/// Parts of chats of the same numbers, of which the first are read.
fn line(ids: std::ops::Range<i64>) -> Line {
    let (newest, density) = if ids.is_empty() { (0, 0.0) } else { (ids.end - 1, 1.0) };
    let front: Vec<i64> = ids.take(EXACT).collect();
    Line::new(&front, &front, newest, density)
}

/// So many parts of the chat in question, written just now.
fn ask(scene: &mut Scene, lane: Lane, count: i64) {
    let first = scene.lines.iter().map(|line| line.newest).max().unwrap() + 1;
    let part = |n| Part { id: first + n, lane, sending: false, retry_in: 0.0 };
    scene.parts = (0..count).map(part).collect();
}

fn ended(own: bool, ended_ago: f64) -> Exchange {
    Exchange { own, cost: 1, claimed_ago: ended_ago + 0.1, ended_ago: Some(ended_ago) }
}

/// The outlook of the only part, or of the last.
fn last(scene: &Scene) -> Outlook {
    *outlooks(scene).last().unwrap()
}

#[track_caller]
fn expect(what: &str, scene: &Scene, position: usize, reason: WaitReason, seconds: f64) {
    let said = last(scene);
    assert_eq!((said.position, said.reason), (position, reason), "{what}: {said:?}");
    let off = (said.expected.unwrap() - seconds).abs();
    assert!(off <= 0.05 + seconds * 0.03, "{what}: {seconds} s, not {said:?}");
}

#[test]
fn the_account_s_others_go_first() {
    for (what, counts, position, reason, seconds) in [
        ("nothing waits", [0, 0, 0], 1, WaitReason::Next, 0.0),
        ("one before it, but a few start at once", [1, 0, 0], 2, WaitReason::Next, 0.0),
        ("some before it", [10, 0, 0], 11, WaitReason::AccountLimit, 0.27),
        ("a window before it", [30, 0, 0], 31, WaitReason::AccountLimit, 1.1),
        ("ten windows of a second and a call", [300, 0, 0], 301, WaitReason::AccountLimit, 11.0),
        ("less urgent ones take what they are guaranteed", [300, 9999, 0], 301, WaitReason::AccountLimit, 13.75),
        ("both of them", [300, 9999, 9999], 301, WaitReason::AccountLimit, 15.7),
        ("five bot parts are soon through", [300, 5, 0], 301, WaitReason::AccountLimit, 11.15),
    ] {
        expect(what, &scene(counts), position, reason, seconds);
    }
}

#[test]
fn less_urgent_lanes_wait_for_all_others_but_get_their_share() {
    for (what, lane, counts, position, seconds) in [
        ("a fifth of the slots", Lane::Bot, [3000, 60, 0], EXACT, 11.0),
        ("a tenth of the slots", Lane::Bulk, [3000, 0, 30], EXACT, 11.0),
        ("bulk has a tenth beside bot", Lane::Bulk, [0, 3000, 30], EXACT, 11.0),
        ("after the urgent ones all is theirs", Lane::Bulk, [30, 0, 60], 91, 3.3),
        ("the first of its lane comes soon", Lane::Bot, [600, 0, 0], 601, 0.07),
        ("urgent ones first", Lane::Bot, [100, 0, 500], 101, 0.08),
    ] {
        let mut scene = scene(counts);
        ask(&mut scene, lane, 1);
        expect(what, &scene, position, WaitReason::AccountLimit, seconds);
    }
}

#[test]
fn a_position_is_exact_up_to_a_thousand() {
    for (counts, position, exact) in [
        ([998, 0, 0], 999, true),
        ([999, 0, 0], 1000, true),
        ([1000, 0, 0], 1000, false),
        ([100_000, 0, 0], 1000, false),
    ] {
        let said = last(&scene(counts));
        assert_eq!((said.position, said.exact), (position, exact), "{counts:?}");
    }
    expect("beyond it the ids tell", &scene([10_000, 0, 0]), 1000, WaitReason::AccountLimit, 366.7);
    let mut sparse = scene([2000, 0, 0]);
    sparse.lines[0].density = 0.25;
    expect("a quarter of the ids is there", &sparse, 1000, WaitReason::AccountLimit, 45.8);
}

#[test]
fn a_chat_that_may_not_send_hands_its_turn_on() {
    let mut five = scene([0, 0, 0]);
    let ids: Vec<i64> = (1..=500).collect();
    let chats: Vec<i64> = ids.iter().map(|id| id % 5).collect();
    five.lines[0] = Line::new(&ids, &chats, 500, 1.0);
    ask(&mut five, Lane::Interactive, 1);
    expect("five chats, one each", &five, 501, WaitReason::AccountLimit, 0.1);
    let chats: Vec<i64> = ids.iter().map(|id| id % 100).collect();
    five.lines[0] = Line::new(&ids, &chats, 500, 1.0);
    expect("a hundred chats fill the account", &five, 501, WaitReason::AccountLimit, 17.8);
}

#[test]
fn used_slots_hold_until_a_window_after_their_answer() {
    let mut chat = scene([0, 0, 0]);
    chat.past = vec![ended(true, 0.3)];
    expect("this chat's second", &chat, 1, WaitReason::ChatLimit, 0.7);
    chat.past = vec![ended(false, 0.3)];
    expect("another chat's", &chat, 1, WaitReason::Next, 0.0);
    chat.past = vec![Exchange { own: true, cost: 1, claimed_ago: 0.02, ended_ago: None }];
    expect("the call is under way", &chat, 1, WaitReason::ChatLimit, 1.08);

    let mut account = scene([0, 0, 0]);
    account.past = (0..30).map(|n| ended(false, 0.01 * f64::from(n))).collect();
    expect("the oldest leaves first", &account, 1, WaitReason::AccountLimit, 0.71);
    account.past = vec![Exchange { cost: 30, ..ended(false, 0.4) }];
    expect("one that cost all", &account, 1, WaitReason::AccountLimit, 0.6);
    account.past = (0..40).map(|_| ended(false, 0.4)).collect();
    expect("more than a narrowed limit allows", &account, 1, WaitReason::AccountLimit, 0.6);

    let mut group = scene([0, 0, 0]);
    group.group = true;
    group.past = (0..20).map(|n| ended(true, f64::from(n) + 2.0)).collect();
    expect("a group's minute", &group, 1, WaitReason::GroupLimit, 39.0);
}

#[test]
fn a_chat_s_parts_go_one_after_the_other() {
    let mut chat = scene([0, 0, 0]);
    ask(&mut chat, Lane::Interactive, 4);
    let said = outlooks(&chat);
    assert_eq!((said[0].reason, said[0].expected), (WaitReason::Next, Some(0.0)));
    let seconds: Vec<f64> = said.iter().map(|said| (said.expected.unwrap() * 10.0).round() / 10.0).collect();
    assert_eq!(seconds, [0.0, 1.1, 2.2, 3.3]);
    assert!(said[1..].iter().all(|said| said.reason == WaitReason::EarlierMessage && said.until.is_none()), "{said:?}");

    chat.parts[0].retry_in = 60.0;
    let said = outlooks(&chat);
    assert_eq!((said[0].reason, said[0].until), (WaitReason::Retrying, Some(60.0)));
    assert_eq!((said[1].reason, said[1].expected), (WaitReason::EarlierMessage, Some(61.1)));

    chat.parts[0] = Part { sending: true, retry_in: 0.0, ..chat.parts[0] };
    let said = outlooks(&chat);
    assert_eq!((said[0].reason, said[0].position, said[0].expected), (WaitReason::Sending, 1, Some(0.0)));
    assert_eq!((said[1].reason, said[1].expected), (WaitReason::EarlierMessage, Some(0.1)), "after the call");

    chat.parts[0].lane = Lane::Bot;
    chat.parts[1].lane = Lane::Bulk;
    assert_eq!(outlooks(&chat)[1].reason, WaitReason::ChatLimit, "another lane's call keeps the chat busy");
}

#[test]
fn pauses_and_tries_say_until_when() {
    let mut paused = scene([0, 0, 0]);
    paused.pauses = (0.0, 5.0);
    expect("the chat", &paused, 1, WaitReason::Paused, 5.0);
    assert_eq!(last(&paused).until, Some(5.0));
    paused.parts[0].retry_in = 5.001;
    expect("throttled: the next try is the end of the pause", &paused, 1, WaitReason::Paused, 5.0);
    ask(&mut paused, Lane::Interactive, 2);
    expect("the next one, too, and then its turn comes", &paused, 1, WaitReason::Paused, 6.1);
    ask(&mut paused, Lane::Interactive, 1);
    paused.parts[0].retry_in = 8.0;
    expect("a try later than that", &paused, 1, WaitReason::Retrying, 8.0);

    let mut account = scene([60, 0, 0]);
    account.pauses = (30.0, 0.0);
    expect("and then the others", &account, 61, WaitReason::Paused, 32.2);
    account.pauses = (1.0, 0.0);
    expect("what holds longest", &account, 61, WaitReason::AccountLimit, 3.2);
}

#[test]
fn nobody_knows_while_nobody_sends() {
    let mut scene = scene([60, 0, 0]);
    scene.pauses = (30.0, 0.0);
    scene.down = true;
    let said = last(&scene);
    assert_eq!((said.reason, said.expected, said.position), (WaitReason::AccountDown, None, 61));
    scene.active = false;
    scene.parts[0].sending = true;
    assert_eq!((last(&scene).reason, last(&scene).expected), (WaitReason::NoConnector, None));
}

#[test]
fn without_limits_nothing_waits() {
    let mut free = scene([5000, 0, 0]);
    free.limits.clear();
    expect("no limits", &free, 1000, WaitReason::Next, 0.0);
}

#[test]
fn slots_are_shared_between_lanes() {
    for (waiting, own, slots) in [
        ([10.0, 0.0, 0.0], Lane::Interactive, 10.0),
        ([0.0, 0.0, 0.0], Lane::Bulk, 0.0),
        ([1e9, 0.0, 0.0], Lane::Bot, 4.0),
        ([1e9, 1e9, 0.0], Lane::Bulk, 9.0),
        ([1e9, 1e9, 4.0], Lane::Bulk, 49.0),
        ([6.0, 1e9, 1e9], Lane::Interactive, 9.0),
        ([80.0, 19.0, 0.0], Lane::Bot, 99.0),
    ] {
        let found = slots_before(waiting, own);
        assert!((found - slots).abs() < 1e-6, "{waiting:?} {own:?}: {found}");
    }
}
