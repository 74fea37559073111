//! The table of methods.

use crate::{
    account,
    bot::State,
    files::{self, Kind},
    limits::Counting,
    params::Params,
    reply::Outcome,
    send, send_file, webhook,
};

/// What a method does with the state.
pub type Run = fn(&mut State, &Params) -> Outcome;

/// One method of the Bot API.
#[derive(Debug)]
pub struct Method {
    /// Its name as the documentation spells it; callers may spell it in any case.
    pub name: &'static str,
    /// The parameters that this simulator looks at.
    pub reads: &'static [&'static str],
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
    /// What kind of file it sends.
    pub fn sends(&self) -> Option<Kind> {
        [Kind::Photo, Kind::Document].into_iter().find(|kind| self.reads.get(1) == Some(&kind.field()))
    }

    /// The chat whose allowance a call spends.
    pub fn limited_chat(&self, chat: Option<i64>, counting: Counting) -> Option<i64> {
        match (self.spends, counting) {
            (Spends::Message, _) | (Spends::Chat, Counting::Every) => chat,
            (Spends::Chat, Counting::Messages) | (Spends::Bot | Spends::Nothing, _) => None,
        }
    }
}

/// Every method that exists here; any other is 404.
pub const METHODS: &[Method] = &[
    Method {
        name: "getUpdates",
        reads: &["offset", "limit", "timeout", "allowed_updates"],
        spends: Spends::Nothing,
        run: None,
    },
    Method { name: "getMe", reads: &[], spends: Spends::Bot, run: Some(account::get_me) },
    Method {
        name: "sendMessage",
        reads: &["chat_id", "text", "parse_mode", "entities", "reply_parameters", "reply_markup", "protect_content"],
        spends: Spends::Message,
        run: Some(send::send_message),
    },
    Method {
        name: "sendPhoto",
        reads: &[
            "chat_id",
            "photo",
            "caption",
            "parse_mode",
            "caption_entities",
            "reply_parameters",
            "reply_markup",
            "protect_content",
        ],
        spends: Spends::Message,
        run: Some(send_file::send_photo),
    },
    Method {
        name: "sendDocument",
        reads: &[
            "chat_id",
            "document",
            "caption",
            "parse_mode",
            "caption_entities",
            "reply_parameters",
            "reply_markup",
            "protect_content",
        ],
        spends: Spends::Message,
        run: Some(send_file::send_document),
    },
    Method { name: "getFile", reads: &["file_id"], spends: Spends::Bot, run: Some(files::get_file) },
    Method {
        name: "editMessageText",
        reads: &["chat_id", "message_id", "inline_message_id", "text", "parse_mode", "entities", "reply_markup"],
        spends: Spends::Chat,
        run: Some(send::edit_message_text),
    },
    Method {
        name: "deleteMessage",
        reads: &["chat_id", "message_id"],
        spends: Spends::Chat,
        run: Some(send::delete_message),
    },
    Method {
        name: "sendChatAction",
        reads: &["chat_id", "action"],
        spends: Spends::Chat,
        run: Some(send::send_chat_action),
    },
    Method {
        name: "answerCallbackQuery",
        reads: &["callback_query_id", "text"],
        spends: Spends::Bot,
        run: Some(send::answer_callback_query),
    },
    Method { name: "getChat", reads: &["chat_id"], spends: Spends::Bot, run: Some(account::get_chat) },
    Method { name: "setMyCommands", reads: &["commands"], spends: Spends::Bot, run: Some(account::set_my_commands) },
    Method {
        name: "setWebhook",
        reads: &["url", "secret_token", "max_connections", "allowed_updates", "drop_pending_updates"],
        spends: Spends::Bot,
        run: Some(webhook::set_webhook),
    },
    Method {
        name: "deleteWebhook",
        reads: &["drop_pending_updates"],
        spends: Spends::Bot,
        run: Some(webhook::delete_webhook),
    },
    Method { name: "getWebhookInfo", reads: &[], spends: Spends::Bot, run: Some(webhook::get_webhook_info) },
];

/// Finds a method by its name in any case.
pub fn find(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name.eq_ignore_ascii_case(name))
}
