//! The most messages a second, webhook → agent's frame.

use std::time::Duration;

use switchboard_tests::harness::FleetOptions;

use crate::load::Webhooks;
use crate::report::{Better, Metric, Report};
use crate::stage::{self, Stage};
use crate::{Asked, floor};

/// Two full batches of the connector: one is stored while the other waits.
const CONNECTIONS: usize = 256;

/// Measures the row.
pub async fn run(asked: &Asked, report: &mut Report) -> anyhow::Result<()> {
    one(asked, report, "one_chatserver", "bench-ceiling-1", 1).await?;
    one(asked, report, "two_chatservers", "bench-ceiling-2", 2).await
}

async fn one(
    asked: &Asked,
    report: &mut Report,
    name: &str,
    folder: &'static str,
    chatservers: usize,
) -> anyhow::Result<()> {
    let stage = Stage::start(FleetOptions { webhook: true, chatservers, ..stage::options(folder) }).await?;
    let mut load = Webhooks::new(&stage).await?;
    let (span, database) = (Duration::from_secs(asked.pick(2, 3)), stage.database().await?);
    floor::most_a_second(&stage.floor, span / 2).await?;
    load.send(0.0, asked.pick(1.0, 3.0), CONNECTIONS).await?;
    let (mut rates, mut bares, mut plains, mut costs) = (vec![], vec![], vec![], vec![]);
    for _ in 0..asked.pick(3, 7) {
        plains.push(floor::plain_rows_a_second(&stage.floor, Duration::from_millis(500)).await?);
        // What the one before left to write falls into no measurement.
        database.batch_execute("CHECKPOINT").await?;
        bares.push(floor::most_a_second(&stage.floor, span).await?);
        database.batch_execute("CHECKPOINT").await?;
        let told = load.send(0.0, asked.pick(3.0, 8.0), CONNECTIONS).await?;
        rates.push(told["a_second"].as_f64().unwrap_or(f64::NAN));
        costs.push(load.cost.iter().filter(|(component, _)| **component != "load").map(|(_, us)| us).sum::<f64>());
    }
    report.add(
        Metric::new(&format!("{name}_processor"), costs, "us").note("processor time of a message, all components"),
    );
    let bare = Metric::new(&format!("{name}_bare_loop"), bares.clone(), "msg/s").over(&bares, &plains);
    report.add(bare.goal(Better::Higher, 0.14).note("floor = plain inserts, 100 a commit"));
    let most = Metric::new(&format!("{name}_most"), rates.clone(), "msg/s").over(&rates, &bares);
    report.add(most.goal(Better::Higher, 0.35).note("floor = the bare loop; aim 0.5"));
    let plain = Metric::new(&format!("{name}_most_over_plain"), rates.clone(), "msg/s").over(&rates, &plains);
    report.add(plain.goal(Better::Higher, 0.06).note("floor = plain inserts, 100 a commit"));
    Ok(())
}
