//! What can happen next. Every step is small enough that nothing of interest can come inside it: a pause is a process
//! that is not chosen for a while, so there is no step for it.

use crate::Protocol;
use crate::process::{Phase, Role};
use crate::state::{ATTEMPTS, CONNECTORS, Number, PARTS, PLACES, Place, State, Which, Who};

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    // tenure.rs
    /// The holder has not renewed for long enough.
    LeaseGoesStale,
    /// A standby raises the epoch.
    Raise(Who),
    /// The holder renews.
    Renew(Who),
    /// Nothing of an earlier tenure can be written any more.
    Recover(Who),
    /// A renewal or a claim was refused: the tenure is over.
    NoticeLoss(Who),
    /// SIGTERM, or a handover.
    StepDown(Who),
    /// The lease is given up in order.
    Release(Who),
    /// The process dies. What takes its place is a standby that has not begun yet.
    Crash(Who),

    // claim.rs
    /// The claim's statement reaches the database, which checks the epoch and locks the lease row.
    BeginClaim(Who, Which),
    /// The database commits the claim.
    CommitClaim(Who),
    /// A claim is sent, and its answer never comes.
    LoseClaim(Who, Which),
    /// The database carries the lost claim out after all.
    LostClaimLands,
    /// The database never saw the lost claim.
    LostClaimVanishes,
    /// The connector puts back what the lost claim may have taken.
    ReleaseUnsent,
    /// The lost claim is too old to look after, or its connector is another process by now.
    ForgetLostClaim,

    // call.rs
    /// `write_by` is looked at, last thing before the first byte.
    CheckWriteBy(Who, Place),
    /// The first byte goes out.
    WriteFirstByte(Who, Place),
    /// The last byte goes out; what the platform does with the request.
    WriteLastByte(Who, Place, Phase),
    /// As above, for a call nobody waits for any more.
    StrayWritesFirstByte(Who),
    /// As above, for a call nobody waits for any more.
    StrayWritesLastByte(Who, Phase),
    /// The connection notices that nobody waits.
    StrayStops(Who),

    // settle.rs
    /// Not one byte was written, and none will be.
    Unsent(Who, Place),
    /// The platform's answer is read.
    Answered(Who, Place),
    /// The platform's answer is read: not now (429).
    Throttled(Who, Place),
    /// The connection broke after the first byte.
    Broken(Who, Place),
    /// `answer_by` passed while the request was not yet out.
    TimedOut(Who, Place),
    /// The active one shows as unconfirmed what nobody will answer.
    Unconfirm(Who, Which),

    // world.rs
    /// The next deadline of an attempt passes.
    TimePasses(Which, Number),
    /// A person takes back what nobody claimed.
    Cancel(Which),
    /// A person has an unconfirmed part sent again.
    Resend(Which),
}

/// Every step that some state allows, in a fixed order.
pub(crate) fn all() -> Vec<Step> {
    let mut steps = vec![
        Step::LeaseGoesStale,
        Step::LostClaimLands,
        Step::LostClaimVanishes,
        Step::ReleaseUnsent,
        Step::ForgetLostClaim,
    ];
    for c in 0..CONNECTORS {
        steps.extend([Step::Raise(c), Step::Renew(c), Step::Recover(c), Step::NoticeLoss(c)]);
        steps.extend([Step::StepDown(c), Step::Release(c), Step::Crash(c)]);
        steps.extend([Step::CommitClaim(c)]);
        steps.extend([Step::StrayWritesFirstByte(c), Step::StrayStops(c)]);
        steps.extend([Phase::Applied, Phase::Refused].map(|fate| Step::StrayWritesLastByte(c, fate)));
        for p in 0..PARTS {
            steps.extend([Step::BeginClaim(c, p), Step::LoseClaim(c, p), Step::Unconfirm(c, p)]);
        }
        for at in 0..PLACES {
            steps.extend([Step::CheckWriteBy(c, at), Step::WriteFirstByte(c, at)]);
            steps.extend([Phase::Applied, Phase::Refused].map(|fate| Step::WriteLastByte(c, at, fate)));
            steps.extend([Step::Unsent(c, at), Step::Answered(c, at), Step::Throttled(c, at)]);
            steps.extend([Step::Broken(c, at), Step::TimedOut(c, at)]);
        }
    }
    for p in 0..PARTS {
        steps.extend((1..=ATTEMPTS as Number).map(|n| Step::TimePasses(p, n)));
        steps.extend([Step::Cancel(p), Step::Resend(p)]);
    }
    steps
}

