//! What a state holds: the rows, the processes (`process.rs`), and what only the judge sees.

use crate::process::{Connector, Lost};

/// A connector, by its place.
pub type Who = usize;
/// A part, by its place.
pub type Which = usize;
/// The number of a tenure; 0 = nobody has been active yet.
pub type Epoch = u8;
/// The number of an attempt of one part, from 1.
pub type Number = u8;

/// Connectors of the account.
pub const CONNECTORS: usize = 2;
/// Parts, each of a chat of its own: in one chat the second would only wait for the first.
pub const PARTS: usize = 2;
/// A call's place in its process: by part for this tenure, and behind them by part for an earlier one.
pub type Place = usize;
/// Places for calls in a process.
pub const PLACES: usize = 2 * PARTS;
/// Attempts of a part, at most.
pub const ATTEMPTS: usize = 3;

/// One state of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct State {
    /// The row of `account_lease`.
    pub lease: Lease,
    /// The rows of `outbox` and `attempt`.
    pub parts: [Part; PARTS],
    /// The processes.
    pub connectors: [Connector; CONNECTORS],
    /// The one claim whose answer may be lost.
    pub lost: Lost,
    /// Recorded decisions to send a part again, of both.
    pub resends: u8,
    /// What the platform has seen.
    pub platform: Platform,
}

/// The tenure row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lease {
    /// Number of the present or last tenure.
    pub epoch: Epoch,
    /// Who raised it.
    pub holder: Option<Who>,
    /// Given up in order, or never held.
    pub released: bool,
    /// Not renewed for as long as a candidate must see.
    pub stale: bool,
}

/// A part: its row, the deadlines of its attempts, and how often the platform applied it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Part {
    /// `outbox.state`.
    pub state: PartState,
    /// `outbox.attempt`.
    pub attempt: Number,
    /// `outbox.epoch`, of the claim under way.
    pub epoch: Epoch,
    /// `outbox.claim` is the token of the claim whose answer was lost.
    pub claim_lost: bool,
    /// How far the database's clock has come, for each attempt.
    pub clocks: [Clock; ATTEMPTS],
    /// Recorded decisions to send it again.
    pub resends: u8,
    /// How often the platform applied it: only the judge reads this.
    pub applied: u8,
}

/// The states of a part, as in `docs/data.md`. `closed` is left out: it is an unconfirmed that nobody resends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PartState {
    /// Waits for a claim.
    Queued,
    /// Claimed.
    Sending,
    /// The platform said yes.
    Sent,
    /// May have arrived.
    Unconfirmed,
    /// Certainly not delivered, and given up.
    Failed,
    /// Taken back before a claim.
    Cancelled,
    /// Decided truly and for good: nothing can change it or write it any more. Which way does not matter then.
    Over,
}

/// Where the clock stands between an attempt's deadlines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Clock {
    /// Before `write_by`.
    MayWrite,
    /// Past `write_by`: no byte may be written.
    WriteByPassed,
    /// Past `answer_by`: nobody waits any more.
    AnswerByPassed,
}

/// What the judge takes down at the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    /// The highest epoch of which a byte was written.
    pub newest: Epoch,
    /// The first breach of a rule that only a step shows.
    pub breach: Option<Breach>,
}

/// A breach that only a step shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Breach {
    /// A byte of a call was written after a byte of a later tenure.
    EpochDecreased,
    /// A byte of a call was written after its `write_by`, and no freeze excuses it.
    WrittenLate,
    /// A success was reported, and the row stayed undecided.
    EvidenceLost,
}

impl State {
    /// Nobody has been active, both parts wait.
    pub fn first() -> Self {
        Self {
            lease: Lease { epoch: 0, holder: None, released: true, stale: false },
            parts: [Part::NEW; PARTS],
            connectors: [Connector::STANDBY; CONNECTORS],
            lost: Lost::NotYet,
            resends: 0,
            platform: Platform { newest: 0, breach: None },
        }
    }
}

impl Part {
    /// Accepted from an agent, never claimed.
    pub const NEW: Self = Self {
        state: PartState::Queued,
        attempt: 0,
        epoch: 0,
        claim_lost: false,
        clocks: [Clock::MayWrite; ATTEMPTS],
        resends: 0,
        applied: 0,
    };

    /// Whether the end of its attempt is still asked for.
    pub(crate) fn may_be_settled(&self) -> bool {
        matches!(self.state, PartState::Sending | PartState::Unconfirmed)
    }

    /// The clock of an attempt.
    pub fn clock(&self, n: Number) -> Clock {
        self.clocks[usize::from(n) - 1]
    }
}
