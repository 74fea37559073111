//! Memory: of an idle connector, and of agents who do nothing.

use std::io::Read;

use anyhow::Context;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use switchboard_tests::harness::FleetOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::Asked;
use crate::load::agents;
use crate::report::{Better, Metric, Report};
use crate::stage::{self, Stage};

/// Measures the row.
pub async fn run(asked: &Asked, report: &mut Report) -> anyhow::Result<()> {
    let mut stage = Stage::start(FleetOptions { webhook: true, ..stage::options("bench-memory") }).await?;
    let sockets = asked.pick(2_000, 10_000);
    let before = memory(stage.fleet.chatserver(0).pid())?;
    // The connector meanwhile has nothing to do.
    let mut idle = Idle::open(&stage, sockets).await?;
    let with = memory(stage.fleet.chatserver(0).pid())?;
    let connector = memory(stage.fleet.connector(0).pid())?;
    idle.close().await?;
    let mb = |kib: f64| kib * 1024.0 / 1e6;
    report.add(Metric::new("connector_resident", [mb(connector.resident)], "MB").goal(Better::Lower, 15.0));
    report.add(Metric::new("connector_proportional", [mb(connector.proportional)], "MB").goal(Better::Lower, 8.0));
    report.add(Metric::new("chatserver_resident_without_agents", [mb(before.resident)], "MB"));
    let each = (with.resident - before.resident) * 1.024 / sockets as f64;
    report.add(Metric::new("idle_agent", [each], "kB").goal(Better::Lower, 8.0).note(format!("{sockets} agents")));
    let ten_thousand = mb(before.resident) + each * 10.0;
    let note = if sockets == 10_000 { "" } else { "from fewer" };
    report.add(Metric::new("ten_thousand_agents", [ten_thousand], "MB").goal(Better::Lower, 100.0).note(note));
    Ok(())
}

/// KiB.
struct Memory {
    resident: f64,
    proportional: f64,
}

fn memory(pid: u32) -> anyhow::Result<Memory> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let of = |key: &str| {
        let line = text.lines().find(|line| line.starts_with(key))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    Ok(Memory { resident: of("Rss:").context("Rss")?, proportional: of("Pss:").context("Pss")? })
}

/// `bench idle` with its sockets open.
struct Idle(tokio::process::Child);

impl Idle {
    async fn open(stage: &Stage, sockets: usize) -> anyhow::Result<Self> {
        let order = json!({"sockets": sockets, "server": stage.fleet.websockets()[0], "tokens": stage.tokens});
        let mut command = tokio::process::Command::new(std::env::current_exe()?);
        command.arg("idle").stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let input = child.stdin.as_mut().context("its standard input")?;
        input.write_all(format!("{order}\n").as_bytes()).await?;
        let mut said = [0u8; 6];
        child.stdout.as_mut().context("its standard output")?.read_exact(&mut said).await.context("bench idle")?;
        Ok(Self(child))
    }

    async fn close(&mut self) -> anyhow::Result<()> {
        drop(self.0.stdin.take());
        self.0.wait().await?;
        Ok(())
    }
}

/// `bench idle`: opens sockets, says so, and holds them until its standard input ends.
pub fn idle_agents() -> anyhow::Result<()> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    let order: Value = serde_json::from_str(&line)?;
    let sockets = order["sockets"].as_u64().context("sockets")?;
    let server = order["server"].as_str().context("server")?.to_owned();
    let tokens: Vec<&str> = order["tokens"].as_array().context("tokens")?.iter().filter_map(Value::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let opening = stream::iter(0..sockets).map(|n| agents::open(&server, tokens[n as usize % tokens.len()]));
        let opened: Vec<_> = opening.buffer_unordered(32).collect().await;
        let opened: Vec<_> = opened.into_iter().collect::<anyhow::Result<_>>()?;
        println!("opened");
        let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
        // Pings are answered meanwhile.
        let following =
            opened.into_iter().map(|mut socket| async move { while let Some(Ok(_)) = socket.next().await {} });
        tokio::select! {
            _ = futures_util::future::join_all(following) => anyhow::bail!("the chatserver closed all sockets"),
            ended = ended => { ended??; }
        }
        Ok(())
    })
}
