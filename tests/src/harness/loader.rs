//! Loaders of a fleet, and a copy of its database to read from.

use serde_json::Value;

use super::{Fleet, Process, free_port, until};

/// A running loader, killed when dropped.
#[derive(Debug)]
pub struct Loader {
    /// Where it answers REST.
    pub port: u16,
    /// Its process.
    pub process: Process,
    admin: u16,
}

impl Fleet {
    /// Starts a loader with further options in its environment; returns once it is ready.
    pub async fn loader(&self, name: &str, environment: &[(&str, &str)]) -> Loader {
        let (port, admin) = (free_port(), free_port());
        let mut command = self.command_of("loader");
        command.envs(environment.iter().copied());
        command.args(["loader", "--listen", &format!("127.0.0.1:{port}")]);
        command.args(["--admin-listen", &format!("127.0.0.1:{admin}")]);
        let loader = Loader { port, admin, process: Process::start(name, &self.dir, command) };
        until("a loader to be ready", 30, async || (loader.ready().await.0 == 200).then_some(())).await;
        loader
    }
}

impl Loader {
    /// What `/readyz` answers; 0 when nobody does.
    pub async fn ready(&self) -> (u16, String) {
        match reqwest::get(format!("http://127.0.0.1:{}/readyz", self.admin)).await {
            Ok(answer) => (answer.status().as_u16(), answer.text().await.unwrap_or_default()),
            Err(_) => (0, String::new()),
        }
    }

    /// All bytes of what `path` answers to whoever has `token`; none when it breaks off.
    pub async fn whole(&self, path: &str, token: &str) -> Option<Vec<u8>> {
        let client = reqwest::Client::builder().no_proxy().build().ok()?;
        let request = client.get(format!("http://127.0.0.1:{}{path}", self.port)).bearer_auth(token);
        let answer = request.send().await.ok()?.error_for_status().ok()?;
        answer.bytes().await.ok().map(|bytes| bytes.to_vec())
    }

    /// What `path` answers to whoever has `token`: the status and the body.
    ///
    /// # Panics
    ///
    /// When nothing is answered, or no JSON.
    pub async fn get(&self, path: &str, token: &str) -> (u16, Value) {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let request = client.get(format!("http://127.0.0.1:{}{path}", self.port)).bearer_auth(token);
        let answer = request.send().await.expect("the loader answers");
        (answer.status().as_u16(), answer.json().await.expect("the answer is JSON"))
    }
}
