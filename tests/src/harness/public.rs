//! The side of a fleet that is reached from outside: webhooks, files, the reverse proxy.

use super::deed::ACCOUNT;
use super::{Behind, Fleet, Proxy};
use crate::file_client::FileClient;
use crate::observer::WriteLog;

impl Fleet {
    /// How platforms and agents reach the account's connectors: by the proxy, else the first one.
    pub fn public_base(&self) -> String {
        let port = if self.options.proxy { self.proxy_port } else { self.public_ports[0] };
        format!("http://127.0.0.1:{port}")
    }

    /// How each connector is reached without the proxy.
    pub fn connector_bases(&self) -> Vec<String> {
        self.public_ports.iter().map(|port| format!("http://127.0.0.1:{port}")).collect()
    }

    /// The address of the account's webhook at a server of [`connector_bases`](Self::connector_bases).
    pub fn webhook_at(base: &str) -> String {
        format!("{base}/webhooks/{ACCOUNT}/telegram")
    }

    pub(super) async fn start_proxy(&mut self) {
        let behind = Behind {
            accounts: [(ACCOUNT.to_owned(), self.public_ports.clone())].into(),
            chatservers: self.chat_ports.clone(),
            loaders: Vec::new(),
        };
        let proxy = Proxy::start(&self.dir, &self.settings.haproxy, self.proxy_port, &behind).await;
        self.proxy = Some(proxy);
    }

    /// An agent's way to the account's files; all clients of a run share one log.
    pub fn file_client(&self, agent: &str) -> FileClient {
        let log = self.files_log.get_or_init(|| WriteLog::create(&self.dir.join("file.jsonl")).expect("a fresh run"));
        FileClient::new(agent, &self.operate(&["token", "--agent", agent]), ACCOUNT, log.clone())
    }
}
