//! The platform's rules, asked over HTTP of a simulator in this process.

mod control;
mod faults;
mod files_in;
mod files_out;
mod hook;
mod limits;
mod platform;
mod sending;
mod shapes;
mod updates;
mod webhooks;
