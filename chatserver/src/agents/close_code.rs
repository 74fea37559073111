//! The protocol's close codes.

use std::fmt;

/// Why a socket is closed, and whether to come back: below 4500 yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CloseCode {
    /// This chatserver stops.
    Draining = 4001,
    /// The token expired.
    Expired = 4003,
    /// Nothing was read while entries waited.
    TooSlow = 4008,
    /// Two pings unanswered.
    NoSignOfLife = 4010,
    /// Something is wrong here.
    Internal = 4011,
    /// What the agent may do has changed.
    RoleChanged = 4012,
    /// Bad token, or no hello in time.
    Unauthorized = 4500,
    /// A frame that cannot be.
    BadRequest = 4501,
    /// Too many sessions of one agent.
    TooManySessions = 4504,
}

impl CloseCode {
    /// All.
    pub(super) const ALL: [Self; 9] = [
        Self::Draining,
        Self::Expired,
        Self::TooSlow,
        Self::NoSignOfLife,
        Self::Internal,
        Self::RoleChanged,
        Self::Unauthorized,
        Self::BadRequest,
        Self::TooManySessions,
    ];

    /// The reason in the close frame.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Draining => "this chatserver stops: come back",
            Self::Expired => "token expired: come back with a new one",
            Self::TooSlow => "too slow: entries waited for 30 s",
            Self::NoSignOfLife => "two pings unanswered",
            Self::Internal => "internal error: come back",
            Self::RoleChanged => "role changed: come back",
            Self::Unauthorized => "unauthorized",
            Self::BadRequest => "bad request",
            Self::TooManySessions => "too many sessions of this agent",
        }
    }

    pub(super) fn from_number(number: u16) -> Option<Self> {
        use CloseCode::*;
        [Draining, Expired, TooSlow, NoSignOfLife, Internal, RoleChanged, Unauthorized, BadRequest, TooManySessions]
            .into_iter()
            .find(|code| *code as u16 == number)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", *self as u16)
    }
}
