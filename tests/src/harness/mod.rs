//! Starts the real executable against servers of its own and the simulator, breaks things on purpose, and
//! hands the evidence to the checker.
//!
//! Everything of a run lies in one directory: the observers' logs, the processes' logs, the dump.

mod deed;
mod dump;
mod fleet;
mod process;
mod servers;
mod settings;
mod witness;
mod workload;

pub use deed::Simulator;
pub use fleet::{Fleet, FleetOptions};
pub use process::Process;
pub use servers::{Postgres, StopMode, ZooKeeper};
pub use settings::Settings;
pub use witness::Witness;
pub use workload::{Desk, Traffic, customer, replies_are_shown};

/// Repeatable choices (xorshift64*): a seed repeats the schedule, not the interleaving.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % bound.max(1)
    }
}

/// Waits until `holds` says so, asking again every few milliseconds; panics with `what` after `seconds`.
///
/// For states that can only be asked for, not waited on: files, HTTP answers, tables.
pub async fn until<F, T>(what: &str, seconds: u64, mut holds: F) -> T
where
    F: AsyncFnMut() -> Option<T>,
{
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(seconds);
    loop {
        if let Some(value) = holds().await {
            return value;
        }
        assert!(tokio::time::Instant::now() < deadline, "waited {seconds} s in vain for: {what}");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
