//! Answers and updates of every kind against a description of the Bot API that nobody of this project wrote.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use telegram_simulator::{described::api, methods::METHODS};

use crate::platform::{OLGA, Platform};

fn assert_shape(what: &str, types: &[String], value: &Value) {
    let complaints = api().check(what, types, value);
    assert!(complaints.is_empty(), "{complaints:#?}\nin {value:#}");
}

#[test]
fn every_parameter_read_exists() {
    for method in METHODS {
        let described = &api().methods[method.name];
        for name in method.parameters() {
            assert!(described.fields.iter().any(|field| field.name == name), "{}: {name}", method.name);
        }
        for field in described.fields.iter().filter(|field| field.required) {
            assert!(
                method.parameters().any(|name| name == field.name),
                "{} does not look at {}",
                method.name,
                field.name
            );
        }
    }
    assert_eq!(api().methods.len(), METHODS.len(), "the copied part describes what is played, no more");
}

#[tokio::test]
async fn every_required_parameter_is_demanded() {
    let platform = Platform::start().await;
    let asked = prepare(&platform).await;
    for (name, complete) in requests(&asked) {
        let described = &api().methods[name];
        for field in described.fields.iter().filter(|field| field.required && field.name != "url") {
            let mut request = complete.clone();
            request.as_object_mut().expect("an object").remove(&field.name);
            assert_eq!(platform.refused(name, request).await.0, 400, "{name} without {}", field.name);
        }
    }
}

/// What Olga and the bot said before: all that requests can be about.
struct Asked {
    /// By the name of its field: the identifier of a file of that kind.
    files: BTreeMap<&'static str, Value>,
    message_id: Value,
    /// A photo of the bot's, with a caption.
    photo_id: Value,
    query: Value,
}

const KINDS: [&str; 7] = ["document", "video", "audio", "voice", "video_note", "animation", "sticker"];

async fn prepare(platform: &Platform) -> Asked {
    platform.order("start", json!({ "chat": OLGA })).await;
    let buttons = json!({ "inline_keyboard": [[
        { "text": "Yes", "callback_data": "y" }, { "text": "Site", "url": "https://example.org" },
    ]] });
    let asked = platform.ok("sendMessage", json!({ "chat_id": OLGA, "text": "?", "reply_markup": buttons })).await;
    let message_id = asked["message_id"].clone();
    let press = platform.order("callback", json!({ "chat": OLGA, "message_id": message_id, "data": "y" })).await;
    platform.order("photo", json!({ "chat": OLGA })).await;
    for kind in KINDS {
        platform.file(&[("kind", kind)], kind.as_bytes()).await;
    }
    platform.face(&telegram_simulator::image::made_up(640, 640, "face")).await;
    let updates = platform.ok("getUpdates", json!({})).await;
    assert_eq!(updates[1]["callback_query"]["id"], press["query_id"], "the deed names the press");
    let mut files: BTreeMap<_, _> =
        (3..).zip(KINDS).map(|(n, kind)| (kind, updates[n]["message"][kind]["file_id"].clone())).collect();
    files.insert("photo", updates[2]["message"]["photo"][2]["file_id"].clone());
    let photo = platform.ok("sendPhoto", json!({ "chat_id": OLGA, "photo": files["photo"], "caption": "old" })).await;
    Asked { message_id, photo_id: photo["message_id"].clone(), query: press["query_id"].clone(), files }
}

/// One complete request for each method, in an order in which all succeed.
fn requests(asked: &Asked) -> Vec<(&'static str, Value)> {
    let all = [writing(asked), files(asked), changing(asked), about_the_bot()];
    all.into_iter().flatten().collect()
}

fn buttons() -> Value {
    json!({ "inline_keyboard": [[{ "text": "Yes", "callback_data": "y" }]] })
}

fn bold() -> Value {
    json!([{ "type": "bold", "offset": 0, "length": 2 }])
}

fn writing(asked: &Asked) -> Vec<(&'static str, Value)> {
    let id = &asked.message_id;
    let keys = json!({ "keyboard": [[{ "text": "My number", "request_contact": true }]], "one_time_keyboard": true });
    let place = json!({ "chat_id": OLGA, "latitude": 55.75, "longitude": 37.62, "live_period": 60 });
    vec![
        (
            "sendMessage",
            json!({
                "chat_id": OLGA, "text": "a *b* https://example.org", "parse_mode": "HTML", "reply_markup": buttons(),
                "reply_parameters": { "message_id": id, "quote": "?" }, "protect_content": true,
            }),
        ),
        ("sendMessage", json!({ "chat_id": OLGA, "text": "👋 bold", "entities": bold(), "reply_markup": keys })),
        ("sendMessage", json!({ "chat_id": OLGA, "text": "x", "reply_markup": { "remove_keyboard": true } })),
        ("sendMessage", json!({ "chat_id": OLGA, "text": "name?", "reply_markup": { "force_reply": true } })),
        ("sendContact", json!({ "chat_id": OLGA, "phone_number": "+1555", "first_name": "Ann", "last_name": "B" })),
        ("sendLocation", place),
        (
            "sendVenue",
            json!({ "chat_id": OLGA, "latitude": 1.5, "longitude": 2, "title": "Office", "address": "Street 1" }),
        ),
        ("sendChatAction", json!({ "chat_id": OLGA, "action": "typing" })),
    ]
}

