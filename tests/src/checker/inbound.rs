//! IN-1 to IN-7: from the platform into a chat's log.

use std::collections::{HashMap, HashSet};

use super::dump::History;
use super::expectations::Expectations;
use super::figures::Figures;
use super::index::Index;
use super::lines::Typed;
use super::logs::Run;
use super::report::Finding;
use crate::observer::{sha256_hex, tag_of};

/// An account's number and a dedupe key.
type Key<'a> = (i64, &'a str);

/// Decides the family.
pub fn check(run: &Run, index: &Index, expectations: &Expectations, figures: &mut Figures) -> Vec<Finding> {
    let mut typed: HashMap<Key<'_>, &Typed> = HashMap::with_capacity(run.typed.len());
    for line in &run.typed {
        if let Some(account) = index.account(&line.acct) {
            typed.entry((account, &line.key)).or_insert(line); // the same edit twice has one key
        }
    }
    figures.inbound = typed.len() as u64;
    figures.quarantined = run.dump.quarantine.len() as u64;
    vec![
        acknowledged_is_stored(run, index, figures),
        one_row_per_key(run, figures),
        no_phantom(run, index, &typed),
        same_content(run, index, &typed, figures),
        nothing_left(run, index, &typed),
        gapless_logs(run, expectations),
        order_kept(run, index, expectations, &typed, figures),
    ]
}

/// Whether the contract says how the connector spells this key: only then can it be looked up.
fn is_joinable(key: &str) -> bool {
    ["m:", "e:", "q:"].iter().any(|prefix| key.starts_with(prefix))
}

/// IN-1. Stored means: said in a chat's log, kept as ignored, in quarantine, or still waiting in
/// `pending` (which IN-5 then reports). An inbox row alone would be a message that nobody sees.
fn acknowledged_is_stored(run: &Run, index: &Index, figures: &mut Figures) -> Finding {
    let mut finding = Finding::new("IN-1");
    // What says something must not be taken for nothing of interest.
    let said = run.typed.iter().filter(|line| line.tag.is_some() || line.file.is_some());
    let said: HashSet<Key<'_>> =
        said.filter_map(|line| Some((index.account(&line.acct)?, line.key.as_str()))).collect();
    let inbox: HashMap<Key<'_>, i64> =
        run.dump.inbox.iter().map(|row| ((row.account_id, row.dedupe_key.as_str()), row.kind)).collect();
    let quarantine: HashSet<Key<'_>> =
        run.dump.quarantine.iter().map(|row| (row.account_id, row.dedupe_key.as_str())).collect();
    let mut going_on: HashSet<Key<'_>> =
        run.dump.pending.iter().map(|row| (row.account_id, row.dedupe_key.as_str())).collect();
    going_on.extend(run.dump.history.iter().filter_map(|row| Some((row.account_id, row.key.as_deref()?))));
    let mut seen = HashSet::new();
    for ack in run.acks.iter().filter(|ack| is_joinable(&ack.key)) {
        let Some(account) = index.account(&ack.acct) else { continue };
        let key = (account, ack.key.as_str());
        if !seen.insert(key) {
            continue;
        }
        let missing = match inbox.get(&key) {
            _ if quarantine.contains(&key) => None,
            None => Some("is neither in the inbox nor in quarantine"),
            Some(0) if said.contains(&key) => Some("was kept as of no interest"),
            Some(0) => None,
            Some(_) if going_on.contains(&key) => None,
            Some(_) => Some("is in the inbox, but in no chat's log, nor pending"),
        };
        let holds = finding.check(missing.is_none(), || {
            format!("{} {} was acknowledged at {} and {}", ack.acct, ack.key, ack.t, missing.unwrap_or_default())
        });
        figures.lost += u64::from(!holds);
    }
    finding
}

