//! Logs: JSON lines for machines, plain lines on a terminal. Never message text, names, phone numbers,
//! tokens or raw bodies (docs/logging.md).

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use super::config::{Log, LogFormat};

/// Libraries that print at debug what must never be in a log: statements with their parameters, frames, URLs.
const FOREIGN: &str = "tokio_postgres=info,tungstenite=info,tokio_tungstenite=info,hyper=info,hyper_util=info,h2=info,reqwest=info,zookeeper_client=info";

/// Installs the subscriber; call once per process.
pub fn install(log: &Log) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(format!("{},{FOREIGN}", log.level))
        .map_err(|error| anyhow::anyhow!("log.level \"{}\" is no filter: {error}", log.level))?;
    let json = match log.format {
        LogFormat::Json => true,
        LogFormat::Plain => false,
        LogFormat::Auto => !std::io::stderr().is_terminal(),
    };
    // A line that cannot be written is lost: to complain of it on the same full disk would panic.
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false);
    let installed = match json {
        true => builder.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init(),
        false => builder.with_target(false).try_init(),
    };
    installed.map_err(|error| anyhow::anyhow!("logging: {error}"))
}
