//! `switchboard audit`: who changed what.

use serde_json::{Value, json};
use switchboard_common::store::{AuditRow, Database};

/// Prints the newest changes, newest first.
pub async fn run(database: &Database, subject: Option<&str>, limit: i64, json: bool) -> anyhow::Result<()> {
    let rows: Vec<Value> = database.audit(subject, limit).await?.iter().map(describe).collect();
    match json {
        true => println!("{}", Value::from(rows)),
        false => rows.iter().for_each(|row| println!("{}", line(row))),
    }
    Ok(())
}

/// A change with only what it changed.
pub(super) fn describe(row: &AuditRow) -> Value {
    let (before, after) = difference(row.before.as_ref(), row.after.as_ref());
    json!({
        "id": row.id, "at": row.at, "actor": row.actor, "action": row.action, "subject": row.subject,
        "version": row.version, "before": before, "after": after,
    })
}

/// One line for people.
pub(super) fn line(change: &Value) -> String {
    let word = |key: &str| change[key].as_str().unwrap_or("-").to_owned();
    let version = change["version"].as_i64().map_or(String::new(), |version| format!(" version {version}"));
    let mut line = format!("{}  {}  {} {}{version}", word("at"), word("actor"), word("action"), word("subject"));
    for (arrow, key) in [("was", "before"), ("now", "after")] {
        if !change[key].is_null() {
            line.push_str(&format!("  {arrow} {}", change[key]));
        }
    }
    line
}

/// What differs, key by key and one level into `settings`.
fn difference(before: Option<&Value>, after: Option<&Value>) -> (Value, Value) {
    let (Some(Value::Object(before)), Some(Value::Object(after))) = (before, after) else {
        return (before.cloned().unwrap_or_default(), after.cloned().unwrap_or_default());
    };
    let (mut was, mut is) = (serde_json::Map::new(), serde_json::Map::new());
    for key in before.keys().chain(after.keys()) {
        let (old, new) = (before.get(key), after.get(key));
        if old == new || was.contains_key(key) || is.contains_key(key) {
            continue;
        }
        let (old, new) = match key.as_str() {
            "settings" => {
                let (old, new) = difference(old, new);
                (Some(old), Some(new))
            }
            _ => (old.cloned(), new.cloned()),
        };
        old.into_iter().for_each(|old| drop(was.insert(key.clone(), old)));
        new.into_iter().for_each(|new| drop(is.insert(key.clone(), new)));
    }
    (Value::Object(was), Value::Object(is))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_shown() {
        let before = json!({"enabled": true, "settings": {"a": 1, "b": 2}, "queue": "x"});
        let after = json!({"enabled": true, "settings": {"a": 1, "c": 3}, "queue": "y"});
        let (was, is) = difference(Some(&before), Some(&after));
        assert_eq!(was, json!({"settings": {"b": 2}, "queue": "x"}));
        assert_eq!(is, json!({"settings": {"c": 3}, "queue": "y"}));
        assert_eq!(difference(None, Some(&after)), (Value::Null, after.clone()));
    }
}
