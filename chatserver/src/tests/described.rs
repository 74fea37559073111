//! Every frame of every test is as the AsyncAPI document says.

use std::collections::HashMap;
use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Value, json};

static MESSAGES: LazyLock<HashMap<String, Validator>> = LazyLock::new(|| {
    let document = crate::asyncapi();
    let messages = document["channels"]["agent"]["messages"].as_object().unwrap();
    let validator = |payload: &Value| {
        let schema = json!({"allOf": [payload], "components": document["components"]});
        jsonschema::draft7::new(&schema).unwrap()
    };
    messages.iter().map(|(name, message)| (name.clone(), validator(&message["payload"]))).collect()
});

fn conforms(name: &str, value: &Value) -> Result<(), String> {
    MESSAGES[name].validate(value).map_err(|error| format!("{name}: {error} at {}: {value}", error.instance_path()))
}

/// Checks a frame, and the request that it answers with success.
pub(super) fn check(frame: &Value, asked: Option<&Value>) {
    let checked = match (frame["type"].as_str().unwrap(), asked) {
        ("ok", Some(asked)) => {
            let name = asked["type"].as_str().unwrap();
            conforms(name, asked).and_then(|()| conforms(&format!("{name}_ok"), frame))
        }
        ("ok", None) => Ok(()), // the test wrote the request by hand
        (kind, _) => conforms(kind, frame),
    };
    checked.unwrap_or_else(|why| panic!("{why}"));
}

#[test]
fn bent_frames_are_not_described() {
    let author = json!({"kind": "customer", "id": "9", "name": null});
    let entry = json!({"chat": "17", "account": "support", "seq": 5, "at": "2026-11-21T09:20:00.123Z", "kind": "message",
                       "author": author, "text": "hello"});
    let frame = |entry: &Value| json!({"type": "entry", "feed": "agent:1", "seq": 1, "entry": entry});
    conforms("entry", &frame(&entry)).unwrap();
    for (key, value) in [
        ("kind", json!("opened")),
        ("kind", json!("hologram")),
        ("text", json!(7)),
        ("seq", json!("5")),
        ("author", json!({"kind": "robot"})),
        ("author", json!({"kind": "agent"})),
        ("chat", json!(17)),
    ] {
        let mut bent = entry.clone();
        bent[key] = value;
        assert!(conforms("entry", &frame(&bent)).is_err(), "{bent}");
    }
    conforms("send", &json!({"id": 1, "type": "send", "chat": "1", "client_key": "k", "text": "x"})).unwrap();
    for bent in [
        json!({"id": 1, "type": "send", "chat": 1, "client_key": "k", "text": "x"}),
        json!({"id": 1, "type": "send", "chat": "x1", "client_key": "k", "text": "x"}),
        json!({"id": 1, "type": "send", "chat": "1", "client_key": "k", "text": "x", "lane": "urgent"}),
        json!({"type": "send", "chat": "1", "client_key": "k", "text": "x"}),
        json!({"id": 1, "type": "send", "chat": "1", "text": "x"}),
    ] {
        assert!(conforms("send", &bent).is_err(), "{bent}");
    }
    let error = json!({"type": "error", "re": null, "code": "bad_request", "message": "x", "retry": false});
    conforms("error", &error).unwrap();
    let mut bent = error;
    bent["code"] = json!("worse");
    assert!(conforms("error", &bent).is_err());
}
