//! Habits of the sources: sizes, things left behind, tests that cannot be trusted.

use crate::files::{File, all, none, rust};

/// Files past 400 lines and why splitting them would be worse.
const LONG: &[(&str, &str)] = &[];

/// Where a test sleeps although it does not look again and again for a state, and why.
const MAY_SLEEP: &[(&str, &str)] = &[
    ("tests/simulators/telegram/tests/rules/limits.rs", "time is the subject: waits exactly as long as it was told to"),
    ("common/src/service/http_tests.rs", "a request that takes its time is the subject"),
    ("tests/bench/src/clock.rs", "an open loop waits for each message's time"),
    ("tests/src/harness/mod.rs", "`lasting`: the length of a fault is the subject"),
];

#[test]
fn no_rust_file_holds_two_ideas() {
    let long = |file: &&File| file.text().lines().count() > 400;
    let excused = |file: &&File| LONG.iter().any(|(path, _)| *path == file.path);
    let found: Vec<String> = rust()
        .filter(|file| long(file) && !excused(file))
        .map(|file| format!("{} ({} lines)", file.path, file.text().lines().count()))
        .collect();
    none(&found, "past 400 lines look for the second idea hiding inside, and give it a file");
    let stale: Vec<String> = LONG
        .iter()
        .filter(|(path, _)| !rust().any(|file| file.path == *path && long(&file)))
        .map(|(path, _)| (*path).to_owned())
        .collect();
    none(&stale, "these are short now: remove them from LONG");
}

/// Finds `words` in every text file; a word may be split with `concat!` so that a rule does not find itself.
fn occurrences(files: impl Iterator<Item = &'static File>, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        for (number, line) in file.lines() {
            found.extend(
                words.iter().filter(|word| line.contains(**word)).map(|word| format!("{}:{number}: {word}", file.path)),
            );
        }
    }
    found
}

fn written_by_us() -> impl Iterator<Item = &'static File> {
    all().iter().filter(|file| file.path != "Cargo.lock" && file.path != "LICENSE")
}

#[test]
fn nothing_is_left_for_later() {
    let words = [
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("dbg", "!("),
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
    ];
    none(&occurrences(written_by_us(), &words), "finish it, or write it down where work is planned");
}

#[test]
fn no_test_is_switched_off() {
    let words =
        [concat!("#[", "ignore"), concat!("it.", "only("), concat!("describe.", "only("), concat!(".skip", "(\"")];
    none(&occurrences(written_by_us(), &words), "a test that does not run protects nothing: mend it or delete it");
}

#[test]
fn no_warning_is_silenced_wholesale() {
    let words = [
        concat!("allow(", "dead_code"),
        concat!("allow(", "unused"),
        concat!("allow(", "warnings"),
        concat!("allow(", "clippy::all"),
    ];
    none(
        &occurrences(rust(), &words),
        "code nobody uses is deleted; a lint that is wrong is silenced by its name, with the reason",
    );
}

#[test]
fn nothing_is_printed_by_the_services() {
    let services = rust().filter(|file| {
        ["common/", "connectors/", "chatserver/", "loader/", "fileserver/"].iter().any(|folder| file.is_under(folder))
    });
    let mut found = Vec::new();
    for file in services {
        let words = [concat!("print", "ln!("), concat!("eprint", "ln!("), concat!("print", "!(")];
        for (number, line) in crate::imports::code(file) {
            if words.iter().any(|word| line.contains(word)) {
                found.push(format!("{}:{number}", file.path));
            }
        }
    }
    none(&found, "a service speaks through tracing, which knows the format and the level");
}

/// The test part of a file: all of it under tests/, else its `mod tests`. A simulator is a program.
fn test_lines(file: &'static File) -> Box<dyn Iterator<Item = (usize, &'static str)>> {
    let simulator = file.is_under("tests/simulators/") && file.path.contains("/src/");
    let test_file = file.path.contains("/tests/") || file.ends_with("tests.rs");
    if (file.is_under("tests/") || test_file) && !simulator {
        return Box::new(file.lines());
    }
    Box::new(file.lines().skip_while(|(_, line)| *line != "mod tests {"))
}

