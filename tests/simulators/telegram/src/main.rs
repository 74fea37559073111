//! The simulator as a program of its own: it is started by the harness, by `./dev` and by hand.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Parser;
use telegram_simulator::{
    limits::{MAX_JITTER_MS, Rule, Rules},
    server::{Listening, Settings},
};
use tokio::signal::unix::{SignalKind, signal};

/// Plays Telegram's Bot API with its real limits, and misbehaves on command
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8801")]
    listen: SocketAddr,
    /// An account and its bot's token; may be repeated
    #[arg(long = "bot", value_name = "NAME=TOKEN", required = true, value_parser = parse_bot)]
    bots: Vec<(String, String)>,
    /// The observers' log; lines are appended
    #[arg(long, value_name = "PATH")]
    log: PathBuf,
    /// How long every answer stays here before it leaves, in milliseconds
    #[arg(long, default_value_t = 5, value_name = "MS")]
    reply_delay_ms: u64,
    /// A call is counted and decided at a random moment of this many milliseconds after its first byte
    #[arg(long, default_value_t = 0, value_name = "MS")]
    #[arg(value_parser = clap::value_parser!(u64).range(..=MAX_JITTER_MS))]
    arrival_jitter_ms: u64,
    /// Which random moments these are: a seed repeats them by the calls' numbers
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Most calls of a bot in any window
    #[arg(long, default_value = "30/1000", value_name = "COUNT/MS")]
    limit_bot: Rule,
    /// Most calls of a private chat in any window
    #[arg(long, default_value = "1/1000", value_name = "COUNT/MS")]
    limit_private: Rule,
    /// Most calls of a group in any window
    #[arg(long, default_value = "20/60000", value_name = "COUNT/MS")]
    limit_group: Rule,
    /// The agents' page, shown beside the customer's phone
    #[arg(long, value_name = "URL")]
    desk: Option<String>,
    /// Take webhooks over plain HTTP at any port, as the self-hosted Bot API server does
    #[arg(long)]
    local: bool,
    /// Answer every call as if it had taken effect, and forget it
    #[arg(long)]
    mute: bool,
}

fn parse_bot(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, token)) if !name.is_empty() => Ok((name.to_owned(), token.to_owned())),
        _ => Err("write NAME=TOKEN, as in support=42:SECRET".to_owned()),
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let names: Vec<_> = args.bots.iter().map(|(name, _)| name.clone()).collect();
    let settings = Settings {
        listen: args.listen,
        bots: args.bots,
        log: args.log,
        reply_delay: Duration::from_millis(args.reply_delay_ms),
        seed: args.seed,
        rules: Rules {
            bot: args.limit_bot,
            private: args.limit_private,
            group: args.limit_group,
            arrival_jitter_ms: args.arrival_jitter_ms,
            ..Rules::default()
        },
        desk: args.desk,
        local: args.local,
        mute: args.mute,
    };
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let listening = Listening::open(settings).await?;
    println!("telegram-simulator: listening at http://{} for {}", listening.address()?, names.join(", "));
    // The log has no buffer and calls that hang would never drain: stopping is simply ending.
    tokio::select! {
        served = listening.serve() => served,
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}
