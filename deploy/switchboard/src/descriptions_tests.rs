#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use serde_json::Value;
use switchboard_common::access::{Surface, rules};

use super::*;

fn document() -> Value {
    serde_json::from_str(&openapi()).unwrap()
}

/// Every operation: method, path, itself.
fn operations(document: &Value) -> Vec<(String, &str, &Value)> {
    let of = |(path, item)| {
        let methods: &serde_json::Map<String, Value> = Value::as_object(item).unwrap();
        methods.iter().map(move |(method, operation)| (method.to_uppercase(), String::as_str(path), operation))
    };
    document["paths"].as_object().unwrap().iter().flat_map(of).collect()
}

#[test]
fn the_committed_document_is_the_codes() {
    assert!(
        openapi() == include_str!("../../../docs/openapi.json"),
        "docs/openapi.json is another: read what changed, and write it by `switchboard describe openapi >docs/openapi.json`"
    );
}

#[test]
fn the_document_has_the_routes_of_the_rules() {
    let document = document();
    // A HEAD is let in by the rule of its GET.
    let described: BTreeSet<String> = operations(&document)
        .into_iter()
        .filter(|(method, ..)| method != "HEAD")
        .map(|(method, path, _)| format!("{method} {path}"))
        .collect();
    let rest = |rule: &&&switchboard_common::access::Rule| matches!(rule.surface, Surface::Loader | Surface::Files);
    let ruled: BTreeSet<String> = rules::ALL.iter().filter(rest).map(|rule| rule.name.to_owned()).collect();
    assert_eq!(described, ruled);
}

#[test]
fn the_document_is_openapi() {
    let schema: Value = serde_json::from_str(include_str!("testdata/openapi.schema.json")).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let document = document();
    let wrong: Vec<String> =
        validator.iter_errors(&document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // The schema would find something.
    for (pointer, value) in [("/openapi", "3.0.0"), ("/paths/~1v1~1chats/get/parameters/0/in", "body")] {
        let mut broken = document.clone();
        *broken.pointer_mut(pointer).unwrap() = Value::from(value);
        assert!(!validator.is_valid(&broken), "{pointer}");
    }
}

#[test]
fn what_is_referred_to_is_there() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 15);
    for reference in &found {
        let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} leads elsewhere"));
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    // And nothing is described that no route takes or answers.
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(found.contains(&format!("#/components/schemas/{name}")), "{name} is not used");
    }
}

#[test]
fn every_operation_is_named_once_and_says_who_may() {
    let document = document();
    let operations = operations(&document);
    let names: BTreeSet<&str> = operations.iter().map(|(.., it)| it["operationId"].as_str().unwrap()).collect();
    assert_eq!(names.len(), operations.len());
    for (method, path, operation) in &operations {
        let security = operation.get("security").unwrap_or(&document["security"]);
        assert!(security.as_array().unwrap().iter().any(|one| one.get("bearer").is_some()), "{method} {path}");
        for part in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            let parameters = operation["parameters"].as_array().unwrap();
            let named = |it: &&Value| it["in"] == "path" && it["name"] == part;
            assert_eq!(parameters.iter().filter(named).count(), 1, "{method} {path}: {part}");
        }
        let mut codes = operation["responses"].as_object().unwrap().iter();
        assert!(codes.any(|(code, _)| code.starts_with('2')), "{method} {path}");
        for (code, answer) in operation["responses"].as_object().unwrap() {
            if code.starts_with(['4', '5']) && method != "HEAD" {
                let schema = &answer["content"]["application/problem+json"]["schema"]["$ref"];
                assert_eq!(schema, "#/components/schemas/Problem", "{method} {path} {code}");
            }
        }
    }
}
