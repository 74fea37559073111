//! The connectors of the account: who is active, and what happens to them.

use std::time::Duration;

use serde_json::{Value, json};

use super::deed::ACCOUNT;
use super::{Fleet, Process, until};
use crate::observer::boottime_ns;

/// A frozen process's kernel still accepts connections, and nobody answers them.
const ANSWER: Duration = Duration::from_millis(500);

impl Fleet {
    /// Starts a connector, with further environment (crash points); returns once it is ready.
    pub async fn start_connector(&mut self, number: usize, environment: &[(&str, &str)]) {
        self.begin_connector(number, environment);
        let admin = self.connector_admin(number);
        let ready = async || readiness(admin).await?["ready"].as_bool().filter(|ready| *ready);
        until("the connector to be ready", 30, ready).await;
    }

    /// Starts a connector that may die before it is ready, and waits for either.
    pub async fn start_dying_connector(&mut self, number: usize, point: &str) {
        let environment = self.dying_at(point);
        let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.begin_connector(number, &environment);
        let admin = self.connector_admin(number);
        let process = self.connector(number);
        until("a connector to be ready, or gone", 30, async || {
            let ready = readiness(admin).await.is_some_and(|told| told["ready"] == true);
            (ready || !process.runs()).then_some(())
        })
        .await;
    }

    /// Waits until a connector is the active one, or has died before anybody saw it so.
    pub async fn active_or_gone(&mut self, number: usize) {
        until("a connector to be active, or gone", 30, async || {
            let gone = !self.connector(number).runs();
            (gone || self.active_now().await == Some(number)).then_some(())
        })
        .await;
    }

    fn begin_connector(&mut self, number: usize, environment: &[(&str, &str)]) {
        let admin = self.connector_admin(number);
        let mut command = self.command_of("connector");
        command.envs(self.surroundings[number].clone()).envs(environment.iter().copied());
        command.args(["connector", "--account", ACCOUNT, "--admin-listen", &format!("127.0.0.1:{admin}")]);
        command.args(["--listen", &format!("127.0.0.1:{}", self.public_ports[number])]);
        self.connectors[number] = Some(Process::start(&format!("connector-{number}"), &self.dir, command));
    }

    /// Makes that one of two the active that dies, or stops, at `point`; returns which it is.
    pub async fn arm_active(&mut self, point: &str, how: &str) -> usize {
        let armed = 1 - self.paired().await;
        self.arm_connector(armed, point, how).await;
        self.paired().await;
        self.operate(&["handover", ACCOUNT]);
        until("the armed one to be active", 20, async || (self.active_now().await == Some(armed)).then_some(())).await;
        armed
    }

    /// Ends a connector in order and starts it again such that it dies, or with `stop` freezes itself, at a point
    /// (`NAME:N`).
    pub async fn arm_connector(&mut self, number: usize, point: &str, how: &str) {
        let witness = self.crash_witness(point);
        let environment =
            [("SWITCHBOARD_CRASH_AT", point), ("SWITCHBOARD_CRASH_HOW", how), ("SWITCHBOARD_CRASH_WITNESS", &witness)];
        self.connector(number).stop(15).await;
        self.start_connector(number, &environment).await;
    }

    /// A connector's process.
    ///
    /// # Panics
    ///
    /// When it does not run.
    pub fn connector(&mut self, number: usize) -> &mut Process {
        self.connectors[number].as_mut().expect("the connector was started")
    }

    /// What a connector's `/readyz` answers now, ready or not.
    pub async fn ready_of(&self, number: usize) -> Option<Value> {
        readiness(self.connector_admin(number)).await
    }

    /// The connector that holds the lease and says that it is active, if there is one.
    pub async fn active_now(&self) -> Option<usize> {
        let lease = self.onlooker.lease().await.filter(|lease| !lease.released)?;
        let number = (0..self.connectors.len()).find(|number| self.pid(*number) == lease.pid)?;
        (readiness(self.connector_admin(number)).await?["role"] == "active").then_some(number)
    }

    /// Waits until a connector is the active one.
    pub async fn active(&self) -> usize {
        until("a connector to be active", 30, async || self.active_now().await).await
    }

