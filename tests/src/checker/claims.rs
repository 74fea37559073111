//! Which attempt a call was made under: the permission to send.

use std::collections::HashMap;

use super::dump::Attempt;
use super::faults::CLOCKS_APART_NS;
use super::index::Index;
use super::lines::Call;
use super::parts::Parts;

/// The claim behind a call, its times on the logs' clock.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// Place of the part.
    pub part: usize,
    pub claimed: i64,
    pub write_by: i64,
    pub answer_by: i64,
}

/// What is known of a call's permission.
#[derive(Clone, Copy, Debug)]
pub enum Permission {
    /// The newest claim of one of its parts before it, under its epoch.
    Claim(Claim),
    /// Its parts have no such claim.
    None,
}

/// Calls with a text that some part has, by account and number.
pub type Permissions<'a> = HashMap<(&'a str, i64), Permission>;

/// Joins calls with attempts by tag (or text), epoch and time; empty when the database's times mean nothing.
pub fn join<'a>(index: &Index, parts: &Parts<'a>) -> Permissions<'a> {
    let mut permissions = HashMap::new();
    if !index.has_clock() {
        return permissions;
    }
    for group in &parts.groups {
        let claims: Vec<(i64, Claim)> = group
            .parts
            .iter()
            .flat_map(|part| parts.parts[*part].attempts.iter().map(move |attempt| (*part, *attempt)))
            .filter_map(|(part, attempt)| Some((attempt.epoch, claim_of(index, part, attempt)?)))
            .collect();
        for call in &group.calls {
            let before = |(epoch, claim): &&(i64, Claim)| {
                call.epoch.is_none_or(|own| own == *epoch) && claim.claimed <= call.t_first + CLOCKS_APART_NS
            };
            let newest = claims.iter().filter(before).max_by_key(|(_, claim)| claim.claimed);
            let permission = newest.map_or(Permission::None, |(_, claim)| Permission::Claim(*claim));
            permissions.insert(key(call), permission);
        }
    }
    permissions
}

/// What names a call.
pub fn key(call: &Call) -> (&str, i64) {
    (&call.acct, call.call)
}

fn claim_of(index: &Index, part: usize, attempt: &Attempt) -> Option<Claim> {
    Some(Claim {
        part,
        claimed: index.boottime(attempt.claimed_at)?,
        write_by: index.boottime(attempt.write_by)?,
        answer_by: index.boottime(attempt.answer_by)?,
    })
}
