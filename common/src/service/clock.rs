//! The clock of deadlines: `CLOCK_BOOTTIME`, which never jumps and, unlike `Instant`, counts the time a
//! suspended machine slept. A deadline of [`Moment`]s is what fences a frozen process.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A point in time on this machine's boot clock; comparable only inside one machine and boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Duration);

impl Moment {
    /// Now.
    pub fn now() -> Self {
        let time = clock_gettime(ClockId::Boottime);
        Self(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
    }

    /// How long until this moment; zero when it has passed.
    pub fn remaining(self) -> Duration {
        self.0.saturating_sub(Self::now().0)
    }

    /// How long since this moment; zero when it is to come.
    pub fn elapsed(self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }

    /// Whether this moment is still to come.
    pub fn is_ahead(self) -> bool {
        self > Self::now()
    }
}

impl std::ops::Add<Duration> for Moment {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0 + span)
    }
}

impl std::ops::Sub<Duration> for Moment {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(span))
    }
}
