//! An account's settings in force: opened at the start, and anew whenever an operator has changed them.
//!
//! A version is taken up as a whole or not at all: one that cannot be opened here (a secret that this host does not have)
//! changes nothing, is shown in the log and in `/readyz`, and is tried again until it can.

use std::sync::Arc;
use std::time::Duration;

use switchboard_common::model::Capabilities;
use switchboard_common::service::health::Health;
use switchboard_common::service::shutdown::Shutdown;
use switchboard_common::store::{Account, Database};
use tokio::sync::watch;

use crate::http::Http;
use crate::platform::{Opened, Platform};
use crate::platforms;

/// An account as one version of its settings says.
pub struct InForce {
    /// The account's row.
    pub account: Account,
    /// Its platform, opened.
    pub platform: Arc<dyn Platform>,
    /// What it can do.
    pub capabilities: Capabilities,
}

/// Follows what is in force. While `account.enabled` is false nothing may be asked of the platform nor taken from it.
pub type Settings = watch::Receiver<Arc<InForce>>;

/// A version that could not be taken up is tried again after this.
const AGAIN: Duration = Duration::from_secs(5);

/// Opens the account's settings and follows `versions` until shutdown.
pub async fn follow(
    account: Account,
    database: Database,
    versions: watch::Receiver<i64>,
    health: Health,
    shutdown: &Shutdown,
) -> anyhow::Result<Settings> {
    let name = account.name.clone();
    let first = open(account).map_err(|error| anyhow::anyhow!("account {name}: {error}"))?;
    database.set_capabilities(first.account.id, &first.capabilities).await?;
    show(&health, &first.account);
    let (sender, settings) = watch::channel(Arc::new(first));
    let keeper = Keeper { database, versions, health, sender };
    let ending = shutdown.clone();
    shutdown.spawn(async move {
        tokio::select! {
            () = keeper.keep() => {}
            () = ending.wait() => {}
        }
    });
    Ok(settings)
}

fn open(account: Account) -> anyhow::Result<InForce> {
    let spec = platforms::find(&account.platform)
        .ok_or_else(|| anyhow::anyhow!("this version knows no platform \"{}\"", account.platform))?;
    let Opened { platform, capabilities } = spec.open(&account.settings, Http::new()?)?;
    Ok(InForce { account, platform, capabilities })
}

fn show(health: &Health, account: &Account) {
    health.fact("settings", format!("version {}", account.version));
    health.fact("account", if account.enabled { "enabled" } else { "disabled" });
}

struct Keeper {
    database: Database,
    versions: watch::Receiver<i64>,
    health: Health,
    sender: watch::Sender<Arc<InForce>>,
}

impl Keeper {
    async fn keep(mut self) {
        loop {
            let held = self.sender.borrow().account.version;
            // The sender of versions lives as long as the candidate, that is as long as the process.
            let Ok(version) = self.versions.wait_for(|newest| *newest != 0 && *newest != held).await.map(|v| *v) else {
                return;
            };
            if let Err(error) = self.take_up().await {
                tracing::error!(%error, version, held, "new settings cannot be taken up; the held ones stay in force");
                self.health.fact("settings", format!("version {held}; {version} cannot be taken up: {error}"));
                // Another version need not wait for this one's next try.
                let _ = tokio::time::timeout(AGAIN, self.versions.changed()).await;
            }
        }
    }

    async fn take_up(&self) -> anyhow::Result<()> {
        let name = self.sender.borrow().account.name.clone();
        let account = self.database.account(&name).await?.ok_or_else(|| anyhow::anyhow!("the account is gone"))?;
        let new = open(account)?;
        self.database.set_capabilities(new.account.id, &new.capabilities).await?;
        tracing::info!(version = new.account.version, enabled = new.account.enabled, "new settings are in force");
        show(&self.health, &new.account);
        self.sender.send_replace(Arc::new(new));
        Ok(())
    }
}