    /// Waits until a connector is active and all others stand in line behind it.
    pub async fn paired(&self) -> usize {
        until("an active connector and its standby", 30, async || {
            let active = self.active_now().await?;
            let fleet: Value = serde_json::from_str(&self.operate(&["fleet", "--json"])).ok()?;
            let line: Vec<&str> = fleet[0]["standby"].as_array()?.iter().filter_map(Value::as_str).collect();
            let others = (0..self.connectors.len()).filter(|number| *number != active);
            let all = others.clone().all(|number| line.contains(&self.holder(number).as_str()));
            // Nobody else: the node of a dead one stands before its successor until its session ends.
            (all && line.len() == others.count()).then_some(active)
        })
        .await
    }

    /// kill -9 of a connector; returns when it was, by the observers' clock.
    pub fn kill_connector(&mut self, number: usize) -> i64 {
        let begun = boottime_ns();
        self.connector(number).kill();
        self.connector_fault("kill", number, begun);
        begun
    }

    /// SIGSTOP. [`thaw`](Self::thaw) wants the time that this returns.
    pub fn freeze(&mut self, number: usize) -> i64 {
        let begun = boottime_ns();
        self.connector(number).signal(rustix::process::Signal::STOP);
        begun
    }

    /// SIGCONT, and the freeze is written down.
    pub fn thaw(&mut self, number: usize, frozen: i64) {
        self.connector(number).signal(rustix::process::Signal::CONT);
        self.connector_fault("freeze", number, frozen);
    }

    /// Waits until a connector has died at its point, and writes that down.
    pub async fn died_at(&mut self, number: usize, point: &str) {
        self.connector(number).ended(30).await;
        self.point_was_hit(point);
        self.crash_point(number, point, json!({}));
    }

    /// Waits until a connector has frozen itself at its point. Returns when that was seen.
    pub async fn stopped_at(&mut self, number: usize, point: &str) -> i64 {
        let process = self.connector(number);
        until(&format!("a stop at {point}"), 30, async || process.is_stopped().then_some(())).await;
        self.point_was_hit(point);
        boottime_ns()
    }

    /// SIGCONT for a connector that froze itself at a point, and the stop is written down.
    pub fn thaw_at(&mut self, number: usize, point: &str, stopped: i64) {
        self.connector(number).signal(rustix::process::Signal::CONT);
        self.crash_point(number, point, json!({"t": stopped, "how": "stop", "t1": boottime_ns()}));
    }

    /// Where a process that dies at a point (`NAME:N`) says so: two may die one right after the other.
    pub fn crash_witness(&self, point: &str) -> String {
        self.dir.join(format!("crash-witness-{}", point.replace(':', "-"))).to_string_lossy().into_owned()
    }

    pub(super) fn point_was_hit(&self, point: &str) {
        let witness = self.crash_witness(point);
        let said = std::fs::read_to_string(&witness).unwrap_or_default();
        assert_eq!(said.trim(), point, "{point} was not hit");
        std::fs::remove_file(witness).expect("the run's folder can be written");
    }

    fn crash_point(&mut self, number: usize, point: &str, mut more: Value) {
        self.faults += 1;
        let (name, hit) = point.split_once(':').expect("a point is NAME:N");
        let hit: i64 = hit.parse().expect("a point is NAME:N");
        more["proc"] = connector_name(number).into();
        more["holder"] = self.holder(number).into();
        (more["name"], more["hit"]) = (name.into(), hit.into());
        self.nemesis.write("crash_point", more);
    }

    /// Writes down a fault of one connector that began at `begun` and is over now.
    pub fn connector_fault(&mut self, kind: &str, number: usize, begun: i64) {
        self.fault_of(kind, &connector_name(number), begun, Some(self.holder(number)));
    }

    /// What a connector calls itself in the lease.
    pub fn holder(&self, number: usize) -> String {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        format!("{}:{}", host.trim(), self.pid(number).unwrap_or_default())
    }

    fn pid(&self, number: usize) -> Option<u32> {
        self.connectors[number].as_ref().map(Process::pid)
    }
}

/// A connector's name in `nemesis.jsonl`.
pub fn connector_name(number: usize) -> String {
    format!("connector:{ACCOUNT}:{number}")
}

/// What `/readyz` answers, ready or not.
pub async fn readiness(port: u16) -> Option<Value> {
    let client = reqwest::Client::builder().timeout(ANSWER).build().ok()?;
    client.get(format!("http://127.0.0.1:{port}/readyz")).send().await.ok()?.json().await.ok()
}
