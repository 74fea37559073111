//! One account, tenure after tenure.

use std::sync::Arc;
use std::time::Duration;

use switchboard_common::doorbell::Doorbells;
use switchboard_common::ensemble::Ensemble;
use switchboard_common::service::health::Health;
use switchboard_common::service::metrics::TENURE_ACTIVE;
use switchboard_common::service::shutdown::Shutdown;
use switchboard_common::store::{Account, Database};
use switchboard_common::tenure::Tenures;
use tokio::sync::{Notify, watch};

use crate::exchanges::Exchanges;
use crate::fetch::Fetcher;
use crate::intake::{Intake, Surroundings};
use crate::platform::Receive;
use crate::public::{self, PublicOptions};
use crate::registration::Registration;
use crate::sender::{Sender, SenderOptions};
use crate::settings::{self, Outside, Settings};

/// How a connector works.
pub struct ConnectorOptions {
    /// Names this process in the lease.
    pub holder: String,
    /// How long one poll may wait.
    pub poll_wait: Duration,
    /// T: the session timeout.
    pub session_timeout: Duration,
    /// How to send.
    pub sender: SenderOptions,
    /// How it is reached from outside.
    pub public: PublicOptions,
    /// How it reaches out.
    pub outside: Outside,
}

/// The same database twice: bytes of files never keep a row waiting for a connection.
#[derive(Clone)]
pub struct Databases {
    /// For everything but bytes.
    pub rows: Database,
    /// For bytes of files alone.
    pub bytes: Database,
}

/// Serves `account` until shutdown: standby until a tenure begins, active until it ends.
pub async fn serve(
    account: Account,
    options: ConnectorOptions,
    databases: Databases,
    doorbells: Doorbells,
    ensemble: &Ensemble,
    health: Health,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let (id, name) = (account.id, account.name.clone());
    let Databases { rows: database, bytes } = databases.clone();
    let (mut ears, mut ears_for_files) = (doorbells.listen_account(&name), doorbells.listen_account(&name));
    let news = Arc::new(Notify::new());
    let holder = options.holder;
    let mut tenures = Tenures::new((id, &name), holder, database.clone(), ensemble, options.session_timeout, shutdown);
    let versions = tenures.versions();
    let mut settings =
        settings::follow(account, database.clone(), versions, options.outside, health.clone(), shutdown).await?;
    let surroundings = Surroundings {
        database: database.clone(),
        doorbells: doorbells.clone(),
        news: news.clone(),
        health: health.clone(),
    };
    public::serve(options.public, &settings, surroundings.clone(), &databases, shutdown).await?;
    health.fact("role", "standby");
    health.set("serving", true, "standby or active");
    while let Some(tenure) = tenures.next().await {
        health.fact("role", "active");
        health.fact("epoch", tenure.epoch.to_string());
        metrics::gauge!(TENURE_ACTIVE).set(1.0);
        while !tenure.ending.has_begun() {
            let now = settings.borrow_and_update().clone();
            let intake = Intake::new(&now, &surroundings);
            let sender = Sender {
                account: now.account.clone(),
                platform: now.platform.clone(),
                limits: now.capabilities.limits.clone(),
                database: database.clone(),
                files: bytes.clone(),
                doorbells: doorbells.clone(),
                health: health.clone(),
                options: options.sender.clone(),
            };
            let (opening, limiter) = watch::channel(None);
            let exchanges = Exchanges { account: id, epoch: tenure.epoch, database: database.clone(), limiter };
            let registration = Registration::new(now.clone(), exchanges.clone(), health.clone());
            let fetcher = Fetcher {
                account: now.account.clone(),
                platform: now.platform.clone(),
                database: database.clone(),
                files: bytes.clone(),
                doorbells: doorbells.clone(),
                news: news.clone(),
                max_bytes: now.capabilities.files.map_or(0, |limits| limits.file_max_bytes),
            };
            // Ends with the tenure, or earlier: new settings begin as a tenure does, with a limiter rebuilt from the tables.
            let ending = tenure.ending.child();
            let receiving = async {
                match now.receive {
                    Receive::Poll => {
                        let polling = intake.poll(&tenure, &ending, options.poll_wait, &registration);
                        tokio::join!(polling, registration.watch(&ending));
                    }
                    Receive::Webhook => registration.keep(&ending).await,
                }
            };
            let sending = sender.run(tenure.epoch, &mut ears, &opening, &ending);
            let fetching = fetcher.run(&exchanges, &mut ears_for_files, &ending);
            let (.., changed) = tokio::join!(receiving, sending, fetching, changed(&mut settings, &ending));
            if !changed {
                break;
            }
        }
        metrics::gauge!(TENURE_ACTIVE).set(0.0);
        health.fact("role", "standby");
        tenures.release(tenure).await;
    }
    Ok(())
}

/// Whether new settings are what ends the work: begins its end when there are any.
async fn changed(settings: &mut Settings, ending: &Shutdown) -> bool {
    let new = async {
        if settings.changed().await.is_err() {
            // Nobody follows the settings any more: the process stops, and says itself when the tenure ends.
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        biased;
        () = ending.wait() => false,
        () = new => {
            ending.begin();
            true
        }
    }
}
