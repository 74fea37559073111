//! An account's settings in force: opened at the start, and anew whenever an operator has changed them.
//!
//! A version is taken up as a whole or not at all: one that cannot be opened here (a secret that this host does not have)
//! changes nothing, is shown in the log and in `/readyz`, and is tried again until it can.

use std::sync::Arc;
use std::time::Duration;

use switchboard_common::model::Capabilities;
use switchboard_common::service::health::Health;
use switchboard_common::service::metrics::{ACCOUNT_INFO, SETTINGS_VERSION};
use switchboard_common::service::shutdown::Shutdown;
use switchboard_common::store::{Account, Database};
use tokio::sync::watch;

use crate::http::Http;
use crate::platform::{Opened, Platform, Receive};
use crate::platforms;
use crate::webhook::Secrets;

/// An account as one version of its settings says.
pub struct InForce {
    /// The account's row.
    pub account: Account,
    /// Its platform, opened.
    pub platform: Arc<dyn Platform>,
    /// What it can do.
    pub capabilities: Capabilities,
    /// How its updates come.
    pub receive: Receive,
    /// Where its webhooks are; none when nobody outside could reach them.
    pub webhook_url: Option<String>,
    /// By what its webhook requests are known; none: it takes none.
    pub secrets: Option<Arc<Secrets>>,
}

/// What the host's configuration says of the ways in and out.
#[derive(Clone, Debug, Default)]
pub struct Outside {
    /// A forward proxy for every call to the platform; empty: none.
    pub proxy: String,
    /// The reverse proxy's address as platforms see it; empty: they do not.
    pub public_url: String,
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
    outside: Outside,
    health: Health,
    shutdown: &Shutdown,
) -> anyhow::Result<Settings> {
    let name = account.name.clone();
    let first = open(account, &outside).map_err(|error| anyhow::anyhow!("account {name}: {error}"))?;
    database.set_capabilities(first.account.id, &first.capabilities).await?;
    show(&health, &first.account);
    let (sender, settings) = watch::channel(Arc::new(first));
    let keeper = Keeper { database, versions, outside, health, sender };
    let ending = shutdown.clone();
    shutdown.spawn(async move {
        tokio::select! {
            () = keeper.keep() => {}
            () = ending.wait() => {}
        }
    });
    Ok(settings)
}

pub(crate) fn open(account: Account, outside: &Outside) -> anyhow::Result<InForce> {
    let spec = platforms::find(&account.platform)
        .ok_or_else(|| anyhow::anyhow!("this version knows no platform \"{}\"", account.platform))?;
    let opened = spec.open(&account.settings, Http::through(&outside.proxy)?)?;
    let Opened { platform, capabilities, receive, secrets } = opened;
    let base = outside.public_url.trim_end_matches('/');
    let webhook_url = (!base.is_empty()).then(|| format!("{base}{}", webhook_path(&account)));
    anyhow::ensure!(
        receive == Receive::Poll || webhook_url.is_some(),
        "receive=webhook needs connector.public_url, under which the platform finds us"
    );
    Ok(InForce { account, platform, capabilities, receive, webhook_url, secrets })
}

/// Where an account's webhooks are, behind the address of the reverse proxy.
pub fn webhook_path(account: &Account) -> String {
    format!("/webhooks/{}/{}", account.name, account.platform)
}

fn show(health: &Health, account: &Account) {
    metrics::gauge!(ACCOUNT_INFO, "platform" => account.platform.clone()).set(1.0);
    metrics::gauge!(SETTINGS_VERSION).set(account.version as f64);
    health.fact("settings", format!("version {}", account.version));
    health.fact("account", if account.enabled { "enabled" } else { "disabled" });
}

struct Keeper {
    database: Database,
    versions: watch::Receiver<i64>,
    outside: Outside,
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
        let new = open(account, &self.outside)?;
        self.database.set_capabilities(new.account.id, &new.capabilities).await?;
        tracing::info!(version = new.account.version, enabled = new.account.enabled, "new settings are in force");
        show(&self.health, &new.account);
        self.sender.send_replace(Arc::new(new));
        Ok(())
    }
}
