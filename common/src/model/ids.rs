//! Ids are types of their own: a chat's number is never mistaken for an agent's.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// An account: our identity on a platform. Leads the key of everything large.
    AccountId(i32)
);
id!(
    /// A chat; unique over all accounts.
    ChatId(i64)
);
id!(
    /// An agent: our person who answers.
    AgentId(i32)
);
id!(
    /// A queue, where chats wait for agents.
    QueueId(i32)
);
id!(
    /// A feed, what a session reads.
    FeedId(i32)
);
id!(
    /// A part in the outbox; grows with time inside an account.
    OutboxId(i64)
);
id!(
    /// The number of a tenure: every write of an active connector carries it.
    Epoch(i64)
);

/// The name operators give an account: config value, znode segment, metric label, path segment.
///
/// 1-63 characters of `a-z 0-9 _ -`, starting with a letter or a digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountName(String);

impl AccountName {
    /// Checks and wraps a name; the error says what is allowed.
    pub fn new(name: &str) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let good = !name.is_empty()
            && name.len() <= 63
            && name.starts_with(plain)
            && name.chars().all(|c| plain(c) || c == '_' || c == '-');
        match good {
            true => Ok(Self(name.to_owned())),
            false => Err(format!(
                "\"{name}\" is no account name: use 1-63 characters of a-z, 0-9, _ and -, starting with a letter or digit"
            )),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
