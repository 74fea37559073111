//! `switchboard fleet`

use std::time::Duration;

use serde_json::{Value, json};
use switchboard_common::ensemble::Ensemble;
use switchboard_common::model::{AccountName, Scope};
use switchboard_common::service::config::Config;
use switchboard_common::service::shutdown::Shutdown;
use switchboard_common::store::{AccountState, Database};
use switchboard_common::tenure::candidates;

use crate::process::ensemble;

/// How often `--watch` looks.
const EVERY: Duration = Duration::from_secs(1);
/// How long ZooKeeper may take to answer before the line of candidates is shown as unknown.
const ZOOKEEPER: Duration = Duration::from_secs(2);

/// Prints who is active where, and how each account fares.
pub async fn run(config: &Config, watch: bool, json: bool) -> anyhow::Result<()> {
    let database = super::open(config)?;
    let shutdown = Shutdown::on_signals()?;
    let ensemble = ensemble(config, &shutdown);
    loop {
        let accounts = look(&database, &ensemble).await?;
        match json {
            true => println!("{}", Value::from(accounts)),
            false => {
                if watch {
                    // Clears the screen, cursor home.
                    print!("\x1b[2J\x1b[H");
                }
                print!("{}", table(&accounts));
            }
        }
        if !watch || !shutdown.pause(EVERY).await {
            shutdown.begin();
            shutdown.drained(ZOOKEEPER).await;
            return Ok(());
        }
    }
}

async fn look(database: &Database, ensemble: &Ensemble) -> anyhow::Result<Vec<Value>> {
    let mut accounts = Vec::new();
    for state in database.account_states().await? {
        let standing = match AccountName::new(&state.account) {
            Ok(name) => standing(ensemble, &name).await,
            Err(_) => None,
        };
        accounts.push(describe(&state, standing));
    }
    Ok(accounts)
}

/// The line of candidates; `None` when ZooKeeper does not tell.
pub async fn standing(ensemble: &Ensemble, account: &AccountName) -> Option<Vec<String>> {
    let mut link = ensemble.link();
    let client = match tokio::time::timeout(ZOOKEEPER, link.wait_for(|link| link.connected)).await {
        Ok(Ok(link)) => link.client.clone()?,
        _ => return None,
    };
    candidates(&client, account).await.ok()
}

fn describe(state: &AccountState, standing: Option<Vec<String>>) -> Value {
    let limit = state.limits.iter().find(|limit| limit.scope == Scope::Account);
    let standby = standing.map(|mut line| {
        line.retain(|holder| Some(holder) != state.active.as_ref());
        line
    });
    json!({
        "account": state.account, "platform": state.platform, "enabled": state.enabled,
        "active": state.active, "since": state.since, "epoch": state.epoch, "renewed_ago_s": state.renewed_ago_s,
        "standby": standby, "waiting": state.waiting, "oldest_s": state.oldest_s, "unconfirmed": state.unconfirmed,
        "sent_last_second": state.last_second, "sent_last_minute": state.last_minute,
        "limit_per_second": limit.map(|limit| limit.count as f64 / limit.window.as_secs_f64()),
        "frozen_s": state.frozen_s, "quarantined": state.quarantined,
        "last_error": state.last_error.as_ref().map(|(reason, at)| json!({"reason": reason, "at": at})),
    })
}

/// Columns wide enough for what is in them.
fn table(accounts: &[Value]) -> String {
    let head = [
        "ACCOUNT",
        "ACTIVE",
        "EPOCH",
        "SINCE",
        "STANDBY",
        "WAITING",
        "OLDEST",
        "RATE/LIMIT",
        "UNCONFIRMED",
        "QUARANTINE",
        "LAST ERROR",
    ];
    let mut rows: Vec<Vec<String>> = vec![head.iter().map(|title| (*title).to_owned()).collect()];
    rows.extend(accounts.iter().map(cells));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let padded = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("{}\n", padded.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

fn cells(account: &Value) -> Vec<String> {
    let text = |key: &str| account[key].as_str().unwrap_or("-").to_owned();
    let seconds = |key: &str| account[key].as_f64().map_or("-".to_owned(), |s| format!("{s:.1} s"));
    let standby = match account["standby"].as_array() {
        None => "unknown: no ZooKeeper".to_owned(),
        Some(line) if line.is_empty() => "none".to_owned(),
        Some(line) => line.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
    };
    let active = match account["enabled"].as_bool() {
        Some(false) => "disabled".to_owned(),
        _ => text("active"),
    };
    let limit = account["limit_per_second"].as_f64().map_or("-".to_owned(), |limit| format!("{limit}/s"));
    let frozen = account["frozen_s"].as_f64().map_or(String::new(), |s| format!(" (pause {s:.0} s)"));
    vec![
        text("account"),
        active,
        account["epoch"].to_string(),
        account["since"].as_str().map_or("-".to_owned(), |at| at.chars().take(19).collect()),
        standby,
        account["waiting"].to_string(),
        seconds("oldest_s"),
        format!("{}/{limit}{frozen}", account["sent_last_second"]),
        account["unconfirmed"].to_string(),
        account["quarantined"].to_string(),
        account["last_error"]["reason"].as_str().unwrap_or("-").to_owned(),
    ]
}
