//! One ZooKeeper server, or three, of the scenario's own; between three there may be links that can be cut.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::{Cut, Disk, FleetOptions, Passage, Process, Settings, free_port, until};

/// A private ZooKeeper. A call that names no server is about all of them.
#[derive(Debug)]
pub struct ZooKeeper {
    classes: String,
    servers: Vec<Server>,
    links: Vec<Link>,
}

#[derive(Debug)]
struct Server {
    dir: PathBuf,
    process: Option<Process>,
    disk: Option<Disk>,
    /// For clients, for the leader's followers, for elections.
    ports: [u16; 3],
}

/// How one server reaches another: its followers' port and its election port.
#[derive(Debug)]
struct Link {
    from: usize,
    to: usize,
    ways: [Cut; 2],
}

/// A small disk's size.
const DISK_MB: u64 = 32;

impl ZooKeeper {
    /// Starts them under `dir`; a fleet with cuts has a [`Cut`] between each two.
    pub async fn start(settings: &Settings, dir: &Path, options: &FleetOptions) -> Self {
        let (count, linked) = (options.zookeepers, options.cuts);
        let servers: Vec<Server> = (1..=count)
            .map(|number| {
                let dir = dir.join(format!("zookeeper-{number}"));
                std::fs::create_dir_all(&dir).expect("the run's folder can be written");
                let disk = options.small_disks.then(|| Disk::mount(&dir, DISK_MB));
                Server { dir, process: None, disk, ports: [free_port(), free_port(), free_port()] }
            })
            .collect();
        let mut links = Vec::new();
        for from in 0..count {
            for to in (0..count).filter(|to| linked && *to != from) {
                let [_, follow, elect] = servers[to].ports;
                links.push(Link { from, to, ways: [Cut::to(follow).await, Cut::to(elect).await] });
            }
        }
        let mut all = Self { classes: settings.zookeeper_classes.clone(), servers, links };
        for number in 0..count {
            all.configure(number);
        }
        all.begin().await;
        all
    }

    /// A server knows itself by its real ports and the others by those of its links.
    fn configure(&self, number: usize) {
        let Server { dir, ports: [client, ..], .. } = &self.servers[number];
        std::fs::create_dir_all(dir.join("data")).expect("the run's folder can be written");
        let mut config = format!(
            "tickTime=500\nminSessionTimeout=1000\nmaxSessionTimeout=60000\ndataDir={}\nclientPortAddress=127.0.0.1\n\
             clientPort={client}\nadmin.enableServer=false\n4lw.commands.whitelist=srvr\nmaxClientCnxns=0\npreAllocSize=1024\n",
            dir.join("data").display()
        );
        if self.servers.len() > 1 {
            // A cut-off follower believes in its leader for so many ticks: 10 s, as in the usual configuration.
            config.push_str("initLimit=20\nsyncLimit=20\n");
            for (other, server) in self.servers.iter().enumerate() {
                let link = self.links.iter().find(|link| link.from == number && link.to == other);
                let [follow, elect] = match link {
                    Some(link) => [link.ways[0].port(), link.ways[1].port()],
                    None => [server.ports[1], server.ports[2]],
                };
                config.push_str(&format!("server.{}=127.0.0.1:{follow}:{elect}\n", other + 1));
            }
            std::fs::write(dir.join("data/myid"), (number + 1).to_string()).expect("the run's folder can be written");
        }
        std::fs::write(dir.join("zoo.cfg"), config).expect("the run's folder can be written");
    }

    /// Where clients connect.
    pub fn connect(&self) -> String {
        self.servers.iter().map(|server| format!("127.0.0.1:{}", server.ports[0])).collect::<Vec<_>>().join(",")
    }

    /// Where clients of one server connect.
    pub fn port(&self, number: usize) -> u16 {
        self.servers[number].ports[0]
    }

    /// Starts the killed servers again, on the same data; returns once all serve.
    pub async fn begin(&mut self) {
        for number in 0..self.servers.len() {
            self.launch(number);
        }
        for number in 0..self.servers.len() {
            self.serves(number).await;
        }
    }

