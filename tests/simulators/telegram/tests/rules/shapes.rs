//! Answers and updates of every kind against a description of the Bot API that nobody of this project wrote.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use telegram_simulator::methods::METHODS;

use crate::platform::{OLGA, Platform};

#[derive(Deserialize)]
struct Api {
    methods: BTreeMap<String, Method>,
    types: BTreeMap<String, Type>,
}

#[derive(Deserialize)]
struct Method {
    returns: Vec<String>,
    fields: Vec<Field>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Type {
    fields: Vec<Field>,
    subtypes: Vec<String>,
}

#[derive(Deserialize)]
struct Field {
    name: String,
    types: Vec<String>,
    required: bool,
}

impl Api {
    fn load() -> Self {
        serde_json::from_str(include_str!("../../api/telegram-bot-api-10.1.json")).expect("the description is JSON")
    }

    /// Complaints about a value that should be of one of these types; empty when it is.
    fn check(&self, path: &str, types: &[String], value: &Value) -> Vec<String> {
        let mut complaints = Vec::new();
        for name in types {
            let found = self.check_type(path, name, value);
            if found.is_empty() {
                return found;
            }
            complaints.extend(found);
        }
        complaints
    }

    fn check_type(&self, path: &str, name: &str, value: &Value) -> Vec<String> {
        let is = |holds: bool| if holds { Vec::new() } else { vec![format!("{path} is no {name}: {value}")] };
        if let Some(inner) = name.strip_prefix("Array of ") {
            let Some(items) = value.as_array() else { return is(false) };
            let each = items.iter().enumerate();
            return each.flat_map(|(n, item)| self.check_type(&format!("{path}[{n}]"), inner, item)).collect();
        }
        match name {
            "Integer" => is(value.is_i64()),
            // A file's part of the form is named instead of written into it.
            "String" | "InputFile" => is(value.is_string()),
            "Boolean" => is(value.is_boolean()),
            "Float" => is(value.is_number()),
            _ => match self.types.get(name) {
                Some(known) => self.check_object(path, name, known, value),
                None => vec![format!("{path}: {name} is not in the copied part of the description")],
            },
        }
    }

    fn check_object(&self, path: &str, name: &str, known: &Type, value: &Value) -> Vec<String> {
        if !known.subtypes.is_empty() {
            return self.check(path, &[self.subtype(name, known, value)], value);
        }
        let Some(object) = value.as_object() else { return vec![format!("{path} is no {name}: {value}")] };
        let missing = known.fields.iter().filter(|field| field.required && !object.contains_key(&field.name));
        let mut complaints: Vec<_> =
            missing.map(|field| format!("{path}.{} is missing in {name}", field.name)).collect();
        for (key, inner) in object {
            let inside = format!("{path}.{key}");
            match known.fields.iter().find(|field| field.name == *key) {
                Some(field) => complaints.extend(self.check(&inside, &field.types, inner)),
                None => complaints.push(format!("{inside} is unknown to {name}")),
            }
        }
        complaints
    }

    /// The documentation tells subtypes apart in prose: by status, and by a date of zero.
    fn subtype(&self, name: &str, known: &Type, value: &Value) -> String {
        let chosen = match (name, value["status"].as_str()) {
            ("ChatMember", Some("member")) => "ChatMemberMember",
            ("ChatMember", Some("left")) => "ChatMemberLeft",
            ("ChatMember", Some("kicked")) => "ChatMemberBanned",
            ("MaybeInaccessibleMessage", _) if value["date"] == 0 => "InaccessibleMessage",
            ("MaybeInaccessibleMessage", _) => "Message",
            other => panic!("{other:?}: no rule to choose among {:?}", known.subtypes),
        };
        assert!(known.subtypes.iter().any(|subtype| subtype == chosen), "{chosen} is a {name}");
        chosen.to_owned()
    }

