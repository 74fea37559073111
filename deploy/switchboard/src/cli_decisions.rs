//! The command line of what waits for an operator's decision: parts and updates.

use clap::{Args, Subcommand};
use switchboard_common::model::PartState;

/// `outbox`
#[derive(Subcommand)]
pub enum OutboxCommand {
    /// List parts that are not done, oldest first, without what they say.
    List {
        #[command(flatten)]
        parts: PartArgs,
        /// So many at most.
        #[arg(long, default_value_t = 100)]
        limit: i64,
        /// One JSON array, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Show a part and every try to send it.
    Show {
        /// The account's name.
        account: String,
        /// The part's number.
        id: i64,
    },
    /// Take back parts that wait and that no sender has claimed.
    Cancel {
        #[command(flatten)]
        parts: PartArgs,
        /// Only say which they would be.
        #[arg(long)]
        dry_run: bool,
    },
    /// Leave parts that may have arrived at that: they are not sent again.
    Close {
        #[command(flatten)]
        parts: PartArgs,
        /// Only say which they would be.
        #[arg(long)]
        dry_run: bool,
    },
    /// Send parts again that failed, or that may have arrived: those then may arrive twice.
    Requeue {
        #[command(flatten)]
        parts: PartArgs,
        /// Only say which they would be.
        #[arg(long)]
        dry_run: bool,
    },
}

/// Which parts.
#[derive(Args)]
pub struct PartArgs {
    /// The account's name.
    pub account: String,
    /// Numbers of parts.
    pub ids: Vec<i64>,
    /// Only in this state: queued, sending, sent, unconfirmed, failed, cancelled, closed; may be given several times.
    #[arg(long = "state", value_parser = part_state)]
    pub states: Vec<PartState>,
    /// Only of this chat.
    #[arg(long)]
    pub chat: Option<i64>,
    /// Only accepted so long ago or longer: 90s, 30m, 12h, 7d.
    #[arg(long, value_name = "SPAN")]
    pub older: Option<String>,
}

fn part_state(text: &str) -> Result<PartState, String> {
    let all = || (0..).map_while(PartState::from_column);
    all().find(|state| state.as_str() == text).ok_or_else(|| {
        let words: Vec<&str> = all().map(PartState::as_str).collect();
        format!("there is only {}", words.join(", "))
    })
}

/// `inbox`
#[derive(Subcommand)]
pub enum InboxCommand {
    /// List updates in quarantine, without what they hold.
    List {
        /// The account's name.
        account: String,
        /// Those read after all as well.
        #[arg(long)]
        all: bool,
    },
    /// Show one update in quarantine.
    Show {
        /// The account's name.
        account: String,
        /// Its number.
        id: i64,
        /// Print the bytes as they came, and nothing else: they hold what a customer wrote.
        #[arg(long)]
        raw: bool,
    },
    /// Read updates in quarantine again, with this version.
    Replay {
        /// The account's name.
        account: String,
        /// Only these.
        ids: Vec<i64>,
    },
}
