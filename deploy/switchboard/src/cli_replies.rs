//! The command line of canned replies.

use clap::Subcommand;

/// `reply`
#[derive(Subcommand)]
pub enum ReplyCommand {
    /// Make a reply, or change its words. One that is there already and equal is left as it is.
    Add {
        /// Its short name: 1-64 characters.
        key: String,
        /// The words: 1-4,000 characters.
        text: String,
        /// For the agents of this queue; without it for everybody.
        #[arg(long)]
        queue: Option<String>,
    },
    /// List replies: those for everybody first.
    List {
        /// One JSON array, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Take a reply away.
    Remove {
        /// Its short name.
        key: String,
        /// Of this queue; without it the one for everybody.
        #[arg(long)]
        queue: Option<String>,
    },
}
