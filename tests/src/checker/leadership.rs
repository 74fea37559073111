//! LD-1 to LD-3: who led, by which right, and why it changed; LD-4: how long a change took.
//!
//! Times in the ledger are the database's. They are compared with each other as they are, and with faults on the
//! logs' clock.

use std::collections::{BTreeMap, HashSet};

use super::dump::Tenure;
use super::expectations::Expectations;
use super::faults::{CLOCKS_APART_NS, Fault, Kind, Peer, Target};
use super::figures::Figures;
use super::index::Index;
use super::ledger::Ledger;
use super::logs::Run;
use super::report::Finding;

const MS: i64 = 1_000_000;

/// A fault lasts this many T beyond its end, at most: what it made stale may be taken until it is renewed, and a database that
/// was away answers everybody for T/2 before anybody may.
const AFTERMATH: i64 = 1;

/// What [`Fault`] the end of a tenure may be laid to when nobody told T.
const ANY_T_MS: i64 = 2_000;

/// Decides the family.
pub fn check(
    run: &Run,
    index: &Index,
    ledger: &Ledger<'_>,
    faults: &[Fault<'_>],
    expectations: &Expectations,
    figures: &mut Figures,
) -> Vec<Finding> {
    let changes = Changes { run, index, ledger, faults };
    vec![
        one_holder(run, index, ledger),
        by_right(index, ledger, expectations.session_timeout_ms),
        changes.no_flapping(expectations.session_timeout_ms, figures),
    ]
}

/// LD-1: epochs are 1..n, one holder each, each begun after the one before; the lease has the last one.
fn one_holder(run: &Run, index: &Index, ledger: &Ledger<'_>) -> Finding {
    let mut finding = Finding::new("LD-1");
    let leases: BTreeMap<i64, i64> = run.dump.leases.iter().map(|row| (row.account_id, row.epoch)).collect();
    for (account, rows) in ledger.accounts() {
        let name = index.account_name(account);
        for (place, row) in rows.iter().enumerate() {
            let before = place.checked_sub(1).map(|before| rows[before]);
            let wrong = match before {
                None if row.epoch != 1 => Some("is the first".to_owned()),
                Some(before) if before.epoch == row.epoch => {
                    Some(format!("was held by {} and by {}", before.holder, row.holder))
                }
                Some(before) if before.epoch + 1 != row.epoch => Some(format!("follows epoch {}", before.epoch)),
                Some(before) if before.begun_at >= row.begun_at => {
                    Some(format!("began at {}, the one before at {}", row.begun_at, before.begun_at))
                }
                _ => None,
            };
            finding.check(wrong.is_none(), || format!("{name}: epoch {} {}", row.epoch, wrong.unwrap_or_default()));
        }
        let (last, lease) = (rows.last().map(|row| row.epoch), leases.get(&account).copied());
        finding.check(last == lease, || format!("{name}: the last epoch is {last:?}, the lease is at {lease:?}"));
    }
    for (account, epoch) in leases.iter().filter(|(account, epoch)| **epoch > 0 && ledger.of(**account).is_empty()) {
        if !run.dump.tenures.is_empty() {
            finding.check(false, || format!("{}: lease at {epoch}, no tenure", index.account_name(*account)));
        }
    }
    finding
}

/// LD-2: the lease was released, or stale for long enough for whoever raised it, who had had Postgres for T/2.
/// Milliseconds are rounded, so one is forgiven.
fn by_right(index: &Index, ledger: &Ledger<'_>, session_timeout_ms: Option<i64>) -> Finding {
    let mut finding = Finding::new("LD-2");
    for (account, rows) in ledger.accounts() {
        for (place, row) in rows.iter().enumerate() {
            let before = place.checked_sub(1).map(|before| rows[before]);
            // Twice everything, because T/2 may be odd.
            let stale_for = |least_ms: i64| row.stale_ms.is_some_and(|stale| 2 * (stale + 1) > least_ms);
            let answering = |t: i64| 2 * (row.answering_ms + 1) >= t;
            let right = match (row.way.as_str(), session_timeout_ms) {
                ("released", _) => before.is_none_or(|before| before.released_at.is_some_and(|at| at <= row.begun_at)),
                ("lowest", Some(t)) => stale_for(t) && answering(t),
                ("anyone", Some(t)) => stale_for(4 * t) && answering(t),
                ("lowest" | "anyone", None) => continue,
                _ => false,
            };
            finding.check(right, || {
                let Tenure { epoch, holder, way, stale_ms, answering_ms, .. } = row;
                format!(
                    "{}: {holder} raised epoch {epoch} as `{way}`, stale for {stale_ms:?} ms, Postgres there for {answering_ms} \
                     ms, the one before released at {:?}",
                    index.account_name(account),
                    before.and_then(|before| before.released_at)
                )
            });
        }
    }
    finding
}

struct Changes<'a> {
    run: &'a Run,
    index: &'a Index,
    ledger: &'a Ledger<'a>,
    faults: &'a [Fault<'a>],
}

