//! The documents say what is there: links lead somewhere, paths exist, options and metrics are real.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use toml::{Table, Value};

use crate::files::{File, all, find, folders_in, get, none, root};

fn documents() -> impl Iterator<Item = &'static File> {
    all().iter().filter(|file| file.ends_with(".md"))
}

/// The lines outside ``` fences.
fn prose(file: &'static File) -> impl Iterator<Item = (usize, &'static str)> {
    let mut fenced = false;
    file.lines().filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// What `[text](target)` and `![text](target)` point at, without anchors and titles; only files.
fn links(file: &'static File) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(file) {
        for (start, _) in line.match_indices("](") {
            let Some(target) = line[start + 2..].split([')', ' ', '#']).next() else { continue };
            if !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:") {
                found.push((number, target.to_owned()));
            }
        }
    }
    found
}

/// `target` as seen from `file`, from the root, without `.` and `..`; `None` when it leaves the repository.
fn resolve(file: &File, target: &str) -> Option<String> {
    let from = if target.starts_with('/') { Path::new("") } else { Path::new(&file.path).parent()? };
    let mut clean = PathBuf::new();
    for part in from.join(target.trim_start_matches('/')).components() {
        match part {
            Component::ParentDir => clean.pop().then_some(())?,
            Component::Normal(name) => clean.push(name),
            _ => {}
        }
    }
    Some(clean.to_string_lossy().into_owned())
}

fn exists(path: &str) -> bool {
    let path = path.trim_end_matches('/');
    // A module may be a file or a folder.
    find(path).is_some()
        || find(&format!("{path}.rs")).is_some()
        || all().iter().any(|file| file.is_under(&format!("{path}/")))
}

#[test]
fn every_link_leads_somewhere() {
    let mut found = Vec::new();
    for file in documents() {
        for (number, target) in links(file) {
            if !resolve(file, &target).is_some_and(|path| exists(&path)) {
                found.push(format!("{}:{number}: {target}", file.path));
            }
        }
    }
    none(&found, "these links lead to no file of the repository");
}

#[test]
fn every_path_in_the_documents_exists() {
    let top = folders_in("");
    let mut found = Vec::new();
    for file in documents() {
        for (number, line) in prose(file) {
            // Every second piece between backticks is code.
            for span in line.split('`').skip(1).step_by(2) {
                let plain = span.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
                let placeholder =
                    span.split('/').any(|part| part.len() > 1 && part.chars().all(|c| c.is_ascii_uppercase()));
                let first = span.split('/').next().unwrap_or_default();
                let is_path = plain && !placeholder && span.contains('/') && top.iter().any(|name| name == first);
                // Relative to the root, or to any folder the document lies in.
                let known =
                    Path::new(&file.path).ancestors().skip(1).any(|from| exists(&from.join(span).to_string_lossy()));
                if is_path && !known {
                    found.push(format!("{}:{number}: {span}", file.path));
                }
            }
        }
    }
    none(&found, "these paths are named in documents and do not exist (any more)");
}

#[test]
fn every_document_can_be_reached_from_the_readme() {
    let mut reached = BTreeSet::new();
    let mut next = vec!["README.md".to_owned()];
    while let Some(path) = next.pop() {
        let Some(file) = find(&path).filter(|file| file.ends_with(".md")) else { continue };
        if reached.insert(path) {
            next.extend(links(file).into_iter().filter_map(|(_, target)| resolve(file, &target)));
        }
    }
    let lost: Vec<String> = documents()
        .filter(|file| file.is_under("docs/") || !file.path.contains('/'))
        .map(|file| file.path.clone())
        .filter(|path| !reached.contains(path))
        .collect();
    none(&lost, "a document nobody can find from README.md is not read: link it");
}

#[test]
fn the_architecture_names_every_part() {
    let text = get("ARCHITECTURE.md").text();
    let parts = ["chatserver", "common", "connectors", "deploy", "docs", "fileserver", "loader", "tests"];
    let missing: Vec<String> = parts
        .iter()
        .filter(|part| ![format!("`{part}"), format!("{part}/")].iter().any(|word| text.contains(word)))
        .map(|part| (*part).to_owned())
        .collect();
    none(&missing, "the code map of ARCHITECTURE.md leaves these out");
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest: Table = toml::from_str(get("Cargo.toml").text()).unwrap();
    let listed = manifest["workspace"]["dependencies"].as_table().expect("Cargo.toml lists the dependencies");
    let text = get("docs/dependencies.md").text();
    let missing: Vec<String> = listed
        .iter()
        .filter(|(_, value)| value.get("path").is_none())
        .map(|(name, _)| name.clone())
        .filter(|name| !text.contains(&format!("`{name}`")))
        .collect();
    none(&missing, "docs/dependencies.md says of every dependency why it is there; it is silent on these");
}

