//! How long a waiting part will wait, and for what: from figures alone, so that a table of cases can test it.
//!
//! A part waits for several things at once, and each would hold it for some time: a pause the platform asked for, the next
//! try, an earlier part of its chat, the chat's limit, the parts of the account that go first. What holds longest is the
//! reason that is shown. What is to come is not foreseen: an urgent message written later goes before a bulk one.

use std::collections::HashMap;

use super::WaitReason;
use crate::model::{Lane, Limit, Scope};

/// Positions are exact up to here: so many parts of each lane are read.
pub(super) const EXACT: usize = 1000;

/// Holds that differ by less are the same: they come from readings of the clock a moment apart.
const SAME_S: f64 = 0.05;

/// A call of an account that has made none lately, in seconds.
const USUAL_CALL_S: f64 = 0.1;

/// What is known of an account and of one chat of it at one moment. Seconds count from that moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Scene {
    /// Somebody holds the lease and renews it.
    pub active: bool,
    /// The platform refuses the account.
    pub down: bool,
    /// The limits in force.
    pub limits: Vec<Limit>,
    /// The chat is a group.
    pub group: bool,
    /// Seconds for which the platform wants to hear nothing from the account, and nothing for the chat.
    pub pauses: (f64, f64),
    /// Exchanges that windows may still count.
    pub past: Vec<Exchange>,
    /// What waits in the account, by lane.
    pub lines: [Line; 3],
    /// The chat's open parts, in the order of lane, message and part.
    pub parts: Vec<Part>,
}

/// A call made or under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exchange {
    /// It was for the chat in question.
    pub own: bool,
    /// Slots it took.
    pub cost: usize,
    /// Since its claim.
    pub claimed_ago: f64,
    /// Since its end; none while it is under way.
    pub ended_ago: Option<f64>,
}

/// The open parts of a lane.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    /// The first [`EXACT`], oldest first: id, and the how many-th of its chat in the lane.
    front: Vec<(i64, usize)>,
    /// The newest id.
    newest: i64,
    /// How many parts there are to an id, among the newest: counts what is beyond the front.
    density: f64,
}

/// An open part of the chat.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// Key.
    pub id: i64,
    /// Its lane.
    pub lane: Lane,
    /// A call is under way for it.
    pub sending: bool,
    /// Until its next try, when one failed.
    pub retry_in: f64,
}

/// What is said of a part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Outlook {
    pub position: usize,
    pub exact: bool,
    /// Seconds until it is sent; none when nobody can know.
    pub expected: Option<f64>,
    pub reason: WaitReason,
    /// Seconds until the reason ends, when somebody named a time.
    pub until: Option<f64>,
}

impl Line {
    /// Of the first parts, as ids and chats in order, and of what is known of the newest.
    pub(super) fn new(ids: &[i64], chats: &[i64], newest: i64, density: f64) -> Self {
        let mut counts: HashMap<i64, usize> = HashMap::new();
        let nth = |(id, chat): (&i64, &i64)| {
            let count = counts.entry(*chat).or_default();
            *count += 1;
            (*id, *count)
        };
        Self { front: ids.iter().zip(chats).map(nth).collect(), newest, density }
    }

    /// How many are older than `id`, and whether that is certain.
    fn ahead(&self, id: i64) -> (f64, bool) {
        let known = self.known(id);
        match self.front.last() {
            Some((last, _)) if known >= EXACT => (known as f64 + (id - 1 - last) as f64 * self.density, false),
            _ => (known as f64, true),
        }
    }

    /// How many of those older than `id` can go out when each chat may send `cap`.
    fn able(&self, id: i64, cap: usize) -> f64 {
        let known = self.known(id);
        let able = self.front[..known].iter().filter(|(_, nth)| *nth <= cap).count();
        able as f64 + self.ahead(id).0 - known as f64
    }

    fn known(&self, id: i64) -> usize {
        self.front.partition_point(|(other, _)| *other < id)
    }
}

