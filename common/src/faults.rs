//! Crash points and sabotage: how the fault tests die at an exact step, and prove that the checker
//! sees the bugs it is there for. Compiled only with the feature `faults`; a release holds none of it.
//!
//! * `SWITCHBOARD_CRASH_AT=NAME:N` kills the process with SIGKILL when point `NAME` is reached for the
//!   N-th time; with `SWITCHBOARD_CRASH_HOW=stop` it is stopped instead (SIGSTOP), and goes on from there
//!   when somebody continues it. The file named by `SWITCHBOARD_CRASH_WITNESS` is written first, so that a test knows
//!   that the point was hit and not merely that the process is gone.
//! * `SWITCHBOARD_SABOTAGE=NAME[,NAME]` switches a known bug on (see [`Sabotage`]); `SWITCHBOARD_SABOTAGE_STANDBY` is the
//!   address of the database from which [`Sabotage::CursorFromStandby`] reads.
//! * `SWITCHBOARD_LATER_MIGRATIONS` is a folder of migrations as a later release might bring them.

/// Known bugs that the checker must catch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// Moves the poll offset before the rows are committed: breaks P1.
    AckBeforeCommit,
    /// Treats an unanswered send as certainly not sent: breaks P3.
    ResendOnTimeout,
    /// Never looks at the tables without a ring: breaks P6.
    NoSweep,
    /// Calls a send of unknown fate failed: breaks P3.
    FailOnTimeout,
    /// Acknowledges what was stored before without writing anything: breaks P1 when a standby takes over.
    AckRepeatUnwritten,
    /// Believes the answer to a commit whose wait for the standby was cut short: breaks P1 when the standby takes over.
    BelieveCutWait,
    /// Whoever says something of a part last is believed: breaks the order of its states.
    LastWriteWins,
    /// Numbers of feeds are given out before the transaction, as a sequence does: breaks P6.
    SerialCursor,
    /// Reads feeds from a standby of Postgres: breaks P6.
    CursorFromStandby,
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
            Self::FailOnTimeout => "fail_on_timeout",
            Self::AckRepeatUnwritten => "ack_repeat_unwritten",
            Self::BelieveCutWait => "believe_cut_wait",
            Self::LastWriteWins => "last_write_wins",
            Self::SerialCursor => "serial_cursor",
            Self::CursorFromStandby => "cursor_from_standby",
            Self::FenceUnlocked => "fence_unlocked",
            Self::PermissionByZooKeeper => "permission_by_zookeeper",
            Self::BurstLimiter => "burst_limiter",
            Self::LimiterNotRestored => "limiter_not_restored",
            Self::DropDoorbells => "drop_doorbells",
        }
    }
}

#[cfg(not(feature = "faults"))]
mod off;
#[cfg(feature = "faults")]
mod on;

#[cfg(not(feature = "faults"))]
pub use off::{armed, due, during, later_migrations, point, sabotaged, soon, standby, torn};
#[cfg(feature = "faults")]
pub use on::{armed, due, during, later_migrations, point, sabotaged, soon, standby, torn};
