//! A Postgres of the scenario's own: a real server, real fsync, on a free port.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Disk, Settings, free_port};

/// How Postgres is stopped.
#[derive(Clone, Copy, Debug)]
pub enum StopMode {
    /// Sessions are cut, everything is written.
    Fast,
    /// As a crash: recovery at the next start.
    Immediate,
}

/// A private Postgres.
#[derive(Debug)]
pub struct Postgres {
    bin: PathBuf,
    /// Empty: somebody else's server.
    data: PathBuf,
    logs: Vec<PathBuf>,
    wrapper: Vec<String>,
    /// What it lies on, when that can become full. Dropped after the server was stopped.
    pub disk: Option<Disk>,
    /// Where it listens, on loopback.
    pub port: u16,
}

impl Postgres {
    /// Makes a cluster under `dir`, on a disk of its own when that is to become full, and starts it.
    ///
    /// # Panics
    ///
    /// When that fails; the message names the log.
    pub fn start(settings: &Settings, dir: &Path, disk_mb: Option<u64>) -> Self {
        let home = dir.join("postgres");
        std::fs::create_dir_all(&home).expect("the run's folder can be written");
        let disk = disk_mb.map(|megabytes| Disk::mount(&home, megabytes));
        let wrapper = wrapper(&home);
        if wrapper.first().is_some_and(|word| word == "setpriv") {
            run(Command::new("chown").arg("postgres:").arg(&home), &[]);
        }
        let server = Self {
            bin: settings.postgres_bin.clone(),
            data: home.join("data"),
            logs: vec![home.join("log")],
            wrapper,
            disk,
            port: free_port(),
        };
        let data = server.data.to_string_lossy().into_owned();
        server.tool(
            "initdb",
            &["-D", &data, "-U", "switchboard", "--encoding=UTF8", "--locale=C.UTF-8", "--auth=trust", "--no-sync"],
        );
        server.begin();
        server
    }

    /// Servers that somebody else starts and stops, reached at one port.
    pub(super) fn elsewhere(port: u16, logs: Vec<PathBuf>) -> Self {
        Self { bin: PathBuf::new(), data: PathBuf::new(), logs, wrapper: Vec::new(), disk: None, port }
    }

    /// Makes a copy of this server under `dir`, which follows it by streaming replication and is only read.
    ///
    /// # Panics
    ///
    /// When that fails; the message names the tool.
    pub fn replica(&self, dir: &Path) -> Self {
        std::fs::create_dir_all(dir).expect("the run's folder can be written");
        if self.wrapper.first().is_some_and(|word| word == "setpriv") {
            run(Command::new("chown").arg("postgres:").arg(dir), &[]);
        }
        let copy = Self {
            bin: self.bin.clone(),
            data: dir.join("data"),
            logs: vec![dir.join("log")],
            wrapper: self.wrapper.clone(),
            disk: None,
            port: free_port(),
        };
        let (data, source) = (copy.data.to_string_lossy().into_owned(), self.url());
        self.tool("pg_basebackup", &["-D", &data, "-d", &source, "-R", "-X", "stream", "-c", "fast", "--no-sync"]);
        copy.begin();
        copy
    }

    /// Copies the running server's data into a folder beside it, as operators do each night.
    ///
    /// # Panics
    ///
    /// When that fails.
    pub fn back_up(&self) {
        let (copy, source) = (self.beside("backup"), self.url());
        self.tool("pg_basebackup", &["-D", &copy, "-d", &source, "-X", "none", "-c", "fast", "--no-sync"]);
    }

