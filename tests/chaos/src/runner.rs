//! One scenario after another, each to its verdict.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use switchboard_tests::checker::Report;

use crate::arguments::Arguments;
use crate::battery::{self, Scenario};
use crate::observed::shown_after_ms;
use crate::report::{Battery, Caught, Line};
use crate::run::{Bug, Run, SABOTAGED, Tier};

/// The longest a scenario may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// Runs what was asked for; whether everything passed.
pub async fn run(arguments: &Arguments) -> Result<bool, String> {
    let tier = if arguments.tier == Tier::Full { "full" } else { "quick" };
    let mut battery = Battery { seed: arguments.seed, tier: tier.to_owned(), ..Battery::default() };
    for scenario in battery::all().filter(|it| arguments.want(it.id, it.name, it.quick)) {
        let line = one(scenario, arguments).await;
        println!("{line}");
        battery.add(line);
        if let Some(path) = &arguments.report {
            battery.write(path)?;
        }
    }
    println!("{battery}");
    let (passed, failed) = battery.counts();
    println!("chaos result: {}. {passed} passed; {failed} failed", if failed == 0 { "ok" } else { "FAILED" });
    if battery.is_empty() {
        return Err("no scenario has such a name: --list names them".to_owned());
    }
    Ok(failed == 0)
}

/// Never panics: whatever the scenario asserted in vain is in its line.
async fn one(scenario: &'static Scenario, arguments: &Arguments) -> Line {
    let begun = Instant::now();
    let mut line = Line { id: scenario.id, name: scenario.name, ..Line::default() };
    let whole = AssertUnwindSafe(play(scenario, arguments, &mut line)).catch_unwind();
    match tokio::time::timeout(PATIENCE, whole).await {
        Ok(Ok(())) => {}
        Ok(Err(panic)) => line.broken.push(words_of(panic.as_ref())),
        Err(_) => line.broken.push(format!("not over after {} s", PATIENCE.as_secs())),
    }
    line.seconds = begun.elapsed().as_secs();
    line.pass = line.broken.is_empty();
    line
}

async fn play(scenario: &Scenario, arguments: &Arguments, line: &mut Line) {
    let mut options = (scenario.options)();
    options.name = scenario.name;
    let mut load = (scenario.load)(arguments.tier);
    // Each scenario has dice of its own: alone it falls as in the whole battery, and with bugs as without them.
    let name = scenario.name.trim_end_matches(SABOTAGED);
    let seed = name.bytes().fold(arguments.seed, |seed, byte| seed.wrapping_mul(31) ^ u64::from(byte));
    load.seed = seed;
    let mut run = Run::begin(options, load, arguments.tier, seed).await;
    (scenario.breaking)(&mut run).await;
    run.settle().await;
    let report = run.fleet.judge(&run.expected).await;
    line.count(&report);
    line.forget(run.forgot);
    line.gap_ms = shown_after_ms(&run.fleet.dir).last().copied().unwrap_or_default();
    (line.faults, line.seen) = run.witnesses();
    line.witnessed = line.seen >= line.faults;
    line.notes = run.notes.clone();
    let told = format!("{report}\nwitnessed:\n{}\n", run.seen().join("\n"));
    std::fs::write(run.fleet.dir.join("verdict.txt"), told).expect("the run's folder can be written");
    if run.sabotaged {
        line.caught = run.bugs.iter().map(|bug| caught(bug, &report)).collect();
        let free = line.caught.iter().filter(|caught| !caught.pass).map(|caught| caught.name);
        line.broken = free.map(|name| format!("{name} was not caught; red is {:?}", report.red())).collect();
        if run.bugs.is_empty() {
            line.broken.push("nothing was to be caught".to_owned());
        }
    } else {
        line.broken = broken(&run, &report, line);
    }
}

/// Which of the invariants that a bug breaks are broken, by what the bug was about.
fn caught(bug: &Bug, report: &Report) -> Caught {
    let speaks = |id: &&str| {
        let finding = report.finding(id);
        finding.violated > 0 && finding.violations.iter().any(|words| words.contains(&bug.about))
    };
    let caught_by: Vec<&'static str> = bug.breaks.iter().copied().filter(speaks).collect();
    Caught { name: bug.name, pass: !caught_by.is_empty(), caught_by }
}

fn broken(run: &Run, report: &Report, line: &Line) -> Vec<String> {
    let mut broken = run.unmet().to_vec();
    for id in report.red().into_iter().filter(|id| !run.forgotten.contains(id)) {
        let finding = report.finding(id);
        broken.push(format!("{id} broken {} times: {}", finding.violated, finding.violations.join("; ")));
    }
    if !report.unchecked.is_empty() {
        broken.push(format!("nothing to check for {:?}", report.unchecked));
    }
    let figures = &report.figures;
    if (figures.inbound, figures.out) != run.totals() && run.forgotten.is_empty() {
        broken.push(format!("{} in and {} out, and not {:?}", figures.inbound, figures.out, run.totals()));
    }
    if line.lost + line.duplicated + line.two_senders > 0 && broken.is_empty() {
        broken.push(format!("{} lost, {} doubled, {} beside another", line.lost, line.duplicated, line.two_senders));
    }
    if (figures.unexplained > 0 || figures.undecided > 0) && run.forgotten.is_empty() {
        broken.push(format!("{} unexplained, {} undecided", figures.unexplained, figures.undecided));
    }
    if figures.stale_sends > run.stale_allowed && run.forgotten.is_empty() {
        broken.push(format!("{} stale sends, {} allowed", figures.stale_sends, run.stale_allowed));
    }
    if !line.witnessed {
        broken.push(format!("{} faults, {} witnessed: {:?}", line.faults, line.seen, run.seen()));
    }
    if line.faults == 0 {
        broken.push("nothing was broken".to_owned());
    }
    let secrets = std::panic::catch_unwind(AssertUnwindSafe(|| run.fleet.no_secret_was_written()));
    broken.extend(secrets.err().map(|panic| words_of(panic.as_ref())));
    if !broken.is_empty() {
        broken.push(format!("all of it: {}", run.fleet.dir.join("verdict.txt").display()));
    }
    broken
}

fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it panicked without words").to_owned()
}
