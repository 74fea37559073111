//! What must hold in every state, and what some state must show, lest the rest hold for want of trying.

use stateright::Property;

use crate::Protocol;
use crate::process::{Call, Connector, Phase, Role};
use crate::state::{Breach, CONNECTORS, Clock, PARTS, Part, PartState, State};

/// OUT-3: applied at most once, and once more for each recorded resend.
pub const NO_SILENT_DOUBLE: &str = "OUT-3 no silent double";
/// OUT-4: what a row says of the platform is true.
pub const NO_SILENT_LOSS: &str = "OUT-4 no silent loss";
/// OUT-4, OUT-6: as long as a part is undecided, something can be done about it.
pub const NOTHING_STUCK: &str = "OUT-4 nothing stuck";
/// OUT-8: epochs never decrease, writes of different epochs do not overlap, and all end before `write_by`.
pub const ONE_SENDER: &str = "OUT-8 one sender";
/// OUT-8, exception class: a call that was frozen is known to its row.
pub const FROZEN_IS_SHOWN: &str = "OUT-8 a frozen call is shown";
/// OUT-8, exception class: late evidence counts.
pub const EVIDENCE_COUNTS: &str = "OUT-8 late evidence counts";
/// LD-1: an epoch has one holder.
pub const ONE_HOLDER: &str = "LD-1 one holder";

pub(crate) fn all() -> Vec<Property<Protocol>> {
    vec![
        Property::always(NO_SILENT_DOUBLE, |_, s: &State| s.parts.iter().all(Part::is_no_silent_double)),
        Property::always(NO_SILENT_LOSS, |_, s: &State| s.parts.iter().all(Part::is_told_truly)),
        Property::always(NOTHING_STUCK, nothing_stuck),
        Property::always(ONE_SENDER, one_sender),
        Property::always(FROZEN_IS_SHOWN, frozen_is_shown),
        Property::always(EVIDENCE_COUNTS, |_, s: &State| s.platform.breach != Some(Breach::EvidenceLost)),
        Property::always(ONE_HOLDER, |_, s: &State| {
            let [a, b] = s.connectors.map(|connector| connector.role.epoch());
            a.is_none() || a != b
        }),
        Property::sometimes("a new tenure waits for a call of an earlier one", |protocol, s: &State| {
            (0..CONNECTORS).any(|c| {
                matches!(s.connectors[c].role, Role::Recovering(_)) && protocol.recover(&mut s.clone(), c).is_none()
            })
        }),
        Property::sometimes("a frozen call writes into a later tenure", |_, s: &State| {
            writing(s).any(|(epoch, excused)| excused && epoch < s.platform.newest)
        }),
        Property::sometimes("an answer is about to make an unconfirmed part sent", |_, s: &State| {
            (0..PARTS).any(|p| {
                let part = &s.parts[p];
                let proves = |call: Call| call.phase == Phase::Applied && call.n == part.attempt;
                part.state == PartState::Unconfirmed && s.connectors.iter().any(|c| c.calls_for(p).any(proves))
            })
        }),
        Property::sometimes("a part that was resent arrived twice", |protocol, s: &State| {
            protocol.bounds.resends == 0 || s.parts.iter().any(|part| part.applied == 2 && part.resends == 1)
        }),
        Property::sometimes("a lost claim was carried out, and is put back", |protocol, s: &State| {
            protocol.bounds.lost_claims == 0 || protocol.release_unsent(&mut s.clone()).is_some()
        }),
        Property::sometimes("all is over in the last tenure", |protocol, s: &State| {
            s.lease.epoch == protocol.bounds.tenures && s.parts.iter().all(|part| part.state == PartState::Over)
        }),
    ]
}

impl Part {
    /// OUT-3.
    pub fn is_no_silent_double(&self) -> bool {
        self.applied <= 1 + self.resends
    }

    /// OUT-4. Once resent, a part may have been applied before it failed.
    pub fn is_told_truly(&self) -> bool {
        match self.state {
            PartState::Sent => self.applied >= 1,
            PartState::Failed | PartState::Cancelled | PartState::Queued => self.applied <= self.resends,
            PartState::Sending | PartState::Unconfirmed | PartState::Over => true,
        }
    }

    /// It has one of the ends an agent is promised.
    pub fn is_decided(&self) -> bool {
        !matches!(self.state, PartState::Queued | PartState::Sending)
    }
}

/// The steps that need neither a fault nor a person never go round in a circle. So when there is always one of them while
/// a part is undecided, they lead to an end from everywhere. The bound may end the look before.
fn nothing_stuck(protocol: &Protocol, s: &State) -> bool {
    let out_of_tenures = s.lease.epoch == protocol.bounds.tenures && !s.is_held();
    s.parts.iter().all(Part::is_decided)
        || out_of_tenures
        || protocol.steps.iter().any(|step| protocol.helps(s, *step) && protocol.after(s, *step).is_some())
}

/// That epochs decrease, or that a write comes late, is noted at the step. A call frozen between its look at `write_by`
/// and its last byte is excused from all three: it alone, and no other call of its process. A freeze finds as many there
/// as the process has between these two points, which are microseconds apart.
fn one_sender(_: &Protocol, s: &State) -> bool {
    let noted = matches!(s.platform.breach, Some(Breach::EpochDecreased | Breach::WrittenLate));
    let mut epochs = writing(s).filter(|(_, excused)| !excused).map(|(epoch, _)| epoch);
    let first = epochs.next();
    !noted && epochs.all(|epoch| Some(epoch) == first)
}

/// The epochs of calls between their first and their last byte, and whether a freeze excuses them.
fn writing(s: &State) -> impl Iterator<Item = (u8, bool)> {
    unwritten(s).filter(|(_, call)| call.phase == Phase::Writing).map(|(p, call)| (call.epoch, s.is_excused(p, &call)))
}

/// What may still be written, by part.
fn unwritten(s: &State) -> impl Iterator<Item = (usize, Call)> {
    let of = |connector| (0..PARTS).flat_map(move |p| Connector::unwritten(connector, p).map(move |call| (p, call)));
    s.connectors.iter().flat_map(of)
}

/// A call that may be written after its `write_by` is known to its row: the row waits for it, or shows it as unconfirmed,
/// or a person has decided to send the part again.
fn frozen_is_shown(_: &Protocol, s: &State) -> bool {
    unwritten(s).filter(|(p, call)| call.phase != Phase::Claimed && s.is_excused(*p, call)).all(|(p, call)| {
        let part = &s.parts[p];
        let shown = match part.state {
            PartState::Unconfirmed => true,
            PartState::Sending => part.clock(call.n) != Clock::MayWrite,
            _ => false,
        };
        (shown && part.attempt == call.n) || part.resends > 0
    })
}
