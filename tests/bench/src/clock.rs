//! The clock of all figures: one host, so one clock for every process.

use rustix::time::{ClockId, clock_gettime};

/// `CLOCK_BOOTTIME` in nanoseconds, as in the observers' logs.
pub fn now_ns() -> i64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// Sleeps until then; the caller's process has set how exact that is by [`be_exact`].
pub fn sleep_until(then_ns: i64) {
    let left = then_ns - now_ns();
    if left > 0 {
        std::thread::sleep(std::time::Duration::from_nanos(left.unsigned_abs()));
    }
}

/// Timers of this process's threads, those made from now on, wake without the usual 50 us of slack.
pub fn be_exact() {
    // Where that is not allowed, latencies are told some 50 us too long.
    let _ = std::fs::write("/proc/self/timerslack_ns", "1");
}
