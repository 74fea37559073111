//! HAProxy in front of the fleet, with the configuration that operators start from; nginx is in `nginx.rs`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Process, free_port, until};

/// Where the sample lies.
const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/haproxy/switchboard.cfg");
/// What only a machine of its own can give: other users, a chroot, as many open files, sockets and logs of the system.
const NOT_HERE: [&str; 8] = ["maxconn ", "user ", "group ", "chroot ", "daemon", "stats socket", "log ", "ca-base "];

/// Who answers behind the proxy.
#[derive(Clone, Debug, Default)]
pub struct Behind {
    /// Ports of each account's connectors, by its name.
    pub accounts: BTreeMap<String, Vec<u16>>,
    /// Ports of the chatservers.
    pub chatservers: Vec<u16>,
    /// Ports of the loaders.
    pub loaders: Vec<u16>,
}

impl Behind {
    /// The ports of a backend of the sample, by its name: `chatserver…`, `loader…`, or one that ends with an account's name.
    pub(super) fn of(&self, backend: &str) -> Option<&[u16]> {
        if backend.starts_with("chatserver") {
            return Some(&self.chatservers);
        }
        if backend.starts_with("loader") {
            return Some(&self.loaders);
        }
        let ends =
            |name: &str| backend.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with(['_', '-']));
        self.accounts.iter().find(|(name, _)| ends(name)).map(|(_, ports)| ports.as_slice())
    }
}

/// A running HAProxy or nginx.
#[derive(Debug)]
pub struct Proxy {
    /// Where agents and platforms reach the fleet.
    pub port: u16,
    pub(super) process: Process,
}

impl Proxy {
    /// Starts it with the sample's configuration, in which only addresses are others; returns once it listens.
    ///
    /// # Panics
    ///
    /// When HAProxy is not installed or refuses the configuration.
    pub async fn start(dir: &Path, haproxy: &Path, port: u16, behind: &Behind) -> Self {
        let sample = std::fs::read_to_string(SAMPLE).unwrap_or_else(|error| panic!("{SAMPLE}: {error}"));
        let path: PathBuf = dir.join("haproxy.cfg");
        std::fs::write(&path, render(&sample, port, behind, free_port)).expect("the run's folder can be written");
        let mut command = Command::new(haproxy);
        command.arg("-db").arg("-f").arg(&path);
        let mut process = Process::start("haproxy", dir, command);
        until("HAProxy to listen", 10, async || {
            assert!(process.runs(), "HAProxy refuses {}: see haproxy.log beside it", path.display());
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await;
        Self { port, process }
    }

    /// How it is reached.
    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its process, to be killed or frozen.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// The sample with this fleet's addresses. The frontend that chooses backends listens at `port`, without TLS; any other at a
/// port of its own.
fn render(sample: &str, port: u16, behind: &Behind, mut other: impl FnMut() -> u16) -> String {
    let mut rendered = String::new();
    for section in sections(sample) {
        let mut words = section[0].split_whitespace();
        let (kind, name) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let ports = behind.of(name).filter(|_| kind == "backend");
        let edge = section.iter().any(|line| line.trim().starts_with("use_backend"));
        let servers: Vec<&str> = section.iter().copied().filter(|line| line.trim().starts_with("server ")).collect();
        let (mut bound, mut served) = (false, false);
        for line in &section {
            let trimmed = line.trim();
            match trimmed.split_whitespace().next().unwrap_or_default() {
                "bind" if bound => {}
                "bind" => {
                    bound = true;
                    line_of(&mut rendered, format_args!("    bind 127.0.0.1:{}", if edge { port } else { other() }));
                }
                "server" if ports.is_some() => {
                    if !std::mem::replace(&mut served, true) {
                        add_servers(&mut rendered, &servers, ports.unwrap_or_default());
                    }
                }
                _ if kind == "global" && NOT_HERE.iter().any(|begin| trimmed.starts_with(begin)) => {}
                // Without TLS there is nowhere to send anybody.
                _ if trimmed.starts_with("http-request redirect scheme") => {}
                _ => line_of(&mut rendered, format_args!("{line}")),
            }
        }
        if kind == "global" {
            line_of(&mut rendered, format_args!("    log stdout format raw local0"));
        }
    }
    rendered
}

/// One server for each port: first the sample's first, and so on; more than it has are like its last.
fn add_servers(rendered: &mut String, servers: &[&str], ports: &[u16]) {
    for (number, port) in ports.iter().enumerate() {
        let like: Vec<&str> = servers[number.min(servers.len() - 1)].split_whitespace().collect();
        // Health is asked where the traffic goes: a port of its own is another machine's.
        let own_port = like.iter().position(|word| *word == "port");
        let rest =
            like.iter().enumerate().skip(3).filter(|(at, _)| own_port.is_none_or(|own| *at != own && *at != own + 1));
        let rest: Vec<&str> = rest.map(|(_, word)| *word).collect();
        line_of(rendered, format_args!("    server s{number} 127.0.0.1:{port} {}", rest.join(" ")));
    }
}

fn line_of(rendered: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(rendered, "{line}").expect("a String can be written");
}

/// The sections: each begins with a line that is not indented. What stands before the first is dropped: comments.
fn sections(sample: &str) -> Vec<Vec<&str>> {
    let mut sections: Vec<Vec<&str>> = Vec::new();
    for line in sample.lines().filter(|line| !line.trim_start().starts_with('#') && !line.trim().is_empty()) {
        match (line.starts_with(char::is_whitespace), sections.last_mut()) {
            (true, Some(section)) => section.push(line),
            (true, None) => {}
            (false, _) => sections.push(vec![line]),
        }
    }
    sections
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "# A sample.
global
    maxconn 4000
    user haproxy
    log /dev/log local0
defaults
    mode http
frontend plain
    bind :80
    http-request redirect scheme https
frontend edge
    bind :443 ssl crt /etc/haproxy/certs/
    bind :8443
    use_backend account_support if { path_beg /webhooks/support/ }
    default_backend chatservers
backend account_support
    option httpchk GET /readyz
    server active 10.0.0.1:7101 check
    server standby 10.0.0.2:7101 check port 9100 backup
backend account_sales
    server only 10.0.0.3:7101
backend chatservers
    server c1 10.0.0.1:7001 check
";

    #[test]
    fn only_addresses_change() {
        let behind = Behind {
            accounts: [("support".to_owned(), vec![1, 2])].into(),
            chatservers: vec![5, 6],
            loaders: Vec::new(),
        };
        let want = "global
    log stdout format raw local0
defaults
    mode http
frontend plain
    bind 127.0.0.1:99
frontend edge
    bind 127.0.0.1:88
    use_backend account_support if { path_beg /webhooks/support/ }
    default_backend chatservers
backend account_support
    option httpchk GET /readyz
    server s0 127.0.0.1:1 check
    server s1 127.0.0.1:2 check backup
backend account_sales
    server only 10.0.0.3:7101
backend chatservers
    server s0 127.0.0.1:5 check
    server s1 127.0.0.1:6 check
";
        assert_eq!(render(SMALL, 88, &behind, || 99), want);
    }
}
