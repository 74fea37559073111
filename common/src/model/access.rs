//! What a token is good for.

use std::fmt;

/// One thing a token may be good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum TokenScope {
    /// A person who answers: own chats, and those of the queues served.
    Agent = 1,
    /// A person who looks over agents' shoulders: reads every chat.
    Supervisor = 2,
    /// A program that answers: as an agent, but never in the interactive lane.
    Bot = 4,
    /// A program that reads: lists, histories, exports.
    Loader = 8,
    /// A program or person that operates: also sees what operators changed.
    Admin = 16,
}

impl TokenScope {
    /// All.
    pub const ALL: [Self; 5] = [Self::Agent, Self::Supervisor, Self::Bot, Self::Loader, Self::Admin];

    /// The word used in tokens, rules and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Supervisor => "supervisor",
            Self::Bot => "bot",
            Self::Loader => "loader",
            Self::Admin => "admin",
        }
    }

    /// Reads the word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == word)
    }
}

/// A set of scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenScopes(u8);

impl TokenScopes {
    /// Whether `scope` is among them.
    pub fn has(self, scope: TokenScope) -> bool {
        self.0 & scope as u8 != 0
    }

    /// Whether one of `scopes` is among them.
    pub fn has_any(self, scopes: &[TokenScope]) -> bool {
        scopes.iter().any(|scope| self.has(*scope))
    }

    /// Those that are in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Reads words; those of other systems are passed over.
    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        words.into_iter().filter_map(TokenScope::from_word).collect()
    }
}

impl TokenScopes {
    /// Their words.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        TokenScope::ALL.into_iter().filter(move |scope| self.has(*scope)).map(TokenScope::as_str)
    }

    /// Whether every chat may be seen, instead of an agent's own and those of the queues served.
    pub fn see_all(self) -> bool {
        self.has_any(&[TokenScope::Supervisor, TokenScope::Loader, TokenScope::Admin])
    }
}

impl FromIterator<TokenScope> for TokenScopes {
    fn from_iter<T: IntoIterator<Item = TokenScope>>(scopes: T) -> Self {
        Self(scopes.into_iter().fold(0, |set, scope| set | scope as u8))
    }
}

impl fmt::Display for TokenScopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words().collect::<Vec<_>>().join(" "))
    }
}
