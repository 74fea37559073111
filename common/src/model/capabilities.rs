//! What an account's platform can do, as data.

/// What the chatserver must know of a platform before it queues a message. Written to
/// `account.capabilities` from the platform's spec; a setting of the account may narrow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Longest text of one part, in UTF-16 code units; a longer text is split.
    pub text_max_utf16: usize,
}
