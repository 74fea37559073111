//! nginx in front of the fleet, with the configuration that operators start from.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use super::{Behind, Process, Proxy, free_port, until};

/// Where the sample lies.
const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/nginx/switchboard.conf");
/// Where it writes requests and whom it asked, in the run's folder.
pub(super) const ACCESS_LOG: &str = "nginx-access.log";

impl Proxy {
    /// Starts nginx with the sample's configuration, in which only addresses are others; returns once it listens.
    ///
    /// # Panics
    ///
    /// When nginx is not installed or refuses the configuration.
    pub async fn nginx(dir: &Path, nginx: &Path, port: u16, behind: &Behind) -> Self {
        let sample = std::fs::read_to_string(SAMPLE).unwrap_or_else(|error| panic!("{SAMPLE}: {error}"));
        let log = dir.join(ACCESS_LOG).display().to_string();
        let rendered = render(&sample, port, &log, behind, free_port);
        let (site, path) = (dir.join("nginx-site.conf"), dir.join("nginx.conf"));
        std::fs::write(&site, rendered).expect("the run's folder can be written");
        std::fs::write(&path, around(dir, &site)).expect("the run's folder can be written");
        let mut command = Command::new(nginx);
        command.args(["-e", "stderr", "-p"]).arg(dir).arg("-c").arg(&path);
        let mut process = Process::start("nginx", dir, command);
        until("nginx to listen", 10, async || {
            assert!(process.runs(), "nginx refuses {}: see nginx.log beside it", path.display());
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await;
        Self { port, process }
    }
}

/// What a distribution has around the sample: one process here, which writes nothing outside the run's folder.
fn around(dir: &Path, site: &Path) -> String {
    let (dir, site) = (dir.display(), site.display());
    let folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let folders: String = folders.iter().map(|of| format!("    {of}_temp_path {dir}/nginx-{of};\n")).collect();
    format!(
        "daemon off;\nmaster_process off;\npid {dir}/nginx.pid;\nerror_log stderr;\n\
         events {{ worker_connections 1024; }}\nhttp {{\n{folders}    include {site};\n}}\n"
    )
}

/// The sample with this fleet's addresses. The server that chooses upstreams listens at `port`, without TLS; any other at a
/// port of its own.
fn render(sample: &str, port: u16, log: &str, behind: &Behind, mut other: impl FnMut() -> u16) -> String {
    let mut rendered = String::new();
    for block in blocks(sample) {
        let name = block[0].strip_prefix("upstream ").map(|rest| rest.trim_end_matches(['{', ' ']));
        let ports = name.and_then(|name| behind.of(name));
        let edge = block.iter().any(|line| line.contains("proxy_pass"));
        let servers: Vec<&str> = block.iter().filter_map(|line| line.trim().strip_prefix("server ")).collect();
        let mut served = false;
        for line in &block {
            let trimmed = line.trim();
            let line = match trimmed.split_whitespace().next().unwrap_or_default() {
                "listen" => format!("    listen 127.0.0.1:{}", if edge { port } else { other() }) + &plain(trimmed),
                "server" if ports.is_some() && std::mem::replace(&mut served, true) => continue,
                "server" if ports.is_some() => with_ports(&servers, ports.unwrap_or_default()),
                "access_log" => format!("    access_log {log} switchboard;"),
                word if word.starts_with("ssl_") => continue,
                _ => (*line).to_owned(),
            };
            writeln!(rendered, "{line}").expect("a String can be written");
        }
    }
    rendered
}

/// The words of a `listen` after its address, but for TLS and what needs it.
fn plain(listen: &str) -> String {
    let words = listen.trim_end_matches(';').split_whitespace().skip(2);
    words.filter(|word| !matches!(*word, "ssl" | "http2")).map(|word| format!(" {word}")).collect::<String>() + ";"
}

/// One server for each port: first the sample's first, and so on; more than it has are like its last. An upstream without any is
/// no configuration: it gets one that is down.
fn with_ports(servers: &[&str], ports: &[u16]) -> String {
    let like = |number: usize| servers[number.min(servers.len() - 1)].trim_end_matches(';').split_once(' ');
    let one = |(number, port): (usize, &u16)| {
        let words = like(number).map(|(_, words)| format!(" {words}")).unwrap_or_default();
        format!("    server 127.0.0.1:{port}{words};")
    };
    match ports {
        [] => "    server 127.0.0.1:9 down;".to_owned(),
        _ => ports.iter().enumerate().map(one).collect::<Vec<_>>().join("\n"),
    }
}

/// The blocks and statements at the top: each begins with a line that is not indented, and may end with a bracket in one.
fn blocks(sample: &str) -> Vec<Vec<&str>> {
    let mut blocks: Vec<Vec<&str>> = Vec::new();
    for line in sample.lines().filter(|line| !line.trim_start().starts_with('#') && !line.trim().is_empty()) {
        match (line.starts_with(char::is_whitespace) || line == "}", blocks.last_mut()) {
            (true, Some(block)) => block.push(line),
            (true, None) => {}
            (false, _) => blocks.push(vec![line]),
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "# A sample.
log_format switchboard '$remote_addr [$time_iso8601] '
                       '$request_id';
upstream chatservers {
    least_conn;
    server 10.0.0.11:7001 max_fails=1;
    server 10.0.0.12:7001 max_fails=1;
}
upstream loaders {
    server 10.0.0.11:7201;
}
upstream account_support {
    server 10.0.0.11:7101 max_fails=1 fail_timeout=2s;
    server 10.0.0.12:7101 backup;
}
server {
    listen 80;
    return 308 https://$host$request_uri;
}
server {
    listen 443 ssl http2 sndbuf=256k;
    # listen 3000;
    ssl_protocols TLSv1.3;
    access_log /var/log/nginx/switchboard.log switchboard;
    location / {
        proxy_pass http://chatservers;
    }
}
";

    #[test]
    fn only_addresses_change() {
        let behind = Behind {
            accounts: [("support".to_owned(), vec![1, 2])].into(),
            chatservers: vec![5, 6, 7],
            loaders: Vec::new(),
        };
        let want = "log_format switchboard '$remote_addr [$time_iso8601] '
                       '$request_id';
upstream chatservers {
    least_conn;
    server 127.0.0.1:5 max_fails=1;
    server 127.0.0.1:6 max_fails=1;
    server 127.0.0.1:7 max_fails=1;
}
upstream loaders {
    server 127.0.0.1:9 down;
}
upstream account_support {
    server 127.0.0.1:1 max_fails=1 fail_timeout=2s;
    server 127.0.0.1:2 backup;
}
server {
    listen 127.0.0.1:99;
    return 308 https://$host$request_uri;
}
server {
    listen 127.0.0.1:88 sndbuf=256k;
    access_log here switchboard;
    location / {
        proxy_pass http://chatservers;
    }
}
";
        assert_eq!(render(SMALL, 88, "here", &behind, || 99), want);
    }
}
