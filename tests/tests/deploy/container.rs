//! The container file and the composition: read by the tool that will read them, and what no tool asks for.

use std::process::Command;

use crate::{deploy, run, said, scratch};

/// What `docker-compose` makes of the composition, merged and with its references followed. It asks no daemon.
fn composition() -> String {
    let file = deploy("container").join("compose.yml");
    let output = run(Command::new("docker-compose").arg("-f").arg(file).args(["--ansi", "never", "config"]));
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_composition_is_read_without_a_complaint() {
    let whole = composition();
    for service in [
        "postgres",
        "zookeeper",
        "migrate",
        "chatserver-1",
        "chatserver-2",
        "loader",
        "support-primary",
        "support-standby",
        "haproxy",
    ] {
        assert!(whole.contains(&format!("\n  {service}:\n")), "no service {service} in\n{whole}");
    }
    // No secret's text: files alone.
    assert!(whole.contains("SWITCHBOARD_AUTH__HS256_SECRET_FILE: /run/secrets/hs256"), "{whole}");
    assert!(!whole.contains("PASSWORD:") && !whole.contains("SECRET:"), "{whole}");
}

#[test]
fn the_composition_sets_only_options_there_are() {
    use switchboard_common::service::config::Config;
    let whole = composition();
    let set: Vec<(String, String)> = whole
        .lines()
        .filter_map(|line| line.trim().split_once(": "))
        .filter(|(name, _)| name.starts_with("SWITCHBOARD_") && !name.ends_with("_FILE"))
        .map(|(name, value)| (name.to_owned(), value.trim_matches(['"', '\'']).to_owned()))
        .collect();
    assert!(set.len() > 20, "{set:?}");
    Config::load(None, set.into_iter()).unwrap();
}

#[test]
fn the_container_is_nobody_and_ends_in_order() {
    let text = std::fs::read_to_string(deploy("container").join("Containerfile")).unwrap();
    let joined = text.replace("\\\n", " ");
    let lines: Vec<(&str, &str)> = joined
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_once(' ').unwrap_or_else(|| panic!("{line:?} is no instruction")))
        .collect();
    let known = ["FROM", "WORKDIR", "COPY", "RUN", "USER", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"];
    for (instruction, _) in &lines {
        assert!(known.contains(instruction), "{instruction}");
    }
    let last = |wanted: &str| lines.iter().rev().find(|(name, _)| *name == wanted).map_or("", |(_, rest)| *rest);
    assert_eq!(lines.iter().filter(|(name, _)| *name == "FROM").count(), 2, "built in one, run in the other");
    assert_eq!(last("USER"), "65532:65532");
    assert_eq!(last("STOPSIGNAL"), "SIGTERM");
    for list in [last("ENTRYPOINT"), last("CMD"), last("HEALTHCHECK").split_once("CMD ").unwrap().1] {
        let words: Vec<String> = serde_json::from_str(list).unwrap_or_else(|error| panic!("{list}: {error}"));
        assert!(!words.is_empty());
    }
    // What is copied out of the first stage is what Cargo makes there.
    assert!(last("RUN").contains("ca-certificates") && joined.contains("--release -p switchboard"));
    assert!(joined.contains("COPY --from=build /src/target/release/switchboard /usr/bin/switchboard"));
}

#[test]
fn the_proxy_of_the_composition_is_the_sample() {
    let (script, sample) = (deploy("container").join("haproxy.sed"), deploy("haproxy").join("switchboard.cfg"));
    let output = run(Command::new("sed").arg("-f").arg(script).arg(sample));
    assert!(output.status.success(), "{}", said(&output));
    let config = String::from_utf8(output.stdout).unwrap();
    let servers: Vec<&str> = config.lines().filter(|line| line.trim().starts_with("server ")).collect();
    let whole = composition();
    for server in &servers {
        let name = server.split_whitespace().nth(2).and_then(|address| address.split(':').next()).unwrap();
        assert!(whole.contains(&format!("\n  {name}:\n")), "{server}: the composition has no service {name}");
    }
    assert!(servers.len() >= 7, "{servers:?}");
    let path = scratch("container").join("haproxy.cfg");
    std::fs::write(&path, config).unwrap();
    let haproxy = std::env::var_os("SWITCHBOARD_HAPROXY").unwrap_or_else(|| "/usr/sbin/haproxy".into());
    let checked = run(Command::new(haproxy).arg("-c").arg("-f").arg(path));
    // Names are known only inside: everything else must be right.
    assert!(checked.status.success(), "{}", said(&checked));
}
