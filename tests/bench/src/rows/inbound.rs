//! Webhook received → agent's frame.

use std::collections::BTreeMap;
use std::time::Duration;

use switchboard_tests::harness::FleetOptions;

use crate::drawing::{Point, draw};
use crate::figures::Runs;
use crate::load::{Webhooks, ms};
use crate::report::{Better, Metric, Report};
use crate::stage::{self, Stage};
use crate::{Asked, floor};

/// Messages a second of the row.
const RATE: f64 = 1000.0;
/// Between two of them.
const EVERY: Duration = Duration::from_millis(1);
/// Far more than are ever under way at once, short of a stall.
const CONNECTIONS: usize = 64;

/// Measures the row.
pub async fn run(asked: &Asked, report: &mut Report) -> anyhow::Result<()> {
    let stage = Stage::start(FleetOptions { webhook: true, ..stage::options("bench-inbound") }).await?;
    floors_are_pgbenchs(asked, report, &stage).await?;
    let mut load = Webhooks::new(&stage).await?;
    // Caches, plans, statistics, the allocator's heaps: not what a long-running system has in front of it.
    load.send(RATE, asked.pick(2.0, 5.0), CONNECTIONS).await?;
    stage.database().await?.batch_execute("CHECKPOINT").await?;
    let (mut p50s, mut p99s, mut acks, mut parts) = (vec![], vec![], vec![], floor::Parts::default());
    let mut costs: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
    for _ in 0..asked.pick(3, 7) {
        let (chain, wake) = floor_ms(&stage, asked.pick(500, 2000)).await?;
        parts.add(chain, wake);
        let told = load.send(RATE, asked.pick(4.0, 15.0), CONNECTIONS).await?;
        p50s.push(ms(&told, "frame_ms", "p50"));
        p99s.push(ms(&told, "frame_ms", "p99"));
        acks.push(ms(&told, "ack_ms", "p50"));
        for (component, us) in &load.cost {
            costs.entry(*component).or_default().push(*us);
        }
    }
    for (component, costs) in costs {
        let name = format!("inbound_processor_{component}");
        report.add(Metric::new(&name, costs, "us").note("processor time of a message"));
    }
    let floors = parts.whole();
    let p50 = Metric::new("webhook_to_frame_p50", p50s.clone(), "ms").over(&p50s, &floors).note(parts.note());
    report.add(p50.goal(Better::Lower, 1.5));
    let p99 = Metric::new("webhook_to_frame_p99", p99s.clone(), "ms").over(&p99s, &p50s).note("floor = its own p50");
    report.add(p99.goal(Better::Lower, 10.0));
    report.add(Metric::new("webhook_to_answer_p50", acks, "ms"));
    curve(asked, report, &mut load, floors.iter().copied().collect::<Runs>().median()).await
}

/// Latency against load.
async fn curve(asked: &Asked, report: &mut Report, load: &mut Webhooks<'_>, floor: f64) -> anyhow::Result<()> {
    let rates: &[f64] = asked.pick(&[200.0, 1000.0, 4000.0], &[100.0, 300.0, 1000.0, 3000.0, 6000.0, 9000.0, 12_000.0]);
    let mut points = Vec::new();
    for rate in rates {
        let told = load.send(*rate, asked.pick(2.0, 6.0), CONNECTIONS).await?;
        let point = Point {
            rate: *rate,
            p50: ms(&told, "frame_ms", "p50"),
            p99: ms(&told, "frame_ms", "p99"),
            arrived: told["a_second"].as_f64().unwrap_or_default(),
        };
        report.add(Metric::new(&format!("webhook_to_frame_p50_at_{rate}"), [point.p50], "ms"));
        report.add(Metric::new(&format!("webhook_to_frame_p99_at_{rate}"), [point.p99], "ms"));
        points.push(point);
    }
    draw(&asked.folder.join("latency.svg"), "Webhook received to agent's frame", &points, floor)?;
    Ok(())
}

/// The bare loop is no slower than pgbench on the same files, nor much faster: it does what they say.
async fn floors_are_pgbenchs(asked: &Asked, report: &mut Report, stage: &Stage) -> anyhow::Result<()> {
    let folder = stage.fleet.dir.clone();
    for (name, file, batch) in [
        ("intake_1", floor::INTAKE, 1),
        ("intake_100", floor::INTAKE, 100),
        ("drain_100", floor::DRAIN, 100),
        ("read", floor::READ, 1),
    ] {
        let passes = asked.pick(200, 1000) / if batch == 100 { 4 } else { 1 };
        let mut ratios = Vec::new();
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..asked.pick(1, 3) {
            if file == floor::DRAIN {
                // Both drain full batches: enough for ours, its warm-up, and pgbench.
                let mut intake = floor::bare::Bare::open(&stage.floor, floor::INTAKE.1, &[("batch", "100")]).await?;
                intake.times(passes * 2 + passes / 10 + 5).await?;
            }
            let (loop_ms, pgbench_ms) = floor::over_pgbench(&stage.floor, file, batch, passes, &folder).await?;
            ratios.push(loop_ms / pgbench_ms);
            ours.push(loop_ms);
            theirs.push(pgbench_ms);
        }
        let metric = Metric::new(&format!("bare_loop_{name}"), ours.clone(), "ms").over(&ours, &theirs);
        report.add(metric.goal(Better::Lower, 1.2).note("floor = pgbench on the same file"));
    }
    floor::drain_all(&stage.floor).await
}

/// Medians of the statements one after another, and of a wake.
async fn floor_ms(stage: &Stage, count: usize) -> anyhow::Result<(f64, f64)> {
    let chain = floor::median_ms(floor::chain(&stage.floor, count, EVERY).await?);
    let wake = floor::wake::times(&stage.fleet.zookeeper.connect(), count, EVERY).await?;
    Ok((chain, floor::median_ms(wake)))
}
