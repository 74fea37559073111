//! Poller, sender and takeover: two connectors die in turn. While one lies dead, the other is armed with the next point, and
//! becomes the active one, or dies on its way there.

use serde_json::json;
use switchboard_tests::agent::Agent;
use switchboard_tests::harness::customer;

use super::left::{Promised, behind};
use super::rounds;
use super::table::{CONNECTOR, Left, Point};
use crate::battery::office::{Office, group};
use crate::battery::{epoch, raised};
use crate::run::Run;

/// Groups of the platform, one for each round.
const GROUP: i64 = -500_300;

/// Where the active is stopped; S3 and S4 have a scenario of their own.
const STOPS: [&str; 12] = ["L1", "L2", "L3", "L4", "P1", "P3", "P4", "S1", "S2", "S5", "S6", "S7"];

pub async fn die(run: &mut Run) {
    // Under traffic a desk sends again what S8 left unclear, to the group's new key; the checker knows a part by its old one.
    let points = CONNECTOR.iter().filter(|point| run.is_quiet() || point.name != "S8");
    let points: Vec<&Point> = points.collect::<Vec<_>>().repeat(rounds(run));
    let mut office = Office::open(run, "anna", Vec::new(), 8).await;
    let first = 1 - run.fleet.paired().await;
    for (connector, point) in [(first, points[0]), (1 - first, points[1])] {
        run.fleet.connector(connector).stop(15).await;
        run.fleet.start_dying_connector(connector, &point.told()).await;
    }
    let mut promised = Vec::new();
    for (n, point) in points.iter().enumerate() {
        let dying = (first + n) % 2;
        let tag = format!("{}-{n}", point.name.to_lowercase());
        if !matches!(point.name, "L1" | "L2" | "L3" | "L4") {
            run.fleet.active_or_gone(dying).await;
            deed(run, &mut office, point, &tag, n as i64).await;
        }
        run.fleet.died_at(dying, &point.told()).await;
        let holder = run.fleet.holder(dying);
        promised.extend(behind(run, point, &holder, &tag, 0).await);
        match points.get(n + 2) {
            Some(next) => run.fleet.start_dying_connector(dying, &next.told()).await,
            None => run.fleet.start_connector(dying, &[]).await,
        }
    }
    run.fleet.paired().await;
    kept(run, promised, points.len()).await;
}

/// Brings the active to its point.
async fn deed(run: &mut Run, office: &mut Office, point: &Point, tag: &str, n: i64) {
    match point.name {
        // An empty poll is enough.
        "P5" => {}
        "S8" => to_a_group_that_moved(run, tag, n).await,
        "L5" => hand_over(run),
        name if name.starts_with('P') => {
            for part in 0..2 {
                run.fleet.platform.message(customer(6_000), &format!("a customer writes [[{tag}-{part}]]")).await;
                run.more_in += 1;
            }
        }
        name => {
            if name == "S5" {
                run.fleet.platform.fault("hang_after", 1).await;
            }
            let chat = office.chat();
            send(run, &office.agent, &chat, tag).await;
        }
    }
}

/// Asks the active to step down. The command waits for whoever comes next, and whoever is asked, or comes next, may die.
fn hand_over(run: &Run) {
    let mut command = run.fleet.command();
    command.args(["handover", "support"]);
    tokio::task::spawn_blocking(move || command.output());
}

async fn send(run: &mut Run, agent: &Agent, chat: &str, tag: &str) {
    let sent = agent.send(chat, tag, &format!("an agent answers [[{tag}]]")).await;
    sent.unwrap_or_else(|error| panic!("{error}"));
    run.more_out += 1;
}

/// The platform says where a group has gone, and the reply takes a second call.
async fn to_a_group_that_moved(run: &mut Run, tag: &str, n: i64) {
    let (from, to) = (GROUP - n, -100_500_000_000 - n);
    let (chat, agent) = group(run, from, tag, n as u64).await;
    run.fleet.platform.order("migrate", json!({"chat": from, "to": to, "from": customer(6_000)})).await;
    // The move is told in the old group and in the new one.
    run.more_in += 2;
    send(run, &agent, &chat, tag).await;
}

/// The ends of the replies, once all is at rest.
async fn kept(run: &mut Run, promised: Vec<Promised>, points: usize) {
    run.settle().await;
    for promise in promised {
        promise.kept(run).await;
    }
    run.notes.push(format!("points hit: {points}"));
}

pub async fn stop(run: &mut Run) {
    let mut office = Office::open(run, "anna", Vec::new(), 8).await;
    let points: Vec<&Point> = CONNECTOR.iter().filter(|point| STOPS.contains(&point.name)).collect();
    let points = points.repeat(2);
    for (n, point) in points.iter().enumerate() {
        let armed = 1 - run.fleet.paired().await;
        run.fleet.arm_connector(armed, &point.told(), "stop").await;
        run.fleet.paired().await;
        let before = epoch(&run.fleet).await;
        hand_over(run);
        if !point.name.starts_with('L') {
            raised(&run.fleet, before).await;
            let tag = format!("stop-{}-{n}", point.name.to_lowercase());
            deed(run, &mut office, point, &tag, n as i64).await;
        }
        let stopped = run.fleet.stopped_at(armed, &point.told()).await;
        // At L1 it has not raised the lease yet.
        let held = if point.name == "L1" { before } else { before + 1 };
        let now = raised(&run.fleet, held).await;
        run.fleet.thaw_at(armed, &point.told(), stopped);
        assert_ne!(run.fleet.paired().await, armed, "the thawed one stands by");
        run.witnessed(format!("stopped at {}, takeover: epoch {now}", point.name));
        // What it had claimed is written before its fence, late or not at all: the checker tells.
        run.stale_allowed += u64::from(matches!(point.left, Left::Reply { .. }));
    }
    run.notes.push(format!("points hit: {}", points.len()));
}
