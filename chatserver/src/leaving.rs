//! The end of a chatserver, seen by its sessions: they are told one after another, so that the others do not get all of them
//! at once, and each is served like before until it is told.

use std::time::Duration;

use tokio::time::Instant;

use crate::agents::CloseCode;
use crate::agents::hub::Hub;

/// All are told within this time, however many they are.
const ALL_WITHIN: Duration = Duration::from_secs(5);

/// Beyond that, how long sessions may take to answer what was asked of them.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);

/// Between two looks whether somebody is left.
const LOOK: Duration = Duration::from_millis(10);

/// Sends every session away, and returns when none is left, or when it has taken too long.
pub(crate) async fn send_away(hub: &Hub, per_second: u32) {
    let begun = Instant::now();
    loop {
        // In no order: a table of random ids.
        let live = hub.list().await;
        if live.is_empty() || begun.elapsed() > ALL_WITHIN + ANSWERS_WITHIN {
            return;
        }
        let (first, step) = (Instant::now(), step(live.len(), per_second));
        for (place, session) in (0..).zip(&live) {
            tokio::time::sleep_until(first + step * place).await;
            hub.kick(session.session, CloseCode::Draining).await;
        }
        // Who came in meanwhile is told in the next round.
        tokio::time::sleep(LOOK).await;
    }
}

/// From one to the next.
fn step(sessions: usize, per_second: u32) -> Duration {
    let within = ALL_WITHIN / u32::try_from(sessions.max(1)).unwrap_or(u32::MAX);
    within.min(Duration::from_secs(1) / per_second.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_go_at_once_and_many_within_five_seconds() {
        assert_eq!(step(3, 500), Duration::from_millis(2));
        assert_eq!(step(10_000, 500), Duration::from_micros(500));
        assert!(step(0, 0) <= Duration::from_secs(1));
    }
}
