//! The end of an attempt: `settle` and `unconfirm_overdue` in `common/src/store/sender.rs`.
//!
//! What a connector concluded and what it writes are one step here: in between, a call does nothing any more, and a
//! conclusion that could be drawn once can be drawn later, too.

use crate::process::{Call, Phase, Role};
use crate::state::{Breach, Clock, PARTS, PartState, Place, State, Which, Who};
use crate::steps::allowed;
use crate::{Mutation, Protocol};

/// `Settlement` of the product.
enum End {
    Sent,
    Retry,
    Unconfirmed,
    Failed,
}

impl Protocol {
    /// Refused, no route, no TLS, or `write_by` had passed: back into the queue.
    pub(crate) fn unsent(&self, s: &mut State, c: Who, at: Place) -> Option<()> {
        let call = s.connectors[c].end_call(at, &[Phase::Claimed])?;
        self.settle(s, at % PARTS, call, End::Retry)
    }

    /// An answer that can be read: at any time, however late.
    pub(crate) fn answered(&self, s: &mut State, c: Who, at: Place) -> Option<()> {
        let call = s.connectors[c].end_call(at, &[Phase::Applied, Phase::Refused])?;
        let end = if call.phase == Phase::Applied { End::Sent } else { End::Failed };
        self.settle(s, at % PARTS, call, end)
    }

    /// 429: certainly not delivered.
    pub(crate) fn throttled(&self, s: &mut State, c: Who, at: Place) -> Option<()> {
        let call = s.connectors[c].end_call(at, &[Phase::Refused])?;
        self.settle(s, at % PARTS, call, End::Retry)
    }

    /// Reset, end of file, 5xx, no answer until `answer_by`: with a byte written, nobody knows.
    pub(crate) fn broken(&self, s: &mut State, c: Who, at: Place) -> Option<()> {
        let written = [Phase::Writing, Phase::Applied, Phase::Refused];
        let call = s.connectors[c].end_call(at, &written)?;
        let end = match self.mutation {
            Some(Mutation::ResendOnTimeout) => End::Retry,
            Some(Mutation::FailOnTimeout) => End::Failed,
            _ => End::Unconfirmed,
        };
        self.settle(s, at % PARTS, call, end)
    }

    /// The waiting ends at `answer_by` while the connection is about to write, or half through: it may still go on.
    pub(crate) fn timed_out(&self, s: &mut State, c: Who, at: Place) -> Option<()> {
        allowed(s.connectors[c].stray.is_none())?;
        let call = s.connectors[c].end_call(at, &[Phase::Checked, Phase::Writing])?;
        allowed(s.parts[at % PARTS].clock(call.n) == Clock::AnswerByPassed)?;
        s.connectors[c].stray = Some((at % PARTS, call));
        let unmarked = call.phase == Phase::Checked && self.has(Mutation::MarkAfterCheck);
        self.settle(s, at % PARTS, call, if unmarked { End::Retry } else { End::Unconfirmed })
    }

    /// Guarded by the number of the attempt and the states it may be in; not by the epoch.
    fn settle(&self, s: &mut State, p: Which, call: Call, end: End) -> Option<()> {
        // Tried for long enough: given up.
        let end = if matches!(end, End::Retry) && call.n == self.bounds.attempts { End::Failed } else { end };
        let fenced = self.has(Mutation::SettleFenced) && s.lease.epoch != call.epoch;
        let part = &mut s.parts[p];
        if part.attempt == call.n && !fenced {
            part.state = match (&end, part.state) {
                (End::Sent, PartState::Sending | PartState::Unconfirmed) => PartState::Sent,
                (End::Failed, PartState::Sending | PartState::Unconfirmed) => PartState::Failed,
                (End::Unconfirmed, PartState::Sending) => PartState::Unconfirmed,
                (End::Retry, PartState::Sending) => PartState::Queued,
                (_, state) => state,
            };
        }
        if matches!(end, End::Sent) && part.attempt == call.n && part.may_be_settled() {
            s.breach(Breach::EvidenceLost);
        }
        Some(())
    }

    /// `unconfirm_overdue`: fenced, past `answer_by`, and not among the calls this process waits for.
    pub(crate) fn unconfirm(&self, s: &mut State, c: Who, p: Which) -> Option<()> {
        let Role::Active(epoch) = s.connectors[c].role else { return None };
        allowed(epoch == s.lease.epoch && s.connectors[c].calls[p].is_none())?;
        let part = &mut s.parts[p];
        allowed(part.state == PartState::Sending && part.clock(part.attempt) == Clock::AnswerByPassed)?;
        part.state = PartState::Unconfirmed;
        Some(())
    }
}