/// One for each part of the scene.
pub(super) fn outlooks(scene: &Scene) -> Vec<Outlook> {
    let call = scene.call();
    let account = Windows::of(scene, call, Scope::Account);
    let chat = Windows::of(scene, call, if scene.group { Scope::Group } else { Scope::Chat });
    let busy = if scene.parts.iter().any(|part| part.sending) { call } else { 0.0 };
    let mut said: Vec<Outlook> = Vec::with_capacity(scene.parts.len());
    let (mut before_in_chat, mut last_in_chat, mut line_wait) = (0.0, 0.0, (Lane::Interactive, 0.0));
    for (at, part) in scene.parts.iter().enumerate() {
        if part.sending {
            said.push(sending(scene));
            continue;
        }
        let (position, exact) = scene.position(part);
        if line_wait.0 != part.lane {
            line_wait = (part.lane, 0.0);
        }
        line_wait.1 = scene.line_wait(part, &account, call, line_wait.1);
        let earlier = at.checked_sub(1).filter(|before| scene.parts[*before].lane == part.lane);
        let in_chat = chat.wait(before_in_chat).max(busy);
        let pause = scene.pauses.0.max(scene.pauses.1);
        let after = |before: usize| said[before].expected.unwrap_or(0.0) + call.max(in_chat - last_in_chat);
        let holds = Holds {
            pause,
            retry: part.retry_in.max(0.0),
            earlier: earlier.map_or(0.0, |before| (after(before) - pause).max(0.0)),
            chat: if earlier.is_none() { in_chat } else { 0.0 },
            line: line_wait.1,
        };
        before_in_chat += 1.0;
        last_in_chat = in_chat;
        said.push(scene.outlook(position, exact, &holds));
    }
    said
}

fn sending(scene: &Scene) -> Outlook {
    let (reason, expected) =
        if scene.active { (WaitReason::Sending, Some(0.0)) } else { (WaitReason::NoConnector, None) };
    Outlook { position: 1, exact: true, expected, reason, until: None }
}

/// For how long each of them would hold the part if it were alone, in seconds.
struct Holds {
    pause: f64,
    retry: f64,
    earlier: f64,
    chat: f64,
    line: f64,
}

impl Scene {
    fn outlook(&self, position: usize, exact: bool, holds: &Holds) -> Outlook {
        let unknown = |reason| Outlook { position, exact, expected: None, reason, until: None };
        if !self.active {
            return unknown(WaitReason::NoConnector);
        }
        if self.down {
            return unknown(WaitReason::AccountDown);
        }
        let limit = if self.group { WaitReason::GroupLimit } else { WaitReason::ChatLimit };
        let all = [
            (holds.pause, WaitReason::Paused),
            (holds.retry, WaitReason::Retrying),
            (holds.earlier, WaitReason::EarlierMessage),
            (holds.chat, limit),
            (holds.line, WaitReason::AccountLimit),
        ];
        let longest = all.iter().map(|(hold, _)| *hold).fold(0.0, f64::max);
        let found = all.into_iter().find(|(hold, _)| *hold > 0.0 && *hold >= longest - SAME_S);
        let (hold, reason) = found.unwrap_or((0.0, WaitReason::Next));
        // What goes first waits for the same pause, and then goes first all the same.
        let expected = longest.max(self.pauses.0 + holds.line).max(holds.earlier + holds.pause);
        let until = matches!(reason, WaitReason::Paused | WaitReason::Retrying).then_some(hold);
        Outlook { position, exact, expected: Some(expected), reason, until }
    }

    /// Its place in the order in which parts are taken: all of more urgent lanes go first, and the older ones of its own.
    fn position(&self, part: &Part) -> (usize, bool) {
        let mut ahead = self.lines[part.lane as usize].ahead(part.id);
        for line in &self.lines[..part.lane as usize] {
            let all = line.ahead(line.newest + 1);
            ahead = (ahead.0 + all.0, ahead.1 && all.1);
        }
        match ahead.1 && ahead.0 < EXACT as f64 {
            true => (ahead.0 as usize + 1, true),
            false => (EXACT, false),
        }
    }

    /// Until the account's windows have room for the part after all that goes first. A chat that may not send hands its
    /// turn on, so what goes first depends on how long it takes: looked for from below.
    fn line_wait(&self, part: &Part, account: &Windows, call: f64, least: f64) -> f64 {
        const ROUNDS: usize = 20;
        let chats = Windows::empty(&self.limits, call, Scope::Chat);
        let mut wait = least;
        for _ in 0..ROUNDS {
            let cap = chats.most_within(wait).min(1.0 + wait / call) as usize;
            let mut waiting = [0.0; 3];
            for (lane, line) in self.lines.iter().enumerate() {
                let id = if lane == part.lane as usize { part.id } else { line.newest + 1 };
                waiting[lane] = line.able(id, cap);
            }
            let next = account.wait(slots_before(waiting, part.lane));
            if next <= wait {
                break;
            }
            wait = next;
        }
        wait
    }

