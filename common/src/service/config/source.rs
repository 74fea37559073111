//! Merging the sources, and saying exactly which key is wrong, where, and which one was meant.

use std::path::Path;

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

/// What is wrong with the configuration. Every variant names the file or variable and the way out.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {error}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{path}: {error}")]
    Syntax {
        /// The file.
        path: String,
        /// The parser's words, with line and column.
        error: String,
    },
    /// A key nobody knows.
    #[error("{place}: unknown key \"{key}\"; did you mean \"{nearest}\"? `switchboard config default` lists all")]
    Unknown {
        /// File, line and column, or the variable.
        place: String,
        /// The key as written.
        key: String,
        /// The known key that is nearest to it.
        nearest: String,
    },
    /// A value that cannot be.
    #[error("{key}: {why}")]
    Value {
        /// The key.
        key: String,
        /// What is wrong and what is right.
        why: String,
    },
}

/// Merges `defaults`, `file` and `environment` and reads the result.
pub(super) fn merge<T: DeserializeOwned>(
    defaults: &str,
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<T, ConfigError> {
    let mut merged: Table = toml::from_str(defaults).expect("the compiled-in defaults are TOML");
    let known = keys(&merged, "");
    if let Some(path) = file {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Read { path: name.clone(), error })?;
        refuse_unknown(&name, &text, &known)?;
        let table: Table = toml::from_str(&text).map_err(|error| syntax(&name, &text, &error))?;
        overlay(&mut merged, table);
    }
    for (variable, value) in environment {
        let Some(key) = option_of(&variable) else {
            match meant(&variable, &known) {
                Some(nearest) => {
                    return Err(ConfigError::Unknown { place: "environment".to_owned(), key: variable, nearest });
                }
                None => continue,
            }
        };
        if !known.contains(&key) {
            let nearest = variable_of(&nearest(&key, &known));
            return Err(ConfigError::Unknown { place: "environment".to_owned(), key: variable, nearest });
        }
        set(&mut merged, &key, &value).map_err(|why| ConfigError::Value { key: variable, why })?;
    }
    Value::Table(merged).try_into().map_err(|error: toml::de::Error| ConfigError::Value {
        key: "configuration".to_owned(),
        why: error.to_string().trim().to_owned(),
    })
}

/// `SWITCHBOARD_POSTGRES__POOL_SIZE` names the option `postgres.pool_size`; a variable without `__` is none.
fn option_of(variable: &str) -> Option<String> {
    let rest = variable.strip_prefix("SWITCHBOARD_")?;
    rest.contains("__").then(|| rest.to_lowercase().replacen("__", ".", 1))
}

fn variable_of(key: &str) -> String {
    format!("SWITCHBOARD_{}", key.replace('.', "__").to_uppercase())
}

/// The option that `SWITCHBOARD_POSTGRES_URL` was meant for: spelt like one, but for the second underscore and a slip or two.
fn meant(variable: &str, known: &[String]) -> Option<String> {
    const SLIPS: usize = 2;
    let rest = variable.strip_prefix("SWITCHBOARD_")?.to_lowercase();
    let apart = |key: &&String| distance(&rest, &key.replace('.', "_"));
    known.iter().filter(|key| apart(key) <= SLIPS).min_by_key(apart).map(|key| variable_of(key))
}

fn keys(table: &Table, prefix: &str) -> Vec<String> {
    let of = |(key, value): (&String, &Value)| match value {
        Value::Table(inner) => keys(inner, &format!("{prefix}{key}.")),
        _ => vec![format!("{prefix}{key}")],
    };
    table.iter().flat_map(of).collect()
}

fn refuse_unknown(name: &str, text: &str, known: &[String]) -> Result<(), ConfigError> {
    let document = DeTable::parse(text).map_err(|error| syntax(name, text, &error))?;
    let unknown = |key: String, at: usize| {
        let (line, column) = place(text, at);
        let nearest = nearest(&key, known);
        Err(ConfigError::Unknown { place: format!("{name}, line {line}, column {column}"), key, nearest })
    };
    for (section, value) in document.get_ref() {
        let section_name = section.get_ref().as_ref();
        let prefix = format!("{section_name}.");
        if !known.iter().any(|key| key.starts_with(&prefix)) {
            return unknown(section_name.to_owned(), section.span().start);
        }
        let DeValue::Table(inner) = value.get_ref() else {
            return unknown(section_name.to_owned(), section.span().start);
        };
        for key in inner.keys() {
            let full = format!("{prefix}{}", Spanned::get_ref(key));
            if !known.contains(&full) {
                return unknown(full, key.span().start);
            }
        }
    }
    Ok(())
}

/// Where and what, without the line itself: it may hold a secret.
fn syntax(name: &str, text: &str, error: &toml::de::Error) -> ConfigError {
    let (line, column) = place(text, error.span().map_or(0, |span| span.start));
    let error = format!("line {line}, column {column}: {}", error.message());
    ConfigError::Syntax { path: name.to_owned(), error }
}

fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at.min(text.len())];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