    fn assert(&self, what: &str, types: &[String], value: &Value) {
        let complaints = self.check(what, types, value);
        assert!(complaints.is_empty(), "{complaints:#?}\nin {value:#}");
    }
}

#[test]
fn the_checker_finds_what_is_wrong() {
    let api = Api::load();
    let user = ["User".to_owned()];
    let found = |value: Value| api.check("user", &user, &value).join("; ");
    assert_eq!(found(json!({ "id": 1, "is_bot": false, "first_name": "O" })), "");
    assert_eq!(found(json!({ "id": 1, "is_bot": false })), "user.first_name is missing in User");
    assert_eq!(found(json!({ "id": "1", "is_bot": false, "first_name": "O" })), "user.id is no Integer: \"1\"");
    assert_eq!(found(json!({ "id": 1, "is_bot": false, "first_name": "O", "age": 9 })), "user.age is unknown to User");
    let entities = ["Array of MessageEntity".to_owned()];
    assert!(!api.check("entities", &entities, &json!([{ "type": "bold", "offset": 1 }])).is_empty());
    let members = ["ChatMember".to_owned()];
    assert!(!api.check("member", &members, &json!({ "status": "kicked", "user": {} })).is_empty());
}

#[test]
fn every_parameter_read_exists() {
    let api = Api::load();
    for method in METHODS {
        let described = &api.methods[method.name];
        for name in method.reads {
            assert!(described.fields.iter().any(|field| field.name == *name), "{}: {name}", method.name);
        }
        for field in described.fields.iter().filter(|field| field.required) {
            assert!(method.reads.contains(&field.name.as_str()), "{} does not look at {}", method.name, field.name);
        }
    }
    assert_eq!(api.methods.len(), METHODS.len(), "the copied part describes what is played, no more");
}

#[tokio::test]
async fn every_required_parameter_is_demanded() {
    let (api, platform) = (Api::load(), Platform::start().await);
    let asked = prepare(&platform).await;
    for (name, complete) in requests(&asked) {
        let described = &api.methods[name];
        for field in described.fields.iter().filter(|field| field.required && field.name != "url") {
            let mut request = complete.clone();
            request.as_object_mut().expect("an object").remove(&field.name);
            assert_eq!(platform.refused(name, request).await.0, 400, "{name} without {}", field.name);
        }
    }
}

/// Olga has started the bot, was asked something with a button, and pressed it.
struct Asked {
    file: Value,
    photo: Value,
    message_id: Value,
    query: Value,
}

async fn prepare(platform: &Platform) -> Asked {
    platform.order("start", json!({ "chat": OLGA })).await;
    let buttons = json!({ "inline_keyboard": [[
        { "text": "Yes", "callback_data": "y" }, { "text": "Site", "url": "https://example.org" },
    ]] });
    let asked = platform.ok("sendMessage", json!({ "chat_id": OLGA, "text": "?", "reply_markup": buttons })).await;
    let message_id = asked["message_id"].clone();
    platform.order("callback", json!({ "chat": OLGA, "message_id": message_id, "data": "y" })).await;
    platform.file(&[("kind", "document")], b"a file").await;
    platform.order("photo", json!({ "chat": OLGA })).await;
    let updates = platform.ok("getUpdates", json!({})).await;
    Asked {
        message_id,
        query: updates[1]["callback_query"]["id"].clone(),
        file: updates[2]["message"]["document"]["file_id"].clone(),
        photo: updates[3]["message"]["photo"][2]["file_id"].clone(),
    }
}

/// One complete request for each method, in an order in which all succeed.
fn requests(asked: &Asked) -> Vec<(&'static str, Value)> {
    let id = &asked.message_id;
    let entities = json!([{ "type": "bold", "offset": 0, "length": 2 }]);
    let buttons = json!({ "inline_keyboard": [[{ "text": "Yes", "callback_data": "y" }]] });
    vec![
        ("getMe", json!({})),
        (
            "sendMessage",
            json!({
                "chat_id": OLGA, "text": "a *b* https://example.org", "parse_mode": "HTML", "reply_markup": buttons,
                "reply_parameters": { "message_id": id }, "protect_content": true,
            }),
        ),
        ("sendMessage", json!({ "chat_id": OLGA, "text": "👋 bold", "entities": entities })),
        ("sendPhoto", json!({ "chat_id": OLGA, "photo": asked.photo, "caption": "a <i>b</i>", "parse_mode": "HTML" })),
        (
            "sendDocument",
            json!({
                "chat_id": OLGA, "document": asked.file, "caption": "👋 bold", "caption_entities": entities,
                "reply_parameters": { "message_id": id }, "reply_markup": buttons, "protect_content": true,
            }),
        ),
        ("getFile", json!({ "file_id": asked.file })),
        ("editMessageText", json!({ "chat_id": OLGA, "message_id": id, "text": "!", "reply_markup": buttons })),
        ("sendChatAction", json!({ "chat_id": OLGA, "action": "typing" })),
        ("answerCallbackQuery", json!({ "callback_query_id": asked.query, "text": "thanks" })),
        ("deleteMessage", json!({ "chat_id": OLGA, "message_id": id })),
        ("getChat", json!({ "chat_id": OLGA })),
        ("setMyCommands", json!({ "commands": [{ "command": "help", "description": "what I can do" }] })),
        ("getUpdates", json!({ "offset": 0, "limit": 100, "timeout": 0, "allowed_updates": ["message"] })),
        ("setWebhook", json!({ "url": "https://bot.example.org/", "secret_token": "s", "max_connections": 5 })),
        ("getWebhookInfo", json!({})),
        ("deleteWebhook", json!({ "drop_pending_updates": true })),
    ]
}

#[tokio::test]
async fn every_method_answers_as_described() {
    let (api, platform) = (Api::load(), Platform::start().await);
    let asked = prepare(&platform).await;
    let requests = requests(&asked);
    for (name, request) in &requests {
        let described = &api.methods[*name];
        for (parameter, value) in request.as_object().expect("an object") {
            let field = described.fields.iter().find(|field| field.name == *parameter);
            let field = field.unwrap_or_else(|| panic!("{name} has no parameter {parameter}"));
            api.assert(parameter, &field.types, value);
        }
        let result = platform.ok(name, request.clone()).await;
        api.assert(name, &described.returns, &result);
    }
    for method in METHODS {
        assert!(requests.iter().any(|(name, _)| *name == method.name), "{} is not tried", method.name);
    }
}

#[tokio::test]
async fn updates_of_every_kind_are_as_described() {
    let (api, platform) = (Api::load(), Platform::start().await);
    prepare(&platform).await;
    let full = json!({
        "chat": OLGA, "text": "Hello 👋 see https://example.org", "first_name": "Olga", "username": "olga_p",
        "language_code": "ru", "reply_to": 1,
    });
    platform.order("message", full).await;
    platform.order("edit", json!({ "chat": OLGA, "message_id": 1, "text": "changed" })).await;
    platform.order("photo", json!({ "chat": OLGA, "caption": "look: https://example.org" })).await;
    for kind in ["document", "video", "audio", "voice", "video_note", "animation", "sticker"] {
        platform.file(&[("kind", kind), ("name", "a.bin"), ("mime", "application/x-any")], b"bytes").await;
    }
    platform.order("contact", json!({ "chat": OLGA, "own": true })).await;
    platform.order("contact", json!({ "chat": OLGA, "own": false })).await;
    platform.order("start", json!({ "chat": OLGA, "payload": "deep" })).await;
    platform.order("group", json!({ "chat": -7, "title": "Office" })).await;
    platform.order("message", json!({ "chat": -7, "from": OLGA, "text": "hi" })).await;
    platform.order("migrate", json!({ "chat": -7, "to": -1007, "from": OLGA })).await;
    platform.order("message", json!({ "chat": -1007, "from": OLGA, "text": "hi" })).await;
    platform.order("kick", json!({ "chat": -1007, "from": OLGA })).await;
    platform.order("block", json!({ "chat": OLGA })).await;
    platform.order("unblock", json!({ "chat": OLGA })).await;

    let updates = platform.ok("getUpdates", json!({})).await;
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for update in updates.as_array().expect("a list") {
        api.assert("update", &["Update".to_owned()], update);
        let fields = update.as_object().expect("an object").keys().filter(|key| *key != "update_id");
        fields.for_each(|kind| *kinds.entry(kind.clone()).or_default() += 1);
    }
    let want = [("callback_query", 1), ("edited_message", 1), ("message", 19), ("my_chat_member", 3)];
    assert_eq!(kinds, want.map(|(kind, count)| (kind.to_owned(), count)).into());
}
