//! Crash points and sabotage: how the fault tests die at an exact step, and prove that the checker
//! sees the bugs it is there for. Compiled only with the feature `faults`; a release holds none of it.
//!
//! * `SWITCHBOARD_CRASH_AT=NAME:N` kills the process with SIGKILL when point `NAME` is reached for the
//!   N-th time; with `SWITCHBOARD_CRASH_HOW=stop` it is stopped instead (SIGSTOP), and goes on from there
//!   when somebody continues it. The file named by `SWITCHBOARD_CRASH_WITNESS` is written first, so that a test knows
//!   that the point was hit and not merely that the process is gone.
//! * `SWITCHBOARD_SABOTAGE=NAME[,NAME]` switches a known bug on (see [`Sabotage`]).

/// Known bugs that the checker must catch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// Moves the poll offset before the rows are committed: breaks P1.
    AckBeforeCommit,
    /// Treats an unanswered send as certainly not sent: breaks P3.
    ResendOnTimeout,
    /// Never looks at the tables without a ring: breaks P6.
    NoSweep,
    /// Reads the epoch without a lock and claims in another statement: breaks P4.
    FenceUnlocked,
    /// Sends for as long as ZooKeeper seems to call it the first in line, whatever the epoch: breaks P4.
    PermissionByZooKeeper,
    /// A token bucket as large as the limit instead of the log of held slots: breaks P5.
    BurstLimiter,
    /// A takeover forgets what earlier tenures sent: breaks P5.
    LimiterNotRestored,
    /// Neither rings nor hears doorbells. No bug: the promises must hold, only slower.
    DropDoorbells,
}

impl Sabotage {
    /// The name in `SWITCHBOARD_SABOTAGE`.
    #[cfg(feature = "faults")]
    fn name(self) -> &'static str {
        match self {
            Self::AckBeforeCommit => "ack_before_commit",
            Self::ResendOnTimeout => "resend_on_timeout",
            Self::NoSweep => "no_sweep",
            Self::FenceUnlocked => "fence_unlocked",
            Self::PermissionByZooKeeper => "permission_by_zookeeper",
            Self::BurstLimiter => "burst_limiter",
            Self::LimiterNotRestored => "limiter_not_restored",
            Self::DropDoorbells => "drop_doorbells",
        }
    }
}

#[cfg(not(feature = "faults"))]
mod off {
    /// A place where a test may kill the process; nothing in a release.
    #[inline(always)]
    pub fn point(_name: &'static str) {}

    /// Whether the environment names this point; never in a release.
    #[inline(always)]
    pub fn armed(_name: &'static str) -> bool {
        false
    }

    /// Whether a known bug is switched on; never in a release.
    #[inline(always)]
    pub fn sabotaged(_which: super::Sabotage) -> bool {
        false
    }
}
#[cfg(not(feature = "faults"))]
pub use off::{armed, point, sabotaged};

#[cfg(feature = "faults")]
mod on {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    struct Crash {
        name: String,
        at: u64,
        stop: bool,
    }

    // Read here and not in `service::config`: these are no options of the product.
    #[allow(clippy::disallowed_methods)]
    fn variable(name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    static CRASH: LazyLock<Option<Crash>> = LazyLock::new(|| {
        let text = variable("SWITCHBOARD_CRASH_AT")?;
        let (name, at) = text.split_once(':').unwrap_or((&text, "1"));
        let stop = variable("SWITCHBOARD_CRASH_HOW").is_some_and(|how| how == "stop");
        Some(Crash { name: name.to_owned(), at: at.parse().expect("SWITCHBOARD_CRASH_AT is NAME:N"), stop })
    });
    static HITS: AtomicU64 = AtomicU64::new(0);
    static SABOTAGE: LazyLock<Vec<String>> = LazyLock::new(|| {
        variable("SWITCHBOARD_SABOTAGE").map(|v| v.split(',').map(str::to_owned).collect()).unwrap_or_default()
    });

    /// Whether the environment names this point.
    pub fn armed(name: &'static str) -> bool {
        CRASH.as_ref().is_some_and(|crash| crash.name == name)
    }

    /// Kills or stops the process here when the environment says so.
    pub fn point(name: &'static str) {
        let Some(crash) = CRASH.as_ref().filter(|c| c.name == name) else { return };
        if HITS.fetch_add(1, Ordering::SeqCst) + 1 != crash.at {
            return;
        }
        if let Some(witness) = variable("SWITCHBOARD_CRASH_WITNESS") {
            std::fs::write(witness, format!("{name}:{}\n", crash.at)).expect("the witness file can be written");
        }
        let own = rustix::process::getpid();
        if crash.stop {
            rustix::process::kill_process(own, rustix::process::Signal::STOP).expect("kill -STOP");
            // Another thread may be the one to take the signal: this one must not run on until all are stopped.
            std::thread::sleep(std::time::Duration::from_millis(200));
            return;
        }
        rustix::process::kill_process(own, rustix::process::Signal::KILL).expect("kill -9");
        unreachable!("a killed process does not go on");
    }

    /// Whether a known bug is switched on.
    pub fn sabotaged(which: super::Sabotage) -> bool {
        SABOTAGE.iter().any(|name| name == which.name())
    }
}
#[cfg(feature = "faults")]
pub use on::{armed, point, sabotaged};
