//! Processor time of the fleet's processes: what a message costs whoever else is busy on the machine.

use std::collections::BTreeMap;
use std::path::Path;

/// Clock ticks of `/proc/<pid>/stat` in a second: on Linux always so many.
const TICKS: f64 = 100.0;

/// Seconds of processor time so far, by component. What was started by this process counts, and its Postgres.
pub fn spent(run: &Path) -> BTreeMap<&'static str, f64> {
    let postmaster = std::fs::read_to_string(run.join("postgres/data/postmaster.pid")).unwrap_or_default();
    let postmaster: u32 = postmaster.lines().next().and_then(|line| line.parse().ok()).unwrap_or_default();
    let mut spent = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Some((parent, seconds)) = stat(pid) else { continue };
        let component = match parent {
            _ if parent == postmaster && postmaster != 0 => "postgres",
            _ if parent == std::process::id() => component(pid),
            _ => continue,
        };
        *spent.entry(component).or_default() += seconds;
    }
    spent
}

/// Its parent, and its processor time in seconds.
pub fn stat(pid: u32) -> Option<(u32, f64)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in brackets and may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    Some((fields.get(1)?.parse().ok()?, ticks / TICKS))
}

fn component(pid: u32) -> &'static str {
    let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = String::from_utf8_lossy(&words);
    let known = ["connector", "chatserver", "loader", "telegram-simulator", "QuorumPeerMain"];
    let found = known.into_iter().find(|name| words.split('\0').any(|word| word.ends_with(name)));
    found.map_or("other", |name| if name == "QuorumPeerMain" { "zookeeper" } else { name })
}

/// Microseconds of each component for each of `messages`, between two looks.
pub fn each(
    before: &BTreeMap<&'static str, f64>,
    after: &BTreeMap<&'static str, f64>,
    messages: f64,
) -> BTreeMap<&'static str, f64> {
    let of = |(name, seconds): (&&'static str, &f64)| {
        let spent = seconds - before.get(name).copied().unwrap_or_default();
        (*name, spent.max(0.0) * 1e6 / messages.max(1.0))
    };
    after.iter().map(of).collect()
}
