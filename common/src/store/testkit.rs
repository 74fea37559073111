//! A database per test: made from the migrations, dropped afterwards.

use std::time::Duration;

use uuid::Uuid;

use super::{Database, DatabaseOptions, migrate};

/// Names the server, as `postgresql://user:password@host:port/database`. `./dev test` sets it.
pub const VARIABLE: &str = "SWITCHBOARD_TEST_POSTGRES";

/// A migrated database of its own. Call [`finish`](Self::finish) at the end of the test; a test that fails before
/// leaves the dropping to `Drop`.
pub struct TestDatabase {
    /// For the code under test.
    pub database: Database,
    /// For further connections to it.
    pub url: String,
    name: String,
    server: String,
}

impl TestDatabase {
    /// Makes one. Panics, which fails the test, when there is no server.
    pub async fn create() -> Self {
        #[allow(clippy::disallowed_methods)] // for tests only: no option of the product
        let server = std::env::var(VARIABLE).unwrap_or_else(|_| {
            panic!("{VARIABLE} is not set: run the tests by `./dev test`, which starts a Postgres for them")
        });
        let name = format!("switchboard_test_{}", Uuid::now_v7().simple());
        let url = with_database(&server, &name);
        run(&server, &format!("CREATE DATABASE {name}")).await;
        // Tests count rows without an index; services forbid such plans, whose cost would have each of them compiled.
        run(&server, &format!("ALTER DATABASE {name} SET jit = off")).await;
        let database = open(&url, 16);
        let test = Self { database, url, name, server };
        migrate(&test.database).await.expect("the migrations run");
        test
    }

    /// A second process' pool on the same database.
    pub fn another(&self) -> Database {
        open(&self.url, 4)
    }

    /// Drops the database.
    pub async fn finish(mut self) {
        let name = std::mem::take(&mut self.name);
        run(&self.server, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if self.name.is_empty() {
            return;
        }
        let (server, sql) = (self.server.clone(), format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        // The test's own runtime may be ending: a thread with a runtime of its own does not depend on it.
        let dropping = std::thread::spawn(move || {
            if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
                let dropping = async { tokio::time::timeout(Duration::from_secs(10), run(&server, &sql)).await };
                let _ = runtime.block_on(dropping);
            }
        });
        let _ = dropping.join();
    }
}

fn open(url: &str, pool_size: usize) -> Database {
    Database::new(&DatabaseOptions {
        url: url.to_owned(),
        password: None,
        pool_size,
        application_name: "test".to_owned(),
        statement_timeout: Duration::from_secs(10),
    })
    .expect("the server's URL can be read")
}

async fn run(url: &str, sql: &str) {
    let (client, connection) =
        tokio_postgres::connect(url, tokio_postgres::NoTls).await.expect("the test server can be reached");
    let driver = tokio::spawn(connection);
    client.batch_execute(sql).await.expect("the test server lets us make and drop databases");
    drop(client);
    let _ = driver.await;
}

/// The same server, another database.
fn with_database(url: &str, name: &str) -> String {
    let (base, options) = url.split_once('?').map_or((url, None), |(base, options)| (base, Some(options)));
    let (server, _) = base.rsplit_once('/').expect("the server's URL ends with /database");
    match options {
        Some(options) => format!("{server}/{name}?{options}"),
        None => format!("{server}/{name}"),
    }
}

/// Statements of the hot paths, for tests that compare others with them.
pub fn hot_statements() -> Vec<&'static str> {
    use super::{append, chats, claim, drain, feeds, heads, intake, outbox};
    [
        intake::HOT.to_vec(),
        drain::hot(),
        append::HOT.to_vec(),
        feeds::hot(),
        chats::HOT.to_vec(),
        outbox::HOT.to_vec(),
        heads::HOT.to_vec(),
        claim::HOT.to_vec(),
    ]
    .concat()
}
