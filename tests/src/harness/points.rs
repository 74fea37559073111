//! Processes that end at a crash point, beside the connectors of `pair.rs`.

use std::process::Command;

use serde_json::json;

use super::{Fleet, dump};

impl Fleet {
    /// Starts a chatserver that dies at a point (`NAME:N`), perhaps before it is ready.
    pub fn start_dying_chatserver(&mut self, number: usize, point: &str) {
        let environment = self.dying_at(point);
        let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.begin_chatserver(number, &environment);
    }

    /// Waits until a chatserver has died at its point, and writes that down.
    pub async fn chatserver_died_at(&mut self, number: usize, point: &str) {
        self.chatserver(number).ended(30).await;
        self.ended_at(&format!("chatserver:cs{number}"), point);
    }

    /// The environment of a process that dies at a point.
    pub fn dying_at(&self, point: &str) -> Vec<(&'static str, String)> {
        vec![("SWITCHBOARD_CRASH_AT", point.to_owned()), ("SWITCHBOARD_CRASH_WITNESS", self.crash_witness(point))]
    }

    /// A process that no log is about has died: it was at its point.
    ///
    /// # Panics
    ///
    /// When it was not.
    pub fn was_at(&self, point: &str) {
        self.point_was_hit(point);
    }

    /// A process has died: it was at its point, and that is written down.
    pub fn ended_at(&self, process: &str, point: &str) {
        self.point_was_hit(point);
        let (name, hit) = point.split_once(':').expect("a point is NAME:N");
        let hit: i64 = hit.parse().expect("a point is NAME:N");
        self.nemesis.write("crash_point", json!({"proc": process, "name": name, "hit": hit}));
    }

    /// `switchboard migrate` with the owner's rights on another database of the same server, which it makes.
    ///
    /// # Panics
    ///
    /// When the database cannot be made.
    pub async fn migrate_another(&self, name: &str) -> Command {
        let server = dump::connect(&self.postgres.url()).await.expect("the database answers");
        let there = server.query_one("SELECT count(*) FROM pg_database WHERE datname = $1", &[&name]).await;
        if there.expect("a count").get::<_, i64>(0) == 0 {
            server.batch_execute(&format!("CREATE DATABASE {name} OWNER switchboard_owner")).await.expect("a database");
        }
        let mut command = self.command_of("owner");
        let url = self.postgres.url().replace("switchboard@", "switchboard_owner@");
        let (base, _) = url.rsplit_once('/').expect("an address names its database");
        command.env("SWITCHBOARD_POSTGRES__URL", format!("{base}/{name}")).arg("migrate");
        command
    }

    /// How many tables a database of the server has.
    pub async fn tables_of(&self, name: Option<&str>) -> i64 {
        let url = self.postgres.url();
        let (base, own) = url.rsplit_once('/').expect("an address names its database");
        let client = dump::connect(&format!("{base}/{}", name.unwrap_or(own))).await.expect("the database answers");
        let sql = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
        client.query_one(sql, &[]).await.expect("a count").get(0)
    }
}

/// Waits for a command without holding up the observers.
pub fn run_to_its_end(mut command: Command) -> std::process::ExitStatus {
    tokio::task::block_in_place(|| command.output()).expect("the executable runs").status
}
