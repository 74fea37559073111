//! The table of methods.

use super::{
    Method, Run,
    Spends::{self, Bot, Chat, Message, Nothing},
    account, album, deletes, edits, forwards, menu, places, profile, reactions, send, send_file,
};
use crate::{files, webhook};

/// What a file has under it.
const CAPTION: &[&str] = &["caption", "parse_mode", "caption_entities"];
/// What every new message may have around its content.
const AROUND: &[&str] = &["reply_parameters", "reply_markup", "protect_content"];
/// Which message is edited.
const EDITED: &[&str] = &["chat_id", "message_id", "inline_message_id", "reply_markup"];
/// What is taken where.
const MOVED: &[&str] = &["chat_id", "from_chat_id", "protect_content"];
/// Whose commands.
const SCOPE: &[&str] = &["scope", "language_code"];
/// How a film or a picture is shown.
const SHOWN: &[&str] = &["has_spoiler", "show_caption_above_media"];
/// What is told of a film.
const FILM: &[&str] = &["duration", "width", "height"];

const fn method(name: &'static str, spends: Spends, run: Run, reads: &'static [&'static [&'static str]]) -> Method {
    Method { name, reads, spends, run: Some(run) }
}

/// Every method that exists here; any other is 404.
pub const METHODS: &[Method] = &[
    Method {
        name: "getUpdates",
        reads: &[&["offset", "limit", "timeout", "allowed_updates"]],
        spends: Nothing,
        run: None,
    },
    method("getMe", Bot, account::get_me, &[]),
    method("sendMessage", Message, send::send_message, &[&["chat_id", "text", "parse_mode", "entities"], AROUND]),
    method("sendPhoto", Message, send_file::photo, &[&["chat_id", "photo"], CAPTION, SHOWN, AROUND]),
    method("sendVideo", Message, send_file::video, &[&["chat_id", "video"], CAPTION, SHOWN, FILM, AROUND]),
    method("sendAnimation", Message, send_file::animation, &[&["chat_id", "animation"], CAPTION, SHOWN, FILM, AROUND]),
    method(
        "sendAudio",
        Message,
        send_file::audio,
        &[&["chat_id", "audio", "duration", "performer", "title"], CAPTION, AROUND],
    ),
    method("sendVoice", Message, send_file::voice, &[&["chat_id", "voice", "duration"], CAPTION, AROUND]),
    method(
        "sendVideoNote",
        Message,
        send_file::video_note,
        &[&["chat_id", "video_note", "duration", "length"], AROUND],
    ),
    method("sendDocument", Message, send_file::document, &[&["chat_id", "document"], CAPTION, AROUND]),
    method("sendSticker", Message, send_file::sticker, &[&["chat_id", "sticker", "emoji"], AROUND]),
    method(
        "sendContact",
        Message,
        places::send_contact,
        &[&["chat_id", "phone_number", "first_name", "last_name", "vcard"], AROUND],
    ),
    method(
        "sendLocation",
        Message,
        places::send_location,
        &[&["chat_id", "latitude", "longitude", "horizontal_accuracy", "live_period"], AROUND],
    ),
    method(
        "sendVenue",
        Message,
        places::send_venue,
        &[&["chat_id", "latitude", "longitude", "title", "address"], AROUND],
    ),
    method(
        "sendMediaGroup",
        Message,
        album::send_media_group,
        &[&["chat_id", "media", "reply_parameters", "protect_content"]],
    ),
    method("sendChatAction", Chat, send::send_chat_action, &[&["chat_id", "action"]]),
    method("editMessageText", Chat, edits::text, &[EDITED, &["text", "parse_mode", "entities"]]),
    method("editMessageCaption", Chat, edits::caption, &[EDITED, CAPTION]),
    method("editMessageMedia", Chat, edits::media, &[EDITED, &["media"]]),
    method("editMessageReplyMarkup", Chat, edits::reply_markup, &[EDITED]),
    method("deleteMessage", Chat, deletes::delete_message, &[&["chat_id", "message_id"]]),
    method("deleteMessages", Chat, deletes::delete_messages, &[&["chat_id", "message_ids"]]),
    method("forwardMessage", Message, forwards::forward_message, &[MOVED, &["message_id"]]),
    method("forwardMessages", Message, forwards::forward_messages, &[MOVED, &["message_ids"]]),
    method(
        "copyMessage",
        Message,
        forwards::copy_message,
        &[MOVED, &["message_id", "reply_parameters", "reply_markup"], CAPTION],
    ),
    method("copyMessages", Message, forwards::copy_messages, &[MOVED, &["message_ids", "remove_caption"]]),
    method(
        "setMessageReaction",
        Chat,
        reactions::set_message_reaction,
        &[&["chat_id", "message_id", "reaction", "is_big"]],
    ),
    method(
        "answerCallbackQuery",
        Bot,
        send::answer_callback_query,
        &[&["callback_query_id", "text", "show_alert", "url", "cache_time"]],
    ),
    method("getFile", Bot, files::get_file, &[&["file_id"]]),
    method("getUserProfilePhotos", Bot, profile::get_user_profile_photos, &[&["user_id", "offset", "limit"]]),
    method("getChat", Bot, profile::get_chat, &[&["chat_id"]]),
    method("setMyCommands", Bot, menu::set_my_commands, &[&["commands"], SCOPE]),
    method("getMyCommands", Bot, menu::get_my_commands, &[SCOPE]),
    method("deleteMyCommands", Bot, menu::delete_my_commands, &[SCOPE]),
    method("setChatMenuButton", Bot, menu::set_chat_menu_button, &[&["chat_id", "menu_button"]]),
    method("getChatMenuButton", Bot, menu::get_chat_menu_button, &[&["chat_id"]]),
    method(
        "setWebhook",
        Bot,
        webhook::set_webhook,
        &[&["url", "secret_token", "max_connections", "allowed_updates", "drop_pending_updates"]],
    ),
    method("deleteWebhook", Bot, webhook::delete_webhook, &[&["drop_pending_updates"]]),
    method("getWebhookInfo", Bot, webhook::get_webhook_info, &[]),
];