    /// Starts one killed server again; returns once it serves.
    pub async fn begin_server(&mut self, number: usize) {
        self.launch(number);
        self.serves(number).await;
    }

    fn launch(&mut self, number: usize) {
        let server = &mut self.servers[number];
        if server.process.is_some() {
            return;
        }
        let mut command = Command::new("java");
        command
            .args(["-Xms32m", "-Xmx96m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", &self.classes])
            .arg("org.apache.zookeeper.server.quorum.QuorumPeerMain")
            .arg(server.dir.join("zoo.cfg"));
        server.process = Some(Process::start("server", &server.dir, command));
    }

    async fn serves(&self, number: usize) {
        let port = self.port(number);
        until("ZooKeeper to serve", 30, async || mode(port)).await;
    }

    /// kill -9.
    pub fn kill(&mut self) {
        for server in &mut self.servers {
            server.process = None;
        }
    }

    /// The disk of one server.
    ///
    /// # Panics
    ///
    /// When the fleet was started without small disks.
    pub fn disk(&self, number: usize) -> &Disk {
        self.servers[number].disk.as_ref().expect("the fleet was started with small disks")
    }

    /// kill -9 of one server.
    pub fn kill_server(&mut self, number: usize) {
        self.servers[number].process = None;
    }

    /// A server's process, to be frozen.
    ///
    /// # Panics
    ///
    /// When it does not run.
    pub fn process(&self, number: usize) -> &Process {
        self.servers[number].process.as_ref().expect("the server was started")
    }

    /// Throws away what the killed servers remember.
    ///
    /// # Panics
    ///
    /// When one still runs.
    pub fn wipe(&mut self) {
        for server in &self.servers {
            assert!(server.process.is_none(), "a server that runs is not wiped");
            std::fs::remove_dir_all(server.dir.join("data")).expect("the run's folder can be written");
        }
        (0..self.servers.len()).for_each(|number| self.configure(number));
    }

    /// The server of three that leads the others.
    pub async fn leader(&self) -> usize {
        until("a leader among the ZooKeeper servers", 30, async || {
            (0..self.servers.len()).find(|number| mode(self.port(*number)).as_deref() == Some("leader"))
        })
        .await
    }

    /// What a server says it is, or `None` while it serves nobody.
    pub fn mode(&self, number: usize) -> Option<String> {
        mode(self.port(number))
    }

    /// Cuts one server off from the others, or joins it to them again.
    ///
    /// # Panics
    ///
    /// When there are no links.
    pub async fn isolate(&mut self, number: usize, passage: Passage) {
        let mut concerned = 0;
        for link in self.links.iter_mut().filter(|link| link.from == number || link.to == number) {
            for way in &mut link.ways {
                way.set(passage).await;
            }
            concerned += 1;
        }
        assert!(concerned > 0, "the servers were started without links");
    }

    /// How often the links between the servers held something back so far.
    pub fn obstructed(&self) -> u64 {
        self.links.iter().flat_map(|link| &link.ways).map(Cut::obstructed).sum()
    }

    /// Cuts one way only: what a server says to the others, or with `heard` what they say to it.
    pub async fn isolate_one_way(&mut self, number: usize, heard: bool) {
        for link in self.links.iter_mut().filter(|link| link.from == number || link.to == number) {
            // Of a connection that it opened itself, what it says are the requests.
            let passage = if (link.from == number) != heard { Passage::NoRequests } else { Passage::NoAnswers };
            for way in &mut link.ways {
                way.set(passage).await;
            }
        }
    }
}

/// `ruok` is answered before the data is loaded; `srvr` names a mode only when the server serves.
fn mode(port: u16) -> Option<String> {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let mut answer = String::new();
    socket.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    socket.write_all(b"srvr").ok()?;
    socket.read_to_string(&mut answer).ok()?;
    answer.lines().find_map(|line| line.strip_prefix("Mode: ")).map(str::to_owned)
}
