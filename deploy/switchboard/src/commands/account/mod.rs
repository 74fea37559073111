//! `switchboard account`

mod change;
mod limits;
mod show;

use serde_json::Value;
use switchboard_common::model::AccountName;
use switchboard_common::store::{Account, Database, NewAccount};
use switchboard_connectors::platform::PlatformSpec;
use switchboard_connectors::platforms;

use crate::cli::AccountCommand;

/// Makes, shows and changes accounts.
pub async fn run(database: &Database, command: AccountCommand) -> anyhow::Result<()> {
    match command {
        AccountCommand::Add { name, platform, queue, settings, limits } => {
            let limits = limits::parse(&limits)?;
            add(database, &name, &platform, &queue, &settings, limits).await
        }
        AccountCommand::Limit { name, limits } => limits::set(database, &name, limits::parse(&limits)?).await,
        AccountCommand::Show { name, json } => show::run(database, &name, json).await,
        AccountCommand::Set(args) => change::set(database, &args).await,
        AccountCommand::Enable { name } => change::enable(database, &name, true).await,
        AccountCommand::Disable { name } => change::enable(database, &name, false).await,
        AccountCommand::List => {
            for account in database.accounts().await? {
                let state = if account.enabled { "enabled" } else { "disabled" };
                println!("{}\t{}\t{state}\t{}", account.name, account.platform, account.settings);
            }
            Ok(())
        }
    }
}

async fn add(
    database: &Database,
    name: &str,
    platform: &str,
    queue: &str,
    settings: &[String],
    limits: Vec<Value>,
) -> anyhow::Result<()> {
    let name = AccountName::new(name).map_err(anyhow::Error::msg)?;
    let spec = self::platform(platform)?;
    let mut options = serde_json::Map::new();
    for setting in settings {
        let (key, value) =
            setting.split_once('=').ok_or_else(|| anyhow::anyhow!("--set {setting}: write KEY=VALUE"))?;
        options.insert(key.to_owned(), Value::String(value.to_owned()));
    }
    if !limits.is_empty() {
        options.insert("limits".to_owned(), Value::Array(limits));
    }
    let settings = Value::Object(options);
    // Opening it checks every option, secrets included, before anything is stored.
    let capabilities = spec.open(&settings, switchboard_connectors::platform::Http::new()?)?.capabilities;
    let new = NewAccount { name: &name, platform, queue, settings: &settings, capabilities: &capabilities };
    if database.add_account(&new).await? {
        println!("account {name} made; serve it with `switchboard connector --account {name}`");
        return Ok(());
    }
    let known = database.account(&name).await?.ok_or_else(|| anyhow::anyhow!("account {name} has just vanished"))?;
    anyhow::ensure!(
        known.platform == platform && is_same(&known.settings, &settings),
        "account {name} is there already, on {} with {}; names cannot be used twice",
        known.platform,
        known.settings
    );
    println!("account {name} is there already");
    Ok(())
}

/// Whether an account is there as it is wanted; limits that `account limit` has set since stay.
fn is_same(known: &Value, wanted: &Value) -> bool {
    let mut known = known.clone();
    if let (None, Some(options)) = (wanted.get("limits"), known.as_object_mut()) {
        options.remove("limits");
    }
    known == *wanted
}

/// The account of this name.
pub(super) async fn find(database: &Database, name: &str) -> anyhow::Result<Account> {
    let name = AccountName::new(name).map_err(anyhow::Error::msg)?;
    database.account(&name).await?.ok_or_else(|| anyhow::anyhow!("there is no account \"{name}\""))
}

fn platform(platform: &str) -> anyhow::Result<&'static PlatformSpec> {
    platforms::find(platform).ok_or_else(|| {
        let known: Vec<&str> = platforms::PLATFORMS.iter().map(|spec| spec.name).collect();
        anyhow::anyhow!("there is no platform \"{platform}\"; there is: {}", known.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn limits_set_since_make_no_other_account() {
        let (plain, limited) = (json!({"token": "a"}), json!({"token": "a", "limits": [1]}));
        assert!(is_same(&plain, &plain) && is_same(&limited, &plain) && is_same(&limited, &limited));
        assert!(!is_same(&plain, &limited) && !is_same(&limited, &json!({"token": "b"})));
    }
}
