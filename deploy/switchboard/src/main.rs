//! The one executable: each component of Switchboard is a subcommand.

mod cli;
mod cli_decisions;
mod cli_replies;
mod commands;
mod descriptions;
mod notify;
mod process;

use std::process::ExitCode;

use clap::Parser;

/// Wrong use or configuration.
const USAGE: u8 = 2;
/// Something that may work later: the database is away.
const TRY_AGAIN: u8 = 75;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    if let Err(error) = switchboard_common::service::memory::keep_private() {
        return fail(&anyhow::Error::new(error).context("core files cannot be switched off"));
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&anyhow::Error::new(error).context("cannot start")),
    };
    let done = runtime.block_on(commands::run(cli));
    // Everything that matters was waited for; what still blocks a thread is a name look-up at most.
    runtime.shutdown_background();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// One line on standard error with the whole chain of causes, and the exit code that tells what to do.
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("switchboard: {error:#}");
    let code = match error.chain().find_map(|cause| cause.downcast_ref::<switchboard_common::store::StoreError>()) {
        Some(store) if store.is_unavailable() => TRY_AGAIN,
        _ if error.chain().any(|cause| cause.is::<switchboard_common::service::config::ConfigError>()) => USAGE,
        _ => 1,
    };
    ExitCode::from(code)
}
