//! The sample configurations of reverse proxies are accepted by the proxies themselves.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder with a certificate, gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("switchboard-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        let folder = Self(path);
        let (certificate, key) = (folder.file("proxy.crt"), folder.file("proxy.key"));
        ran(Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
            .args(["-subj", "/CN=switchboard.example", "-keyout", &key, "-out", &certificate]));
        let both = [std::fs::read(certificate).unwrap(), std::fs::read(key).unwrap()].concat();
        std::fs::write(folder.0.join("proxy.pem"), both).unwrap();
        folder
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn program(variable: &str, usual: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| usual.into(), PathBuf::from)
}

/// What it said; panics when it failed.
fn ran(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}: run this by `./dev test`"));
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{command:?}\n{said}");
    said
}

/// A sample with `replaced` words in place of what is only on an operator's machine; each must be there.
fn sample(path: &str, replaced: &[(&str, &str)]) -> String {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap();
    replaced.iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "{path} has no {from}");
        text.replace(from, to)
    })
}

#[test]
fn haproxy_accepts_its_sample_without_a_warning() {
    let folder = Folder::new("haproxy");
    let certificate = ("/etc/haproxy/switchboard.pem", &folder.file("proxy.pem")[..]);
    // Users and a socket that only its package makes.
    let bare = [certificate, ("    user haproxy\n", ""), ("    group haproxy\n", "")];
    let path = folder.file("switchboard.cfg");
    std::fs::write(&path, sample("deploy/haproxy/switchboard.cfg", &bare)).unwrap();
    let said = ran(Command::new(program("SWITCHBOARD_HAPROXY", "/usr/sbin/haproxy")).args(["-c", "-f", &path]));
    assert!(!said.contains("WARNING"), "{said}");
    // The other ports, which desktops may expect.
    let other = [
        certificate,
        ("    bind :443", "    # bind :443"),
        ("# bind :3000", "bind :3000"),
        ("# bind :3003", "bind :3003"),
        ("/etc/haproxy/haproxy.pem", &folder.file("proxy.pem")),
    ];
    std::fs::write(&path, sample("deploy/haproxy/switchboard.cfg", &[&bare[1..], &other].concat())).unwrap();
    ran(Command::new(program("SWITCHBOARD_HAPROXY", "/usr/sbin/haproxy")).args(["-c", "-f", &path]));
}

#[test]
fn haproxy_accepts_the_sample_before_postgres_without_a_warning() {
    let folder = Folder::new("haproxy-postgres");
    let path = folder.file("postgres.cfg");
    let bare = [("    user haproxy\n", ""), ("    group haproxy\n", "")];
    std::fs::write(&path, sample("deploy/haproxy/postgres.cfg", &bare)).unwrap();
    let said = ran(Command::new(program("SWITCHBOARD_HAPROXY", "/usr/sbin/haproxy")).args(["-c", "-f", &path]));
    assert!(!said.contains("WARNING"), "{said}");
}

#[test]
fn nginx_accepts_its_sample() {
    let folder = Folder::new("nginx");
    // Asked about a configuration it binds the ports: free ones, not those of this machine's own server.
    let port = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let replaced = [
        ("/etc/nginx/switchboard.crt", &folder.file("proxy.crt")[..]),
        ("/etc/nginx/switchboard.key", &folder.file("proxy.key")),
        ("/var/log/nginx/switchboard.log", &folder.file("access.log")),
        ("    listen 80;", &format!("    listen {};", port())),
        ("    listen 443 ", &format!("    listen {} ", port())),
    ];
    let path = folder.file("switchboard.conf");
    std::fs::write(&path, sample("deploy/nginx/switchboard.conf", &replaced)).unwrap();
    let main = format!("pid {};\nevents {{}}\nhttp {{ include {path}; }}\n", folder.file("pid"));
    std::fs::write(folder.file("nginx.conf"), main).unwrap();
    ran(Command::new(program("SWITCHBOARD_NGINX", "/usr/sbin/nginx")).args([
        "-t",
        "-e",
        "stderr",
        "-p",
        &folder.file(""),
        "-c",
        &folder.file("nginx.conf"),
    ]));
}
