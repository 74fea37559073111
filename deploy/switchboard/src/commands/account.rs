//! `switchboard account`

use std::time::Duration;

use serde_json::Value;
use switchboard_common::model::{AccountName, Limit, Scope};
use switchboard_common::store::{Database, NewAccount};
use switchboard_connectors::platform::PlatformSpec;
use switchboard_connectors::platforms;

use crate::cli::AccountCommand;

/// Makes and lists accounts.
pub async fn run(database: &Database, command: AccountCommand) -> anyhow::Result<()> {
    match command {
        AccountCommand::Add { name, platform, queue, settings, limits } => {
            let limits = parse_limits(&limits)?;
            add(database, &name, &platform, &queue, &settings, limits).await
        }
        AccountCommand::Limit { name, limits } => set_limits(database, &name, parse_limits(&limits)?).await,
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
    let spec = find(platform)?;
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

fn find(platform: &str) -> anyhow::Result<&'static PlatformSpec> {
    platforms::find(platform).ok_or_else(|| {
        let known: Vec<&str> = platforms::PLATFORMS.iter().map(|spec| spec.name).collect();
        anyhow::anyhow!("there is no platform \"{platform}\"; there is: {}", known.join(", "))
    })
}

async fn set_limits(database: &Database, name: &str, limits: Vec<Value>) -> anyhow::Result<()> {
    let name = AccountName::new(name).map_err(anyhow::Error::msg)?;
    let account = database.account(&name).await?.ok_or_else(|| anyhow::anyhow!("there is no account \"{name}\""))?;
    let mut settings = account.settings;
    match settings.as_object_mut() {
        Some(options) if limits.is_empty() => drop(options.remove("limits")),
        Some(options) => drop(options.insert("limits".to_owned(), Value::Array(limits))),
        None => anyhow::bail!("the settings of account {name} are no object: {settings}"),
    }
    let opened = find(&account.platform)?.open(&settings, switchboard_connectors::platform::Http::new()?)?;
    database.set_settings(account.id, &settings).await?;
    for limit in opened.capabilities.limits {
        println!("{}: {} in {} s", limit.scope.as_str(), limit.count, limit.window.as_secs_f64());
    }
    println!("in force once its connectors are started anew, first the standby, then the active");
    Ok(())
}

fn parse_limits(texts: &[String]) -> anyhow::Result<Vec<Value>> {
    texts.iter().map(|text| Ok(parse_limit(text)?.to_json())).collect()
}

/// `account=1000/1s`
fn parse_limit(text: &str) -> anyhow::Result<Limit> {
    let wrong =
        || anyhow::anyhow!("limit {text}: write SCOPE=COUNT/SPAN, for example account=30/1s, chat=1/1s, group=20/1m");
    let (scope, rest) = text.split_once('=').ok_or_else(wrong)?;
    let (count, span) = rest.split_once('/').ok_or_else(wrong)?;
    let scope = Scope::from_word(scope).ok_or_else(wrong)?;
    let count = count.parse().ok().filter(|count| *count > 0).ok_or_else(wrong)?;
    let window = Duration::from_secs(super::seconds("limit", span)?);
    anyhow::ensure!(!window.is_zero(), wrong());
    Ok(Limit { count, window, scope })
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

    #[test]
    fn limits_are_read() {
        let limit = parse_limit("group=20/1m").expect("a limit");
        assert_eq!((limit.count, limit.window.as_secs(), limit.scope), (20, 60, Scope::Group));
        for wrong in ["group", "group=20", "world=1/1s", "chat=0/1s", "chat=1/0s", "chat=1/1"] {
            assert!(parse_limit(wrong).is_err(), "{wrong}");
        }
    }
}
