//! The claim: `CLAIM` and `release_unsent` in `common/src/store/claim.rs`, `claim_and_start` in `connectors/src/sender.rs`.

use crate::process::{Call, Lost, Phase, Role};
use crate::state::{Clock, Epoch, Number, PartState, State, Which, Who};
use crate::steps::allowed;
use crate::{Mutation, Protocol};

impl Protocol {
    /// The active one found a part due and sends the statement; `me` finds the lease row with our epoch, and locks it.
    /// Otherwise there is no row and the claim is empty: nothing happened.
    pub(crate) fn begin_claim(&self, s: &mut State, c: Who, p: Which) -> Option<()> {
        let epoch = self.may_claim(s, c, p)?;
        allowed(self.is_permitted(s, epoch))?;
        s.connectors[c].claim = Some(p);
        Some(())
    }

    /// `q`, `u`, `a`: the row and the attempt are written, the lease row is let go.
    pub(crate) fn commit_claim(&self, s: &mut State, c: Who) -> Option<()> {
        let epoch = s.connectors[c].role.epoch()?;
        let p = s.connectors[c].claim.take()?;
        if let Some(n) = self.claimed(s, p, epoch, false) {
            s.connectors[c].calls[p] = Some(Call { n, epoch, phase: Phase::Claimed, in_time: true });
        }
        Some(())
    }

    /// The answer of a claim does not come, carried out or not. No call is begun: nothing of it will be written.
    pub(crate) fn lose_claim(&self, s: &mut State, c: Who, p: Which) -> Option<()> {
        let epoch = self.may_claim(s, c, p)?;
        let n = s.parts[p].attempt + 1;
        allowed(s.lost == Lost::NotYet && self.bounds.lost_claims > 0 && n < self.bounds.attempts)?;
        s.lost = Lost::Claim { by: c, epoch, part: p, n, pending: true, remembered: true };
        Some(())
    }

    /// The database gets to the lost claim, whatever its connector did in between.
    pub(crate) fn lost_claim_lands(&self, s: &mut State) -> Option<()> {
        let Lost::Claim { epoch, part, pending: true, .. } = s.lost else { return None };
        // The bound: what is put back can be claimed again.
        if self.is_permitted(s, epoch) && s.parts[part].attempt + 1 < self.bounds.attempts {
            self.claimed(s, part, epoch, true);
        }
        self.lost_claim_vanishes(s)
    }

    /// The database never gets to it.
    pub(crate) fn lost_claim_vanishes(&self, s: &mut State) -> Option<()> {
        let Lost::Claim { pending, .. } = &mut s.lost else { return None };
        allowed(*pending)?;
        *pending = false;
        Some(())
    }

    /// `release_unsent`: by the claim's token, again and again until it is forgotten.
    pub(crate) fn release_unsent(&self, s: &mut State) -> Option<()> {
        let Lost::Claim { part, n, remembered: true, .. } = s.lost else { return None };
        let part = &mut s.parts[part];
        let taken = if self.has(Mutation::ReleaseByNumber) { part.attempt == n } else { part.claim_lost };
        allowed(taken && part.state == PartState::Sending)?;
        part.state = PartState::Queued;
        Some(())
    }

    /// `unanswered` keeps a token until its `answer_by`.
    pub(crate) fn forget_lost_claim(&self, s: &mut State) -> Option<()> {
        let Lost::Claim { remembered, .. } = &mut s.lost else { return None };
        allowed(*remembered)?;
        *remembered = false;
        Some(())
    }

    /// One task claims, one statement at a time, and never a part it already has under way.
    fn may_claim(&self, s: &State, c: Who, p: Which) -> Option<Epoch> {
        let connector = &s.connectors[c];
        let Role::Active(epoch) = connector.role else { return None };
        allowed(connector.claim.is_none() && connector.calls[p].is_none())?;
        allowed(s.parts[p].state == PartState::Queued && s.parts[p].attempt < self.bounds.attempts)?;
        Some(epoch)
    }

    /// The fence.
    fn is_permitted(&self, s: &State, epoch: Epoch) -> bool {
        s.lease.epoch == epoch || self.has(Mutation::PermissionByZookeeper)
    }

    /// Writes the row and says the attempt's number; `None` when the part is no longer queued.
    fn claimed(&self, s: &mut State, p: Which, epoch: Epoch, claim_lost: bool) -> Option<Number> {
        let part = &mut s.parts[p];
        allowed(part.state == PartState::Queued && part.attempt < self.bounds.attempts)?;
        part.state = PartState::Sending;
        part.attempt += 1;
        part.epoch = epoch;
        part.claim_lost = claim_lost;
        part.clocks[usize::from(part.attempt) - 1] = Clock::MayWrite;
        Some(part.attempt)
    }
}
