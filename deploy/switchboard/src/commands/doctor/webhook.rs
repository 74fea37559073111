//! What the platform says of its deliveries, and what mends what is wrong with them.

use switchboard_connectors::platform::{Receive, WebhookInfo};

use super::Findings;

/// So many updates wait only where nobody takes them in.
const MANY: u64 = 100;
/// A delivery that failed within these seconds before the platform was asked says how it is now; older than a day it is history.
const LATELY: (i64, i64) = (600, 86_400);

/// How an account's updates should come.
pub(super) struct Wanted<'a> {
    pub account: &'a str,
    pub receive: Receive,
    /// `connector.public_url`; empty: this host's configuration does not know it.
    pub public_url: &'a str,
    /// Where the account's webhooks are behind that address.
    pub path: &'a str,
    /// Secrets in force.
    pub secrets: usize,
    /// How long ago the platform was asked, seconds.
    pub age_s: i64,
}

/// Compares what the platform said with what should be; it is `now`, seconds of the epoch.
pub(super) fn judge(wanted: &Wanted<'_>, info: &WebhookInfo, now: i64, found: &mut Findings) {
    let name = wanted.account;
    match wanted.receive {
        Receive::Poll if info.url.is_empty() => found.good(format!("{name}: no webhook is set, so polls are answered")),
        Receive::Poll => found.bad(
            format!("{name}: polls, but a webhook to {} is set: polls are refused (409)", info.place()),
            "a running connector removes it; whoever sets it again knows the token: get a new one from the platform",
        ),
        Receive::Webhook => delivered(wanted, info, now, found),
    }
    if info.pending >= MANY {
        let mend = match wanted.receive {
            Receive::Poll => format!("is a connector active? switchboard connector --account {name}"),
            Receive::Webhook => "do requests reach a connector? its log, and the reverse proxy's, tell".to_owned(),
        };
        found.advice(format!("{name}: {} updates wait at the platform", info.pending), mend);
    }
}

fn delivered(wanted: &Wanted<'_>, info: &WebhookInfo, now: i64, found: &mut Findings) {
    let (name, place) = (wanted.account, info.place());
    let base = wanted.public_url.trim_end_matches('/');
    let ours = match base.is_empty() {
        true => info.url.ends_with(wanted.path),
        false => info.url.strip_prefix(base) == Some(wanted.path),
    };
    match (info.url.is_empty(), ours) {
        (true, _) => found.bad(
            format!("{name}: no webhook is set: nothing comes in"),
            format!("the active connector sets it: switchboard connector --account {name}; its log says why not"),
        ),
        (false, false) => found.bad(
            format!("{name}: its updates are delivered elsewhere, to {place}"),
            "the active connector takes them back within ten minutes, if connector.public_url is the same there; \
             whoever took them knows the token: get a new one from the platform",
        ),
        (false, true) => found.good(format!("{name}: updates are delivered to {place}, {} wait", info.pending)),
    }
    if info.url.is_empty() || !ours {
        return;
    }
    if !info.as_wanted {
        found.bad(
            format!("{name}: the platform does not deliver just the kinds of updates that are read"),
            "the active connector sets that right within ten minutes: is there one of this version?",
        );
    }
    if info.own_certificate {
        found.advice(
            format!("{name}: the platform was given a certificate of its own for {place}"),
            "no connector does that: it fails when the proxy's changes; setWebhook without one takes it back",
        );
    }
    if wanted.secrets > 1 {
        found.advice(
            format!("{name}: two webhook secrets are in force"),
            "when every host has the new one in its first line, remove the second",
        );
    }
    trouble(wanted, info, now, found);
}

/// The last delivery that failed.
fn trouble(wanted: &Wanted<'_>, info: &WebhookInfo, now: i64, found: &mut Findings) {
    let name = wanted.account;
    let (Some(error), Some(at)) = (&info.last_error, info.failed_at) else {
        return found.good(format!("{name}: no delivery has failed since the webhook was set"));
    };
    let ago = now.saturating_sub(at).max(0);
    let what = format!("{name}: a delivery failed {} ago: {error}", span(ago));
    let words = error.to_lowercase();
    let has = |some: &[&str]| some.iter().any(|word| words.contains(word));
    let mend = match () {
        () if info.refused_at.is_some() => {
            "the platform has another secret than webhook_secret: is that file the same on all hosts? A restart of the active \
             sets it anew"
        }
        () if has(&["ssl", "certificate"]) => {
            "the reverse proxy must show the whole chain of a certificate that is believed everywhere, for this very name"
        }
        () if has(&["connect", "timed out", "timeout", "resolve"]) => {
            "is the name public, and does the firewall let the platform in (docs/ports.md)?"
        }
        () => "the reverse proxy passes /webhooks/ACCOUNT/ to that account's connectors: its log names the answer",
    };
    match ago {
        ago if ago > LATELY.1 => found.good(format!("{name}: no delivery has failed for {}", span(ago))),
        // What waits is what waited then.
        ago if ago - wanted.age_s > LATELY.0 || info.pending == 0 => found.advice(what, mend),
        _ => found.bad(what, mend),
    }
}

/// So long, in words.
pub(super) fn span(seconds: i64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
#[path = "webhook_tests.rs"]
mod tests;
