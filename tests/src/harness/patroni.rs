//! Two Postgres servers under Patroni, which keeps its state in the scenario's ZooKeeper, behind HAProxy: with the files that
//! operators start from, in which only addresses, folders and the way to log in are others.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::postgres::wrapper;
use super::{Process, Settings, ZooKeeper, free_port, until};

const PATRONI: &str = include_str!("../../../deploy/patroni/patroni.yml");
const HAPROXY: &str = include_str!("../../../deploy/haproxy/postgres.cfg");

/// The pair.
#[derive(Debug)]
pub struct Patroni {
    nodes: Vec<Node>,
    proxy: Process,
    /// Where HAProxy listens for whoever wants the primary.
    pub port: u16,
}

/// One host: Patroni and its Postgres.
#[derive(Debug)]
struct Node {
    dir: PathBuf,
    data: PathBuf,
    wrapper: Vec<String>,
    port: u16,
    api: u16,
    patroni: Option<Process>,
}

impl Patroni {
    /// Makes the pair under `dir`; returns once it has a primary, and with `synchronous` a standby that commits wait for.
    ///
    /// # Panics
    ///
    /// When something is not installed or does not start; the message names the log.
    pub async fn start(
        settings: &Settings,
        dir: &Path,
        zookeeper: &ZooKeeper,
        (synchronous, strict): (bool, bool),
    ) -> Self {
        let mut nodes: Vec<Node> = (1..=2).map(|number| Node::new(dir, number)).collect();
        let hosts = zookeeper.connect().split(',').map(|host| format!("'{host}'")).collect::<Vec<_>>().join(", ");
        let yes = |on: bool| if on { "true" } else { "false" };
        for (number, node) in nodes.iter_mut().enumerate() {
            let bin = settings.postgres_bin.display();
            let config = PATRONI
                .replace("name: db1", &format!("name: db{}", number + 1))
                .replace("'10.0.0.11:2181', '10.0.0.12:2181', '10.0.0.13:2181'", &hosts)
                .replace("synchronous_mode: true", &format!("synchronous_mode: {}", yes(synchronous)))
                .replace("synchronous_mode_strict: false", &format!("synchronous_mode_strict: {}", yes(strict)))
                .replace("listen: 0.0.0.0:8008", &format!("listen: 127.0.0.1:{}", node.api))
                .replace("10.0.0.21:8008", &format!("127.0.0.1:{}", node.api))
                .replace("listen: 0.0.0.0:5432", &format!("listen: 127.0.0.1:{}", node.port))
                .replace("10.0.0.21:5432", &format!("127.0.0.1:{}", node.port))
                .replace("/usr/lib/postgresql/15/bin", &bin.to_string())
                .replace("/var/lib/postgresql/15/switchboard", &node.data.display().to_string())
                .replace("/var/lib/postgresql/.pgpass-patroni", &node.dir.join("pgpass").display().to_string())
                .replace("username: postgres", "username: switchboard")
                .replace("10.0.0.0/24 scram-sha-256", "127.0.0.1/32 trust")
                + "  parameters: {unix_socket_directories: '', track_commit_timestamp: 'on'}\n";
            std::fs::write(node.dir.join("patroni.yml"), config).expect("the run's folder can be written");
            node.begin();
        }
        let port = free_port();
        let mut config = HAPROXY.replace("127.0.0.1:5432", &format!("127.0.0.1:{port}"));
        for line in ["    user haproxy\n", "    group haproxy\n", " port 8008"] {
            config = config.replace(line, "");
        }
        config = config.replace("log /dev/log local0", "log stdout format raw local0");
        for (number, node) in nodes.iter().enumerate() {
            let (sample, here) = (format!("10.0.0.2{}:5432", number + 1), &node.port);
            config = config.replace(&sample, &format!("127.0.0.1:{here} port {}", node.api));
        }
        let path = dir.join("haproxy-postgres.cfg");
        std::fs::write(&path, config).expect("the run's folder can be written");
        let mut command = Command::new(&settings.haproxy);
        command.arg("-db").arg("-f").arg(&path);
        let pair = Self { nodes, proxy: Process::start("haproxy-postgres", dir, command), port };
        pair.whole(synchronous).await;
        until("the primary to be reached", 30, async || super::dump::connect(&pair.url()).await.ok().map(drop)).await;
        pair
    }

    /// Waits until there is a primary, and a standby that follows, and with `synchronous` one that commits wait for.
    pub async fn whole(&self, synchronous: bool) {
        let path = if synchronous { "sync" } else { "replica" };
        until("a primary and its standby (patroni.log in the run's folder)", 90, async || {
            let primary = self.says("primary").await?;
            self.nodes[1 - primary].says(path).await.then_some(())
        })
        .await;
    }

