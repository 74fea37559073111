//! How fast a client may send frames: a bucket that fills steadily.

use std::time::Instant;

use crate::config::Limits;

/// One session's bucket.
pub(super) struct Pace {
    per_second: f64,
    most: f64,
    left: f64,
    at: Instant,
}

impl Pace {
    pub(super) fn new(limits: &Limits) -> Self {
        let most = f64::from(limits.frames_at_once);
        Self { per_second: f64::from(limits.frames_per_second), most, left: most, at: Instant::now() }
    }

    /// Counts a frame that came at `now`; false when it is one too many.
    pub(super) fn admits(&mut self, now: Instant) -> bool {
        let earned = now.saturating_duration_since(self.at).as_secs_f64() * self.per_second;
        self.left = (self.left + earned).min(self.most);
        self.at = now;
        let admits = self.left >= 1.0;
        if admits {
            self.left -= 1.0;
        }
        admits
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn sixty_at_once_and_twenty_a_second() {
        let mut pace = Pace::new(&Limits::default());
        let start = Instant::now();
        assert_eq!((0..100).filter(|_| pace.admits(start)).count(), 60);
        let later = start + Duration::from_secs(2);
        assert_eq!((0..100).filter(|_| pace.admits(later)).count(), 40);
        let much_later = start + Duration::from_secs(60);
        assert_eq!((0..100).filter(|_| pace.admits(much_later)).count(), 60, "never more than at once");
    }
}
