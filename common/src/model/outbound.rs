//! States of parts, chats and attempts, as the tables hold them.

macro_rules! column_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $value:literal $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(i16)]
        pub enum $name { $($(#[$vdoc])* $variant = $value),+ }

        impl $name {
            /// Reads the column's value; `None` for a value of a later version.
            pub fn from_column(value: i16) -> Option<Self> {
                match value { $($value => Some(Self::$variant),)+ _ => None }
            }

            /// The word used in frames, logs and metrics.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

column_enum!(
    /// Where a part stands. docs/data.md draws the transitions.
    PartState {
        /// Waiting for the sender.
        Queued = 0 "queued",
        /// Claimed: a call may be under way.
        Sending = 1 "sending",
        /// The platform took it and named it.
        Sent = 2 "sent",
        /// May have arrived; a person or later evidence closes it.
        Unconfirmed = 3 "unconfirmed",
        /// Certainly not delivered, and will not be tried again.
        Failed = 4 "failed",
        /// Taken back by the agent before it was claimed.
        Cancelled = 5 "cancelled",
        /// Was unconfirmed; a person gave it up or said that it arrived.
        Closed = 6 "closed",
    }
);

column_enum!(
    /// How urgent a message is. The order of a chat's messages is kept inside a lane: a broadcast of yesterday does
    /// not hold back today's answer.
    Lane {
        /// An agent answers a customer.
        Interactive = 0 "interactive",
        /// A program answers a customer.
        Bot = 1 "bot",
        /// Nobody waits for it.
        Bulk = 2 "bulk",
    }
);

impl Lane {
    /// All, the most urgent first.
    pub const ALL: [Self; 3] = [Self::Interactive, Self::Bot, Self::Bulk];

    /// Reads the word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| lane.as_str() == word)
    }

    /// The share of the account's slots a lane gets while more urgent ones want them all, too.
    pub fn guaranteed_share(self) -> f64 {
        match self {
            Self::Interactive => 0.0,
            Self::Bot => 0.2,
            Self::Bulk => 0.1,
        }
    }
}

column_enum!(
    /// Where a chat stands.
    ChatState {
        /// Offered to the agents of its queue.
        Waiting = 0 "waiting",
        /// Served by one agent.
        Taken = 1 "taken",
        /// No interaction is open.
        Closed = 2 "closed",
    }
);

column_enum!(
    /// What an entry of a chat's log says. Frames use the words.
    EntryKind {
        /// A customer or an agent wrote.
        Message = 1 "message",
        /// A customer changed a message.
        Edited = 2 "edited",
        /// An interaction began: the chat waits in its queue.
        Opened = 3 "opened",
        /// An agent took the chat.
        Taken = 4 "taken",
        /// The interaction ended.
        Closed = 5 "closed",
        /// The bytes of a message's file are there, or will not come.
        File = 6 "file",
        /// What became of a part.
        Outcome = 9 "outcome",
        /// The customer blocked us or came back.
        Membership = 10 "membership",
        /// The agent gave the chat back to its queue.
        Released = 20 "released",
        /// The chat went to another agent or queue.
        Transferred = 21 "transferred",
    }
);

column_enum!(
    /// How one try to call the platform ended.
    AttemptOutcome {
        /// The platform took the part.
        Sent = 1 "sent",
        /// Held back by the platform (429): not an attempt that counts.
        Throttled = 2 "throttled",
        /// Certainly not delivered; tried again later.
        NotSent = 3 "not_sent",
        /// May have been delivered.
        Unclear = 4 "unclear",
        /// Refused for good.
        Refused = 5 "refused",
        /// The account itself is in trouble; the part waits.
        AccountDown = 6 "account_down",
        /// The process ended or lost its tenure before an answer was recorded.
        Abandoned = 7 "abandoned",
    }
);

/// What a 429 holds back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FreezeScope {
    /// Every exchange of the account.
    Account,
    /// Exchanges of one chat, by the platform's key.
    Chat(String),
}

impl FreezeScope {
    /// The column's text: `account` or `chat:<key>`.
    pub fn to_column(&self) -> String {
        match self {
            Self::Account => "account".to_owned(),
            Self::Chat(key) => format!("chat:{key}"),
        }
    }

    /// Reads the column's text.
    pub fn from_column(text: &str) -> Option<Self> {
        match text.strip_prefix("chat:") {
            Some(key) => Some(Self::Chat(key.to_owned())),
            None => (text == "account").then_some(Self::Account),
        }
    }
}
