//! What is measured: the rows of the table in docs/performance.md.

mod ceiling;
mod files;
mod inbound;
mod limits;
mod loader;
pub mod memory;
mod outbound;
mod takeover;

use futures_util::future::LocalBoxFuture;

use crate::Asked;
use crate::report::Report;

/// One row.
pub struct Row {
    /// How it is asked for.
    pub name: &'static str,
    /// What it measures.
    pub about: &'static str,
    /// Measures it.
    pub run: for<'a> fn(&'a Asked, &'a mut Report) -> LocalBoxFuture<'a, anyhow::Result<()>>,
}

macro_rules! row {
    ($name:literal, $about:literal, $run:path) => {
        Row { name: $name, about: $about, run: |asked, report| Box::pin($run(asked, report)) }
    };
}

/// All rows, in the order in which they are run.
pub const ROWS: &[Row] = &[
    row!("inbound", "webhook received → agent's frame, at a steady rate", inbound::run),
    row!("ceiling", "most messages a second, webhook → agent's frame", ceiling::run),
    row!("outbound", "agent's send → the platform's call, no limit in the way", outbound::run),
    row!("limits", "the sender under the platform's limit", limits::run),
    row!("takeover", "after kill -9, and planned", takeover::run),
    row!("memory", "an idle connector, and idle agents", memory::run),
    row!("loader", "a page of chats among few and many messages", loader::run),
    row!("files", "upload and download against raw chunks", files::run),
];