/// Every option of the default file as `SECTION__KEY`.
fn options() -> BTreeSet<String> {
    let defaults: Table = toml::from_str(get(DEFAULTS).text()).expect("the default configuration is TOML");
    let mut found = BTreeSet::new();
    for (section, values) in &defaults {
        for key in values.as_table().into_iter().flat_map(Table::keys) {
            found.insert(format!("{section}__{key}").to_uppercase());
        }
    }
    found
}

const DEFAULTS: &str = "common/src/service/config/default.toml";

#[test]
fn every_option_is_explained() {
    let mut found = Vec::new();
    let mut explained = false;
    for (number, line) in get(DEFAULTS).lines() {
        let line = line.trim();
        if line.starts_with('#') {
            explained = true;
        } else if line.is_empty() || line.starts_with('[') {
            explained = false;
        } else if line.contains('=') && !explained {
            found.push(format!("{DEFAULTS}:{number}: {line}"));
        }
    }
    none(
        &found,
        "every option has a comment above it, in a sentence (one comment may serve the options right below it)",
    );
    assert!(options().len() > 10, "the default configuration was not understood");
}

#[test]
fn every_option_named_elsewhere_exists() {
    let options = options();
    let readers = all().iter().filter(|file| {
        !file.ends_with(".rs") && file.path != DEFAULTS && file.path != "dev" && !file.path.contains("/cases/")
    });
    let mut found = Vec::new();
    for file in readers {
        for (number, line) in file.lines() {
            for (start, _) in line.match_indices("SWITCHBOARD_") {
                let name: String = line[start + 12..]
                    .chars()
                    .take_while(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || *c == '_')
                    .collect();
                if name.contains("__") && name != "SECTION__KEY" && !options.contains(&name) {
                    found.push(format!("{}:{number}: SWITCHBOARD_{name}", file.path));
                }
            }
        }
    }
    none(&found, "no such option: common/src/service/config/default.toml has them all");
}

#[test]
fn every_metric_named_elsewhere_exists() {
    let known = get("common/src/service/metrics.rs").text();
    let endings =
        ["_total", "_seconds", "_bytes", "_depth", "_info", "_connected", "_active", "_connections", "_sessions"];
    let mut found = Vec::new();
    for file in
        all().iter().filter(|file| [".md", ".yml", ".yaml", ".json"].iter().any(|ending| file.ends_with(ending)))
    {
        for (number, line) in file.lines() {
            for (start, _) in line.match_indices("switchboard_") {
                let name: String = line[start..]
                    .chars()
                    .take_while(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_')
                    .collect();
                let base =
                    ["_bucket", "_sum", "_count"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name);
                if endings.iter().any(|ending| base.ends_with(ending)) && !known.contains(&format!("\"{base}\"")) {
                    found.push(format!("{}:{number}: {name}", file.path));
                }
            }
        }
    }
    none(&found, "no such metric: common/src/service/metrics.rs has them all");
}

#[test]
fn the_script_writes_options_that_exist() {
    let defaults: Table = toml::from_str(get(DEFAULTS).text()).unwrap();
    let script = get("dev").text();
    let (_, config) = script.split_once("write_config() {").expect("./dev writes a configuration");
    let (_, config) = config.split_once("<<TEXT\n").expect("as text");
    let (config, _) = config.split_once("\nTEXT\n").expect("to its end");
    let written: Table = toml::from_str(config).expect("the configuration of ./dev is TOML");
    let mut found = Vec::new();
    for (section, values) in &written {
        for key in values.as_table().into_iter().flat_map(Table::keys) {
            if defaults.get(section).and_then(Value::as_table).is_none_or(|known| !known.contains_key(key)) {
                found.push(format!("dev: [{section}] {key}"));
            }
        }
    }
    none(&found, "./dev writes options that do not exist");
}

#[test]
fn the_picture_of_the_readme_is_a_picture() {
    let pictures: Vec<String> = links(get("README.md"))
        .into_iter()
        .filter_map(|(_, target)| resolve(get("README.md"), &target))
        .filter(|path| [".png", ".jpg", ".webp"].iter().any(|ending| path.ends_with(ending)))
        .collect();
    assert!(!pictures.is_empty(), "README.md shows the two pages as they look: take a picture of the running product");
    for path in pictures {
        let bytes = std::fs::read(root().join(&path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        let known =
            bytes.starts_with(b"\x89PNG\r\n") || bytes.starts_with(b"\xff\xd8\xff") || bytes.starts_with(b"RIFF");
        assert!(known, "{path} is no picture");
    }
}
