//! What a service manager is told: ready, the role, a sign of life only while the process turns, and the end.

use std::os::unix::net::UnixDatagram;

use switchboard_tests::harness::{Fleet, FleetOptions, lasting, until};

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
