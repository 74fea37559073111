//! Units of systemd: read without a complaint, shut in, and with commands that the executable understands.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::{deploy, run, said, scratch};

const EXECUTABLE: &str = "/usr/bin/switchboard";

/// Names and texts of all units.
fn units() -> Vec<(String, String)> {
    let mut units: Vec<(String, String)> = std::fs::read_dir(deploy("systemd"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap()))
        .collect();
    units.sort();
    assert!(units.len() >= 5, "{units:?}");
    units
}

/// As systemd would see them: instances of the templates, and an executable that is there.
fn installed(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for (name, text) in units() {
        let name = name.replace("@.", "@shop.");
        std::fs::write(folder.join(&name), text.replace(EXECUTABLE, "/bin/true")).unwrap();
        names.push(name);
    }
    names
}

fn systemd_analyze(folder: &Path) -> Command {
    let mut command = Command::new("systemd-analyze");
    // The trailing colon: and where the system's own units are.
    command.current_dir(folder).env("SYSTEMD_UNIT_PATH", format!("{}:", folder.display())).env("SYSTEMD_COLORS", "0");
    command
}

#[test]
fn systemd_reads_every_unit_without_a_word() {
    let folder = scratch("units");
    let names = installed(&folder);
    let output = run(systemd_analyze(&folder).args(["verify", "--man=no"]).args(&names));
    assert!(output.status.success() && said(&output).is_empty(), "{}", said(&output));

    // A word would be said.
    std::fs::write(folder.join("wrong.service"), "[Service]\nExecStart=/bin/true\nRestrt=always\n").unwrap();
    let output = run(systemd_analyze(&folder).args(["verify", "--man=no", "wrong.service"]));
    assert!(said(&output).contains("Restrt"), "{}", said(&output));
}

#[test]
fn every_service_is_shut_in() {
    let folder = scratch("exposure");
    for name in installed(&folder).iter().filter(|name| name.ends_with(".service")) {
        // In tenths: 2.0 at most.
        let judge = ["security", "--offline=true", "--no-pager", "--threshold=20", &format!("./{name}")];
        let output = run(systemd_analyze(&folder).args(judge));
        assert!(output.status.success(), "{name}: {}", said(&output));
    }
}

#[test]
fn the_two_connectors_of_one_host_differ_only_in_their_addresses() {
    let lines = |wanted: &str| {
        let units = units();
        let text = &units.iter().find(|(name, _)| name == wanted).unwrap().1;
        text.lines().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let (first, second) = (lines("switchboard-connector@.service"), lines("switchboard-standby@.service"));
    let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect::<Vec<_>>();
    let expected = [
        "Description=Switchboard connector of account %i, the second on this host",
        "EnvironmentFile=-/etc/switchboard/standby-%i.env",
    ];
    assert_eq!(only(&second, &first), expected);
    assert_eq!(only(&first, &second).len(), 2);
}

/// The check that runs before each start, with credentials where systemd puts them.
#[test]
fn every_unit_s_check_passes_with_its_credentials_and_fails_without() {
    let folder = scratch("check");
    let executable = std::env::var("SWITCHBOARD_TEST_BIN").expect("run `./dev test deploy`");
    std::fs::write(folder.join("switchboard.toml"), "[admin]\nlisten = \"127.0.0.1:9100\"\n").unwrap();
    for (name, text) in units().iter().filter(|(name, _)| name.ends_with(".service")) {
        let values =
            |key: &str| text.lines().filter_map(|line| line.strip_prefix(key)).map(str::to_owned).collect::<Vec<_>>();
        let credentials = folder.join(name);
        std::fs::create_dir_all(&credentials).unwrap();
        let check = values("ExecStartPre=")[0].replace("%i", "shop").replace("%H", "host");
        let words: Vec<&str> = check.strip_prefix(EXECUTABLE).unwrap().split_whitespace().collect();
        let checked = || {
            let mut command = Command::new(&executable);
            command.args(&words).env_clear().env("CREDENTIALS_DIRECTORY", &credentials);
            for setting in values("Environment=") {
                let (key, value) = setting.split_once('=').unwrap();
                command.env(key, value);
            }
            run(command.env("SWITCHBOARD_CONFIG", folder.join("switchboard.toml")))
        };
        let output = checked();
        assert_eq!(output.status.code(), Some(2), "{name} without credentials: {}", said(&output));
        for credential in values("LoadCredential=") {
            let name = credential.split(':').next().unwrap().replace("%i", "shop");
            std::fs::write(credentials.join(name), "a secret of the tests, 32 bytes or more").unwrap();
        }
        let output = checked();
        assert!(output.status.success(), "{name}: {}", said(&output));
    }
}
