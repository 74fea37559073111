//! OUT-8: one sender. Under a claim of an opened epoch, before the claim's `write_by`, and never beside or
//! after a newer epoch; and no epoch opens before the `write_by` of what an earlier one left under way.
//!
//! One class of exceptions exists and is never hidden (`stale_sends`): a process that stood still between its last
//! look at the clock and `write(2)` may write one call when it goes on. Each freeze excuses one such call, claimed
//! before it and written right after it, when its part was `unconfirmed` from its `answer_by` on (if that had
//! passed), was applied no more often than decided (OUT-3), and is not left `unconfirmed` by an answer that came.
//! Such a call counts neither for OUT-9 nor against OUT-10 and OUT-11: nobody could have stopped it.

use std::collections::{BTreeMap, HashSet};

use chrono::Duration;

use super::claims::{Claim, Permission, Permissions, key};
use super::dump::{Attempt, Tenure};
use super::expectations::Expectations;
use super::faults::{CLOCKS_APART_NS, Fault, Kind};
use super::figures::Figures;
use super::index::Index;
use super::ledger::Ledger;
use super::lines::Call;
use super::logs::Run;
use super::parts::Parts;
use super::report::Finding;

/// How soon after it went on a process has written what it was about to.
const RIGHT_AFTER_NS: i64 = 1_000_000_000;

/// Calls by account and number.
pub type Calls<'a> = HashSet<(&'a str, i64)>;

/// What there is to judge by.
pub struct Evidence<'a> {
    pub run: &'a Run,
    pub index: &'a Index,
    pub parts: &'a Parts<'a>,
    pub permissions: &'a Permissions<'a>,
    pub ledger: &'a Ledger<'a>,
    pub faults: &'a [Fault<'a>],
    pub expectations: &'a Expectations,
}

/// Decides OUT-8; also the calls that a freeze excuses.
pub fn check<'a>(evidence: &Evidence<'a>, figures: &mut Figures) -> (Finding, Calls<'a>) {
    let mut finding = Finding::new("OUT-8");
    evidence.claims_of_open_epochs(&mut finding);
    let began = began(evidence.run);
    let (mut excused, mut spent) = (Calls::new(), HashSet::new());
    for call in &evidence.run.calls {
        let permission = evidence.permissions.get(&key(call)).copied();
        if call.epoch.is_none() && permission.is_none() {
            continue;
        }
        let mut wrong = evidence.wrong(call, permission, &began);
        if call.epoch.is_none() && evidence.expectations.epochs_told {
            wrong.push("names no epoch".to_owned());
        }
        figures.stale_sends += u64::from(!wrong.is_empty());
        let freeze = match wrong.is_empty() {
            true => Ok(()),
            false => evidence.excuse(call, permission, &mut spent),
        };
        if !wrong.is_empty() && freeze.is_ok() {
            excused.insert(key(call));
        }
        finding.check(freeze.is_ok(), || {
            let why_not = freeze.err().unwrap_or_default();
            let what = format!("{} call {} ({})", call.acct, call.call, call.method);
            format!("{what} {}; no freeze excuses it: {why_not}", wrong.join(", "))
        });
    }
    (finding, excused)
}

/// By account: when each epoch began to call, and with which call.
fn began(run: &Run) -> BTreeMap<&str, BTreeMap<i64, (i64, i64)>> {
    let mut began: BTreeMap<&str, BTreeMap<i64, (i64, i64)>> = BTreeMap::new();
    for call in &run.calls {
        if let Some(epoch) = call.epoch {
            began.entry(&call.acct).or_default().entry(epoch).or_insert((call.t_first, call.call)); // calls are in order
        }
    }
    began
}

