//! A platform is a folder and a row, and a folder knows its contract and nothing else of the product.

use crate::files::{File, all, folders_in, get, none, rust};
use crate::imports::{code, segments};

const FOLDER: &str = "connectors/src/platforms/";

/// The names in `PLATFORMS: … = &[&telegram::SPEC, …];`.
fn rows() -> Vec<String> {
    let text = get("connectors/src/platforms/mod.rs").text();
    let (_, table) = text.split_once("pub const PLATFORMS").expect("platforms/mod.rs has the table PLATFORMS");
    let (_, list) = table.split_once("= &[").expect("PLATFORMS is a list of references");
    let (list, _) = list.split_once("];").expect("PLATFORMS ends");
    let mut names: Vec<String> = list
        .split(',')
        .filter_map(|row| row.trim().strip_prefix('&')?.strip_suffix("::SPEC"))
        .map(str::to_owned)
        .collect();
    names.sort();
    names
}

fn of(platform: &str) -> impl Iterator<Item = &'static File> {
    let folder = format!("{FOLDER}{platform}/");
    rust().filter(move |file| file.is_under(&folder))
}

#[test]
fn every_platform_is_a_folder_and_a_row() {
    let folders = folders_in(FOLDER);
    assert!(!folders.is_empty(), "there is no platform");
    assert_eq!(folders, rows(), "a platform is a folder under {FOLDER} and its row in PLATFORMS (platforms/mod.rs)");
}

#[test]
fn every_platform_folder_is_complete() {
    let mut found = Vec::new();
    for platform in folders_in(FOLDER) {
        for name in ["mod.rs", "README.md"] {
            if !all().iter().any(|file| file.path == format!("{FOLDER}{platform}/{name}")) {
                found.push(format!("{FOLDER}{platform}/{name}"));
            }
        }
        for cases in ["cases/in/", "cases/out/", "cases/answers/"] {
            if !all().iter().any(|file| file.is_under(&format!("{FOLDER}{platform}/{cases}"))) {
                found.push(format!("{FOLDER}{platform}/{cases}"));
            }
        }
        if !all().iter().any(|file| file.path == format!("tests/simulators/{platform}/Cargo.toml")) {
            found.push(format!("tests/simulators/{platform}/"));
        }
    }
    none(&found, "a platform has a mod.rs, a README.md, recorded cases of all three kinds, and a simulator; missing:");
}

#[test]
fn every_case_says_what_is_wanted() {
    let mut found = Vec::new();
    for file in all().iter().filter(|file| file.is_under(FOLDER) && file.path.contains("/cases/")) {
        let twin = match file.path.strip_suffix(".want.json") {
            Some(stem) => all().iter().any(|other| {
                other.path != file.path && other.path.strip_prefix(stem).is_some_and(|rest| rest.starts_with('.'))
            }),
            None => {
                let (stem, _) = file.path.rsplit_once('.').unwrap_or((&file.path, ""));
                all().iter().any(|other| other.path == format!("{stem}.want.json"))
            }
        };
        if !twin {
            found.push(file.path.clone());
        }
    }
    none(&found, "a case is two files, NAME.json and NAME.want.json; alone are:");
}

#[test]
fn a_platform_knows_its_contract_and_nothing_else() {
    // `http` is the one way out: it sets the deadlines of a call. `SecretFile` reads what an option refers to.
    let of_the_crate = ["platform", "http"];
    let of_common = ["model"];
    let mut found = Vec::new();
    for platform in folders_in(FOLDER) {
        for file in of(&platform) {
            for (line, used) in segments(file, "crate::") {
                let own = used == "platforms"
                    && code(file).any(|(number, text)| {
                        number == line && text.contains(&format!("crate::platforms::{platform}"))
                    });
                if !own && !of_the_crate.contains(&used.as_str()) {
                    found.push(format!("{}:{line}: crate::{used}", file.path));
                }
            }
            for (line, used) in segments(file, "switchboard_common::") {
                let secret =
                    code(file).any(|(number, text)| number == line && text.contains("service::config::SecretFile"));
                if !secret && !of_common.contains(&used.as_str()) {
                    found.push(format!("{}:{line}: switchboard_common::{used}", file.path));
                }
            }
        }
    }
    none(&found, "a platform folder uses crate::platform, crate::http, switchboard_common::model and its own files");
}

#[test]
fn a_platform_neither_waits_nor_repeats() {
    let banned = [
        ("tokio::time", "waiting"),
        ("sleep(", "waiting"),
        ("tokio::spawn", "a task of its own"),
        ("tokio_postgres", "SQL"),
        ("zookeeper_client", "ZooKeeper"),
        ("governor", "pacing"),
        ("Instant::now", "a clock"),
        ("Utc::now", "a clock"),
        ("SystemTime", "a clock"),
        ("throttle", "the library's own limiter"),
        ("dispatching", "the library's own loop"),
    ];
    let mut found = Vec::new();
    for platform in folders_in(FOLDER) {
        for file in of(&platform) {
            for (number, line) in code(file) {
                let hits = banned.iter().filter(|(word, _)| line.contains(word));
                found.extend(hits.map(|(word, what)| format!("{}:{number}: {word} ({what})", file.path)));
            }
        }
    }
    none(
        &found,
        "`fn` is pure and `async fn` is one exchange: intake.rs, sender.rs and limiter.rs own loops, waits and clocks",
    );
}