/// A tenure and the one after it, on the logs' clock.
struct Change<'a> {
    account: &'a str,
    holder: &'a str,
    begun: i64,
    next_begun: i64,
}

impl Changes<'_> {
    /// LD-3: every tenure that was not released in order ended by a fault that kept its holder from renewing
    /// for more than T/2, and each fault ends one. ZooKeeper's faults end none.
    fn no_flapping(&self, session_timeout_ms: Option<i64>, figures: &mut Figures) -> Finding {
        let mut finding = Finding::new("LD-3");
        let t_ns = session_timeout_ms.unwrap_or(ANY_T_MS) * MS;
        let mut spent = HashSet::new();
        for (account, rows) in self.ledger.accounts() {
            let account_name = self.index.account_name(account);
            for pair in rows.windows(2) {
                let times = (self.index.boottime(pair[0].begun_at), self.index.boottime(pair[1].begun_at));
                let (Some(begun), Some(next_begun)) = times else { continue };
                let released = pair[0].released_at.is_some_and(|at| at <= pair[1].begun_at);
                let change = Change { account: account_name, holder: &pair[0].holder, begun, next_begun };
                let ends = |place: &usize| !spent.contains(place) && change.ended_by(&self.faults[*place], t_ns);
                let fault = (0..self.faults.len()).filter(ends).max_by_key(|place| self.faults[*place].t0);
                let fault = fault.filter(|_| !released);
                if let Some(place) = fault {
                    spent.insert(place);
                    self.measure(account, rows, pair[1], &self.faults[place], figures);
                }
                if session_timeout_ms.is_some() {
                    finding.check(released || fault.is_some(), || {
                        let (old, new) = (pair[0], pair[1]);
                        format!(
                            "{account_name}: epoch {} of {} was followed by {} of {} at {} without a release, and no fault of \
                             more than T/2 kept it from renewing",
                            old.epoch, old.holder, new.epoch, new.holder, new.begun_at
                        )
                    });
                }
            }
            if rows.len() == 1 && session_timeout_ms.is_some() {
                finding.check(true, String::new);
            }
        }
        finding
    }

    /// LD-4.
    fn measure(&self, account: i64, rows: &[&Tenure], new: &Tenure, fault: &Fault<'_>, figures: &mut Figures) {
        let later = |at: i64| (at - fault.seen) / MS;
        let own = |acct: &str| self.index.account(acct) == Some(account);
        let open = rows.iter().filter(|row| row.epoch >= new.epoch).find_map(|row| row.opened_at);
        figures.takeover_ms.extend(open.and_then(|at| self.index.boottime(at)).map(later));
        let sent =
            self.run.calls.iter().filter(|call| call.applied && call.epoch >= Some(new.epoch) && own(&call.acct));
        figures.takeover_send_ms.extend(sent.map(|call| call.t_last).min().map(later));
        let begun = self.index.boottime(new.begun_at).unwrap_or(i64::MAX);
        let acked = self.run.acks.iter().filter(|ack| ack.t >= begun && own(&ack.acct));
        figures.takeover_ack_ms.extend(acked.map(|ack| ack.t).min().map(later));
    }
}

impl Change<'_> {
    /// Whether this fault can be why the tenure ended when it did.
    fn ended_by(&self, fault: &Fault<'_>, t_ns: i64) -> bool {
        let of_holder = fault.hit(self.account, Some(self.holder));
        match (fault.kind, fault.target) {
            (Kind::Kill, Target::Connector { .. }) => {
                of_holder && fault.t0 <= self.next_begun + CLOCKS_APART_NS && fault.seen >= self.begun - CLOCKS_APART_NS
            }
            (Kind::Freeze, Target::Connector { .. })
            | (Kind::Cut, Target::Connector { peer: None | Some(Peer::Postgres), .. }) => {
                of_holder && self.kept_from_renewing(fault, t_ns)
            }
            (_, Target::Postgres) => self.kept_from_renewing(fault, t_ns),
            _ => false,
        }
    }

    fn kept_from_renewing(&self, fault: &Fault<'_>, t_ns: i64) -> bool {
        let from = fault.seen.max(self.begun);
        let aftermath = fault.end().saturating_add(AFTERMATH * t_ns);
        // The last renewal lies up to T/4 before the fault: T/2 of staleness are there T/4 after it began.
        let by_then = fault.end().min(self.next_begun) - from;
        fault.end() - from > t_ns / 2 && by_then > t_ns / 4 && self.next_begun <= aftermath
    }
}