/// IN-2. The inbox and the quarantine have a constraint for it; a chat's log has none.
fn one_row_per_key(run: &Run, figures: &mut Figures) -> Finding {
    let mut finding = Finding::new("IN-2");
    let mut unique = |table: &str, keys: &mut dyn Iterator<Item = Key<'_>>| {
        let mut seen: HashSet<(i64, String)> = HashSet::new();
        for (account, key) in keys {
            let first = seen.insert((account, key.to_owned()));
            finding.check(first, || format!("account {account} key {key} is in {table} more than once"));
            figures.duplicated += u64::from(!first);
        }
    };
    unique("inbox", &mut run.dump.inbox.iter().map(|row| (row.account_id, row.dedupe_key.as_str())));
    unique("quarantine", &mut run.dump.quarantine.iter().map(|row| (row.account_id, row.dedupe_key.as_str())));
    unique("pending", &mut run.dump.pending.iter().map(|row| (row.account_id, row.dedupe_key.as_str())));
    let texts = run.dump.history.iter().filter(|row| row.is_customers_text());
    unique("history", &mut texts.filter_map(|row| Some((row.account_id, row.key.as_deref()?))));
    finding
}

/// IN-3. Keys of other prefixes (outcomes of attempts, say) are the product's own.
fn no_phantom(run: &Run, index: &Index, typed: &HashMap<Key<'_>, &Typed>) -> Finding {
    let mut finding = Finding::new("IN-3");
    let mut known = |place: &str, account: i64, key: &str| {
        finding.check(typed.contains_key(&(account, key)), || {
            format!("{} {key} is in {place}, but nobody typed it", index.account_name(account))
        });
    };
    for row in run.dump.inbox.iter().filter(|row| is_joinable(&row.dedupe_key)) {
        known("the inbox", row.account_id, &row.dedupe_key);
    }
    for row in &run.dump.quarantine {
        known("quarantine", row.account_id, &row.dedupe_key);
    }
    for row in run.dump.history.iter().filter(|row| row.is_customers_text()) {
        let key = row.key.as_deref().unwrap_or("(no key)");
        known(&format!("the log of chat {} at {}", row.chat_id, row.seq), row.account_id, key);
    }
    finding
}

/// IN-4.
fn same_content(run: &Run, index: &Index, typed: &HashMap<Key<'_>, &Typed>, figures: &mut Figures) -> Finding {
    let mut finding = Finding::new("IN-4");
    for row in run.dump.history.iter().filter(|row| row.is_customers_text()) {
        let line = row.key.as_deref().and_then(|key| typed.get(&(row.account_id, key)));
        let Some((line, hash)) = line.and_then(|line| Some((line, line.hash.as_ref()?))) else { continue };
        let body = row.body.as_deref().unwrap_or_default();
        let same = sha256_hex(body.as_bytes()) == *hash;
        let sanitised = !same && is_sanitised(body, hash, line.tag.as_deref());
        figures.sanitised += u64::from(sanitised);
        finding.check(same || sanitised, || {
            format!("{} {}: stored at chat {} seq {} is not what was typed", line.acct, line.key, row.chat_id, row.seq)
        });
    }
    for row in &run.dump.quarantine {
        let digest = row.raw.strip_prefix("\\x").and_then(bytes_of_hex).map(|raw| format!("q:{}", sha256_hex(&raw)));
        finding.check(digest.as_deref() == Some(row.dedupe_key.as_str()), || {
            format!("{} {}: quarantine holds other bytes", index.account_name(row.account_id), row.dedupe_key)
        });
    }
    finding
}

/// Whether a stored text with U+FFFD in it can stand for what was typed. A NUL can be put back and
/// hashed (all choices of up to 10 places); a lone surrogate has no UTF-8, so the tag must do.
fn is_sanitised(body: &str, hash: &str, tag: Option<&str>) -> bool {
    let pieces: Vec<&str> = body.split('\u{FFFD}').collect();
    let places = pieces.len() - 1;
    let choices = if places <= 10 { 1_u32 << places } else { 1 };
    let restored = |choice: u32| {
        let mut text = pieces[0].to_owned();
        for (place, piece) in pieces[1..].iter().enumerate() {
            let kept = places <= 10 && choice & (1 << place) != 0;
            text.push(if kept { '\u{FFFD}' } else { '\0' });
            text.push_str(piece);
        }
        text
    };
    places > 0
        && ((0..choices).any(|choice| sha256_hex(restored(choice).as_bytes()) == hash)
            || (tag.is_some() && tag_of(body) == tag))
}

fn bytes_of_hex(hex: &str) -> Option<Vec<u8>> {
    let digits = |at: usize| hex.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    (0..hex.len()).step_by(2).map(digits).collect()
}

