//! One file per subcommand, or per noun that operators care for.

mod account;
mod agent;
mod chatserver;
mod connector;
mod fleet;
mod inbox;
mod queue;
mod token;

use switchboard_common::service::config::{Config, DEFAULT};
use switchboard_common::store::{Database, migrate};

use crate::cli::{Cli, Command, ConfigCommand};

/// Carries out the command.
pub async fn run(cli: Cli) -> anyhow::Result<()> {
    #[allow(clippy::disallowed_methods)] // the one place where options come from the environment
    let environment =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let load = || Config::load(cli.config.as_deref(), environment);
    match cli.command {
        Command::Config(ConfigCommand::Default) => print!("{DEFAULT}"),
        Command::Config(ConfigCommand::Show) => println!("{:#?}", load()?),
        Command::Healthcheck { address } => healthcheck(address).await?,
        Command::Connector(args) => connector::run(&load()?, args).await?,
        Command::Chatserver(args) => chatserver::run(&load()?, args).await?,
        Command::Token(args) => token::run(&load()?, &args)?,
        Command::Migrate => {
            let done = migrate(&open(&load()?)?).await?;
            match done.is_empty() {
                true => println!("the tables are up to date"),
                false => done.iter().for_each(|name| println!("applied {name}")),
            }
        }
        Command::Queue(command) => queue::run(&open(&load()?)?, command).await?,
        Command::Account(command) => account::run(&open(&load()?)?, command).await?,
        Command::Agent(command) => agent::run(&open(&load()?)?, command).await?,
        Command::Fleet { watch, json } => fleet::run(&load()?, watch, json).await?,
        Command::Inbox(command) => inbox::run(&load()?, command).await?,
    }
    Ok(())
}

fn open(config: &Config) -> anyhow::Result<Database> {
    Ok(Database::new(&config.database("switchboard operator")?)?)
}

/// Tells processes on different hosts apart in leases, znodes and logs.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "host".to_owned(),
        name => name.to_owned(),
    }
}

async fn healthcheck(address: std::net::SocketAddr) -> anyhow::Result<()> {
    let answer = reqwest::Client::builder()
        .timeout(std::time::Duration::from_secs(3))
        .no_proxy()
        .build()?
        .get(format!("http://{address}/readyz"))
        .send()
        .await?;
    let (status, body) = (answer.status(), answer.text().await?);
    anyhow::ensure!(status.is_success(), "not ready: {body}");
    println!("ready");
    Ok(())
}
