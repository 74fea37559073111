//! The platform's rules, asked over HTTP of a simulator in this process.

mod albums;
mod control;
mod faults;
mod files_in;
mod files_out;
mod hook;
mod kinds_in;
mod limits;
mod menus;
mod moving;
mod mute;
mod platform;
mod sending;
mod shapes;
mod updates;
mod webhooks;
