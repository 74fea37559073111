//! `switchboard account`

use serde_json::Value;
use switchboard_common::model::AccountName;
use switchboard_common::store::{Database, NewAccount};
use switchboard_connectors::platforms;

use crate::cli::AccountCommand;

/// Makes and lists accounts.
pub async fn run(database: &Database, command: AccountCommand) -> anyhow::Result<()> {
    match command {
        AccountCommand::Add { name, platform, queue, settings } => {
            add(database, &name, &platform, &queue, &settings).await
        }
        AccountCommand::List => {
            for account in database.accounts().await? {
                let state = if account.enabled { "enabled" } else { "disabled" };
                println!("{}\t{}\t{state}\t{}", account.name, account.platform, account.settings);
            }
            Ok(())
        }
    }
}

async fn add(database: &Database, name: &str, platform: &str, queue: &str, settings: &[String]) -> anyhow::Result<()> {
    let name = AccountName::new(name).map_err(anyhow::Error::msg)?;
    let spec = platforms::find(platform).ok_or_else(|| {
        let known: Vec<&str> = platforms::PLATFORMS.iter().map(|spec| spec.name).collect();
        anyhow::anyhow!("there is no platform \"{platform}\"; there is: {}", known.join(", "))
    })?;
    let mut options = serde_json::Map::new();
    for setting in settings {
        let (key, value) =
            setting.split_once('=').ok_or_else(|| anyhow::anyhow!("--set {setting}: write KEY=VALUE"))?;
        options.insert(key.to_owned(), Value::String(value.to_owned()));
    }
    // Opening it checks every option, secrets included, before anything is stored.
    (spec.open)(&options, switchboard_connectors::platform::Http::new()?)?;
    let settings = Value::Object(options);
    let capabilities = spec.capabilities();
    let new = NewAccount { name: &name, platform, queue, settings: &settings, capabilities: &capabilities };
    if database.add_account(&new).await? {
        println!("account {name} made; serve it with `switchboard connector --account {name}`");
        return Ok(());
    }
    let known = database.account(&name).await?.ok_or_else(|| anyhow::anyhow!("account {name} has just vanished"))?;
    anyhow::ensure!(
        known.platform == platform && known.settings == settings,
        "account {name} is there already, on {} with {}; names cannot be used twice",
        known.platform,
        known.settings
    );
    println!("account {name} is there already");
    Ok(())
}
