//! The call: `connectors/src/sender/attempt.rs` and `guarded_body` in `connectors/src/http.rs`.

use crate::process::{Call, Phase};
use crate::state::{Breach, Clock, PARTS, Place, State, Which, Who};
use crate::steps::allowed;
use crate::{Mutation, Protocol};

impl Protocol {
    /// The body is asked for. It is marked as "may be written", then `write_by` is looked at; past it, the call ends as
    /// `Unsent`.
    pub(crate) fn check_write_by(&self, s: &mut State, c: Who, at: Place) -> Option<()> {
        let call = s.connectors[c].calls[at].filter(|call| call.phase == Phase::Claimed)?;
        let in_time = s.parts[at % PARTS].clock(call.n) == Clock::MayWrite;
        allowed(in_time || self.has(Mutation::NoWriteByCheck))?;
        s.connectors[c].calls[at] = Some(Call { phase: Phase::Checked, in_time, ..call });
        Some(())
    }

    /// A process frozen before this step goes on with it whenever it thaws.
    pub(crate) fn write_first_byte(&self, s: &mut State, c: Who, at: Place) -> Option<()> {
        let call = s.connectors[c].calls[at].filter(|call| call.phase == Phase::Checked)?;
        s.first_byte(at % PARTS, &call);
        s.connectors[c].calls[at] = Some(Call { phase: Phase::Writing, ..call });
        Some(())
    }

    /// The request is out. The platform does at once what it will do: nothing depends on when, only on whether.
    pub(crate) fn write_last_byte(&self, s: &mut State, c: Who, at: Place, fate: Phase) -> Option<()> {
        let call = s.connectors[c].calls[at].filter(|call| call.phase == Phase::Writing)?;
        s.last_byte(at % PARTS, &call, fate);
        s.connectors[c].calls[at] = Some(Call { phase: fate, in_time: true, ..call });
        Some(())
    }

    /// The connection goes on with what it had begun when its call was given up.
    pub(crate) fn stray_writes_first_byte(&self, s: &mut State, c: Who) -> Option<()> {
        let (p, call) = s.connectors[c].stray.filter(|(_, call)| call.phase == Phase::Checked)?;
        s.first_byte(p, &call);
        s.connectors[c].stray = Some((p, Call { phase: Phase::Writing, ..call }));
        Some(())
    }

    /// As above; the answer is read by nobody.
    pub(crate) fn stray_writes_last_byte(&self, s: &mut State, c: Who, fate: Phase) -> Option<()> {
        let (p, call) = s.connectors[c].stray.filter(|(_, call)| call.phase == Phase::Writing)?;
        s.last_byte(p, &call, fate);
        s.connectors[c].stray = None;
        Some(())
    }

    /// The connection is closed in time.
    pub(crate) fn stray_stops(&self, s: &mut State, c: Who) -> Option<()> {
        s.connectors[c].stray.take().map(|_| ())
    }
}

/// The judge at the platform.
impl State {
    /// Frozen between the look at `write_by` and the last byte: the exception to OUT-8.
    pub fn is_excused(&self, p: Which, call: &Call) -> bool {
        call.in_time && self.parts[p].clock(call.n) != Clock::MayWrite
    }

    fn first_byte(&mut self, p: Which, call: &Call) {
        if !self.is_excused(p, call) {
            if self.parts[p].clock(call.n) != Clock::MayWrite {
                self.breach(Breach::WrittenLate);
            }
            if call.epoch < self.platform.newest {
                self.breach(Breach::EpochDecreased);
            }
        }
        self.platform.newest = self.platform.newest.max(call.epoch);
    }

    fn last_byte(&mut self, p: Which, call: &Call, fate: Phase) {
        if !self.is_excused(p, call) && self.parts[p].clock(call.n) != Clock::MayWrite {
            self.breach(Breach::WrittenLate);
        }
        if fate == Phase::Applied {
            self.parts[p].applied += 1;
        }
    }

    pub(crate) fn breach(&mut self, breach: Breach) {
        self.platform.breach.get_or_insert(breach);
    }
}
