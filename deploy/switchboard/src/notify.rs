//! What the service manager is told: ready, how we stand, and that the main task turns.
//!
//! Everything is told from the task that does the work, so a hang of that task is noticed: `WATCHDOG=1` stays away and
//! systemd starts the process anew. Without a service manager (`NOTIFY_SOCKET` is not set) nothing is told.

use std::time::Duration;

use sd_notify::NotifyState;
use serde_json::Value;
use switchboard_common::service::health::Health;

/// How often the main task shows that it turns; `WatchdogSec` is many times as long.
const BEAT: Duration = Duration::from_secs(1);
/// So much longer a start may take, said once a second while the database is waited for.
const LONGER: Duration = Duration::from_secs(10);

/// Tells for ever how `health` stands; polled in the task of the work.
pub async fn follow(health: &Health) {
    let mut beat = tokio::time::interval(BEAT);
    let (mut ready, mut told) = (false, String::new());
    loop {
        beat.tick().await;
        let (good, report) = health.report();
        let status = status(&report);
        let mut states = vec![NotifyState::Watchdog];
        if good && !ready {
            ready = true;
            states.push(NotifyState::Ready);
        }
        if status != told {
            told = status;
            states.push(NotifyState::Status(&told));
        }
        tell(&states);
    }
}

/// The start takes longer: `why` is waited for.
pub fn waiting(why: &str) {
    tell(&[NotifyState::Status(why), NotifyState::ExtendTimeoutUsec(LONGER.as_micros() as u32)]);
}

/// The process ends in order.
pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("ends in order")]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager could not be told");
    }
}

/// `active, epoch 3`, or what is not good.
fn status(report: &Value) -> String {
    let checks = report["checks"].as_object().into_iter().flatten();
    let bad: Vec<String> = checks
        .filter(|(_, check)| check["good"] == false)
        .map(|(name, check)| format!("{name}: {}", check["note"].as_str().unwrap_or_default()))
        .collect();
    if !bad.is_empty() {
        return bad.join("; ");
    }
    match (report["account"].as_str(), report["role"].as_str(), report["epoch"].as_str()) {
        (Some("disabled"), ..) => "standby: the account is disabled".to_owned(),
        (_, Some("active"), Some(epoch)) => format!("active, epoch {epoch}"),
        (_, Some(role), _) => role.to_owned(),
        _ => "serves".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::status;

    #[test]
    fn a_status_says_the_role_or_what_is_wrong() {
        let good = json!({"postgres": {"good": true, "note": "answers"}});
        assert_eq!(status(&json!({"checks": good, "role": "active", "epoch": "3"})), "active, epoch 3");
        assert_eq!(status(&json!({"checks": good, "role": "standby", "epoch": "3"})), "standby");
        assert_eq!(status(&json!({"checks": good})), "serves");
        let bad = json!({"postgres": {"good": false, "note": "away"}});
        assert_eq!(status(&json!({"checks": bad, "role": "active"})), "postgres: away");
    }
}
