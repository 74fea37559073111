//! Two connectors are alike, and so are two parts: states that differ in their names only are one state.

use std::hash::{Hash, Hasher};

use crate::process::Lost;
use crate::state::State;

/// The checker knows states by their hash, and the hash sees the smallest of the four namings.
impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let parts = self.swap_parts();
        let all = [self.swap_connectors(), parts, parts.swap_connectors()];
        let least = all.iter().fold(self, |least, other| least.min(other));
        // No statement reads the holder.
        (least.lease.epoch, least.lease.released, least.lease.stale).hash(hasher);
        (least.parts, least.connectors, least.lost, least.resends, least.platform).hash(hasher);
    }
}

impl State {
    fn swap_connectors(&self) -> Self {
        let mut other = *self;
        other.connectors.swap(0, 1);
        if let Lost::Claim { by, .. } = &mut other.lost {
            *by = 1 - *by;
        }
        other
    }

    fn swap_parts(&self) -> Self {
        let mut other = *self;
        other.parts.swap(0, 1);
        for connector in &mut other.connectors {
            connector.calls.as_chunks_mut::<2>().0.iter_mut().for_each(|tenure| tenure.swap(0, 1));
            if let Some(part) = &mut connector.claim {
                *part = 1 - *part;
            }
            if let Some((part, _)) = &mut connector.stray {
                *part = 1 - *part;
            }
        }
        if let Lost::Claim { part, .. } = &mut other.lost {
            *part = 1 - *part;
        }
        other
    }
}
