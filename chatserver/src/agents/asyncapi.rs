//! The websocket's description, AsyncAPI 3.0, made from the very types that are written and read.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};
use switchboard_common::access::{Rule, Surface, rules};

use super::PROTOCOL;
use super::frames::{EntryFrame, HistoryJson};
use super::hello::Hello;
use super::protocol::{CloseCode, Code, Request, RequestId};
use super::replies::RepliesJson;
use super::requests::{Cancelled, ChatSeq, Nothing, Opened, Read, Sent, Watched};
use super::snapshot::SnapshotJson;
use super::waiting::WaitingJson;
use super::whispers::ReadMarkFrame;

const SCHEMAS: &str = "/components/schemas";

/// What `/asyncapi.json` answers.
pub fn asyncapi() -> Value {
    let mut read = generator(|settings| settings.for_deserialize());
    let mut written = generator(|settings| settings.for_serialize());
    let (mut messages, mut operations) = (Map::new(), Map::new());
    let mut requests = requests(&mut read);
    for rule in rules::ALL.iter().filter(|rule| rule.surface == Surface::Frame) {
        let payload = requests.remove(rule.name).unwrap_or_else(|| panic!("no request {}", rule.name));
        let result = result(rule, &mut written);
        messages.insert(rule.name.to_owned(), message(rule.name, &payload));
        messages.insert(format!("{}_ok", rule.name), message("ok", &ok(&result, &mut written)));
        let scopes: Vec<&str> = rule.allow.iter().map(|scope| scope.as_str()).collect();
        let reply = json!({"channel": channel(""), "messages": [
            channel(&format!("/messages/{}_ok", rule.name)), channel("/messages/error")]});
        let operation = json!({"action": "receive", "channel": channel(""), "x-scopes": scopes, "reply": reply,
            "messages": [channel(&format!("/messages/{}", rule.name))]});
        operations.insert(rule.name.to_owned(), operation);
    }
    assert!(requests.is_empty(), "a request without a rule");
    messages.insert("error".to_owned(), message("error", &error(&mut written)));
    for (name, payload) in [
        ("entry", schema::<EntryFrame<'_>>(&mut written)),
        ("resync", resync(&mut written)),
        ("read_mark", schema::<ReadMarkFrame>(&mut written)),
    ] {
        messages.insert(name.to_owned(), message(name, &payload));
        let told = [channel(&format!("/messages/{name}"))];
        operations.insert(name.to_owned(), json!({"action": "send", "channel": channel(""), "messages": told}));
    }
    let mut schemas = read.take_definitions(true);
    schemas.extend(written.take_definitions(true));
    schemas.remove("Request"); // each is a message of its own
    name_kinds(&mut schemas["Entry"]);
    json!({
        "asyncapi": "3.0.0",
        "info": {"title": "Switchboard: the agents' websocket", "version": env!("CARGO_PKG_VERSION"),
                 "license": {"name": "Apache-2.0"},
                 "description": "docs/protocol.md says in words what this says in types."},
        "defaultContentType": "application/json",
        "channels": {"agent": {
            "address": "/v1/agent",
            "description": "JSON text frames; each request gets one answer, in order.",
            "messages": messages,
            "bindings": {"ws": {"method": "GET", "headers": {"type": "object", "properties": {
                "Sec-WebSocket-Protocol": {"const": PROTOCOL}, "Authorization": {"type": "string"}}}}},
            "x-close-codes": close_codes(),
        }},
        "operations": operations,
        "components": {"schemas": schemas},
    })
}

fn generator(contract: impl FnOnce(SchemaSettings) -> SchemaSettings) -> SchemaGenerator {
    let settings = SchemaSettings::draft07().with(|settings| settings.definitions_path = SCHEMAS.into());
    contract(settings).into_generator()
}

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}

fn channel(place: &str) -> Value {
    json!({"$ref": format!("#/channels/agent{place}")})
}

fn message(name: &str, payload: &Value) -> Value {
    json!({"name": name, "payload": payload})
}

/// The requests' shapes by type, each with the envelope's `id`.
fn requests(generator: &mut SchemaGenerator) -> Map<String, Value> {
    let id = schema::<RequestId>(generator);
    let all = schemars_of::<Request>(generator);
    let kinds = all["oneOf"].as_array().expect("a tagged enum has a schema for each of its variants");
    let with_id = |kind: &Value| {
        let mut kind = kind.clone();
        let name = kind["properties"]["type"]["const"].as_str().expect("the tag").to_owned();
        kind["properties"]["id"] = id.clone();
        kind["required"].as_array_mut().expect("the tag is required").insert(0, json!("id"));
        (name, kind)
    };
    kinds.iter().map(with_id).collect()
}

