//! Every kind of update that customers cause, against the description of the Bot API.

use std::collections::BTreeMap;

use reqwest::StatusCode;
use serde_json::{Value, json};
use telegram_simulator::described::api;

use crate::platform::{OLGA, Platform};

const PETER: i64 = OLGA + 1;
const GROUP: i64 = -7;

/// All updates that wait, each as the description wants it.
async fn updates(platform: &Platform) -> Vec<Value> {
    let updates = platform.ok("getUpdates", json!({})).await;
    let updates = updates.as_array().expect("a list").clone();
    for update in &updates {
        let complaints = api().check("update", &["Update".to_owned()], update);
        assert!(complaints.is_empty(), "{complaints:#?}\nin {update:#}");
    }
    updates
}

/// The last of them.
async fn last(platform: &Platform) -> Value {
    updates(platform).await.pop().expect("an update waits")
}

async fn wanting_reactions() -> Platform {
    let platform = Platform::start().await;
    platform.order("start", json!({ "chat": OLGA })).await;
    let kinds = json!(["message", "edited_message", "callback_query", "my_chat_member", "message_reaction"]);
    platform.ok("getUpdates", json!({ "allowed_updates": kinds })).await;
    platform
}

#[tokio::test]
async fn updates_of_every_kind_are_as_described() {
    let platform = wanting_reactions().await;
    let buttons = json!({ "inline_keyboard": [[{ "text": "Yes", "callback_data": "y" }]] });
    let asked = platform.ok("sendMessage", json!({ "chat_id": OLGA, "text": "?", "reply_markup": buttons })).await;
    platform.order("callback", json!({ "chat": OLGA, "message_id": asked["message_id"], "data": "y" })).await;
    platform.order("reaction", json!({ "chat": OLGA, "message_id": asked["message_id"], "emoji": ["👍"] })).await;
    let full = json!({
        "chat": OLGA, "text": "Hello 👋 see https://example.org", "first_name": "Olga", "username": "olga_p",
        "language_code": "ru", "reply_to": 1, "entities": [{ "type": "bold", "offset": 0, "length": 5 }],
    });
    platform.order("message", full).await;
    platform.order("edit", json!({ "chat": OLGA, "message_id": 1, "text": "changed" })).await;
    platform.order("photo", json!({ "chat": OLGA, "caption": "look: https://example.org" })).await;
    for kind in ["document", "video", "audio", "voice", "video_note", "animation", "sticker"] {
        platform.file(&[("kind", kind), ("name", "a.bin"), ("mime", "application/x-any")], b"bytes").await;
    }
    platform.order("contact", json!({ "chat": OLGA, "own": true })).await;
    platform.order("contact", json!({ "chat": OLGA, "own": false })).await;
    platform.order("location", json!({ "chat": OLGA })).await;
    platform.order("location", json!({ "chat": OLGA, "title": "Office", "address": "Street 1" })).await;
    platform.order("poll", json!({ "chat": OLGA, "question": "Tea?", "options": ["yes", "no"] })).await;
    platform.order("start", json!({ "chat": OLGA, "payload": "deep" })).await;
    platform.order("group", json!({ "chat": GROUP, "title": "Office" })).await;
    platform.order("message", json!({ "chat": GROUP, "from": OLGA, "text": "hi" })).await;
    platform.order("promote", json!({ "chat": GROUP, "from": OLGA })).await;
    platform.order("migrate", json!({ "chat": GROUP, "to": -1007, "from": OLGA })).await;
    platform.order("message", json!({ "chat": -1007, "from": OLGA, "text": "hi" })).await;
    platform.order("kick", json!({ "chat": -1007, "from": OLGA })).await;
    platform.order("block", json!({ "chat": OLGA })).await;
    platform.order("unblock", json!({ "chat": OLGA })).await;

    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for update in updates(&platform).await {
        let fields = update.as_object().expect("an object").keys().filter(|key| *key != "update_id");
        fields.for_each(|kind| *kinds.entry(kind.clone()).or_default() += 1);
    }
    let want =
        [("callback_query", 1), ("edited_message", 1), ("message", 20), ("message_reaction", 1), ("my_chat_member", 4)];
    assert_eq!(kinds, want.map(|(kind, count)| (kind.to_owned(), count)).into());
    let typed = platform.log("typed");
    let reacted = typed.iter().find(|line| line["kind"] == "message_reaction").expect("it was typed");
    assert_eq!(reacted["pmid"], asked["message_id"].to_string());
}

