//! Methods about the bot itself and its view of chats: getMe, getChat, setMyCommands.

use serde_json::{Value, json};

use crate::{
    bot::State,
    chats::{ChatKind, Standing},
    params::Params,
    reply::{ApiError, Outcome, Success},
    text::utf16_len,
};

/// Most commands of a bot; generally accepted, not confirmed.
const MAX_COMMANDS: usize = 100;

/// The bot's own account.
pub fn get_me(state: &mut State, _: &Params) -> Outcome {
    let mut user = state.bot_user();
    for flag in ["can_join_groups", "can_read_all_group_messages"] {
        user[flag] = json!(true);
    }
    for flag in ["supports_inline_queries", "can_connect_to_business", "has_main_web_app"] {
        user[flag] = json!(false);
    }
    Ok(Success::of(user))
}

/// A chat that the bot has met.
pub fn get_chat(state: &mut State, params: &Params) -> Outcome {
    let chat = state.chats.find(params.get("chat_id"))?;
    let (id, standing, private) = (chat.id, chat.standing, chat.kind == ChatKind::Private);
    match standing {
        Standing::NeverStarted => return Err(ApiError::bad("chat not found")),
        Standing::Kicked => return Err(ApiError::forbidden("bot was kicked from the group chat")),
        Standing::Migrated(to) => return Err(ApiError::migrated(to)),
        Standing::Open | Standing::Blocked | Standing::Deactivated => {}
    }
    let mut full = state.chats.describe(id);
    full["accent_color_id"] = json!(0);
    full["max_reaction_count"] = json!(11);
    full["accepted_gift_types"] = json!({
        "unlimited_gifts": private, "limited_gifts": private, "unique_gifts": private, "premium_subscription": private,
        "gifts_from_channels": private,
    });
    Ok(Success::of(full))
}

/// Checked and forgotten: no command list is shown here.
pub fn set_my_commands(_: &mut State, params: &Params) -> Outcome {
    let commands: Vec<Value> = match params.given("commands") {
        Some(json) => serde_json::from_str(json).map_err(|_| ApiError::bad("can't parse commands JSON object"))?,
        None => return Err(ApiError::bad("parameter \"commands\" is required")),
    };
    if commands.len() > MAX_COMMANDS {
        return Err(ApiError::bad("BOT_COMMANDS_TOO_MUCH"));
    }
    for command in &commands {
        let text = |name: &str| command.get(name).and_then(Value::as_str).unwrap_or_default();
        let name = text("command").trim_start_matches('/');
        let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if !(1..=32).contains(&name.len()) || !name.bytes().all(known) {
            return Err(ApiError::bad("BOT_COMMAND_INVALID"));
        }
        if !(1..=256).contains(&utf16_len(text("description"))) {
            return Err(ApiError::bad("BOT_COMMAND_DESCRIPTION_INVALID"));
        }
    }
    Ok(Success::of(json!(true)))
}
