//! `switchboard connector`

use std::time::Duration;

use switchboard_common::access::{AuthSettings, Verifier};
use switchboard_common::model::AccountName;
use switchboard_common::service::config::Config;
use switchboard_common::service::host;
use switchboard_common::service::http::HttpLimits;
use switchboard_common::store::Database;
use switchboard_connectors::sender::SenderOptions;
use switchboard_connectors::settings::Outside;
use switchboard_connectors::{ConnectorOptions, Databases, PublicOptions, serve};

use crate::cli::ConnectorArgs;
use crate::descriptions;
use crate::process::Process;

/// Serves one account until told to stop.
pub async fn run(config: &Config, args: ConnectorArgs) -> anyhow::Result<()> {
    let name = AccountName::new(&args.account).map_err(anyhow::Error::msg)?;
    AuthSettings::of(config)?; // what is wrong with it is said before the database is waited for
    let process = Process::start(config, &format!("connector {name}"), args.admin_listen).await?;
    let account = process.database.account(&name).await?.ok_or_else(|| {
        anyhow::anyhow!(
            "there is no account \"{name}\": `switchboard account list` shows all, `switchboard account add` makes one"
        )
    })?;
    let options = ConnectorOptions {
        holder: format!("{}:{}", host::name(), std::process::id()),
        poll_wait: Duration::from_secs(config.connector.poll_timeout_s),
        session_timeout: Duration::from_millis(config.zookeeper.session_timeout_ms),
        sender: SenderOptions {
            in_flight: config.connector.in_flight,
            write_by: Duration::from_millis(config.connector.write_by_ms),
            answer_by: Duration::from_millis(config.connector.answer_by_ms),
            upload_answer_by: Duration::from_millis(config.connector.upload_answer_by_ms),
            retry: (
                Duration::from_millis(config.connector.retry_first_ms),
                Duration::from_millis(config.connector.retry_longest_ms),
            ),
            give_up: Duration::from_secs(config.connector.give_up_hours * 3600),
        },
        public: PublicOptions {
            listen: args.listen.unwrap_or(config.connector.listen),
            limits: HttpLimits::new(&config.public)?,
            webhooks_per_second: config.connector.webhooks_per_second,
            url: config.connector.public_url.clone(),
            verifier: Verifier::watched(config, &process.shutdown)?,
            link_secret: config.link_secret()?,
            link_good_for: Duration::from_secs(config.files.link_good_for_s),
            files_at_once: config.files.at_once,
            orphans_after: Duration::from_secs(config.files.orphan_hours * 3600),
            origins: config.chatserver.origins(),
            descriptions: [("/openapi.json", descriptions::openapi()), ("/asyncapi.json", descriptions::asyncapi())],
        },
        outside: Outside { proxy: config.connector.proxy.clone(), public_url: config.connector.public_url.clone() },
    };
    let bytes = Database::new(&config.files_database(&format!("switchboard connector {name} files"))?)?;
    let databases = Databases { rows: process.database.clone(), bytes };
    let (doorbells, health) = (process.doorbells.clone(), process.health.clone());
    let serving = serve(account, options, databases, doorbells, &process.ensemble, health, &process.shutdown);
    let served = process.work(serving).await;
    process.end().await;
    served
}
