//! REST over the history of chats, for reports and archives.
//!
//! Empty for now: agents page through a chat's log by the websocket's `history` request. The loader comes with
//! the access rules it needs (docs/roadmap.md).
