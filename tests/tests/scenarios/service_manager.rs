//! What a service manager is told: ready, the role, a sign of life only while the process turns, and the end.

use std::os::unix::net::UnixDatagram;

use switchboard_tests::harness::{Fleet, FleetOptions, Process, StopMode, free_port, lasting, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// The service manager's end of the socket, and what it was told.
struct Manager {
    socket: UnixDatagram,
    told: Vec<String>,
}

impl Manager {
    /// Everything told so far, line by line.
    fn told(&mut self) -> &[String] {
        let mut buffer = [0; 4096];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            let text = String::from_utf8(buffer[..length].to_vec()).unwrap();
            self.told.extend(text.lines().map(str::to_owned));
        }
        &self.told
    }

    fn forget(&mut self) {
        self.told();
        self.told.clear();
    }

    async fn is_told(&mut self, line: &str) {
        until(line, 20, async || self.told().iter().any(|told| told.starts_with(line)).then_some(())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_manager_is_told_how_a_process_stands() {
    let mut fleet = Fleet::start(FleetOptions { chatservers: 1, ..FleetOptions::new("service-manager") }).await;
    let path = fleet.dir.join("notify");
    let mut manager = Manager { socket: UnixDatagram::bind(&path).unwrap(), told: Vec::new() };
    manager.socket.set_nonblocking(true).unwrap();
    fleet.connector(0).stop(15).await;
    fleet.start_connector(0, &[("NOTIFY_SOCKET", &path.to_string_lossy())]).await;
    manager.is_told("READY=1").await;
    manager.is_told("STATUS=active, epoch ").await;
    manager.is_told("WATCHDOG=1").await;

    // Stopped, it shows no life; going on, it does again.
    let process = fleet.connector(0);
    process.signal(rustix::process::Signal::STOP);
    until("a stop", 10, async || process.is_stopped().then_some(())).await;
    manager.forget();
    lasting(2500).await;
    assert_eq!(manager.told(), [""; 0]);
    process.signal(rustix::process::Signal::CONT);
    manager.is_told("WATCHDOG=1").await;

    process.stop(15).await;
    manager.is_told("STOPPING=1").await;
}

/// What the operators' listener says: the status, and whether the process says that it serves.
async fn ready(admin: u16) -> Option<(u16, bool)> {
    let answer = reqwest::get(format!("http://127.0.0.1:{admin}/readyz")).await.ok()?;
    let (status, body) = (answer.status().as_u16(), answer.json::<serde_json::Value>().await.ok()?);
    Some((status, body["checks"]["serving"]["good"].as_bool()?))
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_ready_before_the_public_listener_is_open() {
    let fleet = Fleet::start(FleetOptions { chatservers: 1, connectors: 0, ..FleetOptions::new("readiness") }).await;
    let roles: [&[&str]; 3] = [&["loader"], &["chatserver", "--name", "one"], &["connector", "--account", "support"]];
    fleet.postgres.end(StopMode::Fast);
    let mut started = Vec::new();
    for role in roles {
        let (public, admin) = (free_port(), free_port());
        let (listen, admin_listen) = (format!("127.0.0.1:{public}"), format!("127.0.0.1:{admin}"));
        let mut command = fleet.command_of(role[0]);
        // This one address is served, and none of the others that this host has.
        command.env("SWITCHBOARD_ADMIN__ALLOW", "127.0.0.1");
        command.args(role).args(["--listen", &listen, "--admin-listen", &admin_listen]);
        let process = Process::start(role[0], &fleet.dir, command);
        assert_eq!(until("an answer", 20, async || ready(admin).await).await, (503, false), "{role:?}");
        assert!(TcpStream::connect(&listen).await.is_err(), "{role:?} waits for the database");
        started.push((role, listen, admin, process));
    }
    fleet.postgres.begin();
    for (role, listen, admin, process) in started {
        until("it to be ready", 30, async || ready(admin).await.filter(|(status, _)| *status == 200)).await;
        assert!(TcpStream::connect(&listen).await.is_ok(), "{role:?} is ready");
        let other = TcpSocket::new_v4().unwrap();
        other.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let mut other = other.connect(format!("127.0.0.1:{admin}").parse().unwrap()).await.unwrap();
        other.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        other.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 403 ") && !answer.contains("switchboard_"), "{role:?}: {answer}");
        drop(process);
    }
}
