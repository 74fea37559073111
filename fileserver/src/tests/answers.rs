//! Every answer of every test is held against the document that describes it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use axum::body::{Body, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use jsonschema::Validator;
use serde_json::{Value, json};

/// The document, and what was answered unlike it.
pub(super) struct Answers {
    document: Value,
    schemas: HashMap<String, Validator>,
    held: AtomicUsize,
    wrong: Mutex<Vec<String>>,
}

impl Answers {
    pub(super) fn new() -> Self {
        let document = serde_json::to_value(crate::openapi()).unwrap();
        let mut all = document["components"].clone();
        // Objects may gain fields later; in a test of this version a field that is not described is a mistake.
        for schema in all["schemas"].as_object_mut().unwrap().values_mut() {
            schema["additionalProperties"] = json!(false);
        }
        let validator = |name: &String| {
            let reference = format!("#/components/schemas/{name}");
            let schema = json!({ "$ref": reference, "components": all });
            let validator = jsonschema::draft202012::options().should_validate_formats(true).build(&schema);
            (reference, validator.unwrap())
        };
        let schemas = document["components"]["schemas"].as_object().unwrap().keys().map(validator).collect();
        Self { document, schemas, held: AtomicUsize::new(0), wrong: Mutex::default() }
    }

    /// What is wrong with an answer, if anything is. `body` is given of JSON only.
    fn mistake(&self, method: &str, path: &str, status: u16, kind: &str, body: Option<&Value>) -> Option<String> {
        let operation = &self.document["paths"][path][method.to_lowercase()];
        if operation.is_null() {
            return (status != 405).then(|| "the method is not described".to_owned());
        }
        let answer = &operation["responses"][status.to_string()];
        if answer.is_null() {
            return Some("the status is not described".to_owned());
        }
        let (Some(kinds), true) = (answer["content"].as_object(), method != "HEAD") else { return None };
        let Some(body) = body else {
            // What the bytes show; all of them are described as one.
            return (!kinds.contains_key("application/octet-stream")).then(|| format!("{kind} is not described"));
        };
        let schema = kinds.get(kind).and_then(|content| content["schema"]["$ref"].as_str());
        let Some(validator) = schema.and_then(|schema| self.schemas.get(schema)) else {
            return Some(format!("{kind} is not described"));
        };
        let wrong: Vec<String> =
            validator.iter_errors(body).map(|error| format!("{}: {error}", error.instance_path())).collect();
        (!wrong.is_empty()).then(|| format!("{wrong:?} in {body}"))
    }

    /// Panics when an answer was unlike the document, or none was held against it.
    pub(super) fn were_as_described(&self) {
        assert!(self.held.load(Ordering::SeqCst) > 0, "no answer was looked at");
        let wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(wrong.is_empty(), "unlike the document: {wrong:#?}");
    }
}

/// Around the routes: answers pass through unchanged, whole when they are JSON.
pub(super) async fn checked(State(answers): State<&'static Answers>, request: Request, next: Next) -> Response {
    let method = request.method().to_string();
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let (head, body) = next.run(request).await.into_parts();
    let Some(path) = path.filter(|_| method != "OPTIONS") else { return Response::from_parts(head, body) };
    let kind = head.headers.get(header::CONTENT_TYPE).map_or("", |kind| kind.to_str().unwrap()).to_owned();
    let (body, json) = match kind.as_str() {
        "application/json" | "application/problem+json" => {
            let bytes = to_bytes(body, 1 << 20).await.unwrap();
            let json = if method == "HEAD" { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
            (Body::from(bytes), Some(json))
        }
        _ => (body, None),
    };
    let status = head.status.as_u16();
    answers.held.fetch_add(1, Ordering::SeqCst);
    if let Some(mistake) = answers.mistake(&method, &path, status, &kind, json.as_ref()) {
        let mut wrong = answers.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        wrong.push(format!("{method} {path} {status}: {mistake}"));
    }
    Response::from_parts(head, body)
}

#[test]
fn an_answer_unlike_the_document_is_seen() {
    let answers = Answers::new();
    let path = "/files/{account}";
    let file = json!({"file": "f", "name": null, "mime": "a/b", "size_bytes": 1, "sha256": "0", "kind": "photo"});
    let is_good = |status, kind, body: Option<&Value>| answers.mistake("POST", path, status, kind, body).is_none();
    assert!(is_good(201, "application/json", Some(&file)));
    assert!(!is_good(200, "application/json", Some(&file)), "of another status");
    assert!(!is_good(201, "application/problem+json", Some(&file)), "of another kind");
    assert!(!is_good(201, "text/plain", None));
    for (field, value) in [("size_bytes", json!("1")), ("mime", Value::Null), ("more", json!(1))] {
        let mut other = file.clone();
        other[field] = value;
        assert!(!is_good(201, "application/json", Some(&other)), "{other}");
    }
}
