//! Decides the promises from a run directory: the observers' logs and a dump of the database.
//!
//! Nothing here asks a process under test. An invariant with no case says `checked = 0`, and
//! [`Expectations::require`] turns that into a failure.

mod attachments;
mod books;
mod claims;
mod delivered;
mod dump;
mod expectations;
mod explained;
mod faults;
mod figures;
pub mod history;
mod history_files;
mod inbound;
mod index;
mod keys;
mod leadership;
mod ledger;
mod lines;
mod logs;
mod one_sender;
mod order;
mod outbound;
mod parts;
mod pauses;
mod rate;
mod receipts;
mod report;
pub mod rundir;
mod socket;
mod webhooks;

use std::path::Path;

pub use expectations::{Expectations, RateLimit, RateScope};
pub use figures::{Figures, WorstWindow};
pub use report::{Finding, Report};

/// Every invariant the checker decides, with its meaning in a few words.
pub const INVARIANTS: &[(&str, &str)] = &[
    ("LOG", "every line of every log and dump can be read and joined"),
    ("IN-1", "acknowledged is stored"),
    ("IN-2", "one row per key"),
    ("IN-3", "nothing that nobody typed"),
    ("IN-4", "stored text and files are what was sent"),
    ("IN-5", "nothing refused for ever, nothing left undrained"),
    ("IN-6", "a chat's log is 1..n, and its times rise"),
    ("IN-7", "customers' messages keep their order"),
    ("IN-9", "webhooks are answered in time"),
    ("WS-1", "a session's numbers are contiguous from its cursor"),
    ("WS-2", "an agent's sessions together saw everything"),
    ("WS-3", "the same entry is the same on every session"),
    ("WS-4", "resync when due and only then; feeds are gapless"),
    ("OUT-1", "accepted is in the outbox"),
    ("OUT-2", "one client key is one message"),
    ("OUT-3", "no silent double"),
    ("OUT-4", "no silent loss"),
    ("OUT-5", "unconfirmed and failed are never lazy"),
    ("OUT-6", "all settle"),
    ("OUT-7", "a chat's messages are applied in its order"),
    ("OUT-8", "one sender: claimed under an open epoch, written before write_by, never beside a newer one"),
    ("OUT-9", "one call in flight per chat"),
    ("OUT-10", "no window holds more calls than the limit"),
    ("OUT-11", "told to wait, nobody calls"),
    ("OUT-12", "a message keeps its idempotency key"),
    ("OUT-13", "with a backlog the allowance is used"),
    ("OUT-14", "the sender's last status is the final row"),
    ("RC-1", "shown states only move along the lattice"),
    ("FI-1", "whoever gets a file gets its sender's bytes"),
    ("FI-2", "a message names only a whole file that its readers may see"),
    ("FI-3", "a message does not wait for its file"),
    ("FI-5", "no file is pending for ever, none is nobody's"),
    ("LD-1", "epochs are 1..n, one holder each"),
    ("LD-2", "a lease is raised by right"),
    ("LD-3", "no flapping: a tenure ends by a release or by a fault"),
];

/// Reads a run directory and decides every invariant.
pub fn check(dir: &Path, expectations: &Expectations) -> Report {
    let run = logs::Run::read(dir);
    let mut log = Finding::new("LOG");
    log.checked = run.lines;
    run.complaints.each(&mut log);
    let index = index::Index::build(&run, expectations, &mut log);
    let mut figures = Figures::default();
    let mut findings = inbound::check(&run, &index, expectations, &mut figures);
    let files = attachments::Files::join(&run, &index);
    findings.iter_mut().filter(|finding| finding.id == "IN-4").for_each(|finding| files.came_whole(finding));
    findings.push(webhooks::check(&run, expectations, &mut figures));
    findings.extend(socket::check(&run, &index, &mut figures));
    findings.extend(delivered::check(&run, &index));
    let parts = parts::Parts::gather(&run, &index, &mut log);
    findings.extend(outbound::check(&run, &index, &parts, expectations, &mut figures));
    let ledger = ledger::Ledger::read(&run);
    let (faults, complaints) = faults::read(&run);
    let mut explained = explained::check(&index, &parts, &ledger, &faults, expectations, &mut figures);
    complaints.iter().for_each(|complaint| explained.violate(|| complaint.clone()));
    findings.push(explained);
    findings.extend([files.same_bytes(&parts), files.named_when_ready()]);
    findings.extend([files.no_delay(&faults, expectations), files.no_orphans(expectations)]);
    figures.files = run.dump.files.len() as u64;
    let permissions = claims::join(&index, &parts);
    let evidence = one_sender::Evidence {
        run: &run,
        index: &index,
        parts: &parts,
        permissions: &permissions,
        ledger: &ledger,
        faults: &faults,
        expectations,
    };
    let (one_sender, excused) = one_sender::check(&evidence, &mut figures);
    findings.push(one_sender);
    findings.extend(order::check(&run, &index, &parts, &excused, expectations, &mut figures));
    findings.extend(rate::check(&run, &excused, expectations, &mut figures));
    findings.push(pauses::check(&run, &permissions, &excused, &mut figures));
    findings.push(keys::check(&parts));
    findings.extend(leadership::check(&run, &index, &ledger, &faults, expectations, &mut figures));
    findings.extend(receipts::check(&run, &index, &parts));
    findings.push(log);
    Report::new(findings, figures, expectations)
}
