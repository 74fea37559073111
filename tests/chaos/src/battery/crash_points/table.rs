//! The points, where each is reached, and what it must leave behind: docs/reliability.md has the words.

/// A place where a process ends.
#[derive(Debug)]
pub struct Point {
    pub name: &'static str,
    /// Which time it is reached.
    pub at: u32,
    /// What the dead process leaves behind.
    pub left: Left,
}

/// What is there when a process has died, and what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Updates that were given out and not acknowledged; whether they are stored.
    Unacknowledged { stored: bool },
    /// Every update that was given out is acknowledged and stored.
    Acknowledged,
    /// One more update is acknowledged, and stored; others may still come again.
    Answered,
    /// A reply: how it is shown in the end, and how often it is applied at the platform.
    Reply { end: Part, applied: &'static [u64] },
    /// The lease: whether the dead one had raised it, and had opened its tenure.
    Lease { raised: bool, opened: bool },
    /// A customer's file that is not ready; whether bytes of it are there.
    Fetch { bytes: bool },
    /// An agent's request; whether it is carried out.
    Request { done: bool },
    /// An upload; whether the file is there.
    Upload { done: bool },
    /// Nothing: a reader asks again.
    Nothing,
}

/// How a reply ends: `outbox.state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Sent = 2,
    Unconfirmed = 3,
}

const fn point(name: &'static str, left: Left) -> Point {
    Point { name, at: 1, left }
}

const LOST: Left = Left::Unacknowledged { stored: false };
const KEPT: Left = Left::Unacknowledged { stored: true };

const fn reply(end: Part, applied: &'static [u64]) -> Left {
    Left::Reply { end, applied }
}

/// The platform calls a webhook.
pub const WEBHOOK: [Point; 7] = [
    point("W1", LOST),
    point("W2", LOST),
    point("W3", LOST),
    point("W4", LOST),
    point("W5", KEPT),
    point("W6", KEPT),
    point("W7", Left::Answered),
];

/// The platform is polled, and replies are sent, by the active. The last ones are reached while another takes over.
pub const CONNECTOR: [Point; 18] = [
    point("P1", LOST),
    point("P2", LOST),
    point("P3", LOST),
    point("P4", KEPT),
    point("P5", Left::Acknowledged),
    point("S2", reply(Part::Unconfirmed, &[0])),
    point("S3", reply(Part::Unconfirmed, &[0])),
    point("S4", reply(Part::Unconfirmed, &[0, 1])),
    point("S5", reply(Part::Unconfirmed, &[1])),
    point("S6", reply(Part::Unconfirmed, &[1])),
    point("S7", reply(Part::Sent, &[1])),
    point("S8", reply(Part::Unconfirmed, &[0])),
    point("L1", Left::Lease { raised: false, opened: false }),
    point("L2", Left::Lease { raised: true, opened: false }),
    point("L3", Left::Lease { raised: true, opened: false }),
    point("L4", Left::Lease { raised: true, opened: true }),
    point("L5", Left::Lease { raised: true, opened: true }),
    // Last: whoever comes next sends it, and must not die of that.
    point("S1", reply(Part::Sent, &[1])),
];

/// A customer's file is fetched.
pub const FETCH: [Point; 3] = [
    point("M1", Left::Fetch { bytes: false }),
    point("M2", Left::Fetch { bytes: true }),
    point("M3", Left::Fetch { bytes: true }),
];

/// An agent uploads and downloads.
pub const FILES: [Point; 3] =
    [point("F1", Left::Upload { done: false }), point("F2", Left::Upload { done: true }), point("F3", Left::Nothing)];

/// An agent comes, catches up, and sends.
pub const CHATSERVER: [Point; 6] = [
    point("C1", Left::Nothing),
    point("C2", Left::Nothing),
    point("C3", Left::Request { done: false }),
    point("C4", Left::Request { done: true }),
    point("C5", Left::Request { done: true }),
    // The third frame: the first answers the hello.
    Point { name: "C6", at: 3, left: Left::Nothing },
];

/// A program exports: by the third piece the first is certainly on its way.
pub const LOADER: [Point; 1] = [Point { name: "H1", at: 3, left: Left::Nothing }];

/// An operator migrates.
pub const OPERATOR: [Point; 1] = [point("A2", Left::Nothing)];

impl Point {
    /// As the process is told.
    pub fn told(&self) -> String {
        format!("{}:{}", self.name, self.at)
    }
}
