//! Messages that change, go elsewhere, vanish, or are reacted to; and what the log tells of it.

use reqwest::StatusCode;
use serde_json::{Value, json};
use telegram_simulator::image;

use crate::platform::{OLGA, Platform};

const PETER: i64 = OLGA + 1;

async fn started() -> Platform {
    let platform = Platform::start().await;
    for chat in [OLGA, PETER] {
        platform.order("start", json!({ "chat": chat })).await;
    }
    platform
}

async fn send(platform: &Platform, text: &str) -> Value {
    platform.ok("sendMessage", json!({ "chat_id": OLGA, "text": text })).await["message_id"].clone()
}

/// A file of Olga's that the bot may send back.
async fn file(platform: &Platform, kind: &str, bytes: &[u8]) -> Value {
    platform.file(&[("kind", kind)], bytes).await;
    let updates = platform.ok("getUpdates", json!({ "offset": -1 })).await;
    let file = &updates[0]["message"][kind];
    file.as_array().map_or(file, |sizes| &sizes[sizes.len() - 1])["file_id"].clone()
}

async fn bad(platform: &Platform, method: &str, params: Value) -> String {
    let (code, words) = platform.refused(method, params).await;
    assert_eq!(code, 400, "{method}: {words}");
    words.strip_prefix("Bad Request: ").expect("the platform's prefix").to_owned()
}

#[tokio::test]
async fn words_captions_files_and_keyboards_are_edited() {
    let platform = started().await;
    let text = send(&platform, "text").await;
    let photo = file(&platform, "photo", &image::made_up(640, 480, "a")).await;
    let other = file(&platform, "photo", &image::made_up(640, 480, "b")).await;
    let sent = platform.ok("sendPhoto", json!({ "chat_id": OLGA, "photo": photo, "caption": "old" })).await;
    let shown = &sent["message_id"];
    let edit = |id: &Value, more: Value| {
        let mut request = json!({ "chat_id": OLGA, "message_id": id });
        request.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        request
    };
    let wrong = bad(&platform, "editMessageText", edit(shown, json!({ "text": "x" }))).await;
    assert_eq!(wrong, "there is no text in the message to edit");
    let wrong = bad(&platform, "editMessageCaption", edit(&text, json!({ "caption": "x" }))).await;
    assert_eq!(wrong, "there is no caption in the message to edit");
    let same = bad(&platform, "editMessageCaption", edit(shown, json!({ "caption": "old" }))).await;
    assert!(same.starts_with("message is not modified"), "{same}");
    let edited = platform.ok("editMessageCaption", edit(shown, json!({ "caption": "new [[e-1]]" }))).await;
    assert_eq!((&edited["caption"], &edited["photo"]), (&json!("new [[e-1]]"), &sent["photo"]));
    assert!(platform.ok("editMessageCaption", edit(shown, json!({}))).await.get("caption").is_none());

    let media = |id: &Value, caption: &str| json!({ "media": { "type": "photo", "media": id, "caption": caption } });
    let exchanged = platform.ok("editMessageMedia", edit(shown, media(&other, "b"))).await;
    assert_ne!(exchanged["photo"][2]["file_unique_id"], sent["photo"][2]["file_unique_id"]);
    let same = bad(&platform, "editMessageMedia", edit(shown, media(&other, "b"))).await;
    assert!(same.starts_with("message is not modified"), "{same}");
    let added = platform.ok("editMessageMedia", edit(&text, media(&photo, "was text"))).await;
    assert!(added.get("text").is_none() && added["photo"].is_array());

    let keyboard = json!({ "reply_markup": { "inline_keyboard": [[{ "text": "Yes", "callback_data": "y" }]] } });
    let keyed = platform.ok("editMessageReplyMarkup", edit(shown, keyboard.clone())).await;
    assert_eq!(keyed["reply_markup"], keyboard["reply_markup"]);
    assert!(
        bad(&platform, "editMessageReplyMarkup", edit(shown, keyboard)).await.starts_with("message is not modified")
    );
    let bare = platform.ok("editMessageReplyMarkup", edit(shown, json!({}))).await;
    assert!(bare.get("reply_markup").is_none() && bare["edit_date"].is_number());
    let reply = json!({ "reply_markup": { "keyboard": [["Yes"]] } });
    assert_eq!(bad(&platform, "editMessageReplyMarkup", edit(shown, reply)).await, "inline keyboard expected");
    assert_eq!(
        bad(&platform, "editMessageReplyMarkup", edit(&json!(999), json!({}))).await,
        "message to edit not found"
    );
    assert_eq!(bad(&platform, "editMessageReplyMarkup", edit(&json!(1), json!({}))).await, "message can't be edited");

    let calls = platform.log("call");
    let edited = calls.iter().find(|call| call["tag"] == "e-1").expect("it was logged");
    assert_eq!((&edited["method"], &edited["pmid"]), (&json!("editMessageCaption"), &json!(shown.to_string())));
    assert_eq!((&edited["asked"]["message_id"], &edited["applied"]), (shown, &json!(true)));
}

