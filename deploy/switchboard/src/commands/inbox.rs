//! `switchboard inbox`

use serde_json::json;
use switchboard_common::doorbell::{Doorbells, Sweep};
use switchboard_common::model::AccountName;
use switchboard_common::service::config::Config;
use switchboard_common::service::health::Health;
use switchboard_common::store::{Account, Database};
use switchboard_connectors::intake::Intake;
use switchboard_connectors::platform::Http;
use switchboard_connectors::platforms;

use crate::cli::InboxCommand;

/// Updates looked at in one go.
const PAGE: i64 = 500;

/// Lists and replays updates in quarantine.
pub async fn run(config: &Config, actor: &str, command: InboxCommand) -> anyhow::Result<()> {
    let database = super::open(config)?.by(actor);
    match command {
        InboxCommand::List { account, all } => {
            let account = find(&database, &account).await?;
            let mut after = 0;
            loop {
                let rows = database.quarantined(account.id, all, after, PAGE).await?;
                let Some(last) = rows.last() else { return Ok(()) };
                after = last.id;
                for row in rows {
                    let replayed =
                        row.replayed_at.map_or("waiting".to_owned(), |at| format!("read at {}", at.to_rfc3339()));
                    println!(
                        "{}\t{}\t{} bytes\t{replayed}\t{}",
                        row.id,
                        row.received_at.to_rfc3339(),
                        row.raw.0.len(),
                        row.reason
                    );
                }
            }
        }
        InboxCommand::Replay { account } => {
            let account = find(&database, &account).await?;
            let name = account.name.clone();
            let (read, left) = replay(&database, account).await?;
            database.note("inbox.replay", name.as_str(), json!({"read": read, "left": left})).await?;
            println!("{read} read, {left} still unreadable");
            Ok(())
        }
    }
}

async fn find(database: &Database, name: &str) -> anyhow::Result<Account> {
    let name = AccountName::new(name).map_err(anyhow::Error::msg)?;
    database.account(&name).await?.ok_or_else(|| anyhow::anyhow!("there is no account \"{name}\""))
}

/// Reads each waiting update with this version's parser. The chatservers find the rows with their next sweep.
async fn replay(database: &Database, account: Account) -> anyhow::Result<(u32, u32)> {
    let spec = platforms::find(&account.platform)
        .ok_or_else(|| anyhow::anyhow!("this version knows no platform \"{}\"", account.platform))?;
    let platform = spec.open(&account.settings, Http::new()?)?.platform;
    let second = std::time::Duration::from_secs(1);
    let intake = Intake {
        account: account.clone(),
        platform: platform.clone(),
        database: database.clone(),
        doorbells: Doorbells::memory(Sweep { usual: second, alone: second }),
        // The active connector finds files to fetch with its next sweep.
        news: std::sync::Arc::default(),
        health: Health::default(),
    };
    let (mut read, mut left, mut after) = (0, 0, 0);
    loop {
        let rows = database.quarantined(account.id, false, after, PAGE).await?;
        let Some(last) = rows.last() else { return Ok((read, left)) };
        after = last.id;
        for row in rows {
            // What a chatserver put aside was read once already: it goes back to the chatservers.
            if database.requeue_pending(account.id, row.id).await? {
                read += 1;
                continue;
            }
            if platform.parse(&row.raw).is_err() {
                left += 1;
                continue;
            }
            let stored = intake.take_in(std::slice::from_ref(&row.raw), None).await?;
            if stored.new + stored.repeated == 0 {
                left += 1;
                continue;
            }
            database.mark_replayed(account.id, row.id).await?;
            read += 1;
        }
    }
}
