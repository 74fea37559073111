//! `switchboard handover`

use std::time::{Duration, Instant};

use serde_json::json;
use switchboard_common::model::AccountName;
use switchboard_common::service::config::Config;
use switchboard_common::service::shutdown::Shutdown;

use super::fleet::standing;
use crate::process::ensemble;

/// The active asks at every renewal, then waits for calls under way until their `write_by`.
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks the active to step back, and waits until another connector sends in its place.
pub async fn run(config: &Config, actor: &str, account: &str) -> anyhow::Result<()> {
    let database = super::open(config)?.by(actor);
    let name = AccountName::new(account).map_err(anyhow::Error::msg)?;
    let account = database.account(&name).await?.ok_or_else(|| anyhow::anyhow!("there is no account \"{name}\""))?.id;
    let lease = database.lease(account).await?;
    let active = lease.holder.filter(|_| !lease.released);
    let active = active.ok_or_else(|| {
        anyhow::anyhow!("no connector of {name} is active: start one with `switchboard connector --account {name}`")
    })?;
    let shutdown = Shutdown::on_signals()?;
    match standing(&ensemble(config, &shutdown), &name).await {
        Some(line) if line.iter().all(|holder| *holder == active) => anyhow::bail!(
            "{active} has no standby: start a second `switchboard connector --account {name}`, then hand over"
        ),
        Some(_) => {}
        None => eprintln!("ZooKeeper does not answer: whether there is a standby is not known"),
    }
    anyhow::ensure!(database.ask_for_handover(account, lease.epoch).await?, "{active} has just stopped being active");
    database.note("account.handover", name.as_str(), json!({"from": active, "epoch": lease.epoch.0})).await?;
    let begun = Instant::now();
    let gap = loop {
        if let Some(gap) = database.gap_after(account, lease.epoch).await? {
            break gap;
        }
        anyhow::ensure!(
            begun.elapsed() < PATIENCE && shutdown.pause(Duration::from_millis(20)).await,
            "{active} has not handed over within {} s; it is still asked to. See its log, and `switchboard fleet`",
            begun.elapsed().as_secs()
        );
    };
    shutdown.begin();
    shutdown.drained(Duration::from_secs(2)).await;
    let span = gap.span.map_or_else(
        || "taken over without a release".to_owned(),
        |span| format!("gap {:.0} ms", span.as_secs_f64() * 1000.0),
    );
    println!("{active} -> {}, epoch {}, {span}", gap.holder, gap.epoch);
    anyhow::ensure!(gap.holder != active, "no standby took over, so {active} went on");
    Ok(())
}
