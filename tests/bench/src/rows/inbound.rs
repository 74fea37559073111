//! Webhook received → agent's frame.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use switchboard_tests::harness::FleetOptions;

use crate::drawing::{Point, draw};
use crate::figures::Runs;
use crate::load;
use crate::processor;
use crate::report::{Better, Metric, Report};
use crate::stage::{self, Stage};
use crate::{Asked, floor};

/// Messages a second of the row.
const RATE: f64 = 1000.0;

/// Measures the row.
pub async fn run(asked: &Asked, report: &mut Report) -> anyhow::Result<()> {
    let stage = Stage::start(FleetOptions { webhook: true, ..stage::options("bench-inbound") }).await?;
    floors_are_pgbenchs(asked, report, &stage).await?;
    let mut load = Webhooks::new(&stage).await?;
    // Caches, plans, statistics, the allocator's heaps: not what a long-running system has in front of it.
    load.send(RATE, asked.pick(2.0, 5.0), 16).await?;
    let (mut p50s, mut p99s, mut acks, mut floors, mut strict) = (vec![], vec![], vec![], vec![], vec![]);
    let mut costs: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
    for _ in 0..asked.pick(3, 7) {
        let (chain, wake) = floor_ms(&stage, asked.pick(500, 2000)).await?;
        let told = load.send(RATE, asked.pick(4.0, 15.0), 16).await?;
        p50s.push(ms(&told, "frame_ms", "p50"));
        p99s.push(ms(&told, "frame_ms", "p99"));
        acks.push(ms(&told, "ack_ms", "p50"));
        floors.push(chain + wake);
        strict.push((chain, wake));
        for (component, us) in &load.cost {
            costs.entry(*component).or_default().push(*us);
        }
    }
    for (component, costs) in costs {
        let name = format!("inbound_processor_{component}");
        report.add(Metric::new(&name, costs, "us").note("processor time of a message"));
    }
    let parts = (
        strict.iter().map(|(chain, _)| *chain).collect::<Runs>(),
        strict.iter().map(|(_, wake)| *wake).collect::<Runs>(),
    );
    let note = format!("floor = statements {:.3} + wake {:.3}", parts.0.median(), parts.1.median());
    let p50 = Metric::new("webhook_to_frame_p50", p50s.clone(), "ms").over(&p50s, &floors).note(note);
    report.add(p50.goal(Better::Lower, 1.5));
    let p99 = Metric::new("webhook_to_frame_p99", p99s.clone(), "ms").over(&p99s, &p50s).note("floor = its own p50");
    report.add(p99.goal(Better::Lower, 10.0));
    report.add(Metric::new("webhook_to_answer_p50", acks, "ms"));
    curve(asked, report, &mut load, floors.iter().copied().collect::<Runs>().median()).await
}

/// Latency against load.
async fn curve(asked: &Asked, report: &mut Report, load: &mut Webhooks<'_>, floor: f64) -> anyhow::Result<()> {
    let rates: &[f64] = asked
        .pick(&[200.0, 1000.0, 4000.0], &[100.0, 300.0, 1000.0, 2000.0, 4000.0, 6000.0, 8000.0, 10_000.0, 12_000.0]);
    let mut points = Vec::new();
    for rate in rates {
        let told = load.send(*rate, asked.pick(2.0, 6.0), if *rate > 2000.0 { 64 } else { 16 }).await?;
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
    floor::chain(&stage.floor, count / 5).await?;
    let chain = floor::median_ms(floor::chain(&stage.floor, count).await?);
    let wake = floor::wake::times(&stage.fleet.zookeeper.connect(), count).await?;
    Ok((chain, floor::median_ms(wake)))
}

/// A figure in milliseconds of what a load told.
pub fn ms(told: &Value, which: &str, share: &str) -> f64 {
    told[which][share].as_f64().unwrap_or(f64::NAN)
}

/// The load of webhooks on one stage.
pub struct Webhooks<'a> {
    stage: &'a Stage,
    agents: Value,
    first: u64,
    /// Microseconds of processor time of each component for each message of the last load.
    pub cost: BTreeMap<&'static str, f64>,
}

impl<'a> Webhooks<'a> {
    /// Its agents look on.
    pub async fn new(stage: &'a Stage) -> anyhow::Result<Self> {
        Ok(Self { stage, agents: stage.agents().await?, first: 1_000_000, cost: BTreeMap::new() })
    }

    /// So many a second for so long (0: as many as are taken in), each by the next free of `connections`. Fails when a message
    /// that was acknowledged is not shown.
    pub async fn send(&mut self, rate: f64, seconds: f64, connections: usize) -> anyhow::Result<Value> {
        let base = self.stage.fleet.connector_bases()[0].clone();
        let target = base.trim_start_matches("http://");
        let order = json!({
            "target": target, "path": "/webhooks/support/telegram", "secret": "a-secret-of-the-tests", "rate": rate,
            "seconds": seconds, "warm_s": 1.0, "connections": connections, "chats": stage::CHATS, "first": self.first,
            "agents": self.agents,
        });
        let before = processor::spent(&self.stage.fleet.dir);
        let told = load::ask("load", &order).await?;
        let sent = told["sent"].as_f64().unwrap_or_default();
        self.cost = processor::each(&before, &processor::spent(&self.stage.fleet.dir), sent);
        self.first += told["sent"].as_u64().unwrap_or_default() + 1_000_000;
        anyhow::ensure!(told["missing"] == 0 && told["sent"] != 0, "not every message was shown: {told}");
        self.stage.rest().await;
        Ok(told)
    }
}
