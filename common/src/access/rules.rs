//! The authorization matrix, as data: every route and every frame, and the scopes it lets in.
//!
//! A route is added by its rule and a frame names its rule, so one without a row here cannot be written; the tests walk
//! the rows.

use super::TokenScope::{self, Admin, Agent, Bot, Loader, Supervisor};

/// Where a rule holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    /// REST of the loader.
    Loader,
    /// The file server of a connector.
    Files,
    /// A request of the agents' websocket.
    Frame,
}

/// One row: a route (`GET /v1/chats`) or a frame (`send`).
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Where.
    pub surface: Surface,
    /// The route's method and path, or the frame's type.
    pub name: &'static str,
    /// Whoever has one of these scopes may.
    pub allow: &'static [TokenScope],
}

macro_rules! rules {
    ($($constant:ident = $surface:ident $name:literal [$($scope:ident)*];)+) => {
        $(#[doc = concat!("`", $name, "`")]
        pub const $constant: Rule = Rule { surface: Surface::$surface, name: $name, allow: &[$($scope),*] };)+

        /// Every rule.
        pub const ALL: &[&Rule] = &[$(&$constant),+];
    };
}

rules! {
    FILE_UPLOAD = Files "POST /files/{account}" [Agent Bot];
    FILE_PUT = Files "PUT /files/{account}/{file}" [Agent Bot];
    FILE_GET = Files "GET /files/{account}/{file}" [Agent Bot Supervisor Loader Admin];
    FILE_LINK = Files "POST /files/{account}/{file}/link" [Agent Bot Supervisor];

    CHATS = Loader "GET /v1/chats" [Agent Supervisor Loader Admin];
    CHATS_EXPORT = Loader "GET /v1/chats/export" [Supervisor Loader Admin];
    CHAT_HISTORY = Loader "GET /v1/chats/{chat}/history" [Agent Supervisor Loader Admin];
    CUSTOMERS = Loader "GET /v1/customers" [Agent Supervisor Loader Admin];
    ACCOUNTS = Loader "GET /v1/accounts" [Agent Bot Supervisor Loader Admin];
    AUDIT = Loader "GET /v1/audit" [Admin];

    HELLO = Frame "hello" [Agent Bot Supervisor];
    PING = Frame "ping" [Agent Bot Supervisor];
    SNAPSHOT = Frame "snapshot" [Agent Bot Supervisor];
    HISTORY = Frame "history" [Agent Bot Supervisor];
    WAITING = Frame "waiting" [Agent Bot Supervisor];
    TAKE = Frame "take" [Agent Bot];
    CLOSE = Frame "close" [Agent Bot];
    SEND = Frame "send" [Agent Bot];
    CANCEL = Frame "cancel" [Agent Bot];
    RESEND = Frame "resend" [Agent Bot];
    MARK_SENT = Frame "mark_sent" [Agent Bot];
    DROP = Frame "drop" [Agent Bot];
}
