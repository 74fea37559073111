//! The processes together: observers, the checker of the promises, and the harness that breaks things.
pub mod browser;

pub mod agent;
pub mod checker;
pub mod file_client;
pub mod harness;
pub mod observer;