    /// Stops the server as a crash does, and starts the backup in its place, rolled forward to a moment of the database's clock by
    /// the dead server's log.
    ///
    /// # Panics
    ///
    /// When that fails.
    pub fn restore(&self, moment: &str) {
        self.end(StopMode::Immediate);
        let (data, backup, lost) = (self.data.display().to_string(), self.beside("backup"), self.beside("lost"));
        std::fs::rename(&data, &lost).expect("the run's folder can be written");
        std::fs::rename(&backup, &data).expect("there is a backup");
        let recovery = format!(
            "restore_command = 'cp {lost}/pg_wal/%f %p'\nrecovery_target_time = '{moment}'\nrecovery_target_action = promote\n"
        );
        let settings = self.data.join("postgresql.auto.conf");
        let kept = std::fs::read_to_string(&settings).unwrap_or_default();
        std::fs::write(settings, kept + &recovery).expect("the run's folder can be written");
        std::fs::write(self.data.join("recovery.signal"), "").expect("the run's folder can be written");
        self.begin();
    }

    fn beside(&self, name: &str) -> String {
        self.data.with_file_name(name).display().to_string()
    }

    /// Starts the stopped server again.
    pub fn begin(&self) {
        let options = format!(
            "-c listen_addresses=127.0.0.1 -c port={} -c unix_socket_directories='' -c track_commit_timestamp=on -c max_connections=100 -c wal_keep_size=512",
            self.port
        );
        let (data, log) = (self.data.to_string_lossy().into_owned(), self.logs[0].to_string_lossy().into_owned());
        self.tool("pg_ctl", &["-D", &data, "-l", &log, "-w", "-s", "-o", &options, "start"]);
    }

    /// Stops it.
    pub fn end(&self, mode: StopMode) {
        let mode = match mode {
            StopMode::Fast => "fast",
            StopMode::Immediate => "immediate",
        };
        let data = self.data.to_string_lossy().into_owned();
        self.tool("pg_ctl", &["-D", &data, "-m", mode, "-w", "-s", "stop"]);
    }

    /// Whether its postmaster lives.
    pub fn runs(&self) -> bool {
        let pid = std::fs::read_to_string(self.data.join("postmaster.pid")).unwrap_or_default();
        pid.lines().next().is_some_and(|pid| Path::new("/proc").join(pid.trim()).exists())
    }

    /// Address of the database that the product uses.
    pub fn url(&self) -> String {
        format!("postgresql://switchboard@127.0.0.1:{}/postgres", self.port)
    }

    /// What it wrote.
    pub(super) fn logs(&self) -> &[PathBuf] {
        &self.logs
    }

    fn tool(&self, name: &str, arguments: &[&str]) {
        assert!(!self.data.as_os_str().is_empty(), "the servers of a pair are Patroni's to start and stop");
        let program = self.bin.join(name).to_string_lossy().into_owned();
        let mut words: Vec<&str> = self.wrapper.iter().map(String::as_str).collect();
        words.push(&program);
        let mut command = Command::new(words[0]);
        // The tools complain about a folder that their user may not enter.
        command.args(&words[1..]).current_dir("/");
        run(&mut command, arguments);
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if self.data.as_os_str().is_empty() {
            return;
        }
        let data = self.data.to_string_lossy().into_owned();
        let mut words: Vec<String> = self.wrapper.clone();
        words.push(self.bin.join("pg_ctl").to_string_lossy().into_owned());
        // Already stopped is as good.
        let _ = Command::new(&words[0])
            .args(&words[1..])
            .args(["-D", &data, "-m", "immediate", "-w", "-s", "stop"])
            .current_dir("/")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

/// Postgres refuses root: then it runs as the account `postgres`, or where that one may not enter the folder
/// (or does not exist) in a user namespace.
pub(super) fn wrapper(home: &Path) -> Vec<String> {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    if !rustix::process::geteuid().is_root() {
        return words("env");
    }
    let account = words("setpriv --reuid=postgres --regid=postgres --init-groups --reset-env");
    let enters = Command::new(&account[0])
        .args(&account[1..])
        .args(["test", "-x"])
        .arg(home)
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if enters { account } else { words("unshare --user --map-user=1000 --map-group=1000 --") }
}

fn run(command: &mut Command, arguments: &[&str]) {
    // pg_ctl's server inherits standard output: with a pipe we would wait for its end.
    let status = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).status();
    let status = status.unwrap_or_else(|error| panic!("{:?}: {error}", command.get_program()));
    assert!(status.success(), "{:?} {arguments:?}: {status}", command.get_program());
}
