//! `switchboard inbox`

use std::io::Write;

use serde_json::json;
use switchboard_common::doorbell::{Doorbells, Sweep};
use switchboard_common::service::config::Config;
use switchboard_common::service::health::Health;
use switchboard_common::store::{Account, Database, QuarantineRow};
use switchboard_connectors::intake::{Intake, read};
use switchboard_connectors::platform::Http;
use switchboard_connectors::platforms;

use crate::cli::InboxCommand;

/// Updates looked at in one go.
const PAGE: i64 = 500;

/// Lists, shows and replays updates in quarantine.
pub async fn run(config: &Config, actor: &str, command: InboxCommand) -> anyhow::Result<()> {
    let database = super::open(config)?.by(actor);
    match command {
        InboxCommand::List { account, all } => {
            let account = super::account::find(&database, &account).await?;
            let mut after = 0;
            loop {
                let rows = database.quarantined(account.id, all, after, PAGE).await?;
                let Some(last) = rows.last() else { return Ok(()) };
                after = last.id;
                rows.iter().for_each(|row| println!("{}", line(row)));
            }
        }
        InboxCommand::Show { account, id, raw } => {
            let account = super::account::find(&database, &account).await?;
            let rows = database.quarantined(account.id, true, id - 1, 1).await?;
            let row = rows.into_iter().find(|row| row.id == id);
            let row = row.ok_or_else(|| anyhow::anyhow!("{} has no update {id} in quarantine", account.name))?;
            if !raw {
                println!("{}", line(&row));
                return Ok(());
            }
            // What a customer wrote is looked at: that leaves a trace.
            database.note("inbox.show_raw", account.name.as_str(), json!({ "id": id })).await?;
            std::io::stdout().write_all(&row.raw.0)?;
            Ok(())
        }
        InboxCommand::Replay { account, ids } => {
            let account = super::account::find(&database, &account).await?;
            let name = account.name.clone();
            let (done, left) = replay(&database, account, &ids).await?;
            let after = json!({"read": done, "left": left, "ids": ids});
            database.note("inbox.replay", name.as_str(), after).await?;
            println!("{done} read, {left} still unreadable");
            anyhow::ensure!((done + left) as usize >= ids.len(), "some of the named updates are not in quarantine");
            Ok(())
        }
    }
}

fn line(row: &QuarantineRow) -> String {
    let replayed = row.replayed_at.map_or("waiting".to_owned(), |at| format!("read at {}", at.to_rfc3339()));
    let (at, bytes) = (row.received_at.to_rfc3339(), row.raw.0.len());
    format!("{}\t{at}\t{bytes} bytes\t{replayed}\t{}", row.id, row.reason)
}

/// Reads each waiting update, or those named, with this version's parser. The chatservers find the rows with their next sweep.
async fn replay(database: &Database, account: Account, ids: &[i64]) -> anyhow::Result<(u32, u32)> {
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
    let (mut done, mut left, mut after) = (0, 0, 0);
    loop {
        let rows = database.quarantined(account.id, false, after, PAGE).await?;
        let Some(last) = rows.last() else { return Ok((done, left)) };
        after = last.id;
        for row in rows.into_iter().filter(|row| ids.is_empty() || ids.contains(&row.id)) {
            // What a chatserver put aside was read once already: it goes back to the chatservers.
            if database.requeue_pending(account.id, row.id).await? {
                done += 1;
                continue;
            }
            if read(&*platform, &row.raw).is_err() {
                left += 1;
                continue;
            }
            let stored = intake.take_in(std::slice::from_ref(&row.raw), None).await?;
            if stored.new + stored.repeated == 0 {
                left += 1;
                continue;
            }
            database.mark_replayed(account.id, row.id).await?;
            done += 1;
        }
    }
}