    /// How long a call takes: as the last ones did.
    fn call(&self) -> f64 {
        let took: Vec<f64> = self.past.iter().filter_map(|past| Some(past.claimed_ago - past.ended_ago?)).collect();
        match took.len() {
            0 => USUAL_CALL_S,
            count => (took.iter().sum::<f64>() / count as f64).clamp(0.01, 10.0),
        }
    }
}

/// Slots that others get before the part of `own` that comes after `waiting[own]` of its lane. The most urgent waiting lane
/// takes what the others' guaranteed shares leave.
fn slots_before(waiting: [f64; 3], own: Lane) -> f64 {
    let mut left = waiting;
    left[own as usize] += 1.0; // itself
    let mut slots = 0.0;
    while left[own as usize] > 1e-6 {
        let mut rates = [0.0; 3];
        let mut first = None;
        for lane in Lane::ALL.into_iter().filter(|lane| left[*lane as usize] > 1e-6) {
            rates[lane as usize] = lane.guaranteed_share();
            first = first.or(Some(lane as usize));
        }
        if let Some(first) = first {
            rates[first] = 0.0;
            rates[first] = 1.0 - rates.iter().sum::<f64>();
        }
        let running = (0..3).filter(|lane| rates[*lane] > 0.0);
        let span = running.map(|lane| left[lane] / rates[lane]).fold(f64::INFINITY, f64::min);
        slots += span;
        (0..3).for_each(|lane| left[lane] -= rates[lane] * span);
    }
    (slots - 1.0).max(0.0)
}

/// Limits of one scope, and when their slots are free again.
struct Windows(Vec<Window>);

struct Window {
    count: usize,
    /// From the start of a call to the moment its slot is free: the window begins with the answer.
    round: f64,
    /// When the used slots are free again, in order.
    freed: Vec<f64>,
    /// Calls of an account start evenly spaced, but for a tenth of the limit at once.
    pace: f64,
}

impl Windows {
    fn of(scene: &Scene, call: f64, scope: Scope) -> Self {
        let mut windows = Self::empty(&scene.limits, call, scope);
        for window in &mut windows.0 {
            let counted = scene.past.iter().filter(|past| past.own || scope == Scope::Account);
            for past in counted {
                let answer = past.ended_ago.map_or((call - past.claimed_ago).max(0.0), |ago| -ago);
                let free = answer + window.round - call;
                window
                    .freed
                    .extend(std::iter::repeat_n(free, if free > 0.0 { past.cost.min(window.count) } else { 0 }));
            }
            window.freed.sort_by(f64::total_cmp);
            let too_many = window.freed.len().saturating_sub(window.count);
            window.freed.drain(..too_many);
        }
        windows
    }

    fn empty(limits: &[Limit], call: f64, scope: Scope) -> Self {
        let own = limits.iter().filter(|limit| limit.scope == scope);
        let window = |limit: &Limit| {
            let (count, span) = (limit.count.max(1), limit.window.as_secs_f64());
            let pace = if scope == Scope::Account { span / count as f64 } else { 0.0 };
            Window { count, round: span + call, freed: Vec::new(), pace }
        };
        Self(own.map(window).collect())
    }

    /// Until the slot after `before` others.
    fn wait(&self, before: f64) -> f64 {
        self.0.iter().map(|window| window.wait(before)).fold(0.0, f64::max)
    }

    /// Calls that fit within `wait` seconds into empty windows.
    fn most_within(&self, wait: f64) -> f64 {
        let most = |window: &Window| window.count as f64 * (1.0 + (wait / window.round).floor());
        self.0.iter().map(most).fold(f64::INFINITY, f64::min)
    }
}

impl Window {
    fn wait(&self, before: f64) -> f64 {
        let (count, before) = (self.count as f64, (before + 1e-6).floor());
        let rounds = (before / count).floor();
        let free = self.count - self.freed.len();
        let slot = (before - rounds * count) as usize;
        let first = slot.checked_sub(free).map_or(0.0, |used| self.freed[used]);
        let at_once = (self.count / 10).max(1);
        first.max((slot + 1).saturating_sub(at_once) as f64 * self.pace) + rounds * self.round
    }
}

#[cfg(test)]
#[path = "estimate_tests.rs"]
mod tests;