/// IN-5.
fn nothing_left(run: &Run, index: &Index, typed: &HashMap<Key<'_>, &Typed>) -> Finding {
    let mut finding = Finding::new("IN-5");
    let acked: HashSet<Key<'_>> =
        run.acks.iter().filter_map(|ack| Some((index.account(&ack.acct)?, ack.key.as_str()))).collect();
    let pushed: HashSet<Key<'_>> =
        run.pushes.iter().filter_map(|push| Some((index.account(&push.acct)?, push.key.as_str()))).collect();
    let mut lines: Vec<_> = typed.iter().collect();
    lines.sort_unstable_by_key(|(key, _)| **key);
    for (key, line) in lines {
        finding.check(acked.contains(key), || {
            let pushed = if pushed.contains(key) { "given to the connector, but" } else { "never even fetched, and" };
            format!("{} {} was {pushed} not acknowledged", line.acct, line.key)
        });
    }
    for row in &run.dump.pending {
        finding.check(false, || format!("{} {} is still pending", index.account_name(row.account_id), row.dedupe_key));
    }
    finding
}

/// IN-6.
fn gapless_logs(run: &Run, expectations: &Expectations) -> Finding {
    let mut finding = Finding::new("IN-6");
    let mut chats: HashMap<(i64, i64), Vec<&History>> = HashMap::new();
    for row in &run.dump.history {
        chats.entry((row.account_id, row.chat_id)).or_default().push(row);
    }
    for chat in &run.dump.chats {
        let mut rows = chats.remove(&(chat.account_id, chat.id)).unwrap_or_default();
        rows.sort_by_key(|row| row.seq);
        let numbers: Vec<i64> = rows.iter().map(|row| row.seq).collect();
        finding.check(numbers.iter().copied().eq(1..=chat.last_seq), || {
            let odd = numbers
                .iter()
                .zip(1..)
                .find(|(seq, want)| *seq != want)
                .map_or(numbers.len() as i64 + 1, |(_, want)| want);
            format!("chat {}: {} entries, last_seq {}, first oddity at {odd}", chat.id, numbers.len(), chat.last_seq)
        });
        let slack = chrono::Duration::milliseconds(expectations.at_slack_ms);
        for pair in rows.windows(2).filter(|pair| pair[1].at + slack < pair[0].at) {
            finding.violate(|| {
                let back = (pair[0].at - pair[1].at).num_microseconds().unwrap_or(i64::MAX);
                format!(
                    "chat {}: `at` of seq {} lies {back} us before that of seq {}",
                    chat.id, pair[1].seq, pair[0].seq
                )
            });
        }
    }
    for (account, chat) in chats.keys() {
        finding.check(false, || format!("history of a chat that is not in the dump: account {account} chat {chat}"));
    }
    finding
}

/// IN-7.
fn order_kept(
    run: &Run,
    index: &Index,
    expectations: &Expectations,
    typed: &HashMap<Key<'_>, &Typed>,
    figures: &mut Figures,
) -> Finding {
    let mut finding = Finding::new("IN-7");
    let mut rows: Vec<(i64, i64, &Typed)> = Vec::new();
    for row in run.dump.history.iter().filter(|row| row.is_customers_text()) {
        let line = row.key.as_deref().and_then(|key| typed.get(&(row.account_id, key)));
        rows.extend(line.map(|line| (row.chat_id, row.seq, *line)));
    }
    rows.retain(|(_, _, line)| !expectations.disordered.contains(&line.acct));
    rows.sort_unstable_by_key(|(chat, seq, _)| (*chat, *seq));
    let mut previous: Option<(i64, i64, &Typed)> = None;
    for &(chat, seq, line) in &rows {
        let before = previous.filter(|(other, ..)| *other == chat);
        let holds = before.is_none_or(|(_, _, before)| before.pseq < line.pseq && before.chat == line.chat);
        finding.check(holds, || {
            let (_, before_seq, before) = before.expect("only a pair can be out of order");
            format!(
                "{} chat {chat}: seq {before_seq} is {} ({}th of {:?}), seq {seq} is {} ({}th of {:?})",
                index.account(&line.acct).map_or("?", |account| index.account_name(account)),
                before.key,
                before.pseq,
                before.chat,
                line.key,
                line.pseq,
                line.chat
            )
        });
        figures.reordered += u64::from(!holds);
        previous = Some((chat, seq, line));
    }
    finding
}
