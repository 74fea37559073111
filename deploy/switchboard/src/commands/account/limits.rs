//! `switchboard account limit`, and limits in words.

use std::time::Duration;

use serde_json::Value;
use switchboard_common::model::{Limit, Scope};
use switchboard_common::store::{AccountChange, Database};
use switchboard_connectors::platform::Http;

/// Replaces the limits an account has of its own.
pub(super) async fn set(database: &Database, name: &str, limits: Vec<Value>) -> anyhow::Result<()> {
    let account = super::find(database, name).await?;
    let mut settings = account.settings.clone();
    match settings.as_object_mut() {
        Some(options) if limits.is_empty() => drop(options.remove("limits")),
        Some(options) => drop(options.insert("limits".to_owned(), Value::Array(limits))),
        None => anyhow::bail!("the settings of account {name} are no object: {settings}"),
    }
    let opened = super::platform(&account.platform)?.open(&settings, Http::new()?)?;
    let change = AccountChange { settings: Some(&settings), ..AccountChange::default() };
    super::change::store(database, &account, &change).await?;
    opened.capabilities.limits.iter().for_each(|limit| println!("{}", words(limit)));
    Ok(())
}

/// `account: 30 in 1 s`
pub(super) fn words(limit: &Limit) -> String {
    format!("{}: {} in {} s", limit.scope.as_str(), limit.count, limit.window.as_secs_f64())
}

pub(super) fn parse(texts: &[String]) -> anyhow::Result<Vec<Value>> {
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
    let window = Duration::from_secs(crate::commands::seconds("limit", span)?);
    anyhow::ensure!(!window.is_zero(), wrong());
    Ok(Limit { count, window, scope })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read() {
        let limit = parse_limit("group=20/1m").expect("a limit");
        assert_eq!((limit.count, limit.window.as_secs(), limit.scope), (20, 60, Scope::Group));
        for wrong in ["group", "group=20", "world=1/1s", "chat=0/1s", "chat=1/0s", "chat=1/1"] {
            assert!(parse_limit(wrong).is_err(), "{wrong}");
        }
    }
}
