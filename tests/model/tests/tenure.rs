//! Every state of the tenure protocol; `--nocapture` shows how many, and the shortest way into each mutation's fault.

use std::collections::BTreeSet;
use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model};
use switchboard_model::{
    Bounds, EVIDENCE_COUNTS, Mutation, NO_SILENT_DOUBLE, NO_SILENT_LOSS, ONE_SENDER, Protocol, Step,
};

/// Looks at every state within `bounds`.
fn holds(name: &str, bounds: Bounds) {
    let begun = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(2);
    let checker = Protocol::new(None, bounds).checker().threads(threads).spawn_bfs().join();
    println!(
        "{name}: {bounds:?}\n  {} unique states, {} steps, depth {}, {:.1} s",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        begun.elapsed().as_secs_f64()
    );
    assert!(checker.is_done(), "{name}: the look was cut short");
    checker.assert_properties();
}

#[test]
fn takeovers_hold() {
    holds("takeovers", Bounds { tenures: 3, attempts: 2, resends: 1, lost_claims: 0 });
}

#[test]
fn retries_hold() {
    holds("retries", Bounds { tenures: 2, attempts: 3, resends: 1, lost_claims: 0 });
}

#[test]
fn lost_claims_hold() {
    holds("lost claims", Bounds { tenures: 2, attempts: 2, resends: 1, lost_claims: 1 });
}

/// The shortest way to break `property`: each look goes less deep than the last finding.
fn shortest(protocol: &Protocol, property: &'static str) -> Option<Vec<Step>> {
    let mut found: Option<Vec<Step>> = None;
    loop {
        let mut builder = protocol.clone().checker().finish_when(HasDiscoveries::AnyOf(BTreeSet::from([property])));
        if let Some(steps) = &found {
            // States after one step less; the first state has depth 1, and those at the target are left out.
            builder = builder.target_max_depth(steps.len() + 1);
        }
        match builder.spawn_bfs().join().discovery(property) {
            Some(path) => found = Some(path.into_actions()),
            None => return found,
        }
    }
}

/// The mutation breaks the property, and this is how.
fn breaks(mutation: Mutation, property: &'static str) {
    let begun = Instant::now();
    let bounds = Bounds { tenures: 2, attempts: 2, resends: 0, lost_claims: 0 };
    let lost_claims = u8::from(mutation == Mutation::ReleaseByNumber);
    let protocol = Protocol::new(Some(mutation), Bounds { lost_claims, ..bounds });
    let steps = shortest(&protocol, property).unwrap_or_else(|| panic!("{mutation:?} does not break {property}"));
    println!("{mutation:?} breaks {property}, in {} steps, {:.1} s:", steps.len(), begun.elapsed().as_secs_f64());
    for step in steps {
        println!("  {step:?}");
    }
}

#[test]
fn fence_unlocked_is_found() {
    breaks(Mutation::FenceUnlocked, ONE_SENDER);
}

#[test]
fn no_write_by_check_is_found() {
    breaks(Mutation::NoWriteByCheck, ONE_SENDER);
}

#[test]
fn recovery_does_not_wait_is_found() {
    breaks(Mutation::RecoveryDoesNotWait, ONE_SENDER);
}

#[test]
fn permission_by_zookeeper_is_found() {
    breaks(Mutation::PermissionByZookeeper, ONE_SENDER);
}

#[test]
fn requeue_on_takeover_is_found() {
    breaks(Mutation::RequeueOnTakeover, NO_SILENT_DOUBLE);
}

#[test]
fn settle_fenced_is_found() {
    breaks(Mutation::SettleFenced, EVIDENCE_COUNTS);
}

#[test]
fn resend_on_timeout_is_found() {
    breaks(Mutation::ResendOnTimeout, NO_SILENT_DOUBLE);
}

#[test]
fn fail_on_timeout_is_found() {
    breaks(Mutation::FailOnTimeout, NO_SILENT_LOSS);
}

#[test]
fn release_by_number_is_found() {
    breaks(Mutation::ReleaseByNumber, NO_SILENT_DOUBLE);
}

#[test]
fn mark_after_check_is_found() {
    breaks(Mutation::MarkAfterCheck, NO_SILENT_DOUBLE);
}
