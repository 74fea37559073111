//! What no connector decides: time and people. And what everybody may forget.

use crate::process::{Call, Connector, Lost, Phase, Role};
use crate::state::{Clock, Number, PARTS, Part, PartState, State, Which};
use crate::steps::allowed;
use crate::{Mutation, Protocol};

impl Protocol {
    /// The clock passes the next deadline of an attempt. Nothing else is known of time.
    pub(crate) fn time_passes(&self, s: &mut State, p: Which, n: Number) -> Option<()> {
        allowed(s.is_timed(p, n))?;
        let clock = &mut s.parts[p].clocks[usize::from(n) - 1];
        *clock = match clock {
            Clock::MayWrite => Clock::WriteByPassed,
            _ => Clock::AnswerByPassed,
        };
        Some(())
    }

    /// `Decision::Cancel`.
    pub(crate) fn cancel(&self, s: &mut State, p: Which) -> Option<()> {
        allowed(s.parts[p].state == PartState::Queued)?;
        s.parts[p].state = PartState::Cancelled;
        Some(())
    }

    /// `Decision::Resend`, recorded. The number of the attempt stays until the next claim.
    pub(crate) fn resend(&self, s: &mut State, p: Which) -> Option<()> {
        allowed(s.parts[p].state == PartState::Unconfirmed && self.may_be_resent(s, p))?;
        s.parts[p].state = PartState::Queued;
        s.parts[p].resends += 1;
        s.resends += 1;
        Some(())
    }

    fn may_be_resent(&self, s: &State, p: Which) -> bool {
        s.resends < self.bounds.resends && s.parts[p].attempt < self.bounds.attempts
    }

    /// Clears what no step and no property can ask for any more, so that equal futures are one state.
    pub(crate) fn forget(&self, s: &mut State) {
        for p in 0..PARTS {
            self.forget_calls(s, p);
            self.forget_part(s, p);
        }
        self.forget_lost(s);
        if s.lease.epoch == self.bounds.tenures {
            s.lease.released = false;
            s.lease.stale = false;
            self.forget_roles(s);
        }
    }

    /// A call that will not be written, and whose settlement finds no row, may as well have ended.
    fn forget_calls(&self, s: &mut State, p: Which) {
        let part = s.parts[p];
        for connector in &mut s.connectors {
            for call in connector.calls.iter_mut().skip(p).step_by(PARTS) {
                let unwritten = |call: &Call| match call.phase {
                    Phase::Claimed => part.clock(call.n) == Clock::MayWrite || self.has(Mutation::NoWriteByCheck),
                    Phase::Checked | Phase::Writing => true,
                    Phase::Applied | Phase::Refused => false,
                };
                let settles = |call: &Call| part.attempt == call.n && part.may_be_settled();
                call.take_if(|call| !unwritten(call) && !settles(call));
            }
        }
    }

    fn forget_part(&self, s: &mut State, p: Which) {
        for n in 1..=self.bounds.attempts {
            if !s.is_timed(p, n) {
                s.parts[p].clocks[usize::from(n) - 1] = Clock::MayWrite;
            }
        }
        if s.parts[p].state != PartState::Sending {
            s.parts[p].epoch = 0;
            s.parts[p].claim_lost = false;
        }
        let called = s.connectors.iter().any(|connector| connector.has_call(p));
        let last = match s.parts[p].state {
            PartState::Sent | PartState::Failed | PartState::Cancelled => true,
            PartState::Unconfirmed => !self.may_be_resent(s, p),
            PartState::Queued | PartState::Sending | PartState::Over => false,
        };
        if last && !called && s.parts[p].is_told_truly() && s.parts[p].is_no_silent_double() {
            s.parts[p] = Part { state: PartState::Over, ..Part::NEW };
        }
    }

    /// In the last tenure nobody else gets a turn: what the others take themselves for, and of which tenure their calls
    /// are, does not matter any more.
    fn forget_roles(&self, s: &mut State) {
        let last = self.bounds.tenures;
        let fenced = !self.has(Mutation::PermissionByZookeeper);
        let out =
            |c: &&mut Connector| c.role != Role::Recovering(last) && c.role != Role::Active(last) && c.claim.is_none();
        for connector in s.connectors.iter_mut().filter(|c| fenced && out(c)) {
            connector.role = Role::Standby;
            for p in 0..PARTS {
                if connector.calls[p] < connector.calls[p + PARTS] {
                    connector.calls.swap(p, p + PARTS);
                }
            }
        }
    }

    /// A lost claim of a past epoch is refused, and a token that no row carries finds nothing.
    fn forget_lost(&self, s: &mut State) {
        let Lost::Claim { epoch, part, n, pending, remembered, .. } = &mut s.lost else { return };
        if *epoch < s.lease.epoch && !self.has(Mutation::PermissionByZookeeper) {
            *pending = false;
        }
        if !self.has(Mutation::ReleaseByNumber) {
            *n = 0;
            *remembered = *remembered && (*pending || s.parts[*part].claim_lost);
        }
        if !*pending && !*remembered {
            s.lost = Lost::Over;
        }
    }
}

impl State {
    /// Whether anything still asks for the deadlines of an attempt.
    fn is_timed(&self, p: Which, n: Number) -> bool {
        let part = &self.parts[p];
        let row = part.state == PartState::Sending && part.attempt == n;
        row || self.connectors.iter().any(|connector| connector.unwritten(p).any(|call| call.n == n))
    }
}
