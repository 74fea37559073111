//! Attachments in and out, by id; hosted by each account's connector.
//!
//! Empty for now: content other than text is announced to agents with its caption, and its bytes stay with the
//! platform (docs/roadmap.md).
