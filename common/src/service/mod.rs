//! What every subcommand calls: configuration, telemetry, shutdown, health, the clock of deadlines.

pub mod addresses;
pub mod admin;
pub mod clock;
pub mod config;
pub mod database;
pub mod health;
pub mod host;
pub mod http;
pub mod memory;
pub mod metrics;
pub mod networks;
pub mod patience;
pub mod problem;
pub mod shutdown;
pub mod telemetry;
