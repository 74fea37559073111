//! The shape of the tree: what lies where.

use std::os::unix::fs::PermissionsExt;

use crate::files::{self, all, find, get, none, root};

/// What lies at the top. A newcomer guesses where a thing lives from these names.
const TOP: &[&str] = &[
    "ARCHITECTURE.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "chatserver",
    "common",
    "connectors",
    "deploy",
    "dev",
    "docs",
    "fileserver",
    "loader",
    "tests",
];

#[test]
fn the_top_level_is_the_agreed_one() {
    let mut top: Vec<&str> =
        all().iter().map(|file| file.path.split('/').next().unwrap()).filter(|name| !name.starts_with('.')).collect();
    top.dedup();
    let strange: Vec<String> = top.iter().filter(|name| !TOP.contains(name)).map(|name| (*name).to_owned()).collect();
    none(&strange, "the top level is agreed: move these into one of its folders");
    let missing: Vec<String> = TOP.iter().filter(|name| !top.contains(name)).map(|name| (*name).to_owned()).collect();
    none(&missing, "these belong to the top level and are missing");
}

#[test]
fn no_file_is_a_drawer_for_everything() {
    let drawers = ["util", "utils", "helper", "helpers", "misc", "shared", "stuff"];
    let found: Vec<String> = all()
        .iter()
        .filter(|file| file.path.split(['/', '.']).any(|part| drawers.contains(&part)))
        .map(|file| file.path.clone())
        .collect();
    none(&found, "name a file after what is in it; a drawer attracts everything");
}

#[test]
fn no_file_is_large() {
    let found: Vec<String> = all()
        .iter()
        .filter(|file| file.size_bytes > 1 << 20)
        .map(|file| format!("{} ({} KiB)", file.path, file.size_bytes >> 10))
        .collect();
    none(&found, "every clone carries these for ever: make them smaller than 1 MiB, or let a script produce them");
}

#[test]
fn migrations_are_numbered_without_a_gap() {
    let migrations: Vec<&str> = all().iter().filter_map(|file| file.path.strip_prefix("common/migrations/")).collect();
    assert!(!migrations.is_empty(), "common/migrations is empty");
    let mut numbers = Vec::new();
    for name in &migrations {
        let parsed = name
            .strip_prefix('V')
            .and_then(|rest| rest.strip_suffix(".sql"))
            .and_then(|rest| rest.split_once("__"))
            .filter(|(_, words)| {
                !words.is_empty() && words.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            })
            .and_then(|(number, _)| number.parse::<u32>().ok());
        numbers.push(parsed.unwrap_or_else(|| panic!("common/migrations/{name}: name it V<number>__what_it_does.sql")));
    }
    numbers.sort_unstable();
    let wanted: Vec<u32> = (1..=u32::try_from(numbers.len()).unwrap()).collect();
    assert_eq!(numbers, wanted, "number the migrations 1, 2, 3 … without a gap or a repetition");
}

#[test]
fn sql_files_are_migrations() {
    let found: Vec<String> = all()
        .iter()
        .filter(|file| file.ends_with(".sql") && !file.is_under("common/migrations/") && !file.is_under("tests/"))
        // Roles and their rights are the operator's to make, before any migration.
        .filter(|file| file.path != "deploy/sql/roles.sql")
        .map(|file| file.path.clone())
        .collect();
    none(
        &found,
        "a change of the tables is a migration in common/migrations; a query is a constant in common/src/store",
    );
}

#[test]
fn scripts_can_be_run() {
    let mut found = Vec::new();
    for file in all().iter().filter(|file| file.text().starts_with("#!/")) {
        let mode = std::fs::metadata(root().join(&file.path)).unwrap().permissions().mode();
        if mode & 0o111 == 0 {
            found.push(format!("{}: chmod +x", file.path));
        }
    }
    none(&found, "a file that begins with #!/ is a program");
}

#[test]
fn ci_runs_what_a_developer_runs() {
    let commands: Vec<&str> = get(".ci/run")
        .text()
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    assert_eq!(
        commands,
        ["cd \"$(dirname \"$0\")/..\" && exec ./dev test"],
        ".ci/run calls ./dev test and nothing else; put the step into deploy/dev/test.sh"
    );
}

#[test]
fn the_licence_is_whole() {
    let licence = get("LICENSE").text();
    for part in ["Apache License", "Version 2.0, January 2004", "END OF TERMS AND CONDITIONS", "APPENDIX"] {
        assert!(licence.contains(part), "LICENSE is the full text of Apache-2.0; \"{part}\" is missing");
    }
    assert!(find("Cargo.toml").unwrap().text().contains("license = \"Apache-2.0\""), "Cargo.toml names the licence");
}

#[test]
fn the_rule_itself_sees_files() {
    // Every rule above passes on an empty list; this one does not.
    assert!(files::rust().count() > 50, "too few Rust files are listed for the rules to mean anything");
}
