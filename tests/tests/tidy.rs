//! Tests of the repository itself: what the tree promises a reader, checked so that it stays true.
//!
//! Nothing is built or started here, only files are read (and `cargo tree`, for what Cargo resolved). A failing
//! test names every place that breaks the rule, and says what to do there. A rule that stands in the way of a
//! good change is changed here, on purpose and with its reason.

#![allow(clippy::unwrap_used)]

#[path = "tidy/crates.rs"]
mod crates;
#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/files.rs"]
mod files;
#[path = "tidy/imports.rs"]
mod imports;
#[path = "tidy/platforms.rs"]
mod platforms;
#[path = "tidy/points.rs"]
mod points;
#[path = "tidy/sources.rs"]
mod sources;
#[path = "tidy/tree.rs"]
mod tree;
