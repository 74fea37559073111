//! Against a real Postgres; the platform is never asked.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use switchboard_common::model::{AccountName, Capabilities, Epoch, Scope};
use switchboard_common::store::testkit::TestDatabase;
use switchboard_common::store::{NewAccount, Renewed};

use super::*;
use crate::platform::{Http, Settings};
use crate::platforms::telegram;

const MINUTE: Duration = Duration::from_secs(60);
const AT_ONCE: Duration = Duration::ZERO;

struct Fixture {
    test: TestDatabase,
    database: Database,
    account: Account,
    platform: Box<dyn Platform>,
}

impl Fixture {
    async fn new(name: &str) -> Self {
        let test = TestDatabase::create().await;
        let database = test.database.clone();
        assert!(database.add_queue("support").await.unwrap());
        let secret = std::env::temp_dir().join(format!("switchboard-{name}-token-{}", std::process::id()));
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
        Self { test, database, account, platform }
    }

    /// Asks for two slots of so many a minute.
    async fn ask(&self, count: usize, session_timeout: Duration, patience: Duration) -> Result<Permit, NotNow> {
        let limits = [Limit { count, window: MINUTE, scope: Scope::Account }];
        let asker = Asker { name: "doctor", session_timeout };
        permit((&self.database, &self.account), (&*self.platform, &limits), asker, 2, patience).await
    }

    /// A connector begins a tenure.
    async fn active(&self) -> Epoch {
        let lease = self.database.lease(self.account.id).await.unwrap();
        assert!(self.database.vouch(self.account.id, &lease.whereabouts).await.unwrap());
        let seen = lease.epoch;
        let raise = Raise { holder: "a", seen, way: Way::Lowest, stale: AT_ONCE, answering: AT_ONCE };
        self.database.raise_lease(self.account.id, &raise).await.unwrap().unwrap()
    }

    /// What a successor would count.
    async fn counted(&self) -> Vec<usize> {
        let left = self.database.left_behind(self.account.id, Epoch(99), MINUTE).await.unwrap();
        left.slots.iter().map(|slot| slot.cost).collect()
    }

    async fn run(&self, sql: &str) {
        let connection = self.database.connection().await.unwrap();
        connection.batch_execute(sql).await.unwrap();
        connection.done();
    }
}

#[tokio::test]
async fn nobody_asks_beside_a_connector_and_what_was_asked_before_is_counted() {
    let f = Fixture::new("beside").await;
    // Nobody has ever served the account.
    f.ask(8, MINUTE, AT_ONCE).await.ok().unwrap().answered().await;
    let epoch = f.active().await;
    assert!(matches!(f.ask(8, MINUTE, MINUTE).await, Err(NotNow::Held)), "and nobody waits for that");
    assert_eq!(f.counted().await, [2]);
    assert!(f.database.release_lease(f.account.id, epoch).await.unwrap());
    // It is not answered: it counts until its answer can no longer come.
    drop(f.ask(8, MINUTE, AT_ONCE).await.ok().unwrap());
    assert_eq!(f.counted().await, [2, 2]);
    assert!(matches!(f.ask(5, MINUTE, AT_ONCE).await, Err(NotNow::Busy)), "four of five");
    drop(f.ask(6, MINUTE, AT_ONCE).await.ok().unwrap());
    assert_eq!(f.counted().await, [2, 2, 2]);

    f.ask(99, MINUTE, AT_ONCE).await.ok().unwrap().throttled(MINUTE).await;
    assert!(matches!(f.ask(99, MINUTE, AT_ONCE).await, Err(NotNow::Busy)), "the platform asked for a pause");
    assert!(f.database.freezes(f.account.id).await.unwrap()[0].remaining > MINUTE / 2, "and a successor knows");
    f.test.finish().await;
}

#[tokio::test]
async fn a_holder_that_seems_dead_is_fenced_before_anything_is_asked() {
    let f = Fixture::new("fenced").await;
    let epoch = f.active().await;
    f.run("UPDATE account_lease SET renewed_at = now() - interval '11 s'").await;
    assert!(matches!(f.ask(8, MINUTE, AT_ONCE).await, Err(NotNow::Held)), "with such a timeout it lives");
    // Postgres has only begun to answer: the holder may just have been as cut off from it.
    let second = Duration::from_secs(1);
    assert!(matches!(f.ask(8, second, AT_ONCE).await, Err(NotNow::Held)));
    assert!(
        matches!(f.database.renew_lease(f.account.id, epoch).await.unwrap(), Renewed::Ours { .. }),
        "so it goes on"
    );

    f.run("UPDATE account_lease SET renewed_at = now() - interval '11 s', server = NULL").await;
    assert!(matches!(f.ask(8, second, AT_ONCE).await, Err(NotNow::Unvouched)));
    f.run("UPDATE account_lease SET server = pg_postmaster_start_time()").await;
    f.ask(8, second, MINUTE).await.ok().unwrap().answered().await;
    assert_eq!(f.counted().await, [2]);
    assert_eq!(f.database.renew_lease(f.account.id, epoch).await.unwrap(), Renewed::Lost);
    let late = f.database.begin_exchange(f.account.id, epoch, 1, MINUTE).await.unwrap();
    assert_eq!(late, None, "its limiter does not count what was asked");
    assert!(f.database.lease(f.account.id).await.unwrap().released);
    f.test.finish().await;
}
