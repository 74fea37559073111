//! `switchboard chatserver`

use std::time::Duration;

use anyhow::Context;
use switchboard_chatserver::{ChatserverConfig, Limits, run as serve};
use switchboard_common::access::{AuthSettings, Verifier};
use switchboard_common::service::config::Config;
use switchboard_common::service::host;
use switchboard_common::service::http::HttpLimits;
use tokio::net::TcpListener;

use crate::cli::ChatserverArgs;
use crate::descriptions;
use crate::process::Process;

/// Serves agents until told to stop.
pub async fn run(config: &Config, args: ChatserverArgs) -> anyhow::Result<()> {
    let listen = args.listen.unwrap_or(config.chatserver.listen);
    let name = match args.name.unwrap_or_else(|| config.chatserver.name.clone()) {
        name if name.is_empty() => format!("{}-{}", host::name(), listen.port()),
        name => name,
    };
    AuthSettings::of(config)?; // what is wrong with it is said before the database is waited for
    let process = Process::start(config, &format!("chatserver {name}"), args.admin_listen).await?;
    let settings = ChatserverConfig {
        name: name.clone(),
        verifier: Verifier::watched(config, &process.shutdown)?,
        openapi: descriptions::openapi(),
        http: HttpLimits::new(&config.public)?,
        origins: config.chatserver.origins(),
        limits: Limits { sessions_per_agent: config.chatserver.sessions_per_agent, ..Limits::default() },
        lease_good_for: Duration::from_millis(config.zookeeper.session_timeout_ms / 2),
        feed_retention: Duration::from_secs(u64::from(config.chatserver.feed_retention_days) * 86_400),
    };
    let listener =
        TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen} (chatserver.listen)"))?;
    let (database, doorbells) = (process.database.clone(), process.doorbells.clone());
    let serving = serve(settings, listener, database, doorbells, process.shutdown.clone(), process.health.clone());
    let served = process.work(serving).await;
    process.end().await;
    served
}
