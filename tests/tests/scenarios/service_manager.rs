//! What a service manager is told: ready, the role, a sign of life only while the process turns, and the end.

use std::os::unix::net::UnixDatagram;

use switchboard_tests::harness::{Fleet, FleetOptions, until};

/// The service manager's end of the socket.
struct Manager(UnixDatagram);

impl Manager {
    /// Everything told since the last look, line by line.
    fn told(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(length) = self.0.recv(&mut buffer) {
            let text = String::from_utf8(buffer[..length].to_vec()).unwrap();
            lines.extend(text.lines().map(str::to_owned));
        }
        lines
    }

    async fn is_told(&self, line: &str) {
        until(line, 20, async || self.told().iter().any(|told| told == line).then_some(())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_manager_is_told_how_a_process_stands() {
    let mut fleet = Fleet::start(FleetOptions { chatservers: 1, ..FleetOptions::new("service-manager") }).await;
    let path = fleet.dir.join("notify");
    let manager = Manager(UnixDatagram::bind(&path).unwrap());
    manager.0.set_nonblocking(true).unwrap();
    let socket = path.to_string_lossy().into_owned();
    fleet.connector(0).stop(15).await;
    fleet.start_connector(0, &[("NOTIFY_SOCKET", &socket)]).await;
    manager.is_told("READY=1").await;
    let role =
        until("the role", 20, async || manager.told().into_iter().find(|line| line.starts_with("STATUS=active")));
    let role = role.await;
    assert_eq!(role, "STATUS=active, epoch 2");
    manager.is_told("WATCHDOG=1").await;

    // Stopped, it shows no life; going on, it does again.
    fleet.connector(0).signal(rustix::process::Signal::STOP);
    let process = fleet.connector(0);
    until("a stop", 10, async || process.is_stopped().then_some(())).await;
    manager.told();
    switchboard_tests::harness::lasting(2500).await;
    assert_eq!(manager.told(), [""; 0]);
    fleet.connector(0).signal(rustix::process::Signal::CONT);
    manager.is_told("WATCHDOG=1").await;

    let told = {
        fleet.connector(0).stop(15).await;
        manager.told()
    };
    assert!(told.iter().any(|line| line == "STOPPING=1"), "{told:?}");
}
