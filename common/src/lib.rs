//! What more than one process of Switchboard needs. Knows no platform and no HTTP route.
//!
//! * [`model`]: plain data and ids; no I/O, no clock.
//! * [`store`]: all SQL, one file per table family.
//! * [`doorbell`]: "there is something to read", over ZooKeeper or in memory.
//! * [`ensemble`]: the ZooKeeper session both stand on.
//! * [`tenure`]: active or standby, and the epoch.
//! * [`access`]: tokens, scopes, and the rules of every route and frame.
//! * [`secrets`]: named by reference, read when needed.
//! * [`service`]: config, telemetry, shutdown, health: what every subcommand calls.
//! * [`faults`]: crash points and sabotage for the fault tests; empty in a release.

pub mod access;
pub mod doorbell;
pub mod ensemble;
pub mod faults;
pub mod model;
pub mod secrets;
pub mod service;
pub mod store;
pub mod tenure;
