//! How fast the real processes are: `./dev bench [--quick] [NAME]`.
//!
//! Every row starts release builds of the real executables on a fresh Postgres (fsync on) and ZooKeeper, measures from outside,
//! and beside each figure measures, in the same run on the same machine, a floor that nothing made of these parts can beat
//! (`floor`). Figures go to `bench.json`; docs/performance.md has the tables and says what was tried.

mod clock;
mod drawing;
mod figures;
mod floor;
mod load;
mod processor;
mod report;
mod rows;
mod stage;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use serde_json::{Value, json};

use report::Report;
use rows::ROWS;

/// What was asked for.
#[derive(Debug)]
pub struct Asked {
    /// Shorter, smaller and fewer.
    pub quick: bool,
    /// Where results go.
    pub folder: PathBuf,
}

impl Asked {
    /// The one for `--quick`, or the other.
    pub fn pick<T>(&self, quick: T, full: T) -> T {
        if self.quick { quick } else { full }
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.first().map(String::as_str) {
        Some("load") => load::webhooks::run().map(|answer| println!("{answer}")).map(|()| true),
        Some("sends") => load::sends::run().map(|answer| println!("{answer}")).map(|()| true),
        Some("idle") => rows::memory::idle_agents().map(|()| true),
        _ => bench(&words),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn bench(words: &[String]) -> anyhow::Result<bool> {
    let (mut quick, mut wanted) = (false, None);
    for word in words {
        match word.as_str() {
            "--quick" => quick = true,
            name if !name.starts_with('-') && wanted.is_none() => wanted = Some(name.to_owned()),
            _ => anyhow::bail!("usage: bench [--quick] [NAME]; NAME is one of {}", names()),
        }
    }
    let folder = std::env::var_os("SWITCHBOARD_BENCH_REPORT").map_or_else(|| ".dev/reports".into(), PathBuf::from);
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let asked = Asked { quick, folder };
    // Only all rows in full are the report; others lie beside it.
    let file = match (&wanted, quick) {
        (None, false) => "bench.json".to_owned(),
        (None, true) => "bench-quick.json".to_owned(),
        (Some(name), quick) => format!("bench-{name}{}.json", if quick { "-quick" } else { "" }),
    };
    let file = asked.folder.join(file);
    let chosen: Vec<_> = ROWS.iter().filter(|row| wanted.as_ref().is_none_or(|name| row.name == *name)).collect();
    anyhow::ensure!(!chosen.is_empty(), "there is no such row: NAME is one of {}", names());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut report = Report::new(machine(quick));
    for row in chosen {
        println!("{}: {}", row.name, row.about);
        let begun = std::time::Instant::now();
        // A fleet that does not start panics, as in the scenarios; the other rows go on.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            runtime.block_on(async {
                // Whatever the row has started stops when it is dropped.
                tokio::select! {
                    done = (row.run)(&asked, &mut report) => done.map(Some),
                    asked = asked_to_end() => asked.map(|()| None),
                }
            })
        }));
        match outcome {
            Ok(Ok(None)) => anyhow::bail!("interrupted"),
            Ok(Ok(Some(()))) => println!("  ({:.0} s)", begun.elapsed().as_secs_f64()),
            Ok(Err(error)) => report.broke(row.name, &format!("{error:#}")),
            Err(_) => report.broke(row.name, "it panicked; see above"),
        }
        report.write(&file)?;
    }
    let (met, missed, broken) = report.counts();
    println!("{met} goals met, {missed} missed, {broken} rows broken; {}", file.display());
    Ok(missed + broken == 0)
}

/// Until a person or a service manager wants us to end.
async fn asked_to_end() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}

fn names() -> String {
    ROWS.iter().map(|row| row.name).collect::<Vec<_>>().join(" ")
}

/// On what it was measured.
fn machine(quick: bool) -> Value {
    let read = |path: &str| std::fs::read_to_string(Path::new(path)).unwrap_or_default();
    let of = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let (cpu, memory) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
    json!({
        "at": chrono::Utc::now().to_rfc3339(), "quick": quick,
        "cores": std::thread::available_parallelism().map_or(0, usize::from), "processor": of(&cpu, "model name"),
        "memory": of(&memory, "MemTotal"), "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "load_before": read("/proc/loadavg").trim(),
    })
}
