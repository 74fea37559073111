//! A fleet of one account: Postgres, ZooKeeper, the simulator, its connectors, chatservers.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::json;

use super::deed::ACCOUNT;
use super::links::Links;
use super::options::{Database, FleetOptions};
use super::{Onlooker, Patroni, Postgres, Process, Proxy, Settings, Simulator, Witness, ZooKeeper, free_port, until};
use crate::agent::{Agent, AgentOptions};
use crate::observer::{SharedLog, WriteLog};

/// A running fleet. Dropping it stops everything it started.
#[derive(Debug)]
pub struct Fleet {
    /// The run's folder.
    pub dir: PathBuf,
    /// The database server; with a pair whoever is the primary.
    pub postgres: Postgres,
    /// The pair, if there is one.
    pub patroni: Option<Patroni>,
    /// The signals.
    pub zookeeper: ZooKeeper,
    /// The platform's control.
    pub platform: Simulator,
    /// `agent.jsonl`.
    pub agents_log: SharedLog,
    /// `file.jsonl`, once somebody uploads or downloads.
    pub(super) files_log: OnceLock<SharedLog>,
    /// `nemesis.jsonl`.
    pub nemesis: SharedLog,
    /// Looks at the lease.
    pub onlooker: Onlooker,
    /// What can be cut.
    pub links: Option<Links>,
    /// The reverse proxy, if there is one.
    pub proxy: Option<Proxy>,
    /// Environment of each connector, kept when it is started again.
    pub surroundings: Vec<HashMap<String, String>>,
    pub(super) connectors: Vec<Option<Process>>,
    pub(super) settings: Settings,
    pub(super) options: FleetOptions,
    /// The connectors', then the chatservers'.
    admin_ports: Vec<u16>,
    pub(super) chat_ports: Vec<u16>,
    /// Where the connectors are reached from outside.
    pub public_ports: Vec<u16>,
    pub(super) proxy_port: u16,
    /// Where the loader answers, if there is one.
    pub loader_port: u16,
    /// Where a web server for desktops may listen: its pages may use the public API.
    pub desk_port: u16,
    pub(super) loader: Option<Process>,
    pub(super) loader_admin: u16,
    chatservers: Vec<Option<Process>>,
    pub(super) faults: u64,
    simulator: Option<Process>,
}

/// A small disk's size: a fresh cluster and some of its log.
const POSTGRES_DISK_MB: u64 = 400;

/// T of the scenarios, milliseconds: takeovers are not what most of them wait for.
pub const SESSION_TIMEOUT_MS: u64 = 2000;

