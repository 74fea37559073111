//! The bot's menu, and what it may know of people.

use serde_json::{Value, json};
use telegram_simulator::image;

use crate::platform::{OLGA, Platform};

async fn started() -> Platform {
    let platform = Platform::start().await;
    platform.order("start", json!({ "chat": OLGA })).await;
    platform
}

fn list(name: &str) -> Value {
    json!([{ "command": name, "description": "what it does" }])
}

#[tokio::test]
async fn commands_are_kept_by_scope_and_language() {
    let platform = started().await;
    let of_olga = json!({ "type": "chat", "chat_id": OLGA });
    let private = json!({ "type": "all_private_chats" });
    for (name, scope) in
        [("all", json!({ "type": "default" })), ("private", private.clone()), ("olga", of_olga.clone())]
    {
        platform.ok("setMyCommands", json!({ "commands": list(name), "scope": scope })).await;
    }
    platform.ok("setMyCommands", json!({ "commands": list("alle"), "language_code": "de" })).await;
    assert_eq!(platform.ok("getMyCommands", json!({})).await, list("all"));
    assert_eq!(platform.ok("getMyCommands", json!({ "language_code": "de" })).await, list("alle"));
    assert_eq!(platform.ok("getMyCommands", json!({ "language_code": "fr" })).await, json!([]));
    let shown = async || platform.look(&format!("chat?acct=support&chat={OLGA}")).await["commands"].clone();
    assert_eq!(shown().await, list("olga"));
    platform.ok("deleteMyCommands", json!({ "scope": of_olga })).await;
    assert_eq!(shown().await, list("private"));
    platform.ok("setMyCommands", json!({ "commands": [], "scope": private })).await;
    assert_eq!(shown().await, list("all"));
    let wrong = async |scope: Value| platform.refused("getMyCommands", json!({ "scope": scope })).await.1;
    assert_eq!(wrong(json!({ "type": "chat", "chat_id": 5 })).await, "Bad Request: chat not found");
    let words = wrong(json!({ "type": "everywhere" })).await;
    assert_eq!(words, "Bad Request: can't parse BotCommandScope: Unsupported type specified");
    let many: Vec<_> = (0..101).map(|n| json!({ "command": format!("c{n}"), "description": "d" })).collect();
    assert_eq!(
        platform.refused("setMyCommands", json!({ "commands": many })).await.1,
        "Bad Request: BOT_COMMANDS_TOO_MUCH"
    );
}

#[tokio::test]
async fn the_menu_button_is_everybodys_or_a_chats() {
    let platform = started().await;
    let button = async |chat: Value| platform.ok("getChatMenuButton", chat).await;
    assert_eq!(button(json!({})).await, json!({ "type": "commands" }));
    let app = json!({ "type": "web_app", "text": "Shop", "web_app": { "url": "https://example.org/" } });
    platform.ok("setChatMenuButton", json!({ "menu_button": app })).await;
    assert_eq!(button(json!({ "chat_id": OLGA })).await, app, "everybody's is the chat's");
    platform.ok("setChatMenuButton", json!({ "chat_id": OLGA, "menu_button": { "type": "commands" } })).await;
    assert_eq!(button(json!({ "chat_id": OLGA })).await, json!({ "type": "commands" }));
    platform.ok("setChatMenuButton", json!({ "chat_id": OLGA })).await;
    assert_eq!(button(json!({ "chat_id": OLGA })).await, app, "the default again");
    let plain =
        json!({ "menu_button": { "type": "web_app", "text": "Shop", "web_app": { "url": "http://example.org" } } });
    assert_eq!(platform.refused("setChatMenuButton", plain).await.1, "Bad Request: BUTTON_URL_INVALID");
    assert_eq!(platform.refused("setChatMenuButton", json!({ "menu_button": { "type": "none" } })).await.0, 400);
    assert_eq!(platform.refused("getChatMenuButton", json!({ "chat_id": -5 })).await.1, "Bad Request: chat not found");
}

#[tokio::test]
async fn faces_are_told_while_they_are_shown() {
    let platform = started().await;
    let photos = async || platform.ok("getUserProfilePhotos", json!({ "user_id": OLGA })).await;
    assert_eq!(photos().await, json!({ "total_count": 0, "photos": [] }));
    assert!(platform.ok("getChat", json!({ "chat_id": OLGA })).await.get("photo").is_none());
    let (old, new) = (image::made_up(640, 640, "old"), image::made_up(640, 640, "new"));
    platform.face(&old).await;
    platform.face(&new).await;
    let all = photos().await;
    assert_eq!((&all["total_count"], all["photos"].as_array().map(Vec::len)), (&json!(2), Some(2)));
    let newest = platform.ok("getUserProfilePhotos", json!({ "user_id": OLGA, "limit": 1 })).await;
    assert_eq!(newest["photos"], json!([all["photos"][0]]));
    let largest = all["photos"][0].as_array().and_then(|sizes| sizes.last()).expect("sizes");
    let told = platform.ok("getFile", json!({ "file_id": largest["file_id"] })).await;
    let path = told["file_path"].as_str().expect("a path");
    let url = format!("{}/file/bot{}/{path}", platform.base, crate::platform::TOKEN);
    let bytes = platform.client.get(url).send().await.expect("answered").bytes().await.expect("bytes");
    assert_eq!(bytes, new, "the newest is the first");
    let chat = platform.ok("getChat", json!({ "chat_id": OLGA })).await;
    assert_eq!(chat["photo"]["big_file_id"], largest["file_id"]);
    platform.face(&[]).await;
    assert_eq!(photos().await["total_count"], 0);
    assert_eq!(
        platform.refused("getUserProfilePhotos", json!({ "user_id": 5 })).await.1,
        "Bad Request: user not found"
    );
    assert_eq!(platform.refused("getUserProfilePhotos", json!({ "user_id": "x" })).await.0, 400);
}
