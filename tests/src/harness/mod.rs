//! Starts the real executable against servers of its own and the simulator, breaks things on purpose, and
//! hands the evidence to the checker.
//!
//! Everything of a run lies in one directory: the observers' logs, the processes' logs, the dump.

mod backlog;
mod cut;
mod deed;
mod disk;
mod dump;
mod fleet;
mod links;
mod load;
mod loader;
mod media;
mod nginx;
mod onlooker;
mod options;
mod pair;
mod patroni;
mod points;
mod postgres;
mod process;
mod proxy;
mod public;
mod roles;
mod settings;
mod verdict;
mod witness;
mod workload;
mod zookeeper;

use std::sync::atomic::{AtomicU32, Ordering};

pub use backlog::{Backlog, Wanted};
pub use cut::{Cut, Passage};
pub use deed::Simulator;
pub use disk::Disk;
pub use dump::connect;
pub use fleet::{Fleet, SESSION_TIMEOUT_MS};
pub use links::{Link, Links};
pub use load::{ALL, Load, Ran, Underway, finished};
pub use loader::Loader;
pub use media::{SeenFile, picture};
pub use onlooker::{LeaseRow, Onlooker};
pub use options::{Database, FleetOptions};
pub use pair::connector_name;
pub use patroni::Patroni;
pub use points::run_to_its_end;
pub use postgres::{Postgres, StopMode};
pub use process::Process;
pub use proxy::{Behind, Proxy};
pub use settings::Settings;
pub use switchboard_common::model::Lane;
pub use tokio_postgres::Client;
pub use witness::Witness;
pub use workload::{Desk, Duty, Traffic, Uploads, customer, replies_are_shown};
pub use zookeeper::ZooKeeper;

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

/// A port nobody listens on now.
///
/// # Panics
///
/// When there is none.
pub fn free_port() -> u16 {
    /// Below those that the kernel gives to whoever connects: until the server starts nobody else takes it.
    const PORTS: std::ops::Range<u32> = 20_000..32_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let (from, count) = (std::process::id().wrapping_mul(97), PORTS.end - PORTS.start);
    let port = (0..count).find_map(|_| {
        let place = from.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % count;
        let port = u16::try_from(PORTS.start + place).expect("a port");
        std::net::TcpListener::bind(("127.0.0.1", port)).is_ok().then_some(port)
    });
    port.expect("loopback has a free port")
}

/// Lets a fault last: its length is the subject.
pub async fn lasting(milliseconds: u64) {
    tokio::time::sleep(std::time::Duration::from_millis(milliseconds)).await;
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
