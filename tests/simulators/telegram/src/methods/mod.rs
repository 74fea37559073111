//! Methods of the Bot API: what each spends, and a module for each group of them.

mod account;
mod album;
pub mod around;
mod deletes;
mod edits;
mod forwards;
pub mod menu;
mod places;
mod profile;
mod reactions;
mod send;
mod send_file;
mod table;

pub use table::METHODS;

use crate::{bot::State, files::Kind, limits::Counting, params::Params, reply::Outcome};

/// What a method does with the state.
pub type Run = fn(&mut State, &Params) -> Outcome;

/// One method of the Bot API.
#[derive(Debug)]
pub struct Method {
    /// Its name as the documentation spells it; callers may spell it in any case.
    pub name: &'static str,
    /// The parameters that this simulator looks at: its own, and those it has in common with others.
    pub reads: &'static [&'static [&'static str]],
    /// Whose allowance a call spends, beside the bot's.
    pub spends: Spends,
    /// What it does; `None` is getUpdates, which waits.
    pub run: Option<Run>,
}

/// Whose allowance a call spends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spends {
    /// Nobody's: getUpdates.
    Nothing,
    /// The bot's only.
    Bot,
    /// The bot's and the chat's.
    Chat,
    /// The bot's and the chat's: a new message.
    Message,
}

impl Method {
    /// The parameters that this simulator looks at.
    pub fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.reads.iter().copied().flatten().copied()
    }

    /// What kind of file it sends.
    pub fn sends(&self) -> Option<Kind> {
        let second = self.parameters().nth(1);
        Kind::ALL.into_iter().find(|kind| second == Some(kind.field()))
    }

    /// The chat whose allowance a call spends.
    pub fn limited_chat(&self, chat: Option<i64>, counting: Counting) -> Option<i64> {
        match (self.spends, counting) {
            (Spends::Message, _) | (Spends::Chat, Counting::Every) => chat,
            (Spends::Chat, Counting::Messages) | (Spends::Bot | Spends::Nothing, _) => None,
        }
    }

    /// Whether it changes what customers see, or what the bot is to them.
    pub fn has_effect(&self) -> bool {
        !self.name.starts_with("get") && !self.name.ends_with("Webhook")
    }
}

/// Finds a method by its name in any case.
pub fn find(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name.eq_ignore_ascii_case(name))
}
