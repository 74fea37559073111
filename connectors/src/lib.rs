//! Serves one account: takes its updates in, sends its parts out.
//!
//! A message's way in: [`intake`] (poll → raw update → parse → store → ring); what platforms bring by themselves comes through
//! `webhook`, and is stored alike. A part's way out: [`sender`] (due → limiter → claim → step → platform → settle).
//! [`platform`] is the contract each folder of [`platforms`] fulfils; it knows neither SQL nor ZooKeeper, has no loop and never
//! waits. What operators change while it serves is taken up by [`settings`]. Bytes of customers' files come later, by
//! [`fetch`]; what is no send passes the limiter by [`exchanges`];
//! an operator's program asks the platform itself only while no connector is active ([`beside`]).

pub mod beside;
pub mod exchanges;
pub mod fetch;
mod http;
pub mod intake;
pub mod limiter;
pub mod platform;
pub mod platforms;
mod public;
mod registration;
pub mod sender;
mod serve;
pub mod settings;
mod webhook;

pub use public::PublicOptions;
pub use registration::{CHECK, Said};
pub use serve::{ConnectorOptions, Databases, serve};
