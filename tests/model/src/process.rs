//! What a connector has in memory; a crash loses it all.

use crate::state::{Epoch, Number, PARTS, PLACES, Place, Which, Who};

/// A process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Connector {
    /// What it takes itself for.
    pub role: Role,
    /// The part it claims: the statement has checked the epoch and holds the lease row `FOR SHARE`.
    pub claim: Option<Which>,
    /// Its calls under way. Those of an earlier tenure wait for their answers beside the new ones.
    pub calls: [Option<Call>; PLACES],
    /// A call nobody waits for any more, whose connection has not noticed yet.
    pub stray: Option<(Which, Call)>,
}

/// What a process takes itself for. Only the lease row knows whether it is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Waits for its turn. A process that died is one that waits for ever, and so is its successor before it starts.
    Standby,
    /// Raised the epoch; waits for the calls of earlier tenures.
    Recovering(Epoch),
    /// Claims and sends.
    Active(Epoch),
    /// Claims no more; about to release the lease.
    Ending(Epoch),
}

/// One attempt inside a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Call {
    /// Number of the attempt.
    pub n: Number,
    /// The epoch it was claimed under, and which it shows to the platform.
    pub epoch: Epoch,
    /// How far it is.
    pub phase: Phase,
    /// `write_by` was still ahead when it looked.
    pub in_time: bool,
}

/// How far a call is. A process stops, or is stopped, between any two of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// The claim is committed. Nothing is written.
    Claimed,
    /// `write_by` was looked at. Nothing is written yet.
    Checked,
    /// Some bytes are out, not all.
    Writing,
    /// The whole request is out, and the platform applied it.
    Applied,
    /// The whole request is out, and the platform did not apply it.
    Refused,
}

/// The claim whose answer is lost: its statement may still come to pass, its token is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lost {
    /// It has not happened so far.
    NotYet,
    /// It has.
    Claim {
        /// Whose claim.
        by: Who,
        /// Under which epoch.
        epoch: Epoch,
        /// Of which part.
        part: Which,
        /// The number its attempt would get, as far as its connector knows.
        n: Number,
        /// The database may still carry it out.
        pending: bool,
        /// The connector still knows the token.
        remembered: bool,
    },
    /// It is history.
    Over,
}

impl Connector {
    /// A process that has not begun anything.
    pub const STANDBY: Self = Self { role: Role::Standby, claim: None, calls: [None; PLACES], stray: None };

    /// Ends the call at `place` if it is in one of `phases`.
    pub(crate) fn end_call(&mut self, place: Place, phases: &[Phase]) -> Option<Call> {
        self.calls[place].take_if(|call| phases.contains(&call.phase))
    }

    /// Its calls for a part, whichever tenure they are of.
    pub fn calls_for(&self, p: Which) -> impl Iterator<Item = Call> {
        self.calls.into_iter().skip(p).step_by(PARTS).flatten()
    }

    /// Whether anything inside it still belongs to a call for a part.
    pub(crate) fn has_call(&self, p: Which) -> bool {
        self.calls_for(p).next().is_some() || self.stray.is_some_and(|(part, _)| part == p)
    }

    /// Its calls for a part whose last byte is not out, strays included.
    pub(crate) fn unwritten(&self, p: Which) -> impl Iterator<Item = Call> {
        let stray = self.stray.filter(|(part, _)| *part == p).map(|(_, call)| call);
        let unwritten = |call: &Call| matches!(call.phase, Phase::Claimed | Phase::Checked | Phase::Writing);
        self.calls_for(p).chain(stray).filter(unwritten)
    }
}

impl Role {
    /// The tenure it believes in.
    pub fn epoch(self) -> Option<Epoch> {
        match self {
            Self::Recovering(epoch) | Self::Active(epoch) | Self::Ending(epoch) => Some(epoch),
            Self::Standby => None,
        }
    }
}
