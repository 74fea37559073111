//! The links of a fleet that can be cut: each pair of what talks with each other, one at a time.

use std::collections::HashMap;

use super::pair::connector_name;
use super::{Cut, Fleet, FleetOptions, Passage, Postgres, ZooKeeper};
use crate::observer::boottime_ns;

/// The links; those of a process stand at its number.
#[derive(Debug)]
pub struct Links {
    /// From all connectors to the platform.
    pub platform: Cut,
    connectors: Vec<Servers>,
    chatservers: Vec<Servers>,
    /// From the proxy to each connector's public port.
    fronts: Vec<Cut>,
    /// From agents, or from the proxy before them, to each chatserver.
    agents: Vec<Cut>,
    postgres_url: String,
}

/// How a process reaches the servers.
#[derive(Debug)]
struct Servers {
    postgres: Cut,
    zookeeper: Cut,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// From everybody to the platform.
    Platform,
    /// From one connector to Postgres.
    Postgres(usize),
    /// From one connector to ZooKeeper.
    ZooKeeper(usize),
    /// From one chatserver to Postgres.
    ChatPostgres(usize),
    /// From one chatserver to ZooKeeper.
    ChatZooKeeper(usize),
    /// From the proxy to one connector.
    Front(usize),
    /// From agents, or from the proxy before them, to one chatserver.
    Agents(usize),
}

impl Links {
    /// Open links. With several servers of ZooKeeper a process's goes to one of them: the n-th to the n-th.
    pub(super) async fn between(
        options: &FleetOptions,
        postgres: &Postgres,
        zookeeper: &ZooKeeper,
        platform: u16,
        (public_ports, chat_ports): (&[u16], &[u16]),
    ) -> Self {
        let servers = async |count: usize| {
            let mut servers = Vec::new();
            for number in 0..count {
                let port = zookeeper.port(number % options.zookeepers);
                servers.push(Servers { postgres: Cut::to(postgres.port).await, zookeeper: Cut::to(port).await });
            }
            servers
        };
        let cuts = async |ports: &[u16]| {
            let mut cuts = Vec::new();
            for port in ports {
                cuts.push(Cut::to(*port).await);
            }
            cuts
        };
        Self {
            platform: Cut::to(platform).await,
            connectors: servers(options.connectors).await,
            chatservers: servers(options.chatservers).await,
            fronts: cuts(public_ports).await,
            agents: cuts(chat_ports).await,
            postgres_url: postgres.url().replace(&format!(":{}/", postgres.port), ":PORT/"),
        }
    }

    /// What makes a connector use its links, with the rights of its role.
    pub(super) fn surroundings(&self, number: usize, roles: bool) -> HashMap<String, String> {
        self.of(&self.connectors[number], roles.then_some("connector"))
    }

    /// What makes a chatserver use its links.
    pub(super) fn chatserver_surroundings(&self, number: usize, roles: bool) -> HashMap<String, String> {
        self.of(&self.chatservers[number], roles.then_some("chatserver"))
    }

    fn of(&self, servers: &Servers, role: Option<&str>) -> HashMap<String, String> {
        let mut url = self.postgres_url.replace("PORT", &servers.postgres.port().to_string());
        if let Some(role) = role {
            url = url.replace("switchboard@", &format!("switchboard_{role}@"));
        }
        let connect = format!("127.0.0.1:{}", servers.zookeeper.port());
        [("SWITCHBOARD_POSTGRES__URL".to_owned(), url), ("SWITCHBOARD_ZOOKEEPER__CONNECT".to_owned(), connect)].into()
    }

    /// Where the proxy finds the connectors.
    pub(super) fn front_ports(&self) -> Vec<u16> {
        self.fronts.iter().map(Cut::port).collect()
    }

    /// Where agents, or the proxy before them, find the chatservers.
    pub(super) fn agent_ports(&self) -> Vec<u16> {
        self.agents.iter().map(Cut::port).collect()
    }

    fn cut(&mut self, link: Link) -> &mut Cut {
        match link {
            Link::Platform => &mut self.platform,
            Link::Postgres(number) => &mut self.connectors[number].postgres,
            Link::ZooKeeper(number) => &mut self.connectors[number].zookeeper,
            Link::ChatPostgres(number) => &mut self.chatservers[number].postgres,
            Link::ChatZooKeeper(number) => &mut self.chatservers[number].zookeeper,
            Link::Front(number) => &mut self.fronts[number],
            Link::Agents(number) => &mut self.agents[number],
        }
    }
}

impl Fleet {
    /// Cuts a link; returns when that was.
    ///
    /// # Panics
    ///
    /// When the fleet was started without links.
    pub async fn cut(&mut self, link: Link, how: Passage) -> i64 {
        let begun = boottime_ns();
        self.link(link).set(how).await;
        begun
    }

    /// Opens it again, and the cut is written down. What the platform's link swallowed never arrives: its observer judges when a
    /// call was written by when it read it.
    pub async fn heal(&mut self, link: Link, begun: i64) {
        if link == Link::Platform {
            self.link(link).set(Passage::Refused).await;
        }
        self.link(link).set(Passage::Open).await;
        match link {
            Link::Platform => self.fault("cut", "platform", begun),
            Link::Postgres(number) | Link::ZooKeeper(number) => {
                let end = if matches!(link, Link::Postgres(_)) { "postgres" } else { "zookeeper" };
                let holder = Some(self.holder(number));
                self.fault_of("cut", &format!("{}-{end}", connector_name(number)), begun, holder);
            }
            Link::ChatPostgres(number) => self.fault("cut", &format!("chatserver:cs{number}-postgres"), begun),
            Link::ChatZooKeeper(number) => self.fault("cut", &format!("chatserver:cs{number}-zookeeper"), begun),
            Link::Front(number) => self.fault("cut", &format!("proxy:{}", connector_name(number)), begun),
            Link::Agents(number) => self.fault("cut", &format!("agent:cs{number}"), begun),
        }
    }

    /// How often a link held something back so far.
    pub fn obstructed(&mut self, link: Link) -> u64 {
        self.link(link).obstructed()
    }

    fn link(&mut self, link: Link) -> &mut Cut {
        self.links.as_mut().expect("the fleet was started with links").cut(link)
    }
}
