//! What a release has of it: nothing.

/// A place where a test may kill the process; nothing in a release.
#[inline(always)]
pub fn point(_name: &'static str) {}

/// The same while something is awaited; only that in a release.
#[inline(always)]
pub fn during<F: Future>(_name: &'static str, awaited: F) -> F {
    awaited
}

/// Whether the environment names this point; never in a release.
#[inline(always)]
pub fn armed(_name: &'static str) -> bool {
    false
}

/// Says that a point is reached by the next write of an answer; nothing in a release.
#[inline(always)]
pub fn soon(_name: &'static str) {}

/// Whether [`soon`] was said of this point; never in a release.
#[inline(always)]
pub fn due(_name: &'static str) -> bool {
    false
}

/// How much of a write is let through before a point in the middle of it; all of it in a release.
#[inline(always)]
pub fn torn(_name: &'static str, bytes: &[u8], _begin: u8) -> usize {
    bytes.len()
}

/// Whether a known bug is switched on; never in a release.
#[inline(always)]
pub fn sabotaged(_which: super::Sabotage) -> bool {
    false
}

/// Where a known bug reads; nowhere in a release.
#[inline(always)]
pub fn standby() -> Option<String> {
    None
}

/// Where a later release's migrations are; a release knows its own only.
#[inline(always)]
pub fn later_migrations() -> Option<std::path::PathBuf> {
    None
}