#[test]
fn no_test_sleeps_and_hopes() {
    let words = [concat!("time::", "sleep("), concat!("thread::", "sleep("), concat!(" sleep", "(Duration")];
    let mut found = Vec::new();
    for file in rust().filter(|file| !MAY_SLEEP.iter().any(|(path, _)| file.path == *path)) {
        let lines: Vec<(usize, &str)> = test_lines(file).collect();
        for (at, (number, line)) in lines.iter().enumerate() {
            // The pause between two looks at a state stands in a loop.
            let looked: &[(usize, &str)] = &lines[at.saturating_sub(16)..at];
            let loops = looked.iter().any(|(_, line)| {
                let line = line.trim_start();
                line.starts_with("while ") || line.starts_with("for ") || line.starts_with("loop")
            });
            if words.iter().any(|word| line.contains(word)) && !loops {
                found.push(format!("{}:{number}", file.path));
            }
        }
    }
    none(
        &found,
        "wait for a state with a deadline, looking in a loop; where time itself is the subject, say so in MAY_SLEEP",
    );
}

#[test]
fn no_file_knows_a_machine() {
    let words = [
        concat!("/ho", "me/"),
        concat!("/ro", "ot/"),
        concat!("/Us", "ers/"),
        concat!("/wo", "rk/"),
        concat!("crates", ".io"),
        concat!("pypi", ".org"),
        concat!("npmjs", ".com"),
        concat!("registry", ".npm"),
    ];
    none(
        &occurrences(written_by_us(), &words),
        "a path of one machine, or a registry somebody else may not use: name it relative, or leave it out",
    );
}

#[test]
fn no_secret_is_kept_here() {
    let fixtures = |file: &&File| file.path.contains("/testdata/");
    let mut found = occurrences(written_by_us().filter(|file| !fixtures(file)), &[concat!("PRIVATE", " KEY-----")]);
    for file in written_by_us() {
        for (number, line) in file.lines().filter(|(_, line)| holds_bot_token(line)) {
            found.push(format!("{}:{number}: {}", file.path, line.trim().chars().take(20).collect::<String>()));
        }
    }
    none(
        &found,
        "that looks like a real key or a real bot token: tests make theirs at random, or keep them in a folder testdata",
    );
}

/// Telegram's tokens: eight to ten digits, a colon, 35 letters.
fn holds_bot_token(line: &str) -> bool {
    line.match_indices(':').any(|(at, _)| {
        let digits = line[..at].bytes().rev().take_while(u8::is_ascii_digit).count();
        let letters =
            line[at + 1..].bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_' || *b == b'-').count();
        (8..=10).contains(&digits) && letters == 35
    })
}

#[test]
fn text_files_are_clean() {
    let mut found = Vec::new();
    // What a platform sent is kept byte for byte.
    for file in written_by_us()
        .filter(|file| file.text.is_some() && !file.path.contains("/cases/") && !file.path.contains("/api/"))
        .filter(|file| !file.ends_with("/hostile.txt"))
    // a blank at the end is one of its tricks
    {
        let text = file.text();
        if text.contains('\r') {
            found.push(format!("{}: ends lines with CR LF", file.path));
        }
        if !text.is_empty() && !text.ends_with('\n') {
            found.push(format!("{}: its last line does not end", file.path));
        }
        let trailing = file.lines().find(|(_, line)| line.ends_with([' ', '\t']));
        found.extend(trailing.map(|(number, _)| format!("{}:{number}: blanks at the end of the line", file.path)));
    }
    none(&found, "an editor that reads .editorconfig does this by itself");
}

#[test]
fn the_token_rule_knows_a_token() {
    let token = format!("{}:{}", "123456789", "a".repeat(35));
    assert!(holds_bot_token(&format!("token = \"{token}\"")));
    assert!(!holds_bot_token("a time like 12:34:56 or 42:DEVTOKEN"));
}