#[tokio::test]
async fn replies_quote_and_forwards_tell_their_origin() {
    let platform = Platform::start().await;
    platform.say("first 👋 second").await;
    platform.order("message", json!({ "chat": OLGA, "text": "yes", "reply_to": 1, "quote": "second" })).await;
    let reply = last(&platform).await["message"].clone();
    assert_eq!(reply["quote"], json!({ "text": "second", "position": 9, "is_manual": true }));
    assert_eq!(reply["reply_to_message"]["message_id"], 1);
    let elsewhere = json!({ "type": "channel", "id": -1005, "name": "News", "message_id": 5 });
    platform.order("message", json!({ "chat": OLGA, "text": "this", "reply_from": elsewhere })).await;
    assert_eq!(last(&platform).await["message"]["external_reply"]["origin"]["chat"]["title"], "News");
    let origins = [
        (json!({ "type": "user", "id": 5, "name": "Boris" }), "sender_user"),
        (json!({ "type": "hidden_user", "name": "Boris" }), "sender_user_name"),
        (json!({ "type": "chat", "id": -1006, "name": "Club" }), "sender_chat"),
        (json!({ "type": "channel", "id": -1005, "name": "News", "message_id": 5, "signature": "Ed" }), "chat"),
    ];
    for (origin, field) in origins {
        platform.order("message", json!({ "chat": OLGA, "text": "news", "forward": origin })).await;
        let told = last(&platform).await["message"]["forward_origin"].clone();
        assert!(told["type"] == origin["type"] && !told[field].is_null(), "{told}");
    }
    let forward = json!({ "type": "hidden_user", "name": "Boris" }).to_string();
    platform.file(&[("kind", "document"), ("forward", &forward), ("reply_to", "1")], b"bytes").await;
    let file = last(&platform).await["message"].clone();
    assert_eq!(
        (&file["forward_origin"]["type"], &file["reply_to_message"]["message_id"]),
        (&json!("hidden_user"), &json!(1))
    );
    for wrong in
        [json!({ "reply_to": 99 }), json!({ "reply_to": 1, "quote": "third" }), json!({ "forward": { "type": "sky" } })]
    {
        let mut order = json!({ "acct": "support", "chat": OLGA, "text": "x" });
        order.as_object_mut().expect("an object").extend(wrong.as_object().expect("an object").clone());
        assert_eq!(platform.try_order("message", order).await.0, StatusCode::BAD_REQUEST, "{wrong}");
    }
}

#[tokio::test]
async fn live_places_move_by_edits() {
    let platform = Platform::start().await;
    platform.order("location", json!({ "chat": OLGA, "latitude": 1.5, "longitude": 2.5, "live_period": 600 })).await;
    assert_eq!(last(&platform).await["message"]["location"]["live_period"], 600);
    let (mut keys, mut dates) = (Vec::new(), Vec::new());
    for (n, stop) in [(3, false), (4, false), (5, true)] {
        let order = json!({ "chat": OLGA, "message_id": 1, "latitude": n, "longitude": 2.5, "stop": stop });
        keys.push(platform.order("move", order).await["key"].to_string());
        let edited = last(&platform).await["edited_message"].clone();
        assert_eq!(edited["location"]["latitude"], f64::from(n));
        assert_eq!(edited["location"].get("live_period").is_none(), stop);
        dates.push(edited["edit_date"].as_i64().expect("a date"));
    }
    assert!(dates.is_sorted_by(|one, next| one < next), "{dates:?}");
    keys.dedup();
    assert_eq!(keys.len(), 3, "each has a key of its own: {keys:?}");
    let again = json!({ "acct": "support", "chat": OLGA, "message_id": 1, "latitude": 1, "longitude": 1 });
    assert_eq!(platform.try_order("move", again).await.0, StatusCode::BAD_REQUEST, "it is no longer live");
}

