//! Every answer of a test is held against the document that describes it.

use std::collections::HashMap;

use jsonschema::Validator;
use serde_json::{Value, json};

/// The document's schemas, by path and kind of answer.
pub(super) struct Answers {
    good: HashMap<String, Validator>,
    problem: Validator,
}

impl Answers {
    pub(super) fn new() -> Self {
        let document = serde_json::to_value(crate::openapi()).unwrap();
        let mut good = HashMap::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            let schema = &item["get"]["responses"]["200"]["content"]["application/json"]["schema"];
            if let Some(name) = schema["$ref"].as_str() {
                good.insert(path.clone(), validator(&document, name));
            }
        }
        assert!(good.len() >= 5, "all routes but the export answer JSON");
        Self { good, problem: validator(&document, "#/components/schemas/Problem") }
    }

    /// Panics unless the answer is as the document says.
    pub(super) fn check(&self, path: &str, status: u16, body: &Value) {
        let bare = path.split('?').next().unwrap();
        let template = match bare.strip_suffix("/history") {
            Some(_) => "/v1/chats/{chat}/history",
            None => bare,
        };
        let schema = match status {
            200 => self.good.get(template).unwrap_or_else(|| panic!("{path} is not described")),
            _ => &self.problem,
        };
        let wrong: Vec<String> =
            schema.iter_errors(body).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(wrong.is_empty(), "{path} answers {status} unlike the document: {wrong:?}\n{body}");
    }
}

/// The schema `name` with all the others beside it, to which it refers; nothing more than described may be in it.
fn validator(document: &Value, name: &str) -> Validator {
    let mut schema = json!({ "$ref": name, "components": document["components"] });
    close(&mut schema);
    jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap()
}

/// Objects may gain fields later; in a test of this version a field that is not described is a mistake. Objects made of
/// several schemas are left open: each of them knows only its own fields.
fn close(schema: &mut Value) {
    let open = ["Customer", "Entry", "EntryKind", "CustomerWithChats", "Author"];
    for (name, schema) in schema["components"]["schemas"].as_object_mut().unwrap() {
        if schema["type"] == "object" && !open.contains(&name.as_str()) {
            schema["additionalProperties"] = json!(false);
        }
    }
}
