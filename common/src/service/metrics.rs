//! Names of all metrics, once. Base units; labels are `account`, `platform`, `role`, `outcome`, `state`, `direction`;
//! never an id of a chat, a customer or a message.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::shutdown::Shutdown;

macro_rules! names {
    ($($(#[doc = $doc:literal])* $kind:ident $constant:ident = $name:literal;)+) => {
        $($(#[doc = $doc])* pub const $constant: &str = $name;)+

        fn describe() {
            $(metrics::$kind!($name, concat!($($doc),*).trim());)+
        }
    };
}

names! {
    /// Version of this process; always 1.
    describe_gauge BUILD_INFO = "switchboard_build_info";
    /// Facts stored from the platform.
    describe_counter INBOX_STORED = "switchboard_inbox_stored_total";
    /// Facts delivered again and not stored again.
    describe_counter INBOX_REPEATED = "switchboard_inbox_repeated_total";
    /// Updates that could not be read and were put aside.
    describe_counter QUARANTINED = "switchboard_quarantined_total";
    /// Webhook requests, by outcome.
    describe_counter WEBHOOKS = "switchboard_webhook_requests_total";
    /// Seconds from a batch's arrival to its commit.
    describe_histogram INBOX_COMMIT = "switchboard_inbox_commit_seconds";
    /// Parts waiting or under way.
    describe_gauge OUTBOX_DEPTH = "switchboard_outbox_depth";
    /// Age of the oldest waiting part.
    describe_gauge OUTBOX_OLDEST = "switchboard_outbox_oldest_seconds";
    /// Attempts ended, by outcome.
    describe_counter OUTBOX_ATTEMPTS = "switchboard_outbox_attempts_total";
    /// Seconds a platform call took.
    describe_histogram PLATFORM_REQUEST = "switchboard_platform_request_seconds";
    /// Seconds from a part's acceptance to its first claim: limits, pauses and earlier parts.
    describe_histogram OUTBOX_WAIT = "switchboard_outbox_wait_seconds";
    /// Customers' files whose bytes are still with the platform.
    describe_gauge FILES_PENDING = "switchboard_files_pending";
    /// Tries to fetch customers' files ended, by outcome.
    describe_counter FILE_FETCHES = "switchboard_file_fetches_total";
    /// The platform of the account that this connector serves; always 1.
    describe_gauge ACCOUNT_INFO = "switchboard_account_info";
    /// Version of the account's settings that is in force.
    describe_gauge SETTINGS_VERSION = "switchboard_settings_version";
    /// 1 while this connector is the active one.
    describe_gauge TENURE_ACTIVE = "switchboard_tenure_active";
    /// Tenures begun by this process.
    describe_counter TENURE_CHANGES = "switchboard_tenure_changes_total";
    /// 1 while commits should wait for a standby (postgres.synchronous) and do not.
    describe_gauge REPLICATION_DEGRADED = "switchboard_replication_degraded";
    /// Times that the database was found to have gone backwards; should stay at zero.
    describe_counter SET_BACK = "switchboard_database_set_back_total";
    /// 1 while a ZooKeeper session lives.
    describe_gauge ZOOKEEPER_CONNECTED = "switchboard_zookeeper_connected";
    /// Doorbells rung.
    describe_counter DOORBELL_RINGS = "switchboard_doorbell_rings_total";
    /// Items found by a sweep that no doorbell announced; should stay at zero.
    describe_counter SWEEP_FOUND = "switchboard_sweep_found_total";
    /// Database connections, by state.
    describe_gauge POOL_CONNECTIONS = "switchboard_pool_connections";
    /// Seconds one batch took from the pending table into the chats' logs.
    describe_histogram DRAIN = "switchboard_drain_seconds";
    /// Entries appended to chats' logs.
    describe_counter ENTRIES = "switchboard_entries_total";
    /// Bytes of frames that wait for agents' sockets to take them.
    describe_gauge WS_SEND_QUEUE = "switchboard_ws_send_queue_bytes";
    /// Agents' sockets open.
    describe_gauge WS_SESSIONS = "switchboard_ws_sessions";
    /// Sockets closed, by close code.
    describe_counter WS_CLOSED = "switchboard_ws_closed_total";
    /// Requests of agents, by type and outcome.
    describe_counter WS_REQUESTS = "switchboard_ws_requests_total";
    /// Requests and connections that limits per address turned away, by outcome.
    describe_counter TURNED_AWAY = "switchboard_turned_away_total";
    /// Bytes of files, by direction: `in` from agents, `out` to them.
    describe_counter FILE_BYTES = "switchboard_file_bytes_total";
    /// Requests to the file server, by outcome.
    describe_counter FILE_REQUESTS = "switchboard_file_requests_total";
    /// Seconds until a REST answer began, by route and status.
    describe_histogram REST_REQUEST = "switchboard_rest_request_seconds";
    /// Seconds from an entry's commit time to its frame.
    describe_histogram RELAY = "switchboard_relay_seconds";
}

/// Installs the recorder; call once per process. `labels` go with every metric: `role`, and a connector's `account`.
pub fn install(shutdown: &Shutdown, labels: &[(&str, &str)]) -> anyhow::Result<PrometheusHandle> {
    let buckets = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];
    let builder =
        labels.iter().fold(PrometheusBuilder::new(), |builder, (key, value)| builder.add_global_label(*key, *value));
    let handle =
        builder.set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &buckets)?.install_recorder()?;
    describe();
    metrics::gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    let (upkeep, ending) = (handle.clone(), shutdown.clone());
    shutdown.spawn(async move {
        // Without upkeep the exporter's histograms grow for ever.
        while ending.pause(std::time::Duration::from_secs(5)).await {
            upkeep.run_upkeep();
        }
    });
    Ok(handle)
}
