//! Questions to the database about who is active, asked over and over: one connection, made again when it broke.

use tokio::sync::Mutex;
use tokio_postgres::Client;

use super::dump;

/// The lease as the database has it now.
#[derive(Clone, Debug)]
pub struct LeaseRow {
    /// Number of the present or last tenure.
    pub epoch: i64,
    /// The process that holds or held it.
    pub pid: Option<u32>,
    /// Whether it was given up in order.
    pub released: bool,
}

/// Looks at the database beside the product.
#[derive(Debug)]
pub struct Onlooker {
    url: String,
    client: Mutex<Option<Client>>,
}

impl Onlooker {
    /// Connects when first asked.
    pub fn new(url: String) -> Self {
        Self { url, client: Mutex::new(None) }
    }

    /// The one number that `sql` gives; `None` while the database does not answer.
    pub async fn number(&self, sql: &str) -> Option<i64> {
        self.row(sql).await.map(|row| row.get(0))
    }

    /// The one text that `sql` gives; `None` when it is null, or while the database does not answer.
    pub async fn text(&self, sql: &str) -> Option<String> {
        self.row(sql).await?.get(0)
    }

    /// The one array of numbers that `sql` gives; `None` while the database does not answer.
    pub async fn numbers(&self, sql: &str) -> Option<Vec<i64>> {
        self.row(sql).await.map(|row| row.get(0))
    }

    /// The lease of the only account; `None` while the database does not answer.
    pub async fn lease(&self) -> Option<LeaseRow> {
        let row = self.row("SELECT epoch, holder, released FROM account_lease").await?;
        let holder: Option<String> = row.get(1);
        let pid = holder.and_then(|holder| holder.rsplit(':').next()?.parse().ok());
        Some(LeaseRow { epoch: row.get(0), pid, released: row.get(2) })
    }

    async fn row(&self, sql: &str) -> Option<tokio_postgres::Row> {
        let mut client = self.client.lock().await;
        if client.as_ref().is_none_or(Client::is_closed) {
            *client = dump::connect(&self.url).await.ok();
        }
        client.as_ref()?.query_one(sql, &[]).await.ok()
    }
}
