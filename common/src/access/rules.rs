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
    RELEASE = Frame "release" [Agent Bot];
    TRANSFER = Frame "transfer" [Agent Bot Supervisor];
    OPEN = Frame "open" [Agent Bot];
    READ = Frame "read" [Agent Bot];
    SEND = Frame "send" [Agent Bot];
    REPLIES = Frame "replies" [Agent Bot Supervisor];
    WATCH = Frame "watch" [Supervisor];
    UNWATCH = Frame "unwatch" [Supervisor];
    CANCEL = Frame "cancel" [Agent Bot];
    RESEND = Frame "resend" [Agent Bot];
    MARK_SENT = Frame "mark_sent" [Agent Bot];
    DROP = Frame "drop" [Agent Bot];
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;

    use super::*;

    const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/access.md");
    const MARKERS: (&str, &str) = ("<!-- matrix: made by a test -->\n", "<!-- end of the matrix -->\n");

    fn table() -> String {
        let words = TokenScope::ALL.map(TokenScope::as_str).join(" | ");
        let mut lines = vec![format!("| | {words} |"), format!("|{}", "---|".repeat(TokenScope::ALL.len() + 1))];
        for rule in ALL {
            let cells = TokenScope::ALL.map(|scope| if rule.allow.contains(&scope) { "yes" } else { "" });
            lines.push(format!("| `{}` | {} |", rule.name, cells.join(" | ")));
        }
        lines.join("\n") + "\n"
    }

    /// docs/access.md shows the rules as they are; UPDATE_DOCS=1 writes them there.
    #[test]
    fn the_document_has_every_rule() {
        let text = std::fs::read_to_string(DOCUMENT).unwrap();
        let (before, rest) = text.split_once(MARKERS.0).unwrap();
        let (shown, after) = rest.split_once(MARKERS.1).unwrap();
        #[allow(clippy::disallowed_methods)] // for tests only: no option of the product
        let update = std::env::var_os("UPDATE_DOCS").is_some();
        if update {
            std::fs::write(DOCUMENT, [before, MARKERS.0, &table(), MARKERS.1, after].concat()).unwrap();
        } else {
            assert_eq!(shown, table(), "docs/access.md differs: run this test with UPDATE_DOCS=1");
        }
    }

    #[test]
    fn every_rule_stands_once_and_lets_somebody_in() {
        let names: BTreeSet<_> = ALL.iter().map(|rule| (rule.surface as u8, rule.name)).collect();
        assert_eq!(names.len(), ALL.len());
        assert!(ALL.iter().all(|rule| !rule.allow.is_empty()));
        // Whoever writes answers customers; who only reads or operates never does.
        for rule in ALL.iter().filter(|rule| rule.surface == Surface::Frame) {
            assert!(!rule.allow.contains(&Loader) && !rule.allow.contains(&Admin), "{}", rule.name);
        }
    }
}
