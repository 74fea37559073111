//! The connector's side that is reached from outside, through the reverse proxy: webhooks and files.
//!
//! The active and the standby serve it alike, at all times: neither needs the tenure.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use switchboard_common::access::{Gate, Verifier};
use switchboard_common::service::admin::health_routes;
use switchboard_common::service::config::SecretFile;
use switchboard_common::service::http::{self, HttpLimits};
use switchboard_common::service::shutdown::Shutdown;
use switchboard_fileserver::{Bounds, FileServer, FileServerOptions};

use crate::intake::Surroundings;
use crate::serve::Databases;
use crate::settings::Settings;
use crate::webhook::Door;

/// Where and what a connector serves.
pub struct PublicOptions {
    /// Where to listen.
    pub listen: SocketAddr,
    /// What a stranger's connections and requests may cost.
    pub limits: HttpLimits,
    /// Genuine webhook requests that are taken in, per second on average.
    pub webhooks_per_second: NonZeroU32,
    /// How links begin; empty: with a slash.
    pub url: String,
    /// Believes agents' tokens.
    pub verifier: Arc<Verifier>,
    /// Keys of signed links, a line each: the first signs, all are believed. None: no links.
    pub link_secret: Option<SecretFile>,
    /// How long a link is good.
    pub link_good_for: Duration,
    /// Uploads and downloads at once.
    pub files_at_once: usize,
    /// An upload that no message named is removed after so long.
    pub orphans_after: Duration,
    /// Web pages of these origins may use files from a browser.
    pub origins: Vec<String>,
    /// Descriptions of the interfaces, by their paths.
    pub descriptions: [(&'static str, String); 2],
}

/// Binds, and serves by tasks of `shutdown`.
pub(crate) async fn serve(
    options: PublicOptions,
    settings: &Settings,
    around: Surroundings,
    databases: &Databases,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let (listen, limits) = (options.listen, options.limits.clone());
    let listener = tokio::net::TcpListener::bind(listen)
        .await
        .map_err(|error| anyhow::anyhow!("cannot listen on {listen} (connector.listen): {error}"))?;
    tracing::info!(listen = %listener.local_addr()?, "serving platforms and agents");
    let health = health_routes(around.health.clone());
    let mean = options.webhooks_per_second;
    let webhooks = Door::open(settings.clone(), around, &limits.addresses, mean, shutdown).routes();
    let described = limits.addresses.limited(descriptions(options.descriptions.clone()));
    let files = FileServer::new(files(options, settings, databases, shutdown))?;
    let files = limits.addresses.limited(switchboard_fileserver::routes(files));
    let (router, ending) = (health.merge(webhooks).merge(files).merge(described), shutdown.clone());
    shutdown.spawn(async move { http::serve(listener, router, limits, &ending).await });
    Ok(())
}

fn descriptions(all: [(&'static str, String); 2]) -> Router {
    all.into_iter().fold(Router::new(), |router, (path, text)| {
        router.route(path, get(async move || ([(CONTENT_TYPE, "application/json")], text)))
    })
}

fn files(options: PublicOptions, settings: &Settings, databases: &Databases, shutdown: &Shutdown) -> FileServerOptions {
    let (account, now) = (settings.borrow().account.clone(), settings.clone());
    FileServerOptions {
        gate: Gate::new(options.verifier, databases.rows.clone()),
        account: account.id,
        account_name: account.name,
        database: databases.bytes.clone(),
        limits: Arc::new(move || now.borrow().capabilities.files),
        link_secret: options.link_secret,
        link_good_for: options.link_good_for,
        public_url: options.url,
        at_once: options.files_at_once,
        orphans_after: options.orphans_after,
        origins: options.origins,
        bounds: Bounds::default(),
        shutdown: shutdown.clone(),
    }
}
