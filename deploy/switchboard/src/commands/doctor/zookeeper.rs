//! ZooKeeper, server by server: reachable, granting our session timeout, writable, and saying little to strangers.

use std::collections::BTreeMap;
use std::time::Duration;

use switchboard_common::ensemble::{EnsembleOptions, examine as session, four_letters};
use switchboard_common::service::config::Config;

use super::Findings;

/// ZooKeeper's own default.
const CLIENTS_OF_ONE_HOST: usize = 60;

/// Looks at each server by itself.
pub(super) async fn examine(config: &Config, found: &mut Findings) {
    let servers: Vec<&str> = config.zookeeper.connect.split(',').map(str::trim).filter(|s| !s.is_empty()).collect();
    match servers.len() {
        0 => {
            return found.advice(
                "zookeeper.connect is empty: readers sweep, and a takeover takes twice as long",
                "name the servers in zookeeper.connect",
            );
        }
        1 => found.advice("one server: its host is a single point", "run three, on three hosts"),
        even if even % 2 == 0 => {
            found.advice(format!("{even} servers bear no more losses than {}", even - 1), "run an odd number of them")
        }
        _ => {}
    }
    for server in servers {
        server_by_itself(config, server, found).await;
    }
}

async fn server_by_itself(config: &Config, server: &str, found: &mut Findings) {
    if !says_srvr(server, found).await {
        return;
    }
    let wanted = Duration::from_millis(config.zookeeper.session_timeout_ms);
    let options = EnsembleOptions {
        connect: server.to_owned(),
        chroot: config.zookeeper.chroot.clone(),
        session_timeout: wanted,
    };
    match session(&options).await {
        Err(error) => found.bad(
            format!("{server}: no session: {error}"),
            "does it have a quorum (two of three servers up), and is there room below its maxClientCnxns?",
        ),
        Ok(session) => {
            match session.granted == wanted {
                true => found.good(format!("{server}: grants the session timeout of {} ms", wanted.as_millis())),
                false => found.bad(
                    format!(
                        "{server}: grants a session timeout of {} ms instead of {} ms: processes refuse that session",
                        session.granted.as_millis(),
                        wanted.as_millis()
                    ),
                    "set minSessionTimeout and maxSessionTimeout (or tickTime) in its zoo.cfg, or change zookeeper.session_timeout_ms",
                ),
            }
            match session.writable {
                Ok(()) => found.good(format!("{server}: {} is writable", options.chroot)),
                Err(error) => found.bad(
                    format!("{server}: nothing can be made under {}: {error}", options.chroot),
                    "give this fleet's identity the rights cdrw on zookeeper.chroot",
                ),
            }
        }
    }
    clients(server, found).await;
    exposure(server, found).await;
}

async fn says_srvr(server: &str, found: &mut Findings) -> bool {
    let answer = match four_letters(server, "srvr").await {
        Ok(answer) => answer,
        Err(error) => {
            found.bad(
                format!("{server}: not reachable: {error}"),
                "is it up, and does zookeeper.connect name its client port?",
            );
            return false;
        }
    };
    let line = |key: &str| answer.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    match (line("Zookeeper version:"), line("Mode:")) {
        (Some(version), Some(mode)) => {
            let version = version.split(['-', ',']).next().unwrap_or_default();
            let numbers: Vec<u32> = version.split('.').filter_map(|part| part.parse().ok()).collect();
            match numbers.as_slice() >= [3, 8].as_slice() {
                true => found.good(format!("{server}: version {version}, {mode}")),
                false => found.bad(format!("{server}: version {version}"), "ZooKeeper 3.8 or newer is needed"),
            }
        }
        _ if refused(&answer) => found.advice(
            format!("{server}: its version is not told: srvr is not in 4lw.commands.whitelist"),
            "4lw.commands.whitelist=srvr,ruok in its zoo.cfg",
        ),
        _ => found.bad(format!("{server}: serves nobody at present"), "it has no quorum: start the other servers"),
    }
    true
}

/// Sessions of each host against what the server lets one host have; the next process gets an unexplained timeout.
async fn clients(server: &str, found: &mut Findings) {
    let (conf, cons) = (four_letters(server, "conf").await, four_letters(server, "cons").await);
    let limit = conf.ok().and_then(|conf| value(&conf, "maxClientCnxns"));
    let busiest = cons.ok().filter(|cons| !refused(cons)).and_then(|cons| busiest(&cons));
    match (limit, busiest) {
        (Some(0), _) => found.good(format!("{server}: maxClientCnxns is 0, so any number of processes may connect")),
        (Some(limit), Some((host, count))) if count * 10 >= limit * 8 => found.bad(
            format!("{server}: {count} of at most {limit} connections of {host} are in use (maxClientCnxns)"),
            "raise maxClientCnxns in its zoo.cfg, or set it to 0: each process needs one",
        ),
        (Some(limit), Some((host, count))) => {
            found.good(format!("{server}: {count} of at most {limit} connections of {host} are in use"));
        }
        (Some(limit), None) => found.advice(
            format!("{server}: one host may have {limit} connections; how many it has is not told"),
            "add cons to 4lw.commands.whitelist while you look, or count the processes of each host: each needs one",
        ),
        (None, _) => found.advice(
            format!("{server}: maxClientCnxns is not told: conf is not in 4lw.commands.whitelist"),
            format!("look into its zoo.cfg; without a line one host may have {CLIENTS_OF_ONE_HOST} processes"),
        ),
    }
}

/// What tells strangers about sessions, paths and the host.
async fn exposure(server: &str, found: &mut Findings) {
    let mut open = Vec::new();
    for word in ["envi", "dump", "mntr"] {
        if four_letters(server, word).await.is_ok_and(|answer| !refused(&answer) && !answer.is_empty()) {
            open.push(word);
        }
    }
    let told: Vec<&str> = open.iter().copied().filter(|word| *word != "mntr").collect();
    match told.is_empty() {
        true => found.good(format!("{server}: tells strangers no paths and nothing of its host")),
        false => found.advice(
            format!("{server}: answers {} to anybody who can connect", told.join(" and ")),
            "4lw.commands.whitelist=srvr,ruok in its zoo.cfg (mntr where a monitor needs it)",
        ),
    }
}

fn refused(answer: &str) -> bool {
    answer.contains("not in the whitelist")
}

/// `key=value`
fn value(conf: &str, key: &str) -> Option<usize> {
    conf.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('=')?.trim().parse().ok())
}

/// The host with most connections: ` /10.0.0.7:51234[1](queued=0,...)`. Our own question is one of them.
fn busiest(cons: &str) -> Option<(String, usize)> {
    let mut hosts = BTreeMap::<&str, usize>::new();
    for line in cons.lines() {
        if let Some(host) = line.trim().strip_prefix('/').and_then(|line| line.split('[').next()?.rsplit_once(':')) {
            *hosts.entry(host.0).or_default() += 1;
        }
    }
    hosts.into_iter().max_by_key(|(_, count)| *count).map(|(host, count)| (host.to_owned(), count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_four_letters_are_read() {
        let conf = "clientPort=2181\nmaxClientCnxns=60\nminSessionTimeout=1000\n";
        assert_eq!((value(conf, "maxClientCnxns"), value(conf, "tickTime")), (Some(60), None));
        let cons =
            " /10.0.0.7:51234[1](queued=0,recved=1)\n /10.0.0.7:51235[0](queued=0)\n /0:0:0:0:0:0:0:1:4[1](q)\n\n";
        assert_eq!(busiest(cons), Some(("10.0.0.7".to_owned(), 2)));
        assert_eq!(busiest(""), None);
    }
}
