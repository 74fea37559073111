//! The points and the bugs as the fault tests have them.

use std::pin::pin;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

struct Crash {
    name: String,
    at: u64,
    stop: bool,
}

/// What is awaited is certainly under way by then.
const UNDER_WAY: Duration = Duration::from_millis(50);

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
static SOON: AtomicBool = AtomicBool::new(false);
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
        std::thread::sleep(Duration::from_millis(200));
        return;
    }
    rustix::process::kill_process(own, rustix::process::Signal::KILL).expect("kill -9");
    unreachable!("a killed process does not go on");
}

/// A point while something is awaited: once it has been under way for a while.
pub async fn during<F: Future>(name: &'static str, awaited: F) -> F::Output {
    let mut awaited = pin!(awaited);
    if armed(name) {
        tokio::select! {
            biased;
            output = &mut awaited => return output,
            () = tokio::time::sleep(UNDER_WAY) => point(name),
        }
    }
    awaited.await
}

/// Says that a point is reached by the next write of an answer.
pub fn soon(name: &'static str) {
    if armed(name) {
        SOON.store(true, Ordering::SeqCst);
    }
}

/// Whether [`soon`] was said of this point.
pub fn due(name: &'static str) -> bool {
    armed(name) && SOON.load(Ordering::SeqCst)
}

/// How much of a write that begins with `begin` is let through: half of it, when the point in the middle is named.
pub fn torn(name: &'static str, bytes: &[u8], begin: u8) -> usize {
    match armed(name) && bytes.first() == Some(&begin) {
        true => bytes.len().div_ceil(2),
        false => bytes.len(),
    }
}

/// Whether a known bug is switched on.
pub fn sabotaged(which: super::Sabotage) -> bool {
    SABOTAGE.iter().any(|name| name == which.name())
}

/// Where [`CursorFromStandby`](super::Sabotage::CursorFromStandby) reads, when that is switched on.
pub fn standby() -> Option<String> {
    variable("SWITCHBOARD_SABOTAGE_STANDBY").filter(|_| sabotaged(super::Sabotage::CursorFromStandby))
}

/// Where a later release's migrations are, when the environment names such a folder.
pub fn later_migrations() -> Option<std::path::PathBuf> {
    variable("SWITCHBOARD_LATER_MIGRATIONS").map(Into::into)
}
