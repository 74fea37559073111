//! The bot's own account.

use serde_json::json;

use crate::{
    bot::State,
    params::Params,
    reply::{Outcome, Success},
};

/// The bot's own account.
pub fn get_me(state: &mut State, _: &Params) -> Outcome {
    let mut user = state.bot_user();
    user["can_join_groups"] = json!(true);
    user["can_read_all_group_messages"] = json!(!state.privacy);
    for flag in ["supports_inline_queries", "can_connect_to_business", "has_main_web_app"] {
        user[flag] = json!(false);
    }
    Ok(Success::of(user))
}