fn files(asked: &Asked) -> Vec<(&'static str, Value)> {
    let file = |kind: &str| &asked.files[kind];
    let with = |kind: &'static str, more: Value| {
        let mut request = json!({ "chat_id": OLGA, kind: file(kind) });
        request.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        request
    };
    let album = json!([
        { "type": "photo", "media": file("photo"), "caption": "both", "caption_entities": bold() },
        { "type": "video", "media": file("video"), "duration": 3, "has_spoiler": true },
    ]);
    vec![
        ("sendPhoto", with("photo", json!({ "caption": "a <i>b</i>", "parse_mode": "HTML", "has_spoiler": true }))),
        (
            "sendDocument",
            with(
                "document",
                json!({
                    "caption": "👋 bold", "caption_entities": bold(), "reply_parameters": { "message_id": asked.message_id },
                    "reply_markup": buttons(), "protect_content": true,
                }),
            ),
        ),
        ("sendVideo", with("video", json!({ "duration": 5, "width": 640, "height": 360, "caption": "film" }))),
        ("sendAnimation", with("animation", json!({ "caption": "gif", "show_caption_above_media": true }))),
        ("sendAudio", with("audio", json!({ "performer": "P", "title": "T", "duration": 9 }))),
        ("sendVoice", with("voice", json!({ "duration": 2 }))),
        ("sendVideoNote", with("video_note", json!({ "length": 240, "duration": 2 }))),
        ("sendSticker", with("sticker", json!({ "emoji": "👍" }))),
        ("sendMediaGroup", json!({ "chat_id": OLGA, "media": album })),
        ("getFile", json!({ "file_id": file("document") })),
    ]
}

fn changing(asked: &Asked) -> Vec<(&'static str, Value)> {
    let (id, photo) = (&asked.message_id, &asked.photo_id);
    let from = |more: Value| {
        let mut request = json!({ "chat_id": OLGA, "from_chat_id": OLGA });
        request.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        request
    };
    let film = json!({ "type": "video", "media": asked.files["video"], "caption": "now a film" });
    vec![
        ("editMessageText", json!({ "chat_id": OLGA, "message_id": id, "text": "!", "reply_markup": buttons() })),
        ("editMessageCaption", json!({ "chat_id": OLGA, "message_id": photo, "caption": "new" })),
        ("editMessageMedia", json!({ "chat_id": OLGA, "message_id": photo, "media": film })),
        ("editMessageReplyMarkup", json!({ "chat_id": OLGA, "message_id": photo, "reply_markup": buttons() })),
        ("forwardMessage", from(json!({ "message_id": photo }))),
        ("forwardMessages", from(json!({ "message_ids": [id, photo] }))),
        ("copyMessage", from(json!({ "message_id": photo, "caption": "a copy" }))),
        ("copyMessages", from(json!({ "message_ids": [id, photo], "remove_caption": true }))),
        (
            "setMessageReaction",
            json!({ "chat_id": OLGA, "message_id": 1, "reaction": [{ "type": "emoji", "emoji": "👍" }], "is_big": true }),
        ),
        ("answerCallbackQuery", json!({ "callback_query_id": asked.query, "text": "thanks", "show_alert": true })),
        ("deleteMessage", json!({ "chat_id": OLGA, "message_id": id })),
        ("deleteMessages", json!({ "chat_id": OLGA, "message_ids": [photo] })),
    ]
}

fn about_the_bot() -> Vec<(&'static str, Value)> {
    let commands = json!([{ "command": "help", "description": "what I can do" }]);
    let of_olga = json!({ "type": "chat", "chat_id": OLGA });
    vec![
        ("getMe", json!({})),
        ("getChat", json!({ "chat_id": OLGA })),
        ("getUserProfilePhotos", json!({ "user_id": OLGA, "offset": 0, "limit": 1 })),
        ("setMyCommands", json!({ "commands": commands, "scope": of_olga, "language_code": "de" })),
        ("getMyCommands", json!({ "scope": of_olga, "language_code": "de" })),
        ("deleteMyCommands", json!({ "scope": { "type": "all_private_chats" } })),
        ("setChatMenuButton", json!({ "chat_id": OLGA, "menu_button": { "type": "commands" } })),
        ("getChatMenuButton", json!({ "chat_id": OLGA })),
        ("getUpdates", json!({ "offset": 0, "limit": 100, "timeout": 0, "allowed_updates": ["message"] })),
        ("setWebhook", json!({ "url": "https://bot.example.org/", "secret_token": "s", "max_connections": 5 })),
        ("getWebhookInfo", json!({})),
        ("deleteWebhook", json!({ "drop_pending_updates": true })),
    ]
}

#[tokio::test]
async fn every_method_answers_as_described() {
    let platform = Platform::start().await;
    let asked = prepare(&platform).await;
    let requests = requests(&asked);
    for (name, request) in &requests {
        let described = &api().methods[*name];
        for (parameter, value) in request.as_object().expect("an object") {
            let field = described.fields.iter().find(|field| field.name == *parameter);
            let field = field.unwrap_or_else(|| panic!("{name} has no parameter {parameter}"));
            assert_shape(parameter, &field.types, value);
        }
        let result = platform.ok(name, request.clone()).await;
        assert_shape(name, &described.returns, &result);
    }
    for call in platform.log("call") {
        assert_eq!(call["strange"], json!([]), "{}", call["method"]);
    }
    for method in METHODS {
        assert!(requests.iter().any(|(name, _)| *name == method.name), "{} is not tried", method.name);
    }
}