#[tokio::test]
async fn an_albums_files_are_exchanged_for_their_like() {
    let platform = started().await;
    let photo = file(&platform, "photo", &image::made_up(640, 480, "a")).await;
    let video = file(&platform, "video", b"film").await;
    let document = file(&platform, "document", b"act").await;
    let item = |kind: &str, id: &Value| json!({ "type": kind, "media": id });
    let album = json!({ "chat_id": OLGA, "media": [item("photo", &photo), item("photo", &photo)] });
    let sent = platform.ok("sendMediaGroup", album).await;
    let edit = |media: Value| json!({ "chat_id": OLGA, "message_id": sent[0]["message_id"], "media": media });
    let edited = platform.ok("editMessageMedia", edit(item("video", &video))).await;
    assert_eq!(edited["media_group_id"], sent[1]["media_group_id"]);
    assert_eq!(bad(&platform, "editMessageMedia", edit(item("document", &document))).await, "message can't be edited");
}

#[tokio::test]
async fn several_messages_are_deleted_at_once() {
    let platform = started().await;
    let (one, two) = (send(&platform, "one").await, send(&platform, "two").await);
    let delete = |ids: Value| json!({ "chat_id": OLGA, "message_ids": ids });
    assert_eq!(
        platform.ok("deleteMessages", delete(json!([one, 999, two, 1]))).await,
        true,
        "absent ones are passed over"
    );
    let call = platform.log("call").pop().expect("it was logged");
    let ids = [&one, &two].map(Value::to_string).to_vec();
    assert_eq!(call["pmids"], json!([ids.clone(), vec!["1".to_owned()]].concat()));
    assert_eq!(call["asked"]["message_ids"], json!([one, 999, two, 1]));
    let many: Vec<_> = (1..=101).collect();
    assert_eq!(bad(&platform, "deleteMessages", delete(json!(many))).await, "too many message identifiers specified");
    assert_eq!(bad(&platform, "deleteMessages", delete(json!([]))).await, "message identifiers are not specified");
    let old = send(&platform, "old").await;
    platform.order("clock", json!({ "advance_s": 48 * 3600 })).await;
    let why = bad(&platform, "deleteMessages", delete(json!([old]))).await;
    assert_eq!(why, "message can't be deleted for everyone");
    let answer = json!({ "chat_id": OLGA, "message_id": old, "text": "still editable" });
    assert_eq!(platform.ok("editMessageText", answer).await["text"], "still editable");
}

#[tokio::test]
async fn forwards_keep_the_origin_and_copies_do_not() {
    let platform = started().await;
    platform.order("message", json!({ "chat": OLGA, "text": "hello", "first_name": "Olga" })).await;
    let to_peter = |more: Value| {
        let mut request = json!({ "chat_id": PETER, "from_chat_id": OLGA });
        request.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        request
    };
    let sent = platform.ok("forwardMessage", to_peter(json!({ "message_id": 3 }))).await;
    assert_eq!(
        (&sent["text"], &sent["forward_origin"]["sender_user"]["first_name"]),
        (&json!("hello"), &json!("Olga"))
    );
    let again = json!({ "chat_id": OLGA, "from_chat_id": PETER, "message_id": sent["message_id"] });
    assert_eq!(
        platform.ok("forwardMessage", again).await["forward_origin"],
        sent["forward_origin"],
        "the first one stays"
    );
    let edit = json!({ "chat_id": PETER, "message_id": sent["message_id"], "text": "x" });
    assert_eq!(bad(&platform, "editMessageText", edit).await, "message can't be edited");

    let photo = file(&platform, "photo", &image::made_up(640, 480, "a")).await;
    let shown = platform.ok("sendPhoto", json!({ "chat_id": OLGA, "photo": photo, "caption": "old" })).await;
    let copy =
        platform.ok("copyMessage", to_peter(json!({ "message_id": shown["message_id"], "caption": "new" }))).await;
    assert_eq!(copy.as_object().map(|copy| copy.len()), Some(1), "only its number is told: {copy}");
    let conversation = platform.look(&format!("chat?acct=support&chat={PETER}")).await;
    let last = conversation["messages"].as_array().and_then(|all| all.last()).expect("a message").clone();
    assert_eq!(
        (&last["text"], &last["forwarded"], &last["file"]["kind"]),
        (&json!("new"), &Value::Null, &json!("photo"))
    );

    let both = platform.ok("copyMessages", to_peter(json!({ "message_ids": [3, shown["message_id"], 999] }))).await;
    assert_eq!(both.as_array().map(Vec::len), Some(2), "what is not there is passed over");
    let mixed = to_peter(json!({ "message_ids": [4, 3] }));
    let order = "message identifiers must be in a strictly increasing order";
    assert_eq!(bad(&platform, "forwardMessages", mixed).await, order);
    let none = |what: &str| {
        bad(
            &platform,
            if what == "copy" { "copyMessages" } else { "forwardMessages" },
            to_peter(json!({ "message_ids": [998] })),
        )
    };
    assert_eq!(none("copy").await, "there are no messages to copy");
    assert_eq!(none("forward").await, "there are no messages to forward");
    assert_eq!(
        bad(&platform, "forwardMessage", to_peter(json!({ "message_id": 998 }))).await,
        "message to forward not found"
    );
    assert_eq!(
        bad(&platform, "copyMessage", to_peter(json!({ "message_id": 998 }))).await,
        "message to copy not found"
    );
    let secret = json!({ "chat_id": OLGA, "text": "x", "protect_content": true });
    let secret = platform.ok("sendMessage", secret).await["message_id"].clone();
    let why = bad(&platform, "forwardMessage", to_peter(json!({ "message_id": secret }))).await;
    assert_eq!(why, "message can't be forwarded");
    assert_eq!(
        bad(&platform, "copyMessage", to_peter(json!({ "message_id": secret }))).await,
        "message can't be copied"
    );
    let calls = platform.log("call");
    let forward = calls.iter().find(|call| call["method"] == "forwardMessage").expect("it was logged");
    assert_eq!((&forward["asked"]["from_chat_id"], &forward["chat"]), (&json!(OLGA), &json!(PETER.to_string())));
}

