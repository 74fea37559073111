//! A description of the Bot API that nobody of this project wrote, and what breaks it: `api/README.md` says where it is from.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize;
use serde_json::Value;

static API: LazyLock<Api> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../api/telegram-bot-api-10.1.json")).expect("the description is JSON")
});

/// The copied part: the methods that are played, and the types in their parameters, answers and updates.
#[derive(Debug, Deserialize)]
pub struct Api {
    /// Methods by their names.
    pub methods: BTreeMap<String, MethodShape>,
    types: BTreeMap<String, TypeShape>,
}

/// A method.
#[derive(Debug, Deserialize)]
pub struct MethodShape {
    /// What it answers: one of these types.
    pub returns: Vec<String>,
    /// Its parameters.
    pub fields: Vec<Field>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TypeShape {
    fields: Vec<Field>,
    subtypes: Vec<String>,
}

/// A parameter of a method, or a field of a type.
#[derive(Debug, Deserialize)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// It has one of these types.
    pub types: Vec<String>,
    /// Whether it must be there.
    pub required: bool,
}

/// The description.
pub fn api() -> &'static Api {
    &API
}

impl Api {
    /// Complaints about a value that should be of one of these types; empty when it is.
    pub fn check(&self, path: &str, types: &[String], value: &Value) -> Vec<String> {
        let lists: Vec<_> = types.iter().filter_map(|name| name.strip_prefix("Array of ")).map(str::to_owned).collect();
        if let (true, Some(items)) = (lists.len() > 1, value.as_array()) {
            // A list of several kinds, as of an album.
            let each = items.iter().enumerate();
            return each.flat_map(|(n, item)| self.check(&format!("{path}[{n}]"), &lists, item)).collect();
        }
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

    /// Complaints about a parameter as it came: as text.
    pub fn check_parameter(&self, method: &str, name: &str, text: &str) -> Vec<String> {
        let Some(shape) = self.methods.get(method) else { return vec![format!("{method} is not described")] };
        let Some(field) = shape.fields.iter().find(|field| field.name == name) else {
            return vec![format!("{name} is unknown to {method}")];
        };
        let value = match &field.types[..] {
            _ if field.types.iter().any(|name| name == "String" || name == "InputFile") => return Vec::new(),
            [only] if only == "Boolean" => {
                Value::Bool(matches!(text.to_ascii_lowercase().as_str(), "true" | "yes" | "1"))
            }
            _ => match serde_json::from_str(text) {
                Ok(value) => value,
                Err(_) => return vec![format!("{name} is none of {:?}", field.types)],
            },
        };
        self.check(name, &field.types, &value)
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

    fn check_object(&self, path: &str, name: &str, known: &TypeShape, value: &Value) -> Vec<String> {
        if !known.subtypes.is_empty() {
            return match subtype(name, known, value) {
                Some(chosen) => self.check(path, &[chosen], value),
                None => vec![format!("{path} is none of {:?}: {value}", known.subtypes)],
            };
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
}

/// The documentation tells subtypes apart in prose: by status, by type, and by a date of zero.
fn subtype(name: &str, known: &TypeShape, value: &Value) -> Option<String> {
    let word = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
    let chosen = match (name, word("status").as_str()) {
        ("MaybeInaccessibleMessage", _) if value["date"] == 0 => "InaccessibleMessage".to_owned(),
        ("MaybeInaccessibleMessage", _) => "Message".to_owned(),
        ("ChatMember", "kicked") => "ChatMemberBanned".to_owned(),
        ("ChatMember", "creator") => "ChatMemberOwner".to_owned(),
        ("ChatMember", status) => format!("{name}{}", camel(status)),
        _ => format!("{name}{}", camel(&word("type"))),
    };
    known.subtypes.contains(&chosen).then_some(chosen)
}

fn camel(snake: &str) -> String {
    let words = snake.split('_').map(|word| match word.split_at_checked(1) {
        Some((first, rest)) => first.to_ascii_uppercase() + rest,
        None => String::new(),
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_wrong_is_found() {
        let user = ["User".to_owned()];
        let found = |value: Value| api().check("user", &user, &value).join("; ");
        assert_eq!(found(json!({ "id": 1, "is_bot": false, "first_name": "O" })), "");
        assert_eq!(found(json!({ "id": 1, "is_bot": false })), "user.first_name is missing in User");
        assert_eq!(found(json!({ "id": "1", "is_bot": false, "first_name": "O" })), "user.id is no Integer: \"1\"");
        assert_eq!(
            found(json!({ "id": 1, "is_bot": false, "first_name": "O", "age": 9 })),
            "user.age is unknown to User"
        );
        let entities = ["Array of MessageEntity".to_owned()];
        assert!(!api().check("entities", &entities, &json!([{ "type": "bold", "offset": 1 }])).is_empty());
        let members = ["ChatMember".to_owned()];
        assert!(!api().check("member", &members, &json!({ "status": "kicked", "user": {} })).is_empty());
        assert!(!api().check("member", &members, &json!({ "status": "asleep", "user": {} })).is_empty());
        let origins = ["MessageOrigin".to_owned()];
        let hidden = json!({ "type": "hidden_user", "date": 1, "sender_user_name": "O" });
        assert_eq!(api().check("origin", &origins, &hidden), Vec::<String>::new());
    }

    #[test]
    fn parameters_are_judged_as_the_texts_they_came_as() {
        let found = |name: &str, text: &str| api().check_parameter("sendMessage", name, text);
        for (name, text) in [
            ("chat_id", "5"),
            ("chat_id", "@channel"),
            ("protect_content", "True"),
            ("entities", r#"[{"type":"bold","offset":0,"length":1}]"#),
            ("reply_markup", r#"{"force_reply":true}"#),
            ("reply_parameters", r#"{"message_id":5,"quote":"x"}"#),
        ] {
            assert_eq!(found(name, text), Vec::<String>::new(), "{name}");
        }
        assert_eq!(found("reply_to", "5"), ["reply_to is unknown to sendMessage"]);
        assert!(!found("entities", r#"[{"type":"bold"}]"#).is_empty());
        assert!(!found("entities", "bold").is_empty());
        assert!(!found("reply_parameters", r#"{"message":5}"#).is_empty());
        let mixed = r#"[{"type":"photo","media":"A"},{"type":"video","media":"B","duration":1}]"#;
        assert_eq!(api().check_parameter("sendMediaGroup", "media", mixed), Vec::<String>::new());
        let strange = r#"[{"type":"photo","media":"A"},{"type":"photo","file":"B"}]"#;
        assert!(!api().check_parameter("sendMediaGroup", "media", strange).is_empty());
    }
}
