//! What operators want to know of every account at a glance.

use chrono::{DateTime, Utc};

use serde_json::Value;

use super::{Database, StoreError};
use crate::model::Limit;

/// One account as it stands now.
#[derive(Clone, Debug)]
pub struct AccountState {
    /// The account's name.
    pub account: String,
    /// Its platform.
    pub platform: String,
    /// Whether it may be served.
    pub enabled: bool,
    /// Number of the present or last tenure.
    pub epoch: i64,
    /// Who holds it; `None` when released or never held.
    pub active: Option<String>,
    /// Since when.
    pub since: Option<DateTime<Utc>>,
    /// Seconds since it was renewed: above half a session timeout the holder is in trouble.
    pub renewed_ago_s: Option<f64>,
    /// Parts waiting or under way.
    pub waiting: i64,
    /// Age of the oldest of them.
    pub oldest_s: Option<f64>,
    /// Parts that may have arrived and wait for a person.
    pub unconfirmed: i64,
    /// Exchanges begun in the last second.
    pub last_second: i64,
    /// Exchanges begun in the last minute.
    pub last_minute: i64,
    /// Seconds for which the platform holds the account or some of its chats back.
    pub frozen_s: Option<f64>,
    /// The last attempt of the last hour that did not succeed: why, and when.
    pub last_error: Option<(String, DateTime<Utc>)>,
    /// Updates in quarantine that nobody has read yet.
    pub quarantined: i64,
    /// The limits in force.
    pub limits: Vec<Limit>,
}

const ACCOUNTS: &str = "
SELECT a.name, a.platform, a.enabled, l.epoch, CASE WHEN l.released THEN NULL ELSE l.holder END AS active,
       CASE WHEN l.released THEN NULL ELSE l.since END AS since,
       CASE WHEN l.released THEN NULL ELSE extract(epoch FROM clock_timestamp() - l.renewed_at)::float8 END AS renewed_ago,
       o.waiting, o.oldest, u.unconfirmed, t.last_second, t.last_minute, f.frozen, e.reason AS error, e.at AS error_at, q.quarantined,
       a.capabilities
  FROM account a JOIN account_lease l ON l.account_id = a.id
 CROSS JOIN LATERAL (SELECT count(*) AS waiting, extract(epoch FROM clock_timestamp() - min(created_at))::float8 AS oldest
                       FROM outbox WHERE account_id = a.id AND open) o
 CROSS JOIN LATERAL (SELECT count(*) AS unconfirmed FROM outbox WHERE account_id = a.id AND state = 3) u
 CROSS JOIN LATERAL (SELECT count(*) AS last_minute, count(*) FILTER (WHERE claimed_at > clock_timestamp() - interval '1 s') AS last_second
                       FROM attempt WHERE account_id = a.id AND claimed_at > clock_timestamp() - interval '1 min') t
 CROSS JOIN LATERAL (SELECT extract(epoch FROM max(freeze_until) - clock_timestamp())::float8 AS frozen
                       FROM (SELECT freeze_until FROM attempt WHERE account_id = a.id AND freeze_until > clock_timestamp()
                              UNION ALL
                             SELECT freeze_until FROM exchange WHERE account_id = a.id AND freeze_until > clock_timestamp()) p) f
  LEFT JOIN LATERAL (SELECT reason, coalesce(ended_at, claimed_at) AS at FROM attempt
                      WHERE account_id = a.id AND outcome <> 1 AND reason IS NOT NULL AND claimed_at > clock_timestamp() - interval '1 hour'
                      ORDER BY claimed_at DESC LIMIT 1) e ON true
 CROSS JOIN LATERAL (SELECT count(*) AS quarantined FROM quarantine WHERE account_id = a.id AND replayed_at IS NULL) q
 ORDER BY a.name";

impl Database {
    /// All accounts, by name.
    pub async fn account_states(&self) -> Result<Vec<AccountState>, StoreError> {
        self.within(async {
            let connection = self.connection().await?;
            // An operator's question, asked rarely over everything: here the planner may choose freely.
            connection.batch_execute("SET enable_seqscan = on").await?;
            let rows = connection.query(ACCOUNTS, &[]).await?;
            // Not given back: the connection's settings were changed.
            drop(connection);
            Ok(rows.iter().map(state).collect())
        })
        .await
    }
}

fn state(row: &tokio_postgres::Row) -> AccountState {
    let error: Option<String> = row.get("error");
    AccountState {
        account: row.get("name"),
        platform: row.get("platform"),
        enabled: row.get("enabled"),
        epoch: row.get("epoch"),
        active: row.get("active"),
        since: row.get("since"),
        renewed_ago_s: row.get("renewed_ago"),
        waiting: row.get("waiting"),
        oldest_s: row.get("oldest"),
        unconfirmed: row.get("unconfirmed"),
        last_second: row.get("last_second"),
        last_minute: row.get("last_minute"),
        frozen_s: row.get("frozen"),
        last_error: error.map(|reason| (reason, row.get("error_at"))),
        quarantined: row.get("quarantined"),
        limits: limits(&row.get("capabilities")),
    }
}

/// What cannot be read was written by a later version.
fn limits(capabilities: &Value) -> Vec<Limit> {
    let list = capabilities["limits"].as_array().into_iter().flatten();
    list.filter_map(|limit| Limit::from_json(limit).ok()).collect()
}
