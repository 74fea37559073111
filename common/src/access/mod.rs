//! Who may do what: tokens, scopes, and one table of rules for every route and frame.
//!
//! A token says who calls and with which scopes ([`Verifier`]); a row of [`rules`] says which scopes a route or a frame
//! lets in ([`Gate`]); which chats an agent sees is decided in the database, by `chat_visible`, and nowhere else.

mod http;
mod rotation;
pub mod rules;
mod token;

pub use crate::model::{TokenScope, TokenScopes};
pub use crate::service::addresses::{Addresses, ClientAddress, Held};
pub use crate::service::networks::Networks;
pub use http::{Caller, Gate, Refused, bearer};
pub use rules::{Rule, Surface};
pub use token::{AuthKey, AuthSettings, AuthSettingsError, Denied, Identity, KeyMark, TokenAlgorithm, Verifier};
