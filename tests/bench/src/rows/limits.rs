//! The sender under the platform's limit, by the simulator's clock.

use serde_json::Value;
use switchboard_tests::harness::{Backlog, Fleet, FleetOptions, Lane, Wanted, customer};

use crate::Asked;
use crate::report::{Better, Metric, Report};
use crate::stage;

/// What Telegram lets an account send in a second.
const ALLOWANCE: f64 = 30.0;

/// Measures the row.
pub async fn run(asked: &Asked, report: &mut Report) -> anyhow::Result<()> {
    let few = asked.pick(300, 900);
    one(report, "5_ms", FleetOptions { reply_delay_ms: 5, ..stage::options("bench-limits-5") }, few, 0.97).await?;
    one(report, "100_ms", FleetOptions { reply_delay_ms: 100, ..stage::options("bench-limits-100") }, few, 0.9).await
}

async fn one(
    report: &mut Report,
    name: &str,
    options: FleetOptions,
    messages: usize,
    least: f64,
) -> anyhow::Result<()> {
    let fleet = Fleet::start(options).await;
    let backlog = Backlog::of(&fleet, "daria").await;
    let customers: Vec<i64> = (0..messages).map(customer).collect();
    let chats = backlog.chats(&fleet, &customers).await;
    let wanted = |(n, chat): (usize, &i64)| {
        let key = format!("n{n}");
        Wanted { chat: *chat, text: format!("news [[{key}]]"), key, lane: Lane::Interactive }
    };
    backlog.submit(chats.iter().enumerate().map(wanted).collect()).await;
    fleet.rest(&[], 120).await;
    let log = std::fs::read_to_string(fleet.dir.join("mock.jsonl"))?;
    let (mut counted, mut refused) = (Vec::new(), 0);
    for line in log.lines().filter(|line| line.contains("\"ev\":\"call\"")) {
        let call: Value = serde_json::from_str(line)?;
        if call["reply"] == "429" {
            refused += 1;
        } else if call["method"] == "sendMessage" {
            counted.extend(call["t_counted"].as_i64());
        }
    }
    counted.sort_unstable();
    anyhow::ensure!(counted.len() == messages, "{} of {messages} messages were sent", counted.len());
    // What the account may send at once, at the beginning, is no rate.
    let from = counted.partition_point(|at| *at < counted[0] + 1_000_000_000);
    let span = (counted[messages - 1] - counted[from]) as f64 / 1e9;
    let used = (messages - 1 - from) as f64 / (span * ALLOWANCE);
    report.add(Metric::new(&format!("limit_used_{name}"), [used], "share").goal(Better::Higher, least));
    let most = most_in_a_second(&counted);
    let metric =
        Metric::new(&format!("limit_most_in_a_second_{name}"), [most as f64], "calls").goal(Better::Lower, ALLOWANCE);
    report.add(metric.note(format!("the account's window, by the simulator's clock; {refused} refused")));
    anyhow::ensure!(refused == 0, "{refused} calls were over a limit");
    Ok(())
}

/// The most calls in any half-open second.
fn most_in_a_second(sorted: &[i64]) -> usize {
    let within = |(first, from): (usize, &i64)| sorted[first..].partition_point(|at| at - from < 1_000_000_000);
    sorted.iter().enumerate().map(within).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_second_is_half_open() {
        let second = 1_000_000_000;
        assert_eq!(super::most_in_a_second(&[0, 5, second - 1, second, second + 5]), 3);
        assert_eq!(super::most_in_a_second(&[]), 0);
    }
}
