//! Who may mention whom inside the crates: the arrows of ARCHITECTURE.md, read from the sources.

use std::collections::BTreeSet;

use crate::files::{File, none, rust};

/// The modules of `common` and the modules each may use. The graph has no circle, and `model` stands below all.
const COMMON: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("faults", &[]),
    ("secrets", &[]),
    ("store", &["model", "faults", "secrets"]),
    ("service", &["model", "store", "secrets", "faults"]),
    ("access", &["model", "store", "service"]),
    ("ensemble", &["service", "faults"]),
    ("doorbell", &["model", "ensemble", "service", "faults"]),
    ("tenure", &["model", "ensemble", "service", "store", "faults"]),
];

/// The code lines, without comments.
pub fn code(file: &File) -> impl Iterator<Item = (usize, &str)> {
    file.lines().filter(|(_, line)| !line.trim_start().starts_with("//")).map(|(number, line)| {
        let code = line.split(" // ").next().unwrap_or(line);
        (number, code)
    })
}

/// The code lines that are in the product: no test file, nothing in `mod tests`.
pub fn product(file: &File) -> impl Iterator<Item = (usize, &str)> {
    let test = file.path.contains("/tests/") || file.ends_with("tests.rs") || file.ends_with("/testkit.rs");
    code(file).take_while(move |(_, line)| !test && *line != "mod tests {")
}

/// Every first segment that follows `prefix` in the code, `{a, b}` lists included, with its line.
pub fn segments(file: &File, prefix: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in code(file) {
        for (start, _) in line.match_indices(prefix) {
            if line[..start].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let rest = &line[start + prefix.len()..];
            let names: Vec<&str> = match rest.strip_prefix('{') {
                Some(list) => list.split(['}', ',']).map(str::trim).collect(),
                None => vec![rest],
            };
            for name in names {
                let word: String = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if !word.is_empty() {
                    found.push((number, word));
                }
            }
        }
    }
    found
}

/// The files of module `name` of `common`.
fn module(name: &str) -> impl Iterator<Item = &'static File> {
    let (folder, file) = (format!("common/src/{name}/"), format!("common/src/{name}.rs"));
    rust().filter(move |found| found.is_under(&folder) || found.path == file)
}

#[test]
fn the_modules_of_common_point_one_way() {
    let names: BTreeSet<&str> = COMMON.iter().map(|(name, _)| *name).collect();
    let mut found = Vec::new();
    for (name, allowed) in COMMON {
        assert!(module(name).next().is_some(), "common has no module {name} any more: change COMMON");
        for file in module(name) {
            for (line, used) in segments(file, "crate::") {
                if names.contains(used.as_str()) && used != *name && !allowed.contains(&used.as_str()) {
                    found.push(format!("{}:{line}: {name} uses {used}", file.path));
                }
            }
        }
    }
    none(&found, "in common only these arrows exist: see COMMON; model uses nothing, store only model");
    let strangers: BTreeSet<String> = rust()
        .filter_map(|file| file.path.strip_prefix("common/src/"))
        .map(|path| path.split(['/', '.']).next().unwrap().to_owned())
        .filter(|name| name != "lib" && !names.contains(name.as_str()))
        .collect();
    none(&strangers.into_iter().collect::<Vec<_>>(), "say in COMMON what these new modules may use");
}

#[test]
fn the_model_is_plain_data() {
    let banned = [
        "tokio",
        "axum",
        "reqwest",
        "tokio_postgres",
        "zookeeper_client",
        "std::fs",
        "std::net",
        "Utc::now",
        "Instant::now",
        "SystemTime",
        "async fn",
        "Serialize",
        "Deserialize",
    ];
    let mut found = Vec::new();
    for file in module("model") {
        for (number, line) in code(file) {
            found.extend(
                banned
                    .iter()
                    .filter(|word| line.contains(**word))
                    .map(|word| format!("{}:{number}: {word}", file.path)),
            );
        }
    }
    none(&found, "model is data and ids: no I/O, no clock, no wire format (that belongs to the edges)");
}

/// A library, and the only places of the product that may mention it. Tests may anywhere; the bench measures it bare.
const AT_HOME: &[(&str, &[&str], &str)] = &[
    (
        "tokio_postgres",
        &["common/src/store/", "tests/bench/"],
        "SQL lives in common/src/store, one file per table family",
    ),
    ("deadpool_postgres", &["common/src/store/"], "the pool lives in common/src/store"),
    ("refinery", &["common/src/store/"], "migrations are run by common/src/store"),
    (
        "zookeeper_client",
        &["common/src/ensemble", "common/src/doorbell/", "common/src/tenure/", "tests/bench/"],
        "ZooKeeper is behind common's doorbell, tenure and ensemble",
    ),
    ("teloxide", &["connectors/src/platforms/telegram/"], "a platform's library stays in its folder"),
    (
        "governor",
        &["connectors/src/limiter", "connectors/src/webhook.rs", "common/src/service/addresses"],
        "calls are paced in connectors/src/limiter.rs, strangers in common/src/access, an account's webhooks at their door",
    ),
    (
        "jsonwebtoken",
        &["common/src/access/", "chatserver/src/tests/", "deploy/switchboard/src/"],
        "tokens are checked in one place",
    ),
    ("clap", &["deploy/switchboard/src/", "tests/simulators/"], "the command line belongs to the executable"),
    ("toml", &["common/src/service/config"], "configuration is read in common/src/service/config"),
    ("tracing_subscriber", &["common/src/service/"], "logs are set up once, in common/src/service"),
];

#[test]
fn a_library_stays_at_home() {
    let mut found = Vec::new();
    for (library, homes, reason) in AT_HOME {
        for file in rust().filter(|file| !file.is_under("tests/src/") && !file.is_under("tests/tests/")) {
            if homes.iter().any(|home| file.is_under(home)) {
                continue;
            }
            for (number, line) in product(file) {
                let named = line.match_indices(library).any(|(start, _)| {
                    let word_before = line[..start].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
                    !word_before && line[start + library.len()..].starts_with("::")
                });
                if named {
                    found.push(format!("{}:{number}: {library} ({reason})", file.path));
                }
            }
        }
    }
    none(&found, "these libraries are used in one place, so that a change of them is a change of one place");
}

#[test]
fn queries_are_written_in_the_store() {
    let verbs = ["SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM "];
    let outside = rust().filter(|file| !file.is_under("common/src/store/") && !file.is_under("tests/"));
    let mut found = Vec::new();
    for file in outside {
        for (number, line) in product(file) {
            let quoted = line.find('"').map(|at| line[at + 1..].trim_start().to_ascii_uppercase());
            if quoted.is_some_and(|text| verbs.iter().any(|verb| text.starts_with(verb) && text.len() > verb.len() + 8))
            {
                found.push(format!("{}:{number}", file.path));
            }
        }
    }
    none(&found, "write the query as a function of common/src/store");
}
