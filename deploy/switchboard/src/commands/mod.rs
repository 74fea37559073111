//! One file per subcommand, or per noun that operators care for.

mod account;
mod agent;
mod audit;
mod chatserver;
mod connector;
mod doctor;
mod fleet;
mod handover;
mod inbox;
pub mod loader;
mod outbox;
mod queue;
mod reply;
mod token;

use switchboard_common::access::AuthSettings;
use switchboard_common::service::config::{Config, ConfigError, DEFAULT};
use switchboard_common::service::host;
use switchboard_common::service::http::HttpLimits;
use switchboard_common::store::{Database, migrate};

use crate::cli::{Cli, Command, ConfigCommand};
use crate::descriptions;

/// Carries out the command.
pub async fn run(cli: Cli) -> anyhow::Result<()> {
    #[allow(clippy::disallowed_methods)] // the one place where options come from the environment
    let environment =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let environment: Vec<(String, String)> = environment.collect();
    let actor = cli.actor.clone().unwrap_or_else(|| actor(&environment));
    let load = || Config::load(cli.config.as_deref(), environment.iter().cloned());
    match cli.command {
        Command::Config(ConfigCommand::Default) => print!("{DEFAULT}"),
        Command::Config(ConfigCommand::Show) => println!("{:#?}", load()?),
        Command::Healthcheck { address } => healthcheck(address).await?,
        Command::Connector(args) => {
            let config = load()?;
            match args.check_config {
                true => check_config(&config)?,
                false => connector::run(&config, args).await?,
            }
        }
        Command::Chatserver(args) => {
            let config = load()?;
            match args.check_config {
                true => check_config(&config)?,
                false => chatserver::run(&config, args).await?,
            }
        }
        Command::Loader(args) => {
            let config = load()?;
            match args.check_config {
                true => check_config(&config)?,
                false => loader::run(&config, args).await?,
            }
        }
        Command::Describe(args) => print!("{}", descriptions::text(args.interface)),
        Command::Token(args) => token::run(&load()?, &args)?,
        Command::Migrate => {
            let done = migrate(&open(&load()?)?).await?;
            match done.is_empty() {
                true => println!("the tables are up to date"),
                false => done.iter().for_each(|name| println!("applied {name}")),
            }
        }
        Command::Queue(command) => queue::run(&open(&load()?)?.by(&actor), command).await?,
        Command::Account(command) => account::run(&open(&load()?)?.by(&actor), command).await?,
        Command::Reply(command) => reply::run(&open(&load()?)?.by(&actor), command).await?,
        Command::Agent(command) => agent::run(&open(&load()?)?.by(&actor), command).await?,
        Command::Doctor(args) => doctor::run(load(), &args).await?,
        Command::Audit { subject, limit, json } => {
            audit::run(&open(&load()?)?, subject.as_deref(), limit, json).await?;
        }
        Command::Fleet { watch, json } => fleet::run(&load()?, watch, json).await?,
        Command::Handover { account } => handover::run(&load()?, &actor, &account).await?,
        Command::Restored => restored(&open(&load()?)?.by(&actor)).await?,
        Command::Outbox(command) => outbox::run(&open(&load()?)?.by(&actor), command).await?,
        Command::Inbox(command) => inbox::run(&load()?, &actor, command).await?,
    }
    Ok(())
}

/// What every component reads from its configuration before it starts, secrets included.
fn check_config(config: &Config) -> anyhow::Result<()> {
    let read = || {
        config.database("check")?;
        config.replica("check")?;
        AuthSettings::of(config)?;
        HttpLimits::new(&config.public)?;
        config.link_secret()?;
        anyhow::Ok(())
    };
    read()
        .map_err(|error| match error.downcast::<ConfigError>() {
            Ok(error) => error.into(),
            Err(error) => ConfigError::Value { key: "configuration".to_owned(), why: format!("{error:#}") }.into(),
        })
        .inspect(|()| println!("the configuration can be used"))
}

fn open(config: &Config) -> anyhow::Result<Database> {
    Ok(Database::new(&config.database(&crate::process::application_name("operator"))?)?)
}

/// Who runs this command, for `audit`: the login name may be anything, the number is the system's.
fn actor(environment: &[(String, String)]) -> String {
    use std::os::unix::fs::MetadataExt;
    let name = environment.iter().find(|(name, _)| name == "USER").map_or("", |(_, value)| value.as_str());
    let uid = std::fs::metadata("/proc/self").map_or_else(|_| "?".to_owned(), |own| own.uid().to_string());
    format!("{name}/{uid}@{}", host::name())
}

/// Whoever serves an account next looks at the database as at one that went backwards.
async fn restored(database: &Database) -> anyhow::Result<()> {
    let accounts = database.distrust().await?;
    database.note("database.restored", "database", serde_json::json!({ "accounts": accounts })).await?;
    println!("{accounts} accounts: what is undecided is held back as soon as they are served");
    Ok(())
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

/// Seconds of a span like `90s`, `30m`, `12h`, `7d`; `what` names it in errors.
fn seconds(what: &str, text: &str) -> anyhow::Result<u64> {
    let (number, unit) = text.split_at(text.len().saturating_sub(1));
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => anyhow::bail!("{what} {text}: write a number and s, m, h or d, for example 12h"),
    };
    let number: u64 = number.parse().map_err(|_| anyhow::anyhow!("{what} {text}: \"{number}\" is no number"))?;
    number.checked_mul(factor).ok_or_else(|| anyhow::anyhow!("{what} {text}: too long"))
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn spans_are_read() {
        assert_eq!(seconds("--ttl", "12h").expect("a span"), 43_200);
        assert!(seconds("--ttl", "12").is_err() && seconds("--ttl", "").is_err() && seconds("--ttl", "h").is_err());
    }
}
