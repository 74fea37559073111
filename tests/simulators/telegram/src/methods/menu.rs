//! The bot's menu: its commands, and the button that opens them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    bot::State,
    params::Params,
    reply::{ApiError, Outcome, Success},
    text::utf16_len,
};

/// Most commands of a bot; generally accepted, not confirmed.
const MAX_COMMANDS: usize = 100;

/// What the bot offers, and to whom.
#[derive(Clone, Debug, Default)]
pub struct Menu {
    /// By scope, as `type:chat:user`, and language.
    commands: BTreeMap<(String, String), Vec<Value>>,
    /// By private chat; `None` is everybody's.
    buttons: BTreeMap<Option<i64>, Value>,
}

impl Menu {
    /// The commands that a customer sees in a chat, in any language.
    pub fn shown(&self, chat: i64) -> Vec<Value> {
        let of_all = if chat > 0 { "all_private_chats::" } else { "all_group_chats::" };
        let nearest_first = [format!("chat:{chat}:"), of_all.to_owned(), "default::".to_owned()];
        let found = nearest_first.into_iter().find_map(|scope| self.commands.get(&(scope, String::new())));
        found.cloned().unwrap_or_default()
    }

    /// The button beside a private chat's text field.
    pub fn button(&self, chat: Option<i64>) -> Value {
        let set = self.buttons.get(&chat).or_else(|| self.buttons.get(&None));
        set.cloned().unwrap_or_else(|| json!({ "type": "commands" }))
    }
}

/// Puts a list in the place of the one before.
pub fn set_my_commands(state: &mut State, params: &Params) -> Outcome {
    let commands: Vec<Value> = match params.given("commands") {
        Some(json) => serde_json::from_str(json).map_err(|_| ApiError::bad("can't parse commands JSON object"))?,
        None => return Err(ApiError::bad("parameter \"commands\" is required")),
    };
    if commands.len() > MAX_COMMANDS {
        return Err(ApiError::bad("BOT_COMMANDS_TOO_MUCH"));
    }
    let commands = commands.iter().map(command).collect::<Result<Vec<_>, _>>()?;
    let scope = scope(state, params)?;
    match commands.is_empty() {
        true => drop(state.menu.commands.remove(&scope)),
        false => drop(state.menu.commands.insert(scope, commands)),
    }
    state.changed(None, "menu");
    Ok(Success::of(json!(true)))
}

/// The list of exactly this scope and language.
pub fn get_my_commands(state: &mut State, params: &Params) -> Outcome {
    let scope = scope(state, params)?;
    Ok(Success::of(json!(state.menu.commands.get(&scope).cloned().unwrap_or_default())))
}

/// Forgets the list of a scope and language.
pub fn delete_my_commands(state: &mut State, params: &Params) -> Outcome {
    let scope = scope(state, params)?;
    state.menu.commands.remove(&scope);
    state.changed(None, "menu");
    Ok(Success::of(json!(true)))
}

/// The button of a private chat, or everybody's.
pub fn set_chat_menu_button(state: &mut State, params: &Params) -> Outcome {
    let chat = private_chat(state, params)?;
    let json = params.given("menu_button").unwrap_or(r#"{"type":"default"}"#);
    let button: Value =
        serde_json::from_str(json).map_err(|_| ApiError::bad("can't parse menu button: expected an Object"))?;
    match button["type"].as_str() {
        Some("commands") => drop(state.menu.buttons.insert(chat, json!({ "type": "commands" }))),
        Some("default") => drop(state.menu.buttons.remove(&chat)),
        Some("web_app") => {
            let url = button["web_app"]["url"].as_str().unwrap_or_default();
            if !url.starts_with("https://") || button["text"].as_str().is_none_or(str::is_empty) {
                return Err(ApiError::bad("BUTTON_URL_INVALID"));
            }
            let shown = json!({ "type": "web_app", "text": button["text"], "web_app": { "url": url } });
            state.menu.buttons.insert(chat, shown);
        }
        _ => return Err(ApiError::bad("can't parse menu button: Unsupported type specified")),
    }
    state.changed(chat, "menu");
    Ok(Success::of(json!(true)))
}

/// The button that a private chat shows, or everybody's.
pub fn get_chat_menu_button(state: &mut State, params: &Params) -> Outcome {
    let chat = private_chat(state, params)?;
    Ok(Success::of(state.menu.button(chat)))
}

fn private_chat(state: &mut State, params: &Params) -> Result<Option<i64>, ApiError> {
    let Some(chat) = params.given("chat_id") else { return Ok(None) };
    let id = state.chats.find(chat)?.id;
    if id > 0 { Ok(Some(id)) } else { Err(ApiError::bad("chat not found")) }
}

/// A command as it is kept.
fn command(command: &Value) -> Result<Value, ApiError> {
    let text = |name: &str| command.get(name).and_then(Value::as_str).unwrap_or_default();
    let name = text("command").trim_start_matches('/');
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if !(1..=32).contains(&name.len()) || !name.bytes().all(known) {
        return Err(ApiError::bad("BOT_COMMAND_INVALID"));
    }
    if !(1..=256).contains(&utf16_len(text("description"))) {
        return Err(ApiError::bad("BOT_COMMAND_DESCRIPTION_INVALID"));
    }
    Ok(json!({ "command": name, "description": text("description") }))
}

/// Whose commands a request is about, as the menu's key.
fn scope(state: &mut State, params: &Params) -> Result<(String, String), ApiError> {
    let wrong = |why: &str| ApiError::bad(format!("can't parse BotCommandScope: {why}"));
    let language = params.get("language_code").to_owned();
    let json = params.given("scope").unwrap_or(r#"{"type":"default"}"#);
    let scope: Value = serde_json::from_str(json).map_err(|_| wrong("expected an Object"))?;
    let kind = scope["type"].as_str().ok_or_else(|| wrong("Can't find field \"type\""))?;
    let told = |name: &str| match &scope[name] {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    };
    let (chat, user) = match kind {
        "default" | "all_private_chats" | "all_group_chats" | "all_chat_administrators" => Default::default(),
        "chat" | "chat_administrators" => (told("chat_id"), String::new()),
        "chat_member" => (told("chat_id"), told("user_id")),
        _ => return Err(wrong("Unsupported type specified")),
    };
    if kind.starts_with("chat") {
        state.chats.find(&chat)?;
    }
    Ok((format!("{kind}:{chat}:{user}"), language))
}
