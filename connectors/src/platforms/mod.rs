//! All platforms: a folder and a row each.

use crate::platform::PlatformSpec;

#[cfg(test)]
mod cases;
pub mod telegram;

/// The row registers the folder; `tests/tests/tidy.rs` fails when the two differ.
pub const PLATFORMS: &[&PlatformSpec] = &[&telegram::SPEC];

/// Finds a platform by its name.
pub fn find(name: &str) -> Option<&'static PlatformSpec> {
    PLATFORMS.iter().copied().find(|spec| spec.name == name)
}
