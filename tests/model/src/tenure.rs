//! The tenure: `common/src/tenure/mod.rs`, `common/src/store/{lease,takeover}.rs`, `connectors/src/sender/recovery.rs`.

use crate::process::{Connector, Lost, Role};
use crate::state::{Clock, PARTS, PartState, State, Who};
use crate::steps::allowed;
use crate::{Mutation, Protocol};

impl Protocol {
    /// Time passes without a renewal. It may at any moment: the holder may be paused for any time.
    pub(crate) fn lease_goes_stale(&self, s: &mut State) -> Option<()> {
        allowed(!s.lease.released)?;
        s.lease.stale = true;
        Some(())
    }

    /// `raise_lease`: one compare-and-set. It waits for claims that hold the row `FOR SHARE`. The look before it is left
    /// out: a raise whose look is outdated changes no row.
    pub(crate) fn raise(&self, s: &mut State, c: Who) -> Option<()> {
        allowed(s.connectors[c].role == Role::Standby && s.lease.epoch < self.bounds.tenures)?;
        allowed(s.lease.released || s.lease.stale)?;
        let locked = s.connectors.iter().any(|other| other.claim.is_some());
        allowed(!locked || self.has(Mutation::FenceUnlocked))?;
        s.lease.epoch += 1;
        s.lease.holder = Some(c);
        s.lease.released = false;
        s.lease.stale = false;
        s.connectors[c].role = Role::Recovering(s.lease.epoch);
        Some(())
    }

    /// `renew_lease`, while it changes a row: from the first moment until the release.
    pub(crate) fn renew(&self, s: &mut State, c: Who) -> Option<()> {
        let epoch = s.connectors[c].role.epoch()?;
        allowed(epoch == s.lease.epoch && !s.lease.released)?;
        s.lease.stale = false;
        Some(())
    }

    /// `Sender::recover`: nothing of `left_behind` has a `write_by` ahead. The limiter is not part of this model.
    pub(crate) fn recover(&self, s: &mut State, c: Who) -> Option<()> {
        let Role::Recovering(epoch) = s.connectors[c].role else { return None };
        for part in s.parts.iter_mut().filter(|part| part.state == PartState::Sending && part.epoch < epoch) {
            let may_be_written = part.clock(part.attempt) == Clock::MayWrite;
            allowed(!may_be_written || self.has(Mutation::RecoveryDoesNotWait))?;
            if self.has(Mutation::RequeueOnTakeover) && part.attempt < self.bounds.attempts {
                part.state = PartState::Queued;
            }
        }
        s.connectors[c].role = Role::Active(epoch);
        Some(())
    }

    /// The renewal changed no row, or a claim was refused and the lease shows another epoch.
    pub(crate) fn notice_loss(&self, s: &mut State, c: Who) -> Option<()> {
        let (Role::Recovering(epoch) | Role::Active(epoch)) = s.connectors[c].role else { return None };
        allowed(epoch != s.lease.epoch)?;
        s.connectors[c].role = Role::Ending(epoch);
        Some(())
    }

    /// The process is asked to stop, or to hand over.
    pub(crate) fn step_down(&self, s: &mut State, c: Who) -> Option<()> {
        let (Role::Recovering(epoch) | Role::Active(epoch)) = s.connectors[c].role else { return None };
        s.connectors[c].role = Role::Ending(epoch);
        Some(())
    }

    /// `Sender::run` has ended; `Tenures::release`. The product first lets `write_by` of its calls pass, by its own clock;
    /// nothing but time depends on this, for a successor waits for them in any case. Calls go on, and end when they end.
    pub(crate) fn release(&self, s: &mut State, c: Who) -> Option<()> {
        let connector = &mut s.connectors[c];
        let Role::Ending(epoch) = connector.role else { return None };
        allowed(connector.claim.is_none())?;
        let (calls, earlier) = connector.calls.split_at_mut(PARTS);
        for (call, earlier) in calls.iter_mut().zip(earlier).filter(|(call, _)| call.is_some()) {
            allowed(earlier.is_none())?;
            *earlier = call.take();
        }
        connector.role = Role::Standby;
        s.forget_token(c);
        if s.lease.epoch == epoch {
            s.lease.released = true;
            s.lease.stale = false;
        }
        Some(())
    }

    /// kill -9. A statement that was on its way has come to pass before, or never does.
    pub(crate) fn crash(&self, s: &mut State, c: Who) -> Option<()> {
        s.connectors[c] = Connector::STANDBY;
        s.forget_token(c);
        Some(())
    }
}

impl State {
    /// The token of a lost claim is kept in memory, for one tenure.
    fn forget_token(&mut self, c: Who) {
        if let Lost::Claim { by, remembered, .. } = &mut self.lost
            && *by == c
        {
            *remembered = false;
        }
    }
}
