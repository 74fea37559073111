//! One process under test: started, killed, frozen, restarted; its log kept.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::until;

/// A running process, killed when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
}

impl Process {
    /// Starts `command` with its output appended to `<dir>/<name>.log`.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn start(name: &str, dir: &Path, mut command: Command) -> Self {
        let path: PathBuf = dir.join(format!("{name}.log"));
        let log = File::options().create(true).append(true).open(&path).expect("the run's folder can be written");
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} ({:?}) cannot be started: {error}", command.get_program()));
        Self { name: name.to_owned(), child }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id() as i32).expect("a child has an id");
        // A process that has just died by itself cannot be signalled any more.
        let _ = kill_process(pid, signal);
    }

    /// kill -9, and waits until it is gone.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }

    /// SIGTERM, and waits until it has ended.
    ///
    /// # Panics
    ///
    /// When it has not within `seconds`.
    pub async fn stop(&mut self, seconds: u64) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended(seconds).await
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    ///
    /// When it has not within `seconds`.
    pub async fn ended(&mut self, seconds: u64) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        until(&what, seconds, async || self.child.try_wait().expect("a child can be waited for")).await
    }

    /// Whether it is stopped by SIGSTOP.
    pub fn is_stopped(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
        // The state follows the name, which stands in brackets and may hold anything.
        stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
