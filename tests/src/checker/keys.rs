//! OUT-12: where a platform takes idempotency keys, a message keeps its own.

use std::collections::{BTreeMap, BTreeSet};

use super::parts::Parts;
use super::report::Finding;

/// Decides OUT-12: one key for all calls of a part (a decided resend may bring another), no call of it without one,
/// and no key for two messages of a chat.
pub fn check(parts: &Parts<'_>) -> Finding {
    let mut finding = Finding::new("OUT-12");
    let mut owners: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
    for (place, group) in parts.groups.iter().enumerate() {
        let keys: BTreeSet<&str> = group.calls.iter().filter_map(|call| call.idem.as_deref()).collect();
        let name = || parts.of(group).next().map_or_else(String::new, |part| part.name());
        if keys.is_empty() {
            continue;
        }
        let allowed: u64 = parts.of(group).map(|part| 1 + part.resends).sum();
        let bare = group.calls.iter().find(|call| call.idem.is_none());
        finding.check(keys.len() as u64 <= allowed && bare.is_none(), || {
            let bare = bare.map_or_else(String::new, |call| format!(", and call {} had none", call.call));
            format!("{}: its keys were {keys:?}, {allowed} allowed{bare}", name())
        });
        for call in &group.calls {
            let (Some(idem), Some(chat)) = (call.idem.as_deref(), call.chat.as_deref()) else { continue };
            let owner = *owners.entry((&call.acct, chat, idem)).or_insert(place);
            if owner != place {
                let other = parts.of(&parts.groups[owner]).next().map_or_else(String::new, |part| part.name());
                finding.violate(|| format!("{}: call {} had the key {idem} of {other}", name(), call.call));
            }
        }
    }
    finding
}
