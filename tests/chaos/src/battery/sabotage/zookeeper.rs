//! The active's ZooKeeper server is cut off from the others: it is told for seconds that it stands first in line, while the
//! standby does.

use switchboard_tests::harness::{Backlog, Lane, Passage, SESSION_TIMEOUT_MS as T, Wanted, customer, lasting};
use switchboard_tests::observer::boottime_ns;

use crate::battery::partitions::its_server_follows;
use crate::run::Run;

pub async fn break_it(run: &mut Run) {
    let fleet = &mut run.fleet;
    let backlog = Backlog::of(fleet, "daria").await;
    let customers: Vec<i64> = (0..60).map(|n| customer(7_000 + n)).collect();
    let chats = backlog.chats(fleet, &customers).await;
    run.more_in += chats.len();
    let active = fleet.paired().await;
    its_server_follows(run, active).await;
    let fleet = &mut run.fleet;
    assert_eq!(fleet.paired().await, active);
    let news = |n: usize, chat: i64| {
        let key = format!("all-{chat}-{n}");
        Wanted { chat, text: format!("news [[{key}]]"), key, lane: Lane::Interactive }
    };
    let wanted: Vec<Wanted> = (0..3).flat_map(|n| chats.iter().map(move |chat| news(n, *chat))).collect();
    run.more_out += wanted.len();
    let begun = boottime_ns();
    fleet.zookeeper.isolate(active, Passage::Silent).await;
    backlog.submit(wanted).await;
    lasting(3 * T).await;
    fleet.zookeeper.isolate(active, Passage::Open).await;
    fleet.fault("cut", &format!("zookeeper:{active}-{}", 1 - active), begun);
    run.witnessed("a ZooKeeper server without its quorum");
    run.bug("permission_by_zookeeper", &["OUT-8"], "");
}
