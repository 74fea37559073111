//! Takeovers: after kill -9 with nothing in flight, planned, and what platforms and agents notice of one at the proxy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::json;
use switchboard_tests::harness::{Backlog, Fleet, FleetOptions, Lane, SESSION_TIMEOUT_MS, Wanted, customer, until};
use tokio::sync::watch;

use crate::Asked;
use crate::report::{Better, Metric, Report};
use crate::stage;

/// Measures the row.
pub async fn run(asked: &Asked, report: &mut Report) -> anyhow::Result<()> {
    let options = FleetOptions { reply_delay_ms: 1_000, ..stage::options("bench-takeover") };
    let (timeout, write_by) = (SESSION_TIMEOUT_MS as f64, options.write_by_ms as f64);
    let mut fleet = Fleet::start(FleetOptions { connectors: 2, webhook: true, proxy: true, ..options }).await;
    let file = upload(&fleet).await;
    let (mut idle, mut busy, mut hooks, mut files) = (vec![], vec![], vec![], vec![]);
    for round in 0..asked.pick(3, 15) {
        let active = fleet.paired().await;
        let mut watch = Watch::begin(&fleet, round, &file);
        watch.answered(5).await?;
        idle.push(kill(&mut fleet, active).await?);
        watch.answered(5).await?;
        let (hook, download) = watch.end().await?;
        hooks.push(hook);
        files.push(download);
        back(&mut fleet, active).await;
    }
    let backlog = Backlog::of(&fleet, "daria").await;
    let chat = backlog.chats(&fleet, &[customer(1)]).await[0];
    for round in 0..asked.pick(3, 7) {
        let active = fleet.paired().await;
        let key = format!("n{round}");
        backlog.submit(vec![Wanted { chat, text: format!("news [[{key}]]"), key, lane: Lane::Interactive }]).await;
        fleet.witness().open_call(30).await;
        busy.push(kill(&mut fleet, active).await?);
        back(&mut fleet, active).await;
    }
    let mut planned = Vec::new();
    for _ in 0..asked.pick(3, 15) {
        fleet.paired().await;
        planned.push(hand_over(&fleet).await?);
    }
    let half = format!("T = {timeout} ms");
    let spent = format!("T = {timeout} ms, write_by {write_by} ms");
    for (name, took, allowed, note) in [
        ("takeover_after_kill", idle, timeout, half),
        ("takeover_with_a_call_in_flight", busy, timeout + write_by, spent),
    ] {
        let p50 = Metric::new(&format!("{name}_p50"), took.clone(), "ms").goal(Better::Lower, allowed + 500.0);
        report.add(p50.note(note));
        report.add(Metric::new(&format!("{name}_max"), took, "ms").by_most().goal(Better::Lower, allowed + 1500.0));
    }
    report.add(Metric::new("handover_p50", planned.clone(), "ms"));
    report
        .add(Metric::new("handover_max", planned, "ms").by_most().goal(Better::Lower, 50.0).note("released → opened"));
    for (name, gaps) in [("webhooks_interrupted_max", hooks), ("files_interrupted_max", files)] {
        let most = Metric::new(name, gaps, "ms").by_most().goal(Better::Lower, 2000.0);
        report.add(most.note("at the proxy, longest without a success, asked every 20 ms"));
    }
    Ok(())
}

/// kill -9 of the active: how long until its standby is open, milliseconds.
async fn kill(fleet: &mut Fleet, active: usize) -> anyhow::Result<f64> {
    let before = epoch(fleet).await?;
    let wall = chrono::Utc::now();
    fleet.kill_connector(active);
    let sql = format!(
        "SELECT (extract(epoch FROM opened_at) * 1e6)::bigint FROM tenure WHERE opened_at IS NOT NULL AND epoch = {}",
        before + 1
    );
    let opened = until("the standby to open", 60, async || fleet.onlooker.number(&sql).await).await;
    Ok((opened - wall.timestamp_micros()) as f64 / 1000.0)
}

/// Starts whoever died, and waits until the proxy knows it.
async fn back(fleet: &mut Fleet, number: usize) {
    fleet.start_connector(number, &[]).await;
    fleet.behind_proxy(number).await;
}

/// A planned one: from the release to the next one's opening, milliseconds.
async fn hand_over(fleet: &Fleet) -> anyhow::Result<f64> {
    let before = epoch(fleet).await?;
    fleet.operate(&["handover", "support"]);
    let sql = format!(
        "SELECT (extract(epoch FROM n.opened_at - o.released_at) * 1e6)::bigint FROM tenure o JOIN tenure n USING (account_id)
          WHERE n.opened_at IS NOT NULL AND o.epoch = {before} AND n.epoch = {}",
        before + 1
    );
    let gap = until("the gap of a handover", 30, async || fleet.onlooker.number(&sql).await).await;
    Ok(gap as f64 / 1000.0)
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
    answers: Vec<watch::Receiver<u64>>,
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
        let download = move || download.try_clone().expect("no body");
        let ((hook_told, hook_answers), (file_told, file_answers)) = (watch::channel(0), watch::channel(0));
        let asking = vec![
            tokio::spawn(longest_gap(ending.clone(), hook_told, update)),
            tokio::spawn(longest_gap(ending.clone(), file_told, download)),
        ];
        Self { ending, answers: vec![hook_answers, file_answers], asking }
    }

    /// Waits until each has succeeded so many times more.
    async fn answered(&mut self, times: u64) -> anyhow::Result<()> {
        for answers in &mut self.answers {
            let goal = *answers.borrow() + times;
            let enough = answers.wait_for(|count| *count >= goal);
            tokio::time::timeout(Duration::from_secs(30), enough).await.context("nobody answers at the proxy")??;
        }
        Ok(())
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

async fn longest_gap(
    ending: Arc<AtomicBool>,
    told: watch::Sender<u64>,
    mut request: impl FnMut() -> reqwest::RequestBuilder,
) -> f64 {
    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    while !ending.load(Ordering::Relaxed) {
        pace.tick().await;
        if request().send().await.is_ok_and(|answer| answer.status().is_success()) {
            longest = longest.max(last.elapsed());
            last = Instant::now();
            told.send_modify(|count| *count += 1);
        }
    }
    longest.max(last.elapsed()).as_secs_f64() * 1000.0
}
