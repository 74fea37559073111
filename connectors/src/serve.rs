//! One account, tenure after tenure.

use std::time::Duration;

use switchboard_common::doorbell::Doorbells;
use switchboard_common::ensemble::Ensemble;
use switchboard_common::service::health::Health;
use switchboard_common::service::metrics::TENURE_ACTIVE;
use switchboard_common::service::shutdown::Shutdown;
use switchboard_common::store::{Account, Database};
use switchboard_common::tenure::Tenures;

use crate::http::Http;
use crate::intake::Intake;
use crate::platform::Opened;
use crate::platforms;
use crate::sender::{Sender, SenderOptions};

/// How a connector works.
#[derive(Clone, Debug)]
pub struct ConnectorOptions {
    /// Names this process in the lease.
    pub holder: String,
    /// How long one poll may wait.
    pub poll_wait: Duration,
    /// T: the session timeout.
    pub session_timeout: Duration,
    /// How to send.
    pub sender: SenderOptions,
}

/// Serves `account` until shutdown: standby until a tenure begins, active until it ends.
pub async fn serve(
    account: Account,
    options: ConnectorOptions,
    database: Database,
    doorbells: Doorbells,
    ensemble: &Ensemble,
    health: Health,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let spec = platforms::find(&account.platform).ok_or_else(|| {
        anyhow::anyhow!("account {}: this version knows no platform \"{}\"", account.name, account.platform)
    })?;
    let opened = spec.open(&account.settings, Http::new()?);
    let Opened { platform, capabilities } =
        opened.map_err(|error| anyhow::anyhow!("account {}: {error}", account.name))?;
    database.set_capabilities(account.id, &capabilities).await?;
    let intake = Intake {
        account: account.clone(),
        platform: platform.clone(),
        database: database.clone(),
        doorbells: doorbells.clone(),
        health: health.clone(),
    };
    let sender = Sender {
        account: account.clone(),
        platform,
        limits: capabilities.limits,
        database: database.clone(),
        doorbells: doorbells.clone(),
        health: health.clone(),
        options: options.sender,
    };
    let mut ears = doorbells.listen_account(&account.name);
    let identity = (account.id, &account.name);
    let mut tenures = Tenures::new(identity, options.holder, database, ensemble, options.session_timeout, shutdown);
    health.fact("role", "standby");
    health.set("serving", true, "standby or active");
    while let Some(tenure) = tenures.next().await {
        health.fact("role", "active");
        health.fact("epoch", tenure.epoch.to_string());
        metrics::gauge!(TENURE_ACTIVE).set(1.0);
        tokio::join!(intake.poll(&tenure, options.poll_wait), sender.run(tenure.epoch, &mut ears, &tenure.ending),);
        metrics::gauge!(TENURE_ACTIVE).set(0.0);
        health.fact("role", "standby");
        tenures.release(tenure).await;
    }
    Ok(())
}
