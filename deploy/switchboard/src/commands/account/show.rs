//! `switchboard account show`

use serde_json::{Value, json};
use switchboard_common::model::Limit;
use switchboard_common::store::Database;

/// So many of the last changes are shown.
const CHANGES: i64 = 10;

/// Prints what is known of an account: what operators set, what its platform can do, who serves it, who changed it.
pub(super) async fn run(database: &Database, name: &str, json: bool) -> anyhow::Result<()> {
    let account = super::find(database, name).await?;
    let states = database.account_states().await?;
    let state = states.iter().find(|state| state.account == account.name.as_str());
    let queue = database.queues().await?.into_iter().find(|(id, _)| *id == account.queue_id).map(|(_, name)| name);
    let changes = database.audit(Some(account.name.as_str()), CHANGES).await?;
    let shown = json!({
        "account": account.name.as_str(), "platform": account.platform, "enabled": account.enabled,
        "version": account.version, "queue": queue, "settings": account.settings,
        "capabilities": database.capabilities(account.id).await?,
        "active": state.and_then(|state| state.active.as_ref()), "epoch": state.map(|state| state.epoch),
        "since": state.and_then(|state| state.since),
        "renewed_ago_s": state.and_then(|state| state.renewed_ago_s),
        "changes": changes.iter().map(crate::commands::audit::describe).collect::<Vec<_>>(),
    });
    match json {
        true => println!("{shown}"),
        false => print!("{}", text(&shown)),
    }
    Ok(())
}

fn text(shown: &Value) -> String {
    let word = |key: &str| shown[key].as_str().unwrap_or("-");
    let enabled = if shown["enabled"] == true { "enabled" } else { "disabled" };
    let mut lines = vec![
        format!("account   {} on {}, {enabled}", word("account"), word("platform")),
        format!("version   {}", shown["version"]),
        format!("queue     {}", word("queue")),
    ];
    for (key, value) in shown["settings"].as_object().into_iter().flatten().filter(|(key, _)| *key != "limits") {
        lines.push(format!("setting   {key} = {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
    }
    for limit in shown["capabilities"]["limits"].as_array().into_iter().flatten() {
        lines.push(format!("limit     {}", Limit::from_json(limit).map_or_else(|e| e, |l| super::limits::words(&l))));
    }
    for (key, value) in shown["capabilities"].as_object().into_iter().flatten().filter(|(key, _)| *key != "limits") {
        lines.push(format!("can       {key} = {value}"));
    }
    lines.push(match shown["active"].as_str() {
        Some(holder) => {
            let ago = shown["renewed_ago_s"].as_f64().unwrap_or_default();
            format!("active    {holder}, epoch {}, renewed {ago:.1} s ago", shown["epoch"])
        }
        None => format!("active    nobody, last epoch {}", shown["epoch"]),
    });
    lines.extend(
        shown["changes"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|change| format!("changed   {}", crate::commands::audit::line(change))),
    );
    lines.join("\n") + "\n"
}
