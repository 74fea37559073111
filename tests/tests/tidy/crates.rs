//! The crates: who may know whom, where versions stand, and what Cargo made of it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::LazyLock;

use toml::{Table, Value};

use crate::files::{all, get, none, root};

/// Which crates of ours a crate may have under `[dependencies]`. Services meet in rows, znodes and HTTP, never
/// in code; `connectors` hosts the fileserver. Simulators judge the product and so use none of it; the tests use the
/// store alone, to queue what would take the agents minutes.
const MAY_USE: &[(&str, &[&str])] = &[
    ("common", &[]),
    ("fileserver", &["switchboard-common"]),
    ("connectors", &["switchboard-common", "switchboard-fileserver"]),
    ("chatserver", &["switchboard-common"]),
    ("loader", &["switchboard-common"]),
    (
        "deploy/switchboard",
        &[
            "switchboard-chatserver",
            "switchboard-common",
            "switchboard-connectors",
            "switchboard-fileserver",
            "switchboard-loader",
        ],
    ),
    ("tests", &["switchboard-common"]),
    ("tests/chaos", &["switchboard-tests"]),
    ("tests/bench", &["switchboard-tests"]),
    ("tests/model", &[]),
    ("tests/simulators/telegram", &[]),
];

const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

static MANIFEST: LazyLock<Table> = LazyLock::new(|| parse("Cargo.toml"));

fn parse(path: &str) -> Table {
    toml::from_str(get(path).text()).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The value at a dotted path, if all of it is there.
fn at<'a>(table: &'a Table, path: &[&str]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(table.get(*first)?, |value, key| value.get(key))
}

fn keys(table: &Table, path: &[&str]) -> Vec<String> {
    at(table, path).and_then(Value::as_table).map(|found| found.keys().cloned().collect()).unwrap_or_default()
}

fn members() -> Vec<(String, Table)> {
    let list =
        at(&MANIFEST, &["workspace", "members"]).and_then(Value::as_array).expect("Cargo.toml names the members");
    list.iter()
        .map(|member| member.as_str().expect("a member is a folder").to_owned())
        .map(|member| (member.clone(), parse(&format!("{member}/Cargo.toml"))))
        .collect()
}

/// Every dependency table of a crate with its title, those for one target included.
fn tables(manifest: &Table) -> Vec<(String, &Table)> {
    let targets = manifest.get("target").and_then(Value::as_table).into_iter().flatten();
    let targets = targets.filter_map(|(target, table)| Some((format!("target.{target}."), table.as_table()?)));
    let mut found = Vec::new();
    for (prefix, holder) in std::iter::once((String::new(), manifest)).chain(targets) {
        for kind in KINDS {
            if let Some(table) = holder.get(kind).and_then(Value::as_table) {
                found.push((format!("{prefix}{kind}"), table));
            }
        }
    }
    found
}

#[test]
fn every_crate_is_a_member_and_stands_in_the_table_above() {
    let listed: BTreeSet<String> = members().into_iter().map(|(member, _)| member).collect();
    let present: BTreeSet<String> =
        all().iter().filter_map(|file| file.path.strip_suffix("/Cargo.toml")).map(str::to_owned).collect();
    assert_eq!(listed, present, "every folder with a Cargo.toml is a member in the root Cargo.toml, and only those");
    let ruled: BTreeSet<String> = MAY_USE.iter().map(|(member, _)| (*member).to_owned()).collect();
    assert_eq!(ruled, listed, "say in MAY_USE whom a new crate may use");
}

#[test]
fn crates_depend_in_one_direction() {
    let ours: BTreeSet<String> = members()
        .iter()
        .filter_map(|(_, manifest)| at(manifest, &["package", "name"])?.as_str().map(str::to_owned))
        .collect();
    let mut found = Vec::new();
    for (member, manifest) in members() {
        let allowed = MAY_USE.iter().find(|(name, _)| *name == member).map_or(&[][..], |(_, allowed)| allowed);
        for (title, table) in tables(&manifest) {
            if title.contains("dev-dependencies") {
                continue;
            }
            let bad = table.keys().filter(|name| ours.contains(*name) && !allowed.contains(&name.as_str()));
            found.extend(bad.map(|name| format!("{member}/Cargo.toml [{title}] {name}")));
        }
    }
    none(&found, "services never import each other and common imports no service: they meet in rows, znodes and HTTP");
}

#[test]
fn every_version_stands_in_the_root() {
    let mut found = Vec::new();
    for (member, manifest) in members() {
        for (title, table) in tables(&manifest) {
            for (name, value) in table {
                let inherits = value.get("workspace").and_then(Value::as_bool) == Some(true);
                let own = ["version", "path", "git"].iter().any(|key| value.get(key).is_some());
                if !inherits || own {
                    found.push(format!("{member}/Cargo.toml [{title}] {name}: write {name}.workspace = true"));
                }
            }
        }
    }
    none(&found, "versions, paths and sources of dependencies stand once, in the root Cargo.toml");
}

#[test]
fn every_listed_dependency_is_used() {
    let mut used = BTreeSet::new();
    for (_, manifest) in members() {
        used.extend(tables(&manifest).into_iter().flat_map(|(_, table)| table.keys().cloned().collect::<Vec<_>>()));
    }
    let idle: Vec<String> =
        keys(&MANIFEST, &["workspace", "dependencies"]).into_iter().filter(|name| !used.contains(name)).collect();
    // Services that so far are only named.
    let waiting = ["switchboard-loader", "switchboard-fileserver"];
    let idle: Vec<String> = idle.into_iter().filter(|name| !waiting.contains(&name.as_str())).collect();
    none(&idle, "no crate uses these any more: remove them from [workspace.dependencies]");
}

