//! `switchboard account set`, `enable`, `disable`: stored as a new version, taken up by connectors while they serve.

use serde_json::{Map, Value};
use switchboard_common::store::{Account, AccountChange, Changed, Database};
use switchboard_connectors::platform::Http;

use crate::cli::AccountSetArgs;

/// Changes settings or the queue.
pub(super) async fn set(database: &Database, args: &AccountSetArgs) -> anyhow::Result<()> {
    let account = super::find(database, &args.name).await?;
    if let Some(expected) = args.expect_version {
        anyhow::ensure!(
            account.version == expected,
            "account {} is at version {}, not {expected}: look at `switchboard account show {}` first",
            account.name,
            account.version,
            account.name
        );
    }
    let old = account.settings.as_object().cloned().unwrap_or_default();
    let new = Value::Object(edited(old, &args.settings, &args.unset)?);
    // Opening it checks every option, secrets included, before anything is stored.
    super::platform(&account.platform)?.open(&new, Http::new()?)?;
    let changed = (new != account.settings).then_some(&new);
    let change = AccountChange { settings: changed, queue: args.queue.as_deref(), enabled: None };
    store(database, &account, &change).await
}

/// Lets an account be served, or not.
pub(super) async fn enable(database: &Database, name: &str, enabled: bool) -> anyhow::Result<()> {
    let account = super::find(database, name).await?;
    store(database, &account, &AccountChange { enabled: Some(enabled), ..AccountChange::default() }).await
}

/// Stores a change of the account as it was read.
pub(super) async fn store(database: &Database, account: &Account, change: &AccountChange<'_>) -> anyhow::Result<()> {
    let name = &account.name;
    match database.change_account(account.id, account.version, change).await? {
        Changed::Made(version) => println!("account {name} is at version {version}: its connectors take it up at once"),
        Changed::Same => println!("account {name} is so already, at version {}", account.version),
        Changed::Newer(version) => {
            anyhow::bail!(
                "somebody has changed account {name} meanwhile, to version {version}: look at it and try again"
            )
        }
    }
    Ok(())
}

fn edited(mut settings: Map<String, Value>, set: &[String], unset: &[String]) -> anyhow::Result<Map<String, Value>> {
    for setting in set {
        let (key, value) = setting.split_once('=').ok_or_else(|| anyhow::anyhow!("{setting}: write KEY=VALUE"))?;
        anyhow::ensure!(key != "limits", "limits are set by `switchboard account limit`");
        settings.insert(key.to_owned(), Value::String(value.to_owned()));
    }
    for key in unset {
        anyhow::ensure!(settings.remove(key).is_some(), "--unset {key}: there is no such setting");
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_are_edited_one_by_one() {
        let old = json!({"token": "file:/a", "base_url": "http://b", "limits": []}).as_object().cloned().expect("one");
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let new = edited(old.clone(), &words(&["token=file:/c=d"]), &words(&["base_url"])).expect("fine");
        assert_eq!(Value::Object(new), json!({"token": "file:/c=d", "limits": []}));
        for (set, unset) in [("token", ""), ("limits=1", ""), ("a=b", "nothing")] {
            let unset = if unset.is_empty() { Vec::new() } else { words(&[unset]) };
            assert!(edited(old.clone(), &words(&[set]), &unset).is_err(), "{set} {unset:?}");
        }
    }
}