#[tokio::test]
async fn the_bot_reacts_once_to_a_message() {
    let platform = started().await;
    platform.say("hello").await;
    let react = |reaction: Value| json!({ "chat_id": OLGA, "message_id": 3, "reaction": reaction });
    let emoji = |emoji: &str| json!({ "type": "emoji", "emoji": emoji });
    platform.ok("setMessageReaction", react(json!([emoji("👍")]))).await;
    let shown = async || {
        let conversation = platform.look(&format!("chat?acct=support&chat={OLGA}")).await;
        conversation["messages"][1]["reactions"].clone()
    };
    assert_eq!(shown().await, json!([{ "from": "bot", "by": 0, "emoji": "👍" }]));
    let call = platform.log("call").pop().expect("it was logged");
    assert_eq!((&call["pmid"], &call["asked"]["reaction"]), (&json!("3"), &json!([emoji("👍")])));
    platform.ok("setMessageReaction", react(json!([emoji("❤")]))).await;
    assert_eq!(shown().await[0]["emoji"], "❤", "one takes the place of the other");
    platform.ok("setMessageReaction", react(json!([]))).await;
    assert_eq!(shown().await, json!([]));
    let wrong = |reaction: Value| bad(&platform, "setMessageReaction", react(reaction));
    assert_eq!(wrong(json!([emoji("🏠")])).await, "REACTION_INVALID");
    assert_eq!(wrong(json!([emoji("👍"), emoji("❤")])).await, "REACTIONS_TOO_MANY");
    assert_eq!(wrong(json!([{ "type": "paid" }])).await, "REACTION_INVALID");
    let absent = json!({ "chat_id": OLGA, "message_id": 999, "reaction": [] });
    assert_eq!(bad(&platform, "setMessageReaction", absent).await, "message to react not found");
}

#[tokio::test]
async fn replies_quote_what_is_there() {
    let platform = started().await;
    platform.say("first 👋 second, and second").await;
    let reply = |more: Value| {
        let mut target = json!({ "message_id": 3 });
        target.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        json!({ "chat_id": OLGA, "text": "answer", "reply_parameters": target })
    };
    let sent = platform.ok("sendMessage", reply(json!({ "quote": "second", "quote_position": 20 }))).await;
    assert_eq!(sent["quote"], json!({ "text": "second", "position": 21, "is_manual": true }));
    let wrong = bad(&platform, "sendMessage", reply(json!({ "quote": "third" }))).await;
    assert_eq!(wrong, "QUOTE_TEXT_INVALID");
    let elsewhere = bad(&platform, "sendMessage", reply(json!({ "chat_id": PETER }))).await;
    assert_eq!(elsewhere, "message to be replied not found");
    let free =
        platform.ok("sendMessage", reply(json!({ "message_id": 999, "allow_sending_without_reply": true }))).await;
    assert!(free.get("reply_to_message").is_none());
    assert_eq!(platform.log("call")[0]["asked"]["reply_parameters"]["message_id"], 3);
}

#[tokio::test]
async fn strange_parameters_of_accepted_calls_are_named() {
    let platform = started().await;
    platform.ok("sendMessage", json!({ "chat_id": OLGA, "text": "x", "silent": true })).await;
    platform.ok("sendMessage", json!({ "chat_id": OLGA, "text": "x", "disable_notification": true })).await;
    assert_eq!(
        platform.call("sendMessage", json!({ "chat_id": OLGA, "silent": true })).await.0,
        StatusCode::BAD_REQUEST
    );
    let strange: Vec<_> = platform.log("call").iter().map(|call| call["strange"].clone()).collect();
    assert_eq!(strange, [json!(["silent is unknown to sendMessage"]), json!([]), json!([])]);
}
