//! Two clocks: one that nobody can move, for the log and the limits, and the platform's calendar, which a test moves forward to let updates expire.

use std::sync::atomic::{AtomicI64, Ordering};

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of `CLOCK_BOOTTIME`: it runs while the machine sleeps and is common to every process of the host, so the observers' logs can be joined by it.
pub fn boottime_ns() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

/// The platform's calendar: dates of messages, expiry of updates, age of messages. The limits do not follow it.
#[derive(Debug, Default)]
pub struct Calendar {
    ahead_s: AtomicI64,
}

impl Calendar {
    /// Unix time in seconds, as the platform sees it.
    pub fn now(&self) -> i64 {
        clock_gettime(ClockId::Realtime).tv_sec + self.ahead_s.load(Ordering::Relaxed)
    }

    /// Moves the calendar by `seconds` and returns how far ahead of the host's clock it is now.
    pub fn advance(&self, seconds: i64) -> i64 {
        self.ahead_s.fetch_add(seconds, Ordering::Relaxed) + seconds
    }
}
