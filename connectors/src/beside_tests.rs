//! Against a real Postgres; the platform is never asked.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use switchboard_common::model::{AccountName, Capabilities, Scope};
use switchboard_common::store::testkit::TestDatabase;
use switchboard_common::store::{NewAccount, Raise, Way};

use super::*;
use crate::platform::{Http, Settings};
use crate::platforms::telegram;

const MINUTE: Duration = Duration::from_secs(60);
const AT_ONCE: Duration = Duration::ZERO;

#[tokio::test]
async fn a_question_beside_the_active_waits_for_a_quiet_moment_and_is_counted() {
    let test = TestDatabase::create().await;
    let database = test.database.clone();
    assert!(database.add_queue("support").await.unwrap());
    let secret = std::env::temp_dir().join(format!("switchboard-beside-token-{}", std::process::id()));
    std::fs::write(&secret, "42:SECRET").unwrap();
    let mut settings = Settings::new();
    settings.insert("token".to_owned(), json!(format!("file:{}", secret.display())));
    let name = AccountName::new("main").unwrap();
    let new = NewAccount {
        name: &name,
        platform: "telegram",
        queue: "support",
        settings: &Value::Object(settings.clone()),
        capabilities: &Capabilities { text_max_utf16: 4096, limits: Vec::new(), files: None, address: None },
    };
    assert!(database.add_account(&new).await.unwrap());
    let account = database.account(&name).await.unwrap().unwrap();
    let platform = (telegram::SPEC.open)(&settings, Http::new().unwrap()).unwrap();
    let limits = [Limit { count: 8, window: MINUTE, scope: Scope::Account }];
    let ask = async |patience| permit(&database, &account, (platform.as_ref(), &limits), 2, patience).await;

    // Nobody has ever served the account; then somebody does.
    ask(AT_ONCE).await.ok().unwrap().answered().await;
    let lease = database.lease(account.id).await.unwrap();
    assert!(database.vouch(account.id, &lease.whereabouts).await.unwrap());
    let seen = lease.epoch;
    let raise = Raise { holder: "a", seen, way: Way::Lowest, stale: AT_ONCE, answering: AT_ONCE };
    let epoch = database.raise_lease(account.id, &raise).await.unwrap().unwrap();
    // It is not answered: it counts until its answer can no longer come.
    drop(ask(AT_ONCE).await.ok().unwrap());
    let left = database.left_behind(account.id, Epoch(epoch.0 + 1), MINUTE).await.unwrap();
    assert_eq!(left.slots.iter().map(|slot| slot.cost).collect::<Vec<_>>(), [2, 2], "a successor counts both");
    // Four of eight: from here on the account's own traffic goes first.
    assert!(matches!(ask(AT_ONCE).await, Err(NotNow::Busy)));

    let elsewhere = [Limit { count: 100, ..limits[0] }];
    let wider = async || permit(&database, &account, (platform.as_ref(), &elsewhere), 1, AT_ONCE).await;
    wider().await.ok().unwrap().throttled(MINUTE).await;
    assert!(matches!(wider().await, Err(NotNow::Busy)), "the platform asked for a pause");
    assert!(database.freezes(account.id).await.unwrap()[0].remaining > MINUTE / 2, "and a successor knows");
    test.finish().await;
}