#[tokio::test]
async fn keys_say_their_text_or_send_what_they_ask_for() {
    let platform = Platform::start().await;
    platform.order("start", json!({ "chat": OLGA })).await;
    let keyboard = json!({ "keyboard": [
        [{ "text": "Prices" }, "Help"], [{ "text": "My number", "request_contact": true }, { "text": "Here", "request_location": true }],
    ] });
    let asked = platform.ok("sendMessage", json!({ "chat_id": OLGA, "text": "?", "reply_markup": keyboard })).await;
    assert!(asked.get("reply_markup").is_none(), "only inline keyboards are part of a message");
    let press = async |text: &str| {
        platform.order("key", json!({ "chat": OLGA, "text": text })).await;
        last(&platform).await["message"].clone()
    };
    assert_eq!(press("Prices").await["text"], "Prices");
    assert_eq!(press("Help").await["text"], "Help");
    let contact = press("My number").await;
    assert_eq!((&contact["contact"]["user_id"], &contact["from"]["id"]), (&json!(OLGA), &json!(OLGA)));
    assert_eq!(contact["reply_to_message"]["message_id"], asked["message_id"]);
    assert!(press("Here").await["location"]["latitude"].is_number());
    let absent = json!({ "acct": "support", "chat": OLGA, "text": "Nothing" });
    assert_eq!(platform.try_order("key", absent).await.0, StatusCode::BAD_REQUEST);
    let once = json!({ "keyboard": [["Once"]], "one_time_keyboard": true });
    platform.ok("sendMessage", json!({ "chat_id": OLGA, "text": "?", "reply_markup": once })).await;
    assert_eq!(press("Once").await["text"], "Once");
    let gone = json!({ "acct": "support", "chat": OLGA, "text": "Once" });
    assert_eq!(platform.try_order("key", gone.clone()).await.0, StatusCode::BAD_REQUEST, "shown once");
    platform
        .ok("sendMessage", json!({ "chat_id": OLGA, "text": "?", "reply_markup": { "keyboard": [["Once"]] } }))
        .await;
    platform
        .ok("sendMessage", json!({ "chat_id": OLGA, "text": "!", "reply_markup": { "remove_keyboard": true } }))
        .await;
    assert_eq!(platform.try_order("key", gone).await.0, StatusCode::BAD_REQUEST, "taken away");
}

#[tokio::test]
async fn presses_overtake_and_lose_their_message() {
    let platform = Platform::start().await;
    platform.order("start", json!({ "chat": OLGA })).await;
    let buttons = json!({ "inline_keyboard": [[{ "text": "Yes", "callback_data": "y" }]] });
    let asked = platform.ok("sendMessage", json!({ "chat_id": OLGA, "text": "?", "reply_markup": buttons })).await;
    let id = &asked["message_id"];
    platform
        .order("callback", json!({ "chat": OLGA, "message_id": id, "data": "y", "overtakes": "said before" }))
        .await;
    let told = updates(&platform).await;
    let [_, press, said] = &told[..] else { panic!("{told:?}") };
    assert_eq!((&press["callback_query"]["data"], &said["message"]["text"]), (&json!("y"), &json!("said before")));
    let order = json!({ "chat": OLGA, "message_id": id, "data": "y", "inaccessible": true });
    platform.order("callback", order).await;
    let message = last(&platform).await["callback_query"]["message"].clone();
    assert_eq!((&message["date"], &message["message_id"], message.get("text")), (&json!(0), id, None));
}

#[tokio::test]
async fn reactions_are_told_to_those_who_asked() {
    let platform = Platform::start().await;
    platform.say("hello").await;
    let react =
        async |emoji: Value| platform.order("reaction", json!({ "chat": OLGA, "message_id": 1, "emoji": emoji })).await;
    assert_eq!(react(json!(["👍"])).await["update_id"], Value::Null, "nobody asked for it");
    platform.ok("getUpdates", json!({ "allowed_updates": ["message_reaction"] })).await;
    react(json!(["❤"])).await;
    let told = last(&platform).await["message_reaction"].clone();
    let emoji = |emoji: &str| json!([{ "type": "emoji", "emoji": emoji }]);
    assert_eq!((&told["old_reaction"], &told["new_reaction"]), (&emoji("👍"), &emoji("❤")));
    react(json!([])).await;
    assert_eq!(last(&platform).await["message_reaction"]["new_reaction"], json!([]));
    platform.order("group", json!({ "chat": GROUP, "title": "Office" })).await;
    platform.order("message", json!({ "chat": GROUP, "from": OLGA, "text": "hi" })).await;
    let in_group = json!({ "chat": GROUP, "from": OLGA, "message_id": 2, "emoji": ["👍"] });
    assert_eq!(platform.order("reaction", in_group.clone()).await["update_id"], Value::Null, "not an administrator");
    platform.order("promote", json!({ "chat": GROUP, "from": OLGA })).await;
    assert!(platform.order("reaction", in_group).await["update_id"].is_number());
}

