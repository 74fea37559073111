//! The side of a fleet that is reached from outside: webhooks, files, the reverse proxy.

use super::deed::ACCOUNT;
use super::fleet::alive;
use super::nginx::ACCESS_LOG;
use super::{Behind, Fleet, Process, Proxy, until};
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
        let ways = self.links.as_ref().map(|links| (links.front_ports(), links.agent_ports()));
        let (connectors, chatservers) = ways.unwrap_or_else(|| (self.public_ports.clone(), self.chat_ports.clone()));
        let behind = Behind {
            accounts: [(ACCOUNT.to_owned(), connectors)].into(),
            chatservers,
            loaders: self.loader.iter().map(|_| self.loader_port).collect(),
        };
        let (dir, port, programs) = (&self.dir, self.proxy_port, &self.settings);
        self.proxy = Some(match self.options.nginx {
            true => Proxy::nginx(dir, &programs.nginx, port, &behind).await,
            false => Proxy::start(dir, &programs.haproxy, port, &behind).await,
        });
    }

    /// Starts the loader; returns once it is ready.
    pub async fn start_loader(&mut self) {
        let admin = self.loader_admin;
        let mut command = self.command_of("loader");
        command.args(["loader", "--listen", &format!("127.0.0.1:{}", self.loader_port)]);
        command.args(["--admin-listen", &format!("127.0.0.1:{admin}")]);
        self.loader = Some(Process::start("loader", &self.dir, command));
        until("the loader to be ready", 30, async || alive(admin, "/readyz").await.then_some(())).await;
    }

    /// Waits until the proxy believes that a connector is there.
    pub async fn behind_proxy(&self, connector: usize) {
        if self.options.nginx {
            return self.behind_nginx(connector).await;
        }
        let (path, name) = (self.dir.join("haproxy.log"), format!("webhooks_{ACCOUNT}/s{connector} is "));
        until("the proxy to find a connector", 20, async || {
            let log = std::fs::read_to_string(&path).ok()?;
            log.lines().rev().find(|line| line.contains(&name))?.contains("is UP").then_some(())
        })
        .await;
    }

    /// What the proxy said of a server (`chatservers/s0`, `webhooks_support/s1`): how often that it is away.
    pub fn proxy_missed(&self, server: &str) -> usize {
        let log = std::fs::read_to_string(self.dir.join("haproxy.log")).unwrap_or_default();
        // Each word is logged twice, as a warning and as a line of the log.
        let said = format!("Server {server} is DOWN");
        log.lines().filter(|line| line.contains(&said) && !line.starts_with('[')).count()
    }

    /// kill -9 of the loader and its restart once `seen` is over, written down.
    ///
    /// # Panics
    ///
    /// When the fleet has none.
    pub async fn kill_loader(&mut self, seen: impl AsyncFnOnce(&Self)) {
        let begun = crate::observer::boottime_ns();
        self.loader.as_mut().expect("the fleet has a loader").kill();
        seen(self).await;
        self.start_loader().await;
        self.fault("kill", "loader", begun);
    }

    /// nginx asks nobody by itself: it finds the first connector back with a request, and the backup when it needs it.
    async fn behind_nginx(&self, connector: usize) {
        if connector > 0 {
            return;
        }
        let (log, asked) = (self.dir.join(ACCESS_LOG), format!("{}/files/{ACCOUNT}/found", self.public_base()));
        let answered = format!("/files/{ACCOUNT}/found HTTP/1.1\" 401 ");
        let port = self.links.as_ref().map_or(self.public_ports[0], |links| links.front_ports()[0]);
        let here = format!(" 127.0.0.1:{port} 401 ");
        until("nginx to find a connector", 20, async || {
            reqwest::get(&asked).await.ok()?;
            let log = std::fs::read_to_string(&log).ok()?;
            log.lines().rev().find(|line| line.contains(&answered))?.contains(&here).then_some(())
        })
        .await;
    }

    /// An agent's way to the account's files; all clients of a run share one log.
    pub fn file_client(&self, agent: &str) -> FileClient {
        let log = self.files_log.get_or_init(|| WriteLog::create(&self.dir.join("file.jsonl")).expect("a fresh run"));
        FileClient::new(agent, &self.operate(&["token", "--agent", agent]), ACCOUNT, log.clone())
    }
}