    /// Address of the database, wherever it is.
    pub fn url(&self) -> String {
        format!("postgresql://switchboard@127.0.0.1:{}/postgres", self.port)
    }

    /// Address of one server.
    pub fn direct(&self, number: usize) -> String {
        format!("postgresql://switchboard@127.0.0.1:{}/postgres", self.nodes[number].port)
    }

    /// The server that Patroni calls the primary.
    pub async fn primary(&self) -> usize {
        until("a primary", 60, async || self.says("primary").await).await
    }

    /// Waits until another server than `former` is the primary.
    pub async fn replaced(&self, former: usize) {
        let other = 1 - former;
        until("the standby to be promoted", 60, async || self.nodes[other].says("primary").await.then_some(())).await;
    }

    async fn says(&self, path: &str) -> Option<usize> {
        for (number, node) in self.nodes.iter().enumerate() {
            if node.says(path).await {
                return Some(number);
            }
        }
        None
    }

    /// The host is lost: kill -9 of Patroni and of every process of its Postgres.
    pub fn kill_host(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        if let Some(mut patroni) = node.patroni.take() {
            patroni.kill();
        }
        node.signal(Signal::KILL);
    }

    /// The host is back: Patroni is started, and decides what becomes of its Postgres.
    pub fn begin_host(&mut self, number: usize) {
        self.nodes[number].begin();
    }

    /// A signal for every process of one Postgres.
    pub fn signal_postgres(&self, number: usize, signal: Signal) {
        self.nodes[number].signal(signal);
    }

    /// A signal for one Patroni.
    ///
    /// # Panics
    ///
    /// When it does not run.
    pub fn signal_patroni(&self, number: usize, signal: Signal) {
        self.nodes[number].patroni.as_ref().expect("Patroni runs").signal(signal);
    }

    /// The proxy's process.
    pub fn proxy(&mut self) -> &mut Process {
        &mut self.proxy
    }

    /// What both servers wrote.
    pub(super) fn logs(&self) -> Vec<PathBuf> {
        self.nodes.iter().map(|node| node.dir.join("patroni.log")).collect()
    }
}

impl Drop for Patroni {
    fn drop(&mut self) {
        for number in 0..self.nodes.len() {
            self.kill_host(number);
        }
    }
}

impl Node {
    fn new(dir: &Path, number: usize) -> Self {
        let dir = dir.join(format!("db{number}"));
        std::fs::create_dir_all(&dir).expect("the run's folder can be written");
        let wrapper = wrapper(&dir);
        if wrapper.first().is_some_and(|word| word == "setpriv") {
            let status = Command::new("chown").arg("postgres:").arg(&dir).status();
            assert!(status.is_ok_and(|status| status.success()), "{} cannot be given to postgres", dir.display());
        }
        Self { data: dir.join("data"), dir, wrapper, port: free_port(), api: free_port(), patroni: None }
    }

    fn begin(&mut self) {
        let mut command = Command::new(&self.wrapper[0]);
        command.args(&self.wrapper[1..]).arg("patroni").arg(self.dir.join("patroni.yml")).current_dir("/");
        self.patroni = Some(Process::start("patroni", &self.dir, command));
    }

    /// Whether its Patroni answers 200.
    async fn says(&self, path: &str) -> bool {
        let client = reqwest::Client::builder().timeout(Duration::from_millis(500)).build();
        let Ok(client) = client else { return false };
        let answer = client.get(format!("http://127.0.0.1:{}/{path}", self.api)).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// Sends a signal to its postmaster and to all its children; there is none when it is already dead.
    fn signal(&self, signal: Signal) {
        let Ok(pid) = std::fs::read_to_string(self.data.join("postmaster.pid")) else { return };
        let Some(postmaster) = pid.lines().next().and_then(|line| line.trim().parse::<i32>().ok()) else { return };
        if !is_postgres(postmaster) {
            return;
        }
        // The postmaster first: nobody new is born.
        for pid in std::iter::once(postmaster).chain(children(postmaster)).filter_map(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }
}

fn is_postgres(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "postgres")
}

fn children(parent: i32) -> Vec<i32> {
    let of = |pid: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // After the name in brackets: the state, then the parent.
        stat.rsplit(") ").next()?.split(' ').nth(1)?.parse::<i32>().ok()
    };
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| of(*pid) == Some(parent)).collect()
}
