//! setMessageReaction, and which reactions there are.

use serde_json::{Value, json};

use super::around::message_id;
use crate::{
    bot::State,
    params::Params,
    reply::{ApiError, Outcome, Success},
};

/// Every emoji that is a reaction; the reference of ReactionTypeEmoji.
pub const EMOJI: [&str; 73] = [
    "❤",
    "👍",
    "👎",
    "🔥",
    "🥰",
    "👏",
    "😁",
    "🤔",
    "🤯",
    "😱",
    "🤬",
    "😢",
    "🎉",
    "🤩",
    "🤮",
    "💩",
    "🙏",
    "👌",
    "🕊",
    "🤡",
    "🥱",
    "🥴",
    "😍",
    "🐳",
    "❤‍🔥",
    "🌚",
    "🌭",
    "💯",
    "🤣",
    "⚡",
    "🍌",
    "🏆",
    "💔",
    "🤨",
    "😐",
    "🍓",
    "🍾",
    "💋",
    "🖕",
    "😈",
    "😴",
    "😭",
    "🤓",
    "👻",
    "👨‍💻",
    "👀",
    "🎃",
    "🙈",
    "😇",
    "😨",
    "🤝",
    "✍",
    "🤗",
    "🫡",
    "🎅",
    "🎄",
    "☃",
    "💅",
    "🤪",
    "🗿",
    "🆒",
    "💘",
    "🙉",
    "🦄",
    "😘",
    "💊",
    "🙊",
    "😎",
    "👾",
    "🤷‍♂",
    "🤷",
    "🤷‍♀",
    "😡",
];
/// Who the bot is among those who reacted.
pub const BOT: i64 = 0;
/// Most reactions of a bot to one message; the method reference.
const MOST: usize = 1;

/// Puts the bot's reaction in the place of the one before, or takes it away.
pub fn set_message_reaction(state: &mut State, params: &Params) -> Outcome {
    let unreadable = |why: &str| ApiError::bad(format!("can't parse reaction types: {why}"));
    let json = params.given("reaction").unwrap_or("[]");
    let reactions: Vec<Value> = serde_json::from_str(json).map_err(|_| unreadable("expected an Array"))?;
    let id = message_id(params)?;
    let chat = state.chats.writable(params.get("chat_id"))?;
    let chat_id = chat.id;
    let message = chat.messages.get_mut(&id).filter(|message| message.body.is_some());
    let message = message.ok_or_else(|| ApiError::bad("message to react not found"))?;
    if reactions.len() > MOST {
        return Err(ApiError::bad("REACTIONS_TOO_MANY"));
    }
    for reaction in &reactions {
        match reaction["type"].as_str() {
            Some("emoji") if is_known(reaction) => {}
            // A bot repeats what somebody else put there.
            Some("custom_emoji") if message.reactions.values().flatten().any(|other| other == reaction) => {}
            Some("emoji" | "custom_emoji" | "paid") => return Err(ApiError::bad("REACTION_INVALID")),
            _ => return Err(unreadable("Unsupported type specified")),
        }
    }
    match reactions.is_empty() {
        true => drop(message.reactions.remove(&BOT)),
        false => drop(message.reactions.insert(BOT, reactions)),
    }
    state.changed(Some(chat_id), "reaction");
    Ok(Success::message(json!(true), id))
}

fn is_known(reaction: &Value) -> bool {
    EMOJI.iter().any(|emoji| reaction["emoji"] == *emoji)
}