fn nearest(key: &str, known: &[String]) -> String {
    // A bare section name is compared with sections, a dotted key with keys.
    let sections = || known.iter().filter_map(|name| name.split_once('.')).map(|(section, _)| section);
    let candidates: Vec<&str> = match key.contains('.') {
        true => known.iter().map(String::as_str).collect(),
        false => sections().collect(),
    };
    candidates.into_iter().min_by_key(|name| distance(key, name)).unwrap_or_default().to_owned()
}

/// Edits needed to turn one word into the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let replace = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

fn overlay(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(more)) => overlay(inner, more),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// Puts an environment's text where the default's type says what it must be.
fn set(table: &mut Table, key: &str, text: &str) -> Result<(), String> {
    let (section, name) = key.split_once('.').unwrap_or((key, ""));
    let slot = table.get_mut(section).and_then(|inner| inner.get_mut(name)).expect("a known key has a default");
    *slot = match slot {
        Value::Integer(_) => Value::Integer(text.parse().map_err(|_| format!("\"{text}\" is no whole number"))?),
        Value::Boolean(_) => Value::Boolean(text.parse().map_err(|_| format!("\"{text}\" is neither true nor false"))?),
        _ => Value::String(text.to_owned()),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Config, DEFAULT};

    fn load(file: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
        let path = std::env::temp_dir().join(format!("switchboard-config-{}.toml", uuid::Uuid::new_v4()));
        std::fs::write(&path, file).expect("the temporary directory can be written");
        let pairs = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let result = Config::load(Some(&path), pairs).map_err(|error| error.to_string());
        std::fs::remove_file(path).expect("just written");
        result
    }

    #[test]
    fn the_defaults_alone_are_a_configuration() {
        Config::load(None, std::iter::empty()).expect("defaults load");
        assert!(DEFAULT.lines().filter(|line| line.starts_with('#')).count() > 30, "options are explained");
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let config = load("[postgres]\npool_size = 3\n", &[("SWITCHBOARD_POSTGRES__POOL_SIZE", "9")]).expect("loads");
        assert_eq!(config.postgres.pool_size, 9);
        let config = load("[postgres]\npool_size = 3\n", &[("SWITCHBOARD_CONFIG", "x")]).expect("loads");
        assert_eq!(config.postgres.pool_size, 3);
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_place_and_the_nearest_key() {
        let error = load("[postgres]\n\npool_sise = 3\n", &[]).expect_err("refused");
        assert!(error.contains("line 3, column 1"), "{error}");
        assert!(error.contains("did you mean \"postgres.pool_size\"?"), "{error}");
        let error = load("[zokeeper]\n", &[]).expect_err("refused");
        assert!(error.contains("\"zookeeper\""), "{error}");
        let error = load("", &[("SWITCHBOARD_LOG__LEVL", "info")]).expect_err("refused");
        assert!(error.contains("SWITCHBOARD_LOG__LEVEL"), "{error}");
    }

    #[test]
    fn a_variable_with_one_underscore_too_few_is_not_passed_over() {
        for wrong in ["SWITCHBOARD_POSTGRES_URL", "SWITCHBOARD_POSTGRES_ULR"] {
            let error = load("", &[(wrong, "postgresql://elsewhere")]).expect_err("refused");
            assert!(error.contains("did you mean \"SWITCHBOARD_POSTGRES__URL\"?"), "{error}");
        }
        for other in ["SWITCHBOARD_TEST_POSTGRES", "SWITCHBOARD_CONFIG", "SWITCHBOARD_SABOTAGE", "SWITCHBOARD_PGBIN"] {
            load("", &[(other, "x")]).expect("no option, and none was meant");
        }
    }

    #[test]
    fn a_wrong_value_says_what_is_wrong() {
        let error = load("[connector]\npoll_timeout_s = 90\n", &[]).expect_err("refused");
        assert!(error.contains("poll_timeout_s") && error.contains("50"), "{error}");
        let error = load("", &[("SWITCHBOARD_POSTGRES__POOL_SIZE", "many")]).expect_err("refused");
        assert!(error.contains("no whole number"), "{error}");
        for (section, line) in [
            ("files", "link_good_for_s = 0"),
            ("files", "link_good_for_s = 9223372036854775807"),
            ("files", "orphan_hours = 0"),
            ("files", "orphan_hours = 9223372036854775807"),
            ("connector", "give_up_hours = 9223372036854775807"),
            ("chatserver", "feed_retention_days = 0"),
            ("postgres", "pool_size = 0"),
            ("postgres", "statement_timeout_ms = 0"),
        ] {
            let error = load(&format!("[{section}]\n{line}\n"), &[]).expect_err(line);
            assert!(line.split_once(' ').is_some_and(|(key, _)| error.contains(key)), "{line}: {error}");
        }
        let error = load("[postgres]\nurl = 5\n", &[]).expect_err("refused");
        assert!(error.contains("url"), "{error}");
    }

    #[test]
    fn a_secret_is_never_printed() {
        let config = load("[postgres]\npassword = \"hunter2\"\n", &[]).expect("loads");
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
