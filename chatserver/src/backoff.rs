//! Pauses between tries while the database is away.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Doubles from 20 ms to 1 s, each pause a random part of that: a restarted database is not met by all at once, and is
/// back in use at most a second after it is back.
#[derive(Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The pause after one more failure.
    pub(crate) fn next(&mut self) -> Duration {
        let longest = Duration::from_millis(20 << self.failures.min(6)).min(Duration::from_secs(1));
        self.failures += 1;
        longest / 2 + longest.mul_f64(fraction() / 2.0)
    }

    /// It worked. True when it had failed before.
    pub(crate) fn succeeded(&mut self) -> bool {
        std::mem::take(&mut self.failures) > 0
    }

    /// Whether this is the first failure of an outage: the one to log.
    pub(crate) fn is_first(&self) -> bool {
        self.failures == 0
    }
}

/// From 0 to 1. The hasher's random keys are random enough to spread pauses.
fn fraction() -> f64 {
    RandomState::new().hash_one(0) as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_second_and_start_again() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..20).map(|_| backoff.next()).collect();
        assert!(pauses[0] >= Duration::from_millis(10) && pauses[0] <= Duration::from_millis(20));
        assert!(pauses.iter().all(|pause| *pause <= Duration::from_secs(1)));
        assert!(pauses[10..].iter().all(|pause| *pause >= Duration::from_millis(500)));
        assert!(backoff.succeeded() && backoff.is_first());
        assert!(backoff.next() <= Duration::from_millis(20));
    }
}
