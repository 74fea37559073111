//! The links of a fleet that can be cut: connectors to Postgres, to ZooKeeper, to the platform.

use std::collections::HashMap;

use super::pair::connector_name;
use super::{Cut, Fleet, FleetOptions, Passage, Postgres, ZooKeeper};
use crate::observer::boottime_ns;

/// The links; those of a connector stand at its number.
#[derive(Debug)]
pub struct Links {
    /// From all connectors to the platform.
    pub platform: Cut,
    postgres: Vec<Cut>,
    zookeeper: Vec<Cut>,
    postgres_url: String,
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
}

impl Links {
    /// Open links. With several servers of ZooKeeper a connector's goes to one of them: the n-th to the n-th.
    pub(super) async fn between(
        options: &FleetOptions,
        postgres: &Postgres,
        zookeeper: &ZooKeeper,
        platform: u16,
    ) -> Self {
        let mut links = Self {
            platform: Cut::to(platform).await,
            postgres: Vec::new(),
            zookeeper: Vec::new(),
            postgres_url: postgres.url(),
        };
        for number in 0..options.connectors {
            links.postgres.push(Cut::to(postgres.port).await);
            links.zookeeper.push(Cut::to(zookeeper.port(number % options.zookeepers)).await);
        }
        links.postgres_url = links.postgres_url.replace(&format!(":{}/", postgres.port), ":PORT/");
        links
    }

    /// What makes a connector use its links.
    pub(super) fn surroundings(&self, number: usize) -> HashMap<String, String> {
        let url = self.postgres_url.replace("PORT", &self.postgres[number].port().to_string());
        let connect = format!("127.0.0.1:{}", self.zookeeper[number].port());
        [("SWITCHBOARD_POSTGRES__URL".to_owned(), url), ("SWITCHBOARD_ZOOKEEPER__CONNECT".to_owned(), connect)].into()
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

    /// Opens it again, and the cut is written down.
    pub async fn heal(&mut self, link: Link, begun: i64) {
        self.link(link).set(Passage::Open).await;
        match link {
            Link::Platform => self.fault("cut", "platform", begun),
            Link::Postgres(number) | Link::ZooKeeper(number) => {
                let end = if matches!(link, Link::Postgres(_)) { "postgres" } else { "zookeeper" };
                let holder = Some(self.holder(number));
                self.fault_of("cut", &format!("{}-{end}", connector_name(number)), begun, holder);
            }
        }
    }

    fn link(&mut self, link: Link) -> &mut Cut {
        let links = self.links.as_mut().expect("the fleet was started with links");
        match link {
            Link::Platform => &mut links.platform,
            Link::Postgres(number) => &mut links.postgres[number],
            Link::ZooKeeper(number) => &mut links.zookeeper[number],
        }
    }
}