impl Protocol {
    /// The state after `step`; `None` when it cannot happen now.
    pub fn after(&self, state: &State, step: Step) -> Option<State> {
        let mut next = *state;
        let s = &mut next;
        match step {
            Step::LeaseGoesStale => self.lease_goes_stale(s),
            Step::Raise(c) => self.raise(s, c),
            Step::Renew(c) => self.renew(s, c),
            Step::Recover(c) => self.recover(s, c),
            Step::NoticeLoss(c) => self.notice_loss(s, c),
            Step::StepDown(c) => self.step_down(s, c),
            Step::Release(c) => self.release(s, c),
            Step::Crash(c) => self.crash(s, c),
            Step::BeginClaim(c, p) => self.begin_claim(s, c, p),
            Step::CommitClaim(c) => self.commit_claim(s, c),
            Step::LoseClaim(c, p) => self.lose_claim(s, c, p),
            Step::LostClaimLands => self.lost_claim_lands(s),
            Step::LostClaimVanishes => self.lost_claim_vanishes(s),
            Step::ReleaseUnsent => self.release_unsent(s),
            Step::ForgetLostClaim => self.forget_lost_claim(s),
            Step::CheckWriteBy(c, at) => self.check_write_by(s, c, at),
            Step::WriteFirstByte(c, at) => self.write_first_byte(s, c, at),
            Step::WriteLastByte(c, at, fate) => self.write_last_byte(s, c, at, fate),
            Step::StrayWritesFirstByte(c) => self.stray_writes_first_byte(s, c),
            Step::StrayWritesLastByte(c, fate) => self.stray_writes_last_byte(s, c, fate),
            Step::StrayStops(c) => self.stray_stops(s, c),
            Step::Unsent(c, at) => self.unsent(s, c, at),
            Step::Answered(c, at) => self.answered(s, c, at),
            Step::Throttled(c, at) => self.throttled(s, c, at),
            Step::Broken(c, at) => self.broken(s, c, at),
            Step::TimedOut(c, at) => self.timed_out(s, c, at),
            Step::Unconfirm(c, p) => self.unconfirm(s, c, p),
            Step::TimePasses(p, n) => self.time_passes(s, p, n),
            Step::Cancel(p) => self.cancel(s, p),
            Step::Resend(p) => self.resend(s, p),
        }?;
        self.forget(&mut next);
        (next != *state).then_some(next)
    }

    /// Whether `step` brings things forward by itself: none of these goes round in a circle, and none waits for a fault
    /// or a person. A takeover is one of them only when nobody holds the tenure.
    pub fn helps(&self, state: &State, step: Step) -> bool {
        match step {
            Step::Crash(_) | Step::Renew(_) | Step::StepDown(_) => false,
            Step::LoseClaim(..) | Step::Cancel(_) | Step::Resend(_) => false,
            Step::LeaseGoesStale | Step::Raise(_) => !state.is_held(),
            _ => true,
        }
    }
}

impl State {
    /// Somebody believes in the tenure of the lease row, and works.
    pub(crate) fn is_held(&self) -> bool {
        let now = self.lease.epoch;
        self.connectors.iter().any(|c| c.role == Role::Recovering(now) || c.role == Role::Active(now))
    }
}

/// Reads as a guard: `allowed(...)?`.
pub(crate) fn allowed(condition: bool) -> Option<()> {
    condition.then_some(())
}
