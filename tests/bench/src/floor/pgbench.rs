//! The same files by pgbench, so that nobody has to believe our loop.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;

use super::bare::OPTIONS;
use super::script::{self, Command};

/// The mean time of one pass through `file` by pgbench, inputs left out.
pub async fn mean(
    url: &str,
    file: (&str, &str),
    batch: usize,
    passes: usize,
    folder: &std::path::Path,
) -> anyhow::Result<Duration> {
    let path = folder.join(format!("{}.sql", file.0));
    std::fs::write(&path, file.1)?;
    let folder = std::env::var_os("SWITCHBOARD_TEST_PGBIN").map(PathBuf::from).unwrap_or_default();
    let mut command = tokio::process::Command::new(folder.join("pgbench"));
    command.env("PGOPTIONS", OPTIONS);
    command.args(["-n", "-r", "-M", "prepared", "-c", "1", "-t", &passes.to_string()]);
    command.args(["-D", &format!("batch={batch}"), "-f"]).arg(&path).arg(url);
    let output = command.output().await.context("pgbench")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "pgbench: {errors}");
    of_report(&text, &script::parse(file.1)?).with_context(|| format!("pgbench said: {text}{errors}"))
}

/// Adds up its report's latencies, a line for each command of the file.
fn of_report(report: &str, commands: &[Command]) -> anyhow::Result<Duration> {
    let lines = report.lines().skip_while(|line| !line.starts_with("statement latencies")).skip(1);
    let figures: Vec<f64> = lines.filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect();
    anyhow::ensure!(figures.len() == commands.len(), "{} latencies of {} commands", figures.len(), commands.len());
    let counts = |command: &Command| !matches!(command, Command::Statement(it) if it.inputs);
    let sum: f64 = commands.iter().zip(figures).filter(|(command, _)| counts(command)).map(|(_, ms)| ms).sum();
    Ok(Duration::from_secs_f64(sum / 1000.0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn inputs_are_left_out_of_its_report() {
        let commands = script::parse("-- inputs\nSELECT 1 AS a \\gset\nBEGIN;\n\\set b 1\nCOMMIT;\n").unwrap();
        let report = "tps = 1.0\nstatement latencies in milliseconds and failures:\n   7.000   0  SELECT 1 AS a\n   0.250   0  BEGIN;\n   0.010   0  \\set b 1\n   0.500   0  COMMIT;\n";
        assert_eq!(of_report(report, &commands).unwrap(), Duration::from_micros(760));
        assert!(of_report("tps = 1.0", &commands).is_err());
    }
}
