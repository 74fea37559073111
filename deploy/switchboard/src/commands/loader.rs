//! `switchboard loader`

use std::net::SocketAddr;

use anyhow::Context;
use switchboard_common::access::{AuthSettings, Verifier};
use switchboard_common::service::config::Config;
use switchboard_common::service::http::HttpLimits;
use switchboard_loader::{Descriptions, LoaderConfig, run as serve};
use tokio::net::TcpListener;

use crate::descriptions;
use crate::process::Process;

/// `loader`
#[derive(clap::Args)]
pub struct LoaderArgs {
    /// Instead of loader.listen.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Instead of admin.listen.
    #[arg(long)]
    admin_listen: Option<SocketAddr>,
    /// Only read the configuration and its secrets; exits 2 when they cannot be used.
    #[arg(long)]
    pub check_config: bool,
}

/// Answers REST until told to stop.
pub async fn run(config: &Config, args: LoaderArgs) -> anyhow::Result<()> {
    let listen = args.listen.unwrap_or(config.loader.listen);
    AuthSettings::of(config)?; // what is wrong with it is said before the database is waited for
    let process = Process::start_reader(config, "loader", args.admin_listen).await?;
    let settings = LoaderConfig {
        verifier: Verifier::watched(config, &process.shutdown)?,
        origins: config.chatserver.origins(),
        limits: HttpLimits::new(&config.public)?,
        exports_at_once: config.loader.exports_at_once,
        descriptions: Descriptions { openapi: descriptions::openapi(), asyncapi: descriptions::asyncapi() },
    };
    let listener =
        TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen} (loader.listen)"))?;
    let (database, shutdown) = (process.database.clone(), process.shutdown.clone());
    let served = process.work(serve(settings, listener, database, shutdown, process.health.clone())).await;
    process.end().await;
    served
}