#[test]
fn a_crate_uses_what_it_names() {
    let mut found = Vec::new();
    for (member, manifest) in members() {
        let nested: Vec<String> = members()
            .into_iter()
            .map(|(other, _)| format!("{other}/"))
            .filter(|other| *other != format!("{member}/"))
            .collect();
        let sources: Vec<&str> = all()
            .iter()
            .filter(|file| file.ends_with(".rs") && file.is_under(&format!("{member}/")))
            .filter(|file| !nested.iter().any(|other| other.starts_with(&format!("{member}/")) && file.is_under(other)))
            .map(|file| file.text())
            .collect();
        for (title, table) in tables(&manifest) {
            for name in table.keys() {
                let word = name.replace('-', "_");
                if !sources.iter().any(|text| mentions(text, &word)) {
                    found.push(format!("{member}/Cargo.toml [{title}] {name}"));
                }
            }
        }
    }
    none(&found, "no file of the crate mentions these: remove the line");
}

/// Whether `word` stands in `text` as a word followed by `::`, or in a `use`, or behind `extern crate`.
fn mentions(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(start, _)| {
        let before = text[..start].chars().next_back();
        let after = &text[start + word.len()..];
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
            && (after.starts_with("::") || after.starts_with(';') || after.starts_with(" as "))
    })
}

#[test]
fn every_crate_takes_the_common_settings() {
    let mut found = Vec::new();
    for (member, manifest) in members() {
        for key in ["version", "edition", "rust-version", "license", "publish"] {
            if at(&manifest, &["package", key, "workspace"]).and_then(Value::as_bool) != Some(true) {
                found.push(format!("{member}/Cargo.toml: {key}.workspace = true"));
            }
        }
        if at(&manifest, &["lints", "workspace"]).and_then(Value::as_bool) != Some(true) {
            found.push(format!("{member}/Cargo.toml: [lints] workspace = true"));
        }
        if at(&manifest, &["package", "description"]).is_none() {
            found.push(format!("{member}/Cargo.toml: description = \"one sentence\""));
        }
    }
    none(&found, "settings and lints are common to all crates");
    let unsafe_code = at(&MANIFEST, &["workspace", "lints", "rust", "unsafe_code"]).and_then(Value::as_str);
    assert_eq!(unsafe_code, Some("forbid"), "unsafe code stays forbidden");
}

#[test]
fn crash_points_are_in_no_release() {
    let mut found = Vec::new();
    for (member, manifest) in members() {
        let default = at(&manifest, &["features", "default"]).and_then(Value::as_array);
        if default.is_some_and(|list| list.iter().any(names_faults)) {
            found.push(format!("{member}/Cargo.toml [features] default"));
        }
        for (title, table) in tables(&manifest) {
            for (name, value) in table {
                let features = value.get("features").and_then(Value::as_array);
                if features.is_some_and(|list| list.iter().any(names_faults)) {
                    found.push(format!("{member}/Cargo.toml [{title}] {name}"));
                }
            }
        }
    }
    let shared = at(&MANIFEST, &["workspace", "dependencies"]).and_then(Value::as_table).expect("dependencies");
    for (name, value) in shared {
        if value.get("features").and_then(Value::as_array).is_some_and(|list| list.iter().any(names_faults)) {
            found.push(format!("Cargo.toml [workspace.dependencies] {name}"));
        }
    }
    none(&found, "the feature `faults` is asked for on the command line of the fault tests, never in a manifest");
}

fn names_faults(feature: &Value) -> bool {
    feature.as_str().is_some_and(|name| name == "faults" || name.ends_with("/faults"))
}

/// Name and versions of every package Cargo would build here.
fn resolved() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let tree = Command::new(cargo)
        .args(["tree", "--locked", "--workspace", "--all-features", "--prefix", "none", "--format", "{p}"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(tree.status.success(), "cargo tree --locked: {}", String::from_utf8_lossy(&tree.stderr));
    let mut packages: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in String::from_utf8(tree.stdout).unwrap().lines() {
        let mut words = line.split_whitespace();
        if let (Some(name), Some(version)) = (words.next(), words.next()) {
            packages.entry(name.to_owned()).or_default().insert(version.to_owned());
        }
    }
    assert!(packages.contains_key("tokio"), "cargo tree says nothing");
    packages
}

#[test]
fn no_second_copy_of_a_large_dependency() {
    let once = [
        "axum",
        "axum-core",
        "h2",
        "http",
        "http-body",
        "hyper",
        "hyper-util",
        "postgres-types",
        "reqwest",
        "rustls",
        "rustls-webpki",
        "serde",
        "tokio",
        "tokio-postgres",
        "tokio-rustls",
        "tokio-tungstenite",
        "tokio-util",
        "tower-http",
        "tungstenite",
    ];
    let found: Vec<String> = resolved()
        .into_iter()
        .filter(|(name, versions)| once.contains(&name.as_str()) && versions.len() > 1)
        .map(|(name, versions)| format!("{name}: {}", versions.into_iter().collect::<Vec<_>>().join(", ")))
        .collect();
    none(
        &found,
        "two versions are two of everything, and types that do not fit; `cargo tree -d -i NAME` says who asks",
    );
}

#[test]
fn no_second_cryptography() {
    let banned = ["aws-lc-rs", "aws-lc-sys", "native-tls", "openssl", "openssl-sys"];
    let found: Vec<String> = resolved().into_keys().filter(|name| banned.contains(&name.as_str())).collect();
    none(&found, "TLS is rustls with ring: switch off the feature that brings these; `cargo tree -i NAME` says which");
}