impl Fleet {
    /// Starts it, with the queue `support`, the account `support` and agents `anna`, `boris`, `clara`, `daria`.
    pub async fn start(options: FleetOptions) -> Self {
        let settings = Settings::read();
        let dir = settings.runs.join(options.name);
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).expect("the runs' folder can be written");
        let zookeeper = ZooKeeper::start(&settings, &dir, &options).await;
        let (postgres, patroni) = match options.database {
            Database::Single => {
                (Postgres::start(&settings, &dir, options.small_disks.then_some(POSTGRES_DISK_MB)), None)
            }
            Database::Patroni { synchronous, strict } => {
                let pair = Patroni::start(&settings, &dir, &zookeeper, (synchronous, strict)).await;
                (Postgres::elsewhere(pair.port, pair.logs()), Some(pair))
            }
        };
        let platform_port = free_port();
        let chat_ports: Vec<u16> = (0..options.chatservers).map(|_| free_port()).collect();
        let public_ports: Vec<u16> = (0..options.connectors).map(|_| free_port()).collect();
        let links = match options.cuts {
            true => {
                let ports = (public_ports.as_slice(), chat_ports.as_slice());
                Some(Links::between(&options, &postgres, &zookeeper, platform_port, ports).await)
            }
            false => None,
        };
        let surroundings =
            |number| links.as_ref().map(|links| links.surroundings(number, options.roles)).unwrap_or_default();
        let nemesis = WriteLog::create(&dir.join("nemesis.jsonl")).expect("a fresh run");
        nemesis.write_clock();
        let mut fleet = Self {
            platform: Simulator::new(platform_port),
            agents_log: WriteLog::create(&dir.join("agent.jsonl")).expect("a fresh run"),
            nemesis,
            onlooker: Onlooker::new(postgres.url()),
            files_log: OnceLock::new(),
            surroundings: (0..options.connectors).map(surroundings).collect(),
            links,
            connectors: (0..options.connectors).map(|_| None).collect(),
            admin_ports: (0..options.connectors + options.chatservers).map(|_| free_port()).collect(),
            chat_ports,
            public_ports,
            proxy_port: free_port(),
            loader_port: free_port(),
            desk_port: free_port(),
            loader: None,
            loader_admin: free_port(),
            proxy: None,
            chatservers: (0..options.chatservers).map(|_| None).collect(),
            faults: 0,
            simulator: None,
            dir,
            postgres,
            patroni,
            zookeeper,
            settings,
            options,
        };
        fleet.write_config();
        fleet.start_simulator(platform_port).await;
        fleet.set_up().await;
        if fleet.options.loader {
            fleet.start_loader().await;
        }
        // Before those behind it: the proxy's log then tells when it has found each.
        if fleet.options.proxy {
            fleet.start_proxy().await;
        }
        for number in 0..fleet.options.chatservers {
            fleet.start_chatserver(number, &[]).await;
        }
        for number in 0..fleet.options.connectors {
            fleet.start_connector(number, &[]).await;
        }
        for number in (0..fleet.options.connectors).filter(|_| fleet.options.proxy) {
            fleet.behind_proxy(number).await;
        }
        fleet
    }

    async fn start_simulator(&mut self, port: u16) {
        let desk =
            format!("http://127.0.0.1:{}/#token={}", self.chat_ports[0], self.operate(&["token", "--agent", "anna"]));
        let mut command = Command::new(&self.settings.simulator);
        command
            .args(["--listen", &format!("127.0.0.1:{port}"), "--bot", &format!("{ACCOUNT}=42:SECRET"), "--desk", &desk])
            .args(["--reply-delay-ms", &self.options.reply_delay_ms.to_string()])
            .arg("--log")
            .arg(self.dir.join("mock.jsonl"));
        if self.options.webhook {
            command.arg("--local"); // our own addresses are no HTTPS
        }
        if self.options.arrival_jitter_ms > 0 {
            command.args(["--arrival-jitter-ms", &self.options.arrival_jitter_ms.to_string()]);
        }
        self.simulator = Some(Process::start("simulator", &self.dir, command));
        until("the simulator", 10, async || alive(port, "/livez").await.then_some(())).await;
    }

    fn write_config(&self) {
        let options = &self.options;
        let public_url = match options.webhook || options.proxy {
            true => format!("public_url = \"{}\"\n", self.public_base()),
            false => String::new(),
        };
        let secrets = [
            ("webhook-secret", "a-secret-of-the-tests"),
            ("token", "42:SECRET"),
            ("hs256", "a key of the tests, 32 bytes long"),
            ("link-secret", "a key of the tests that signs their links"),
        ];
        for (name, secret) in secrets {
            let path = self.dir.join(name);
            std::fs::write(&path, secret).expect("writable");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("our own file");
        }
        let config = format!(
            "[postgres]\nurl = \"{}\"\nsynchronous = {}\n[zookeeper]\nconnect = \"{}\"\nsession_timeout_ms = {SESSION_TIMEOUT_MS}\n\
             [doorbell]\nsweep_ms = {}\n[auth]\nhs256_secret_file = \"{}\"\n[log]\nformat = \"json\"\nlevel = \"debug\"\n\
             [connector]\npoll_timeout_s = 5\nanswer_by_ms = {}\nwrite_by_ms = {}\nretry_first_ms = 200\n\
             {}[files]\nlink_secret_file = \"{}\"\n[chatserver]\norigins = \"{},http://127.0.0.1:{}\"\n{}",
            self.postgres.url(),
            matches!(options.database, Database::Patroni { synchronous: true, .. }),
            self.zookeeper.connect(),
            options.sweep_ms,
            self.dir.join("hs256").display(),
            options.answer_by_ms,
            options.write_by_ms,
            public_url,
            self.dir.join("link-secret").display(),
            self.platform.base(),
            self.desk_port,
            options.settings
        );
        std::fs::write(self.dir.join("switchboard.toml"), config).expect("writable");
    }

    async fn set_up(&self) {
        self.prepare_database().await;
        self.operate(&["queue", "add", "support"]);
        let token = format!("token=file:{}", self.dir.join("token").display());
        let platform = self.links.as_ref().map(|links| format!("http://127.0.0.1:{}", links.platform.port()));
        let base = format!("base_url={}", platform.as_deref().unwrap_or(self.platform.base()));
        let mut account = vec!["account", "add", ACCOUNT, "--platform", "telegram", "--queue", "support"];
        account.extend(["--set", &token, "--set", &base]);
        let secret = format!("webhook_secret=file:{}", self.dir.join("webhook-secret").display());
        if self.options.webhook {
            account.extend(["--set", "receive=webhook", "--set", &secret]);
        }
        self.operate(&account);
        for (agent, shown) in [("anna", "Anna"), ("boris", "Boris"), ("clara", "Clara"), ("daria", "Daria")] {
            self.operate(&["agent", "add", agent, "--display-name", shown, "--queue", "support"]);
        }
    }

    /// The executable with the configuration of the fleet, as an operator runs it.
    pub fn command(&self) -> Command {
        self.command_of("operator")
    }

    /// Runs an operator's command and returns what it printed.
    ///
    /// # Panics
    ///
    /// When it fails.
    pub fn operate(&self, arguments: &[&str]) -> String {
        // The observers go on meanwhile.
        let output = tokio::task::block_in_place(|| self.command().args(arguments).output());
        let output = output.expect("the executable runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "switchboard {arguments:?}: {errors}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// The pair of Postgres servers.
    ///
    /// # Panics
    ///
    /// When the fleet has a single one.
    pub fn patroni(&mut self) -> &mut Patroni {
        self.patroni.as_mut().expect("the fleet was started with Database::Patroni")
    }

    /// Starts a chatserver; returns once it is ready.
    pub async fn start_chatserver(&mut self, number: usize, environment: &[(&str, &str)]) {
        let admin = self.begin_chatserver(number, environment);
        until("a chatserver to be ready", 30, async || alive(admin, "/readyz").await.then_some(())).await;
    }

    pub(super) fn begin_chatserver(&mut self, number: usize, environment: &[(&str, &str)]) -> u16 {
        let (admin, port) = (self.admin_ports[self.connectors.len() + number], self.chat_ports[number]);
        let name = format!("cs{number}");
        let mut command = self.command_of("chatserver");
        if let Some(links) = &self.links {
            command.envs(links.chatserver_surroundings(number, self.options.roles));
        }
        command.envs(environment.iter().copied());
        command.args(["chatserver", "--name", &name, "--listen", &format!("127.0.0.1:{port}")]);
        command.args(["--admin-listen", &format!("127.0.0.1:{admin}")]);
        self.chatservers[number] = Some(Process::start(&name, &self.dir, command));
        admin
    }

    /// A chatserver's process.
    ///
    /// # Panics
    ///
    /// When it was never started.
    pub fn chatserver(&mut self, number: usize) -> &mut Process {
        self.chatservers[number].as_mut().expect("the chatserver was started")
    }

    /// kill -9 of a chatserver and its restart at once, written down.
    pub async fn kill_chatserver(&mut self, number: usize) {
        let begun = crate::observer::boottime_ns();
        self.chatserver(number).kill();
        self.start_chatserver(number, &[]).await;
        self.fault("kill", &format!("chatserver:cs{number}"), begun);
    }

    /// Writes down a fault that began at `begun` and is over now.
    pub fn fault(&mut self, kind: &str, target: &str, begun: i64) {
        self.fault_of(kind, target, begun, None);
    }

    /// The same; `holder` is the concerned connector's name in the lease.
    pub(super) fn fault_of(&mut self, kind: &str, target: &str, begun: i64, holder: Option<String>) {
        self.faults += 1;
        let ended = crate::observer::boottime_ns();
        self.nemesis.write(
            "fault",
            json!({"id": self.faults.to_string(), "kind": kind, "target": target, "t0": begun, "t1": ended,
                   "holder": holder}),
        );
    }

    /// How many faults and crash points were written down.
    pub fn faults(&self) -> u64 {
        self.faults
    }

    /// The way that agents take to their websockets: by the proxy or the links, where there are any.
    pub fn agents_way(&self) -> Vec<String> {
        let ports = match (&self.links, self.options.proxy) {
            (_, true) => vec![self.proxy_port],
            (Some(links), false) => links.agent_ports(),
            (None, false) => self.chat_ports.clone(),
        };
        ports.iter().map(|port| format!("ws://127.0.0.1:{port}/v1/agent")).collect()
    }

    /// Where a chatserver listens.
    pub fn chat_port(&self, number: usize) -> u16 {
        self.chat_ports[number]
    }

    /// Addresses of the chatservers' websockets.
    pub fn websockets(&self) -> Vec<String> {
        self.chat_ports.iter().map(|port| format!("ws://127.0.0.1:{port}/v1/agent")).collect()
    }

    pub(super) fn connector_admin(&self, number: usize) -> u16 {
        self.admin_ports[number]
    }

    /// Admin listeners of the connectors, then of the chatservers.
    pub fn admin_bases(&self) -> Vec<String> {
        self.admin_ports.iter().map(|port| format!("http://127.0.0.1:{port}")).collect()
    }

    /// What the first connector's admin listener answers: status and body.
    pub async fn admin(&self, path: &str) -> (u16, String) {
        let answer = reqwest::get(format!("http://127.0.0.1:{}{path}", self.admin_ports[0])).await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("text"))
    }

    /// `/metrics` of the first of each component, with its role.
    pub async fn metrics(&self) -> Vec<(&'static str, String)> {
        let mut ports =
            vec![("connector", self.admin_ports[0]), ("chatserver", self.admin_ports[self.connectors.len()])];
        ports.extend(self.loader.iter().map(|_| ("loader", self.loader_admin)));
        let mut texts = Vec::new();
        for (role, port) in ports {
            let answer = reqwest::get(format!("http://127.0.0.1:{port}/metrics")).await.expect("an answer");
            texts.push((role, answer.text().await.expect("text")));
        }
        texts
    }

    /// Starts an observer agent.
    pub fn agent(&self, name: &str, seed: u64) -> Agent {
        let token = self.operate(&["token", "--agent", name]);
        let options =
            AgentOptions { seed, ..AgentOptions::new(name, &token, self.agents_way(), self.agents_log.clone()) };
        Agent::spawn(options)
    }

    /// Starts an observer agent and waits for its session: from here on it is shown everything in frames.
    pub async fn agent_online(&self, name: &str) -> Agent {
        let agent = self.agent(name, 1);
        let open = agent.wait_until("a session", std::time::Duration::from_secs(20), |view| view.resyncs > 0).await;
        open.unwrap_or_else(|error| panic!("{error}"));
        agent
    }

    /// A reader of the simulator's log.
    pub fn witness(&self) -> Witness {
        Witness::new(&self.dir)
    }
}

/// Whether something answers 200.
pub(super) async fn alive(port: u16, path: &str) -> bool {
    reqwest::get(format!("http://127.0.0.1:{port}{path}")).await.is_ok_and(|answer| answer.status().is_success())
}
