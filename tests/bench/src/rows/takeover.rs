//! Takeovers: after kill -9 with nothing in flight, planned, and what platforms and agents notice of one at the proxy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::json;
use switchboard_tests::harness::{Fleet, FleetOptions, SESSION_TIMEOUT_MS, until};

use crate::Asked;
use crate::figures::Runs;
use crate::report::{Better, Metric, Report};
use crate::stage;

/// Measures the row.
pub async fn run(asked: &Asked, report: &mut Report) -> anyhow::Result<()> {
    let options = stage::options("bench-takeover");
    let mut fleet = Fleet::start(FleetOptions { connectors: 2, webhook: true, proxy: true, ..options }).await;
    let timeout = SESSION_TIMEOUT_MS as f64;
    let (mut killed, mut hooks, mut files, mut planned) = (vec![], vec![], vec![], vec![]);
    let file = upload(&fleet).await;
    for round in 0..asked.pick(3, 15) {
        let active = fleet.paired().await;
        let watch = Watch::begin(&fleet, round, &file);
        tokio::time::sleep(Duration::from_millis(500)).await;
        let before = epoch(&fleet).await?;
        let wall = chrono::Utc::now();
        fleet.kill_connector(active);
        let sql = format!(
            "SELECT (extract(epoch FROM opened_at) * 1e6)::bigint FROM tenure WHERE opened_at IS NOT NULL AND epoch = {}",
            before + 1
        );
        let opened = until("the standby to open", 60, async || fleet.onlooker.number(&sql).await).await;
        killed.push((opened - wall.timestamp_micros()) as f64 / 1000.0);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let (hook, download) = watch.end().await?;
        hooks.push(hook);
        files.push(download);
        fleet.start_connector(active, &[]).await;
        fleet.behind_proxy(active).await;
    }
    for _ in 0..asked.pick(3, 15) {
        fleet.paired().await;
        let before = epoch(&fleet).await?;
        fleet.operate(&["handover", "support"]);
        let sql = format!(
            "SELECT (extract(epoch FROM n.opened_at - o.released_at) * 1e6)::bigint FROM tenure o JOIN tenure n USING (account_id)
              WHERE n.opened_at IS NOT NULL AND o.epoch = {before} AND n.epoch = {}",
            before + 1
        );
        let gap = until("the gap of a handover", 30, async || fleet.onlooker.number(&sql).await).await;
        planned.push(gap as f64 / 1000.0);
    }
    let half = format!("T = {timeout} ms");
    report.add(
        Metric::new("takeover_after_kill_p50", killed.clone(), "ms").goal(Better::Lower, timeout + 500.0).note(half),
    );
    let most = killed.iter().copied().collect::<Runs>().most();
    report.add(Metric::new("takeover_after_kill_max", [most], "ms").goal(Better::Lower, timeout + 1500.0));
    let most = planned.iter().copied().collect::<Runs>().most();
    report.add(Metric::new("handover_p50", planned, "ms"));
    report.add(Metric::new("handover_max", [most], "ms").goal(Better::Lower, 50.0).note("released → opened"));
    for (name, gaps) in [("webhooks_interrupted_max", hooks), ("files_interrupted_max", files)] {
        let most = gaps.iter().copied().collect::<Runs>().most();
        report.add(
            Metric::new(name, [most], "ms").goal(Better::Lower, 2000.0).note("at the proxy, longest without a success"),
        );
    }
    Ok(())
}

async fn epoch(fleet: &Fleet) -> anyhow::Result<i64> {
    fleet.onlooker.number("SELECT epoch FROM account_lease").await.context("the lease")
}

/// A file to be asked for.
async fn upload(fleet: &Fleet) -> String {
    let client = fleet.file_client("anna");
    client.put(&fleet.public_base(), "takeover", "a.txt", "text/plain", b"still here").await.file()
}

/// Asks the proxy over and over, as a platform and an agent do.
struct Watch {
    ending: Arc<AtomicBool>,
    asking: Vec<tokio::task::JoinHandle<f64>>,
}

impl Watch {
    fn begin(fleet: &Fleet, round: usize, file: &str) -> Self {
        let ending = Arc::new(AtomicBool::new(false));
        let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build().expect("a client");
        let (base, token) = (fleet.public_base(), fleet.operate(&["token", "--agent", "anna"]));
        let hook = format!("{base}/webhooks/support/telegram");
        let download = client.get(format!("{base}/files/support/{file}")).bearer_auth(token);
        let mut number = 10_000_000 + round as i64 * 100_000;
        let update = move || {
            number += 1;
            let (from, chat) =
                (json!({"id": 9, "is_bot": false, "first_name": "W"}), json!({"id": 9, "type": "private"}));
            let message = json!({"message_id": number, "from": from, "chat": chat, "date": 1_795_000_000, "text": "still there?"});
            let body = json!({"update_id": number, "message": message});
            client.post(&hook).header("x-telegram-bot-api-secret-token", "a-secret-of-the-tests").json(&body)
        };
        let asking = vec![
            tokio::spawn(longest_gap(ending.clone(), update)),
            tokio::spawn(longest_gap(ending.clone(), move || download.try_clone().expect("no body"))),
        ];
        Self { ending, asking }
    }

    /// The longest time without a success, in milliseconds: of webhooks, and of downloads.
    async fn end(self) -> anyhow::Result<(f64, f64)> {
        self.ending.store(true, Ordering::Relaxed);
        let mut gaps = Vec::new();
        for asking in self.asking {
            gaps.push(asking.await?);
        }
        Ok((gaps[0], gaps[1]))
    }
}

async fn longest_gap(ending: Arc<AtomicBool>, mut request: impl FnMut() -> reqwest::RequestBuilder) -> f64 {
    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
    while !ending.load(Ordering::Relaxed) {
        if request().send().await.is_ok_and(|answer| answer.status().is_success()) {
            longest = longest.max(last.elapsed());
            last = Instant::now();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    longest.max(last.elapsed()).as_secs_f64() * 1000.0
}