fn schemars_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    T::json_schema(generator).to_value()
}

/// What a request is answered with when it succeeds.
fn result(rule: &Rule, generator: &mut SchemaGenerator) -> Value {
    match rule.name {
        "hello" => schema::<Hello<'_>>(generator),
        "snapshot" => schema::<SnapshotJson>(generator),
        "history" => schema::<HistoryJson<'_>>(generator),
        "waiting" => schema::<WaitingJson>(generator),
        "take" | "close" | "release" | "transfer" => schema::<ChatSeq>(generator),
        "replies" => schema::<RepliesJson>(generator),
        "watch" => schema::<Watched<'_>>(generator),
        "open" => schema::<Opened>(generator),
        "read" => schema::<Read>(generator),
        "send" => schema::<Sent>(generator),
        "cancel" => schema::<Cancelled>(generator),
        "ping" | "unwatch" | "resend" | "mark_sent" | "drop" => schema::<Nothing>(generator),
        other => panic!("no result of {other}"),
    }
}

fn ok(result: &Value, generator: &mut SchemaGenerator) -> Value {
    json!({"type": "object", "required": ["type", "re", "result"],
           "properties": {"type": {"const": "ok"}, "re": schema::<RequestId>(generator), "result": result}})
}

fn error(generator: &mut SchemaGenerator) -> Value {
    json!({"type": "object", "required": ["type", "re", "code", "message", "retry"], "properties": {
        "type": {"const": "error"}, "re": schema::<Option<RequestId>>(generator), "code": schema::<Code>(generator),
        "message": {"type": "string"}, "retry": {"type": "boolean"}}})
}

/// A snapshot with its type.
fn resync(generator: &mut SchemaGenerator) -> Value {
    let typed = json!({"required": ["type"], "properties": {"type": {"const": "resync"}}});
    json!({"allOf": [schema::<SnapshotJson>(generator), typed]})
}

/// What an entry holds beside the common fields goes by its kind.
fn name_kinds(entry: &mut Value) {
    for body in entry["anyOf"].as_array_mut().expect("one schema for each body") {
        let body = body.as_object_mut().expect("an object");
        let kind = body.remove("x-kind").expect("each body has its kind");
        let fields = body.entry("properties").or_insert_with(|| json!({}));
        fields["kind"] = json!({"const": kind});
    }
    entry["properties"]["kind"] = json!({"type": "string"});
}

fn close_codes() -> Vec<Value> {
    let code = |code: CloseCode| {
        let number = code as u16;
        json!({"code": number, "reason": code.reason(), "come_back": number < 4500})
    };
    CloseCode::ALL.into_iter().map(code).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/asyncapi.json");

    /// docs/asyncapi.json is what is served; UPDATE_DOCS=1 writes it.
    #[test]
    fn the_document_is_as_committed() {
        let made = serde_json::to_string_pretty(&asyncapi()).unwrap() + "\n";
        #[allow(clippy::disallowed_methods)] // for tests only: no option of the product
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(DOCUMENT, &made).unwrap();
        }
        let committed = std::fs::read_to_string(DOCUMENT).unwrap_or_default();
        assert!(
            committed == made,
            "docs/asyncapi.json differs: run this test with UPDATE_DOCS=1 and read the difference"
        );
    }

    #[test]
    fn it_names_every_request_and_every_close_code_and_points_nowhere_else() {
        let document = asyncapi();
        let operations = document["operations"].as_object().unwrap();
        for rule in rules::ALL.iter().filter(|rule| rule.surface == Surface::Frame) {
            assert_eq!(operations[rule.name]["action"], "receive");
            assert_eq!(operations[rule.name]["x-scopes"].as_array().unwrap().len(), rule.allow.len());
        }
        let codes = document["channels"]["agent"]["x-close-codes"].as_array().unwrap();
        assert_eq!(codes.len(), CloseCode::ALL.len());
        let protocol = include_str!("../../../docs/protocol.md");
        for code in codes {
            assert!(protocol.contains(&format!("| {} |", code["code"])), "docs/protocol.md has no {code}");
        }
        let rows = protocol.lines().filter(|line| line.starts_with("| 4")).count();
        assert_eq!(rows, codes.len(), "docs/protocol.md has a code that is not here");
        fn references(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(map) => {
                    found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                    map.values().for_each(|value| references(value, found));
                }
                Value::Array(list) => list.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 40, "{}", found.len());
        for reference in found {
            let place = reference.strip_prefix('#').expect("within the document");
            assert!(document.pointer(place).is_some(), "{reference}");
        }
    }
}