#[tokio::test]
async fn what_happens_in_groups_is_told() {
    let platform = Platform::start().await;
    let joined = platform.order("invite", json!({ "chat": GROUP, "title": "Office", "from": OLGA })).await;
    assert_eq!(joined["items"].as_array().map(Vec::len), Some(2));
    let told = updates(&platform).await;
    assert_eq!(told[0]["my_chat_member"]["new_chat_member"]["status"], "member");
    assert_eq!(told[1]["message"]["new_chat_members"][0]["is_bot"], true);
    for (event, field, want) in [
        (json!({ "what": "new_chat_members", "members": [PETER] }), "new_chat_members", "Customer 700100201"),
        (json!({ "what": "left_chat_member", "member": PETER }), "left_chat_member", "Customer 700100201"),
        (json!({ "what": "new_chat_title", "title": "Board" }), "new_chat_title", "Board"),
        (json!({ "what": "pinned_message", "message_id": 1 }), "pinned_message", "\"message_id\":1"),
        (json!({ "what": "delete_chat_photo" }), "delete_chat_photo", "true"),
        (json!({ "what": "message_auto_delete_timer_changed" }), "message_auto_delete_timer_changed", "86400"),
    ] {
        let mut order = json!({ "chat": GROUP, "from": OLGA });
        order.as_object_mut().expect("an object").extend(event.as_object().expect("an object").clone());
        platform.order("service", order).await;
        let told = last(&platform).await["message"][field].to_string();
        assert!(told.contains(want), "{field}: {told}");
    }
    assert_eq!(last(&platform).await["message"]["chat"]["title"], "Board");
    platform.order("promote", json!({ "chat": GROUP, "from": OLGA })).await;
    assert_eq!(last(&platform).await["my_chat_member"]["new_chat_member"]["status"], "administrator");
    platform.order("promote", json!({ "chat": GROUP, "from": OLGA, "admin": false })).await;
    assert_eq!(last(&platform).await["my_chat_member"]["old_chat_member"]["status"], "administrator");
    let strange = json!({ "acct": "support", "chat": GROUP, "from": OLGA, "what": "fire" });
    assert_eq!(platform.try_order("service", strange).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn privacy_hides_what_is_not_for_the_bot() {
    let platform = Platform::start().await;
    assert_eq!(platform.ok("getMe", json!({})).await["can_read_all_group_messages"], true);
    platform.order("privacy", json!({ "on": true })).await;
    assert_eq!(platform.ok("getMe", json!({})).await["can_read_all_group_messages"], false);
    platform.order("group", json!({ "chat": GROUP, "title": "Office" })).await;
    let own = platform.ok("sendMessage", json!({ "chat_id": GROUP, "text": "hello" })).await["message_id"].clone();
    let say = async |text: &str, reply_to: Value| {
        let order = json!({ "chat": GROUP, "from": OLGA, "text": text, "reply_to": reply_to });
        platform.order("message", order).await["update_id"].is_number()
    };
    assert!(!say("among us", Value::Null).await);
    assert!(say("/help", Value::Null).await && say("/help@support_bot now", Value::Null).await);
    assert!(!say("/help@other_bot", Value::Null).await);
    assert!(say("to you", own).await);
    assert!(!say("to me", json!(2)).await, "a reply to somebody else");
    let service = json!({ "chat": GROUP, "from": OLGA, "what": "new_chat_title", "title": "Board" });
    assert!(platform.order("service", service).await["update_id"].is_number());
    assert!(platform.say("in private").await > 0);
    platform.order("promote", json!({ "chat": GROUP, "from": OLGA })).await;
    assert!(say("an administrator hears all", Value::Null).await);
}

#[tokio::test]
async fn what_a_customer_takes_back_is_gone_and_not_told() {
    let platform = Platform::start().await;
    platform.say("oops").await;
    let waiting = platform.state().await["queue"]["waiting"].clone();
    platform.order("take_back", json!({ "chat": OLGA, "message_id": 1 })).await;
    assert_eq!(platform.state().await["queue"]["waiting"], waiting);
    let conversation = platform.look(&format!("chat?acct=support&chat={OLGA}")).await;
    assert_eq!(conversation["messages"][0]["deleted"], true);
    let reply = json!({ "chat_id": OLGA, "text": "?", "reply_parameters": { "message_id": 1 } });
    assert_eq!(platform.refused("sendMessage", reply).await.1, "Bad Request: message to be replied not found");
}
