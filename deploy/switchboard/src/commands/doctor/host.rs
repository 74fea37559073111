//! This host: addresses to listen on, open files, disk, secrets that others may read.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use switchboard_common::service::config::Config;
use switchboard_common::service::host;

use super::Findings;

/// A chatserver needs a file per socket.
const FILES: u64 = 4096;
/// Below this share or this many bytes free the disk is nearly full.
const FREE: (u64, u64) = (10, 1 << 30);

pub(super) async fn examine(config: &Config, found: &mut Findings) {
    let addresses = [
        ("admin.listen", config.admin.listen),
        ("chatserver.listen", config.chatserver.listen),
        ("connector.listen", config.connector.listen),
        ("loader.listen", config.loader.listen),
    ];
    for (option, address) in addresses {
        listens(option, address, found).await;
    }
    match host::open_files() {
        (Some(files), _) if files < FILES => found.advice(
            format!("at most {files} files may be open in this shell"),
            "LimitNOFILE=65536 in the units (deploy/systemd has it), or ulimit -n 65536",
        ),
        (files, _) => {
            found.good(format!("{} files may be open", files.map_or("any number of".to_owned(), |f| f.to_string())))
        }
    }
    for path in ["/", "/var"] {
        disk(Path::new(path), found);
    }
    let secrets = [
        ("postgres.password_file", &config.postgres.password_file),
        ("auth.hs256_secret_file", &config.auth.hs256_secret_file),
        ("files.link_secret_file", &config.files.link_secret_file),
    ];
    for (option, path) in secrets {
        if !path.is_empty() {
            secret(option, Path::new(path), found);
        }
    }
}

/// Either free, or Switchboard's already.
async fn listens(option: &str, address: SocketAddr, found: &mut Findings) {
    match tokio::net::TcpListener::bind(address).await {
        Ok(_) => found.good(format!("{option} {address} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => match is_ours(address).await {
            true => found.good(format!("{option} {address} is a running Switchboard's")),
            false => found.advice(
                format!("{option} {address} is another program's"),
                format!("end that program, or choose another address for what needs {option} on this host"),
            ),
        },
        Err(error) => found.advice(
            format!("{option} {address}: {error}"),
            "choose an address that this host has, and a port from 1024 on",
        ),
    }
}

async fn is_ours(address: SocketAddr) -> bool {
    let asking = async {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(2)).no_proxy().build()?;
        client.get(format!("http://{address}/readyz")).send().await?.json::<serde_json::Value>().await
    };
    asking.await.is_ok_and(|answer: serde_json::Value| answer["version"].is_string() && answer["checks"].is_object())
}

fn disk(path: &Path, found: &mut Findings) {
    let Ok((free, all)) = host::disk(path) else { return };
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    let what = format!("{}: {:.1} of {:.1} GiB are free", path.display(), gib(free), gib(all));
    match free < FREE.1 || free * 100 < all * FREE.0 {
        true => found.advice(what, "make room: logs and Postgres stop when it is full"),
        false => found.good(what),
    }
}

/// A file with a secret: there, and nobody else's.
pub(super) fn secret(name: &str, path: &Path, found: &mut Findings) {
    match host::is_world_readable(path) {
        Ok(false) => found.good(format!("{name}: {} is not for everybody", path.display())),
        Ok(true) => found.bad(
            format!("{name}: everybody on this host can read {}", path.display()),
            format!("chmod 600 {} (or 640, with the service's group)", path.display()),
        ),
        Err(error) => found.bad(
            format!("{name}: {}: {error}", path.display()),
            "write the secret into that file, readable by the service's account",
        ),
    }
}