impl Evidence<'_> {
    /// Permissions by the database alone: claims only under an epoch that had opened and had not been followed by
    /// another, and no epoch opens while a claim of an earlier one may still be written.
    fn claims_of_open_epochs(&self, finding: &mut Finding) {
        for (account, rows) in self.ledger.accounts() {
            let name = self.index.account_name(account);
            for attempt in self.run.dump.attempts.iter().filter(|attempt| attempt.account_id == account) {
                let wrong = wrong_claim(attempt, rows);
                finding.check(wrong.is_none(), || {
                    let (id, n, at) = (attempt.outbox_id, attempt.n, attempt.claimed_at);
                    let wrong = wrong.unwrap_or_default();
                    format!("{name} outbox {id} attempt {n}: claimed at {at} under epoch {}, {wrong}", attempt.epoch)
                });
            }
        }
    }

    /// What is wrong with the time at which a call was written.
    fn wrong(
        &self,
        call: &Call,
        permission: Option<Permission>,
        began: &BTreeMap<&str, BTreeMap<i64, (i64, i64)>>,
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        if let Some(epoch) = call.epoch {
            let newer = began.get(call.acct.as_str()).into_iter().flat_map(|epochs| epochs.range(epoch + 1..));
            if let Some((newer, (_, first))) =
                newer.min_by_key(|(_, began)| **began).filter(|(_, b)| b.0 <= call.t_last)
            {
                wrong.push(format!("wrote under epoch {epoch} beside or after call {first} of epoch {newer}"));
            }
            let rows = self.index.account(&call.acct).map_or(&[][..], |account| self.ledger.of(account));
            let opened = rows.iter().filter(|row| row.epoch > epoch).filter_map(|row| row.opened_at);
            let opened = opened.min().and_then(|at| self.index.boottime(at));
            if opened.is_some_and(|at| at + CLOCKS_APART_NS < call.t_last) {
                wrong.push(format!("wrote under epoch {epoch} when a newer one had opened"));
            }
        }
        match permission {
            Some(Permission::Claim(claim)) if call.t_last > claim.write_by + CLOCKS_APART_NS => {
                wrong.push(format!("wrote {} ms past its write_by", (call.t_last - claim.write_by) / 1_000_000));
            }
            Some(Permission::None) => wrong.push(format!("was made without a claim under epoch {:?}", call.epoch)),
            _ => {}
        }
        wrong
    }

    /// Spends a freeze on a call, or says why none will do.
    fn excuse(
        &self,
        call: &Call,
        permission: Option<Permission>,
        spent: &mut HashSet<usize>,
    ) -> Result<(), &'static str> {
        let Some(Permission::Claim(claim)) = permission else { return Err("it was not claimed") };
        let holder = match (self.index.account(&call.acct), call.epoch) {
            (Some(account), Some(epoch)) => self.ledger.holder(account, epoch),
            _ => None,
        };
        let right_after = |end: i64| end - CLOCKS_APART_NS..=end + RIGHT_AFTER_NS;
        let ends = |fault: &Fault<'_>| {
            let first_or_last =
                |end| right_after(end).contains(&call.t_first) || right_after(end).contains(&call.t_last);
            fault.kind == Kind::Freeze
                && fault.hit(&call.acct, holder)
                && claim.claimed <= fault.seen + CLOCKS_APART_NS
                && fault.t1.is_some_and(|end| call.t_last >= end - CLOCKS_APART_NS && first_or_last(end))
        };
        let fitting: Vec<usize> = (0..self.faults.len()).filter(|place| ends(&self.faults[*place])).collect();
        let free = fitting.iter().find(|place| !spent.contains(place));
        let free = *free.ok_or(match fitting.is_empty() {
            true => "none of its connector began after the claim and ended right before the writing",
            false => "another call had it",
        })?;
        self.harmless(call, claim)?;
        spent.insert(free);
        Ok(())
    }

    /// Whether the late call did no harm that the contract forbids.
    fn harmless(&self, call: &Call, claim: Claim) -> Result<(), &'static str> {
        let part = &self.parts.parts[claim.part];
        let group = &self.parts.groups[part.group];
        if call.t_last > claim.answer_by {
            let by = claim.answer_by + self.expectations.sweep_s * 1_000_000_000 + CLOCKS_APART_NS;
            let mut shown = part.outcomes.iter().filter(|outcome| outcome.state == "unconfirmed").peekable();
            // Whom nobody watched may have been told to nobody: then the row must say it.
            let in_time = shown.peek().is_none() || shown.any(|outcome| outcome.shown <= by);
            if part.unconfirmed() == 0 || !in_time {
                return Err("its part was not unconfirmed from its answer_by on");
            }
        }
        let decided: u64 = self.parts.of(group).map(|part| 1 + part.resends).sum();
        if group.applied() > decided {
            return Err("its part was applied more often than decided");
        }
        let answered = call.applied && call.reply == "200" && call.t_reply.is_some();
        if answered && part.row.state_word() == "unconfirmed" && !self.ended_soon_after(call) {
            return Err("the platform answered it, and its part stayed unconfirmed");
        }
        Ok(())
    }

    /// Whether the connector ended before it could record the answer.
    fn ended_soon_after(&self, call: &Call) -> bool {
        let soon = call.t_first..=call.t_reply.unwrap_or(call.t_last) + RIGHT_AFTER_NS;
        self.faults
            .iter()
            .any(|fault| fault.kind == Kind::Kill && fault.hit(&call.acct, None) && soon.contains(&fault.seen))
    }
}

/// What is wrong with a claim beside the ledger. All times are the database's; a claim may have read the clock while the
/// next tenure waited for its lock.
fn wrong_claim(attempt: &Attempt, rows: &[&Tenure]) -> Option<String> {
    let Some(own) = rows.iter().find(|row| row.epoch == attempt.epoch) else {
        return Some("which the ledger does not have".to_owned());
    };
    let Some(opened) = own.opened_at else { return Some("which never opened".to_owned()) };
    if attempt.claimed_at < opened {
        return Some(format!("which opened at {opened}"));
    }
    for later in rows.iter().filter(|row| row.epoch > attempt.epoch) {
        if attempt.claimed_at - later.begun_at > Duration::nanoseconds(CLOCKS_APART_NS) {
            return Some(format!("when epoch {} had begun at {}", later.epoch, later.begun_at));
        }
        let Some(opened) = later.opened_at else { continue };
        let open = attempt.ended_at.is_none_or(|ended| ended > opened);
        if open && attempt.write_by - opened > Duration::milliseconds(1) {
            return Some(format!(
                "to be written by {}, but epoch {} opened at {opened}",
                attempt.write_by, later.epoch
            ));
        }
    }
    None
}
